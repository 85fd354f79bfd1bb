//! A gateway that runs inside the test, on loopback ports of the system's choice, under a clock that the test moves.

use gateway::authn::ClientKey;
use gateway::clock::Clock;
use gateway::config::Config;
use gateway::{Bound, ServeError};
use policy::time::Timestamp;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::token_service_client::TokenServiceClient;
use std::path::Path;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

/// Where a test's clock starts: 2026-09-21.
pub const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// A running gateway.
pub struct Gate {
    /// Its settings.
    pub config: Config,
    /// Its clock.
    pub clock: Clock,
    /// Where it listens.
    pub bound: Bound,
    /// The first steward's key.
    pub steward: ClientKey,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), ServeError>>,
}

/// A client with a token.
#[derive(Clone)]
pub struct Caller {
    channel: Channel,
    bearer: Option<MetadataValue<Ascii>>,
}

/// A channel that carries a caller's token.
pub type Line = InterceptedService<Channel, Bearer>;

/// Puts the token on.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

impl Caller {
    /// Makes a caller over a channel, with a token or without.
    pub fn new(channel: Channel, token: Option<&str>) -> Self {
        Self { channel, bearer: token.map(|token| format!("Bearer {token}").parse().unwrap()) }
    }

    /// Returns a channel to build a service's client on.
    pub fn line(&self) -> Line {
        InterceptedService::new(self.channel.clone(), Bearer(self.bearer.clone()))
    }

    /// Returns the same client with other words for a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { channel: self.channel.clone(), bearer: Some(format!("Bearer {token}").parse().unwrap()) }
    }

    /// Returns the token.
    pub fn token(&self) -> String {
        self.bearer.as_ref().unwrap().to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
    }
}

impl Gate {
    /// Makes a vault and serves it.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Makes a vault and serves it with changed settings.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::ephemeral(folder.path());
        config.scan_threads = 1;
        change(&mut config);
        let clock = Clock::manual(START);
        let (making, key_clock) = (config.clone(), clock.clone());
        let key = tokio::task::spawn_blocking(move || gateway::init(&making, &key_clock)).await.unwrap().unwrap();
        let steward = read_key(&key);
        let (bound, stop, serving) = serve(&config, &clock).await;
        Self { config, clock, bound, steward, folder, stop: Some(stop), serving }
    }

    /// Serves the folders of a vault that is there already; the first steward's key is where making it left it.
    pub async fn open(config: Config) -> Self {
        let (clock, folder) = (Clock::manual(START), tempfile::tempdir().unwrap());
        let steward = read_key(&config.root.join("clients/steward.key"));
        let (bound, stop, serving) = serve(&config, &clock).await;
        Self { config, clock, bound, steward, folder, stop: Some(stop), serving }
    }

    /// Stops, and serves the same folders again.
    pub async fn restart(mut self) -> Self {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        let (bound, stop, serving) = serve(&self.config, &self.clock).await;
        Self { bound, stop: Some(stop), serving, ..self }
    }

    /// Stops. The folder lives until the returned value is dropped.
    pub async fn stop(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.folder
    }

    /// Returns the folder of data and root.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a caller without a token.
    pub async fn nobody(&self) -> Caller {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.bound.grpc)).unwrap();
        Caller { channel: endpoint.connect().await.unwrap(), bearer: None }
    }

    /// Signs in with a key.
    pub async fn sign_in(&self, client: &str, key: &ClientKey) -> Caller {
        let nobody = self.nobody().await;
        self.sign_in_over(nobody.channel, client, key).await
    }

    /// Signs in with a key over a channel that is open already.
    pub async fn sign_in_over(&self, channel: Channel, client: &str, key: &ClientKey) -> Caller {
        let nobody = Caller { channel, bearer: None };
        let assertion = key.assertion(client, &self.config.audience, self.clock.now()).unwrap();
        let request = v1::ExchangeRequest { assertion, purposes: Vec::new() };
        let answer = TokenServiceClient::new(nobody.line()).exchange(request).await.unwrap();
        nobody.with_token(&answer.into_inner().access_token)
    }

    /// Signs in as the first steward.
    pub async fn steward(&self) -> Caller {
        self.sign_in("steward", &self.steward).await
    }

    /// Registers a client and signs it in. `partner` is for partners only.
    pub async fn client(
        &self,
        id: &str,
        role: v1::ClientRole,
        partner: &str,
        purposes: &[&str],
    ) -> (Caller, ClientKey) {
        let key = ClientKey::generate().unwrap();
        let request = v1::CreateClientRequest {
            client_id: id.to_owned(),
            role: role.into(),
            partner: if partner.is_empty() { String::new() } else { format!("partners/{partner}") },
            purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
            public_key: key.public().to_vec(),
            request_id: String::new(),
        };
        AdminServiceClient::new(self.steward().await.line()).create_client(request).await.unwrap();
        (self.sign_in(id, &key).await, key)
    }
}

async fn serve(config: &Config, clock: &Clock) -> (Bound, oneshot::Sender<()>, JoinHandle<Result<(), ServeError>>) {
    let (ready, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        // Dropping the gateway without stopping it stops it too.
        let _ = stopped.await;
    };
    let mut serving = tokio::spawn(gateway::serve_until(config.clone(), clock.clone(), ready, stopped));
    tokio::select! {
        bound = bound => (bound.unwrap(), stop, serving),
        failed = &mut serving => panic!("the gateway didn't start: {failed:?}"),
    }
}

fn read_key(file: &Path) -> ClientKey {
    ClientKey::from_pem(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Returns the reason that a status carries; fails the test if it carries none.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else { panic!("a bare status: {status:?}") };
    assert_eq!(info.domain, "silhouette");
    assert!(info.metadata.contains_key("next_step"), "no next step: {status:?}");
    info.reason.clone()
}
