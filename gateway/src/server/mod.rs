//! Starting, serving and stopping.

mod init;
mod listen;
mod relock;

pub use init::{FIRST_STEWARD, init};
pub use relock::relock;

use crate::app::{App, StartError};
use crate::authn::{self, ClientKeyError, TlsError};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::epochs::{self, Keeper};
use crate::http;
use crate::memory;
use crate::outer::Outer;
use crate::rpc;
use listen::{accept, serve_http};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use vault::VaultError;

/// How often it is looked whether much waits to be folded, or a day has ended: an epoch closes this much after midnight at
/// most. Fast ingest fills a journal in seconds.
const EPOCH_CHECK: Duration = Duration::from_secs(1);

/// Where a gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// gRPC.
    pub grpc: SocketAddr,
    /// HTTP for partners and consoles.
    pub http: SocketAddr,
    /// HTTP for operators.
    pub admin: SocketAddr,
}

/// Why a gateway does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The vault or what is in it can't be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// TLS can't be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address can't be listened on.
    #[error("can't listen on {address}: {problem}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        problem: String,
    },
    /// A key can't be made or written.
    #[error(transparent)]
    Key(#[from] ClientKeyError),
    /// A file can't be written.
    #[error("`{file}` can't be written: {problem}")]
    File {
        /// Which.
        file: String,
        /// Why.
        problem: String,
    },
    /// The runtime failed.
    #[error("{0}")]
    Runtime(String),
}

impl From<VaultError> for ServeError {
    fn from(error: VaultError) -> Self {
        Self::Start(StartError::Vault(error))
    }
}

/// Serves until the process is told to stop (SIGTERM, Ctrl-C), then drains. Says where it listens through `ready`.
pub async fn serve(config: Config, ready: oneshot::Sender<Bound>) -> Result<(), ServeError> {
    serve_until(config, Clock::system(), ready, told_to_stop()).await
}

/// Serves until `stop` completes, then drains.
pub async fn serve_until(
    config: Config,
    clock: Clock,
    ready: oneshot::Sender<Bound>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    config.check()?;
    memory::guard();
    let tls = match &config.tls {
        Some(tls) => Some(authn::acceptor(&tls.certificate, &tls.key, false)?),
        None => None,
    };
    let (grpc, http, admin) = (listen(config.grpc).await?, listen(config.http).await?, listen(config.admin).await?);
    let bound = Bound { grpc: address(&grpc)?, http: address(&http)?, admin: address(&admin)? };
    let app = open(config, clock).await?;
    let (stopped, stopping) = watch::channel(false);
    let (routes, health) = routes(&app).await;
    let ticking = tokio::spawn(tick(Arc::clone(&app), health, stopping.clone()));
    let keeping = tokio::spawn(keep_epochs(Arc::clone(&app), stopping.clone()));
    let outer = Outer::new(Arc::clone(&app), routes.into_axum_router());
    let rpcs = tokio::spawn(accept(grpc, tls, outer, drain(&app), stopping.clone()));
    let public = tokio::spawn(serve_http(http, http::public(Arc::clone(&app)), stopping.clone()));
    let admin = tokio::spawn(serve_http(admin, http::admin(Arc::clone(&app)), stopping));
    tracing::info!(grpc = %bound.grpc, http = %bound.http, admin = %bound.admin, "serving");
    // Whoever started this may not care where it listens.
    let _ = ready.send(bound);
    stop.await;
    tracing::info!("stopping: running calls may finish");
    let _ = stopped.send(true);
    for task in [rpcs, public, admin, ticking, keeping] {
        let _ = task.await;
    }
    close(&app).await
}

fn drain(app: &App) -> Duration {
    Duration::from_secs(app.config.drain_seconds)
}

async fn open(config: Config, clock: Clock) -> Result<Arc<App>, ServeError> {
    let opened = tokio::task::spawn_blocking(move || App::open(config, clock)).await;
    let opened = opened.map_err(|problem| ServeError::Runtime(problem.to_string()))?;
    Ok(Arc::new(opened?))
}

/// Waits for the vault calls of clients that went away, then closes the vault.
async fn close(app: &Arc<App>) -> Result<(), ServeError> {
    let all = u32::try_from(app.config.concurrent_calls).unwrap_or(u32::MAX);
    if tokio::time::timeout(drain(app), app.calls.acquire_many(all)).await.is_err() {
        tracing::warn!("calls are still running at the end of the drain");
    }
    let closing = Arc::clone(app);
    let closed = tokio::task::spawn_blocking(move || closing.vault.close(closing.clock.now())).await;
    closed.map_err(|problem| ServeError::Runtime(problem.to_string()))?.map_err(ServeError::from)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let problem = |problem: io::Error| ServeError::Listen { address, problem: problem.kind().to_string() };
    TcpListener::bind(address).await.map_err(problem)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(|problem| ServeError::Runtime(problem.to_string()))
}

/// Builds all routes: ours, health, and on loopback reflection.
async fn routes(app: &Arc<App>) -> (Routes, HealthReporter) {
    let (reporter, health) = tonic_health::server::health_reporter();
    report(app, &reporter).await;
    let mut routes = rpc::routes(app).add_service(health);
    if app.config.grpc.ip().is_loopback() {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1();
        match reflection {
            Ok(reflection) => routes = routes.add_service(reflection),
            Err(problem) => tracing::warn!(%problem, "reflection isn't served"),
        }
    }
    (routes.prepare(), reporter)
}

async fn report(app: &App, reporter: &HealthReporter) {
    let serving = if app.vault.health().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in rpc::SERVICES {
        reporter.set_service_status(service, serving).await;
    }
    reporter.set_service_status("", serving).await;
}

/// Works once a second: the log's anonymous counts, the vault's own work, the health report.
async fn tick(app: Arc<App>, health: HealthReporter, mut stopping: watch::Receiver<bool>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let stop = tokio::select! {
            _ = second.tick() => false,
            _ = stopping.changed() => true,
        };
        let working = Arc::clone(&app);
        match tokio::task::spawn_blocking(move || working.tick()).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => tracing::error!(%problem, "the periodic work failed"),
            Err(_) => tracing::error!("the periodic work panicked"),
        }
        report(&app, &health).await;
        if stop {
            return;
        }
    }
}

/// Folds, and closes the day's epochs, apart from the ticks: folding may take longer than a second.
async fn keep_epochs(app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    let mut keeper = Keeper::default();
    loop {
        let working = Arc::clone(&app);
        let kept = tokio::task::spawn_blocking(move || {
            epochs::fold_due(&working);
            keeper.close_due(&working);
            keeper
        });
        keeper = kept.await.unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(EPOCH_CHECK) => {}
            _ = stopping.changed() => return,
        }
    }
}

/// Completes when the process is told to stop.
async fn told_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
