//! Connections: accepted, encrypted if there is TLS, spoken to in HTTP/2 or plain HTTP, and drained at a stop.

use crate::outer::Outer;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Most connections at once: far above what one machine's clients need, far below what would exhaust it.
const MAX_CONNECTIONS: usize = 1_024;
/// Calls at once on one connection.
const MAX_STREAMS: u32 = 256;
/// Most bytes of a request's headers; the longest token is a quarter of it.
const MAX_HEADERS: u32 = 16 * 1024;
/// Bytes in flight of one stream and of one connection: a few messages, so that ingest does not wait for round trips.
const WINDOWS: (u32, u32) = (4 * 1024 * 1024, 8 * 1024 * 1024);
/// A silent connection is asked whether it lives after this, and closed after the second.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts gRPC connections until told to stop, then lets running calls finish for a while.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    outer: Outer,
    drain: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&connections).acquire_owned().await else { break };
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => break,
        };
        let Ok((socket, _)) = socket else {
            // Out of file descriptors, mostly: give the others time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = connection(socket, tls.clone(), outer.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections are still open at the end of the drain");
    }
}

async fn connection(socket: TcpStream, tls: Option<TlsAcceptor>, outer: Outer, watcher: Watcher) {
    // Small messages leave at once; failing to say so costs some latency only.
    let _ = socket.set_nodelay(true);
    match tls {
        None => speak(socket, outer, watcher).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await {
            Ok(Ok(socket)) => speak(socket, outer, watcher).await,
            Ok(Err(_)) | Err(_) => tracing::debug!("a TLS handshake failed"),
        },
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(socket: S, outer: Outer, watcher: Watcher) {
    let service = service_fn(move |request| {
        let outer = outer.clone();
        async move { Ok::<_, Infallible>(outer.call(request).await) }
    });
    let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1);
    let connection = http2.serve_connection(TokioIo::new(socket), service);
    if watcher.watch(connection).await.is_err() {
        tracing::debug!("a connection broke");
    }
}

pub(super) async fn serve_http(listener: TcpListener, router: axum::Router, mut stopping: watch::Receiver<bool>) {
    let stop = async move {
        let _ = stopping.changed().await;
    };
    if axum::serve(listener, router).with_graceful_shutdown(stop).await.is_err() {
        tracing::error!("an HTTP listener failed");
    }
}
