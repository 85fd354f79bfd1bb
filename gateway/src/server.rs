//! Starting, serving and stopping.

use crate::app::{App, StartError};
use crate::authn::{self, ClientKey, ClientKeyError, TlsError};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::http;
use crate::outer::Outer;
use crate::records::{self, Client};
use crate::rpc;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, InvalidName};
use policy::permit::{Role, Verb};
use policy::rules::Rules;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use vault::{Vault, VaultError};

/// Id of the client that `init` makes.
pub const FIRST_STEWARD: &str = "steward";

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

/// Creates a vault with one steward, and writes the steward's key to `ROOT/clients/steward.key`, readable by its owner
/// alone. Returns that file. Blocks.
pub fn init(config: &Config, clock: &Clock) -> Result<PathBuf, ServeError> {
    config.check()?;
    let now = clock.now();
    Vault::init(&config.vault(), now)?;
    let vault = Vault::open(&config.vault(), now)?;
    let key = ClientKey::generate()?;
    let steward = Client {
        id: ClientId::new(FIRST_STEWARD).map_err(|problem: InvalidName| ServeError::Runtime(problem.to_string()))?,
        role: Role::Steward,
        purposes: Vec::new(),
        public_key: key.public(),
        revoked: false,
        created: now,
    };
    let folder = config.root.join("clients");
    let file = folder.join(format!("{FIRST_STEWARD}.key"));
    write_key(&folder, &file, &key).map_err(|problem| ServeError::File {
        file: file.display().to_string(),
        problem: problem.kind().to_string(),
    })?;
    let permit = steward_permit(&steward.principal(Vec::new()))?;
    vault.put_record(&permit, records::CLIENTS, steward.id.as_str(), Some(&steward.encode()), now)?;
    vault.close(now)?;
    Ok(file)
}

/// The first steward registers itself, by the policies that ship.
fn steward_permit(principal: &Principal) -> Result<policy::permit::Permit, ServeError> {
    let rules = Rules::parse(Rules::default_texts(), 1).map_err(StartError::Rules)?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let request = Request {
        principal,
        verb: Verb::ManageClients,
        dataset: None,
        purpose: None,
        basis: None,
        fields: &[],
        request_id: &request_id,
    };
    match decide(&rules, &request) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(ServeError::Runtime(refusal.message)),
    }
}

fn write_key(folder: &Path, file: &Path, key: &ClientKey) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if !folder.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(key.to_pem().as_bytes())?;
    file.sync_all()
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
    for task in [rpcs, public, admin, ticking] {
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

/// Accepts gRPC connections until told to stop, then lets running calls finish for a while.
async fn accept(
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

async fn serve_http(listener: TcpListener, router: axum::Router, mut stopping: watch::Receiver<bool>) {
    let stop = async move {
        let _ = stopping.changed().await;
    };
    if axum::serve(listener, router).with_graceful_shutdown(stop).await.is_err() {
        tracing::error!("an HTTP listener failed");
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
