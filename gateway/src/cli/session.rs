//! A client's connection: one channel, a token that renews itself, and the services over it.
//!
//! Every command speaks to the gateway through this, the demo included: there is no other way in.

use super::error::CliError;
use super::keyfile::KeyFile;
use crate::authn::ClientKey;
use crate::clock::Clock;
use proto::v1::ExchangeRequest;
use proto::v1::activation_service_client::ActivationServiceClient;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use proto::v1::subject_service_client::SubjectServiceClient;
use proto::v1::token_service_client::TokenServiceClient;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// A token with less left than this is renewed before it is used again.
const RENEW_BEFORE_SECONDS: i64 = 60;
/// Connecting to loopback or a data center takes far less.
const CONNECT_SECONDS: u64 = 10;
/// Answers are small, but a page of the log or of an audience is not.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An open connection of one client.
#[derive(Debug)]
pub struct Session {
    channel: Channel,
    client: String,
    audience: String,
    key: ClientKey,
    clock: Clock,
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    bearer: MetadataValue<Ascii>,
    ends: i64,
}

impl Session {
    /// Connects as the client of a key file.
    pub async fn open(file: KeyFile) -> Result<Self, CliError> {
        let channel = connect(&file.gateway, file.ca.as_deref()).await?;
        Ok(Self::over(channel, file, Clock::system()))
    }

    /// Uses a channel that is open already.
    pub fn over(channel: Channel, file: KeyFile, clock: Clock) -> Self {
        let KeyFile { client, audience, key, .. } = file;
        Self { channel, client, audience, key, clock, token: Mutex::new(None) }
    }

    /// Returns the client's id.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Wraps a message into a request that carries a valid token, renewed if need be.
    pub async fn request<T>(&self, message: T) -> Result<Request<T>, CliError> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer().await?);
        Ok(request)
    }

    async fn bearer(&self) -> Result<MetadataValue<Ascii>, CliError> {
        let mut held = self.token.lock().await;
        let now = self.clock.now();
        if let Some(token) = held.as_ref().filter(|token| token.ends - RENEW_BEFORE_SECONDS > now.seconds()) {
            return Ok(token.bearer.clone());
        }
        let assertion = self.key.assertion(&self.client, &self.audience, now);
        let assertion = assertion.map_err(|problem| CliError::failed(problem.to_string()))?;
        let request = ExchangeRequest { assertion, purposes: Vec::new() };
        let answer = TokenServiceClient::new(self.channel.clone()).exchange(request).await?.into_inner();
        let bearer: MetadataValue<Ascii> = format!("Bearer {}", answer.access_token)
            .parse()
            .map_err(|_| CliError::failed("the gateway sent a token that can't be sent back"))?;
        let ends = answer.expire_time.map_or(0, |time| time.seconds);
        *held = Some(Token { bearer: bearer.clone(), ends });
        Ok(bearer)
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {
        impl Session {
            $($(#[$doc])*
            pub fn $name(&self) -> $client<Channel> {
                $client::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
            })*
        }
    };
}

services! {
    /// Datasets and schemas.
    catalog: CatalogServiceClient;
    /// Writing data.
    ingest: IngestServiceClient;
    /// Consent.
    consent: ConsentServiceClient;
    /// Segments and sizes.
    segments: SegmentServiceClient;
    /// Breakdowns and portraits.
    insight: InsightServiceClient;
    /// Audiences.
    activation: ActivationServiceClient;
    /// People's rights.
    subjects: SubjectServiceClient;
    /// The log.
    audit: AuditServiceClient;
    /// Clients, epochs, budgets, policies.
    admin: AdminServiceClient;
}

/// Opens a channel: plain text to loopback only, TLS with the given certificate to anywhere.
pub async fn connect(gateway: &str, ca: Option<&Path>) -> Result<Channel, CliError> {
    let endpoint = Endpoint::from_shared(gateway.to_owned())
        .map_err(|_| CliError::usage(format!("`{gateway}` is not an address; it looks like http://127.0.0.1:7443")))?
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS));
    let endpoint = match (endpoint.uri().scheme_str(), ca) {
        (Some("https"), Some(ca)) => {
            let pem = std::fs::read(ca).map_err(|problem| CliError::file(ca, &problem))?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint.tls_config(tls).map_err(|problem| CliError::failed(format!("TLS: {problem}")))?
        }
        (Some("https"), None) => {
            return Err(CliError::usage("https needs the certificate to trust").hint("give it with --ca FILE"));
        }
        _ if !is_loopback(endpoint.uri().host()) => {
            return Err(CliError::usage("plain text is for this machine only").hint("use https:// and --ca FILE"));
        }
        _ => endpoint,
    };
    endpoint.connect().await.map_err(|_| {
        CliError::unavailable(format!("nothing answers at {gateway}"))
            .hint("start it with `silhouette serve`, or name another place with --gateway")
    })
}

fn is_loopback(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Exit;

    #[test]
    fn plain_text_goes_to_this_machine_only() {
        let hosts =
            ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "10.0.0.1", "example.org", "localhost.example.org"];
        let expected = [true, true, true, true, false, false, false];
        assert_eq!(hosts.map(|host| is_loopback(Some(host))), expected);
    }

    #[tokio::test]
    async fn an_address_that_would_leak_is_refused_before_anything_is_sent() {
        for gateway in ["http://198.51.100.7:7443", "https://198.51.100.7:7443", "not an address"] {
            let error = connect(gateway, None).await.map(|_| ()).map_err(|error| error.exit());
            assert_eq!(error, Err(Exit::Usage), "{gateway}");
        }
    }
}
