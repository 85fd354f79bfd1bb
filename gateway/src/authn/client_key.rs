//! A client's own key: made, stored and used on the client's side, by the command line and by tests.

use super::{ASSERTION_SECONDS, provider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use policy::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Why a client key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    /// The text is not a PEM block of PKCS#8.
    #[error("the key file holds no `PRIVATE KEY` block")]
    NotPem,
    /// The block is not an Ed25519 key.
    #[error("the key file holds no Ed25519 key")]
    NotEd25519,
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed")]
    NoRandomness,
    /// Signing failed.
    #[error("the assertion can't be signed")]
    Signing,
}

/// What a client says about itself to get a token (RFC 7523). `iss` and `sub` are the client id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionClaims {
    /// The client id.
    pub iss: String,
    /// The client id again.
    pub sub: String,
    /// The gateway's audience.
    pub aud: String,
    /// Signed at, in seconds since 1970.
    pub iat: i64,
    /// Ends at, in seconds since 1970; at most 60 s after `iat`.
    pub exp: i64,
    /// Never used before; 1-64 characters.
    pub jti: String,
}

/// An Ed25519 private key of a client.
pub struct ClientKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: [u8; 32],
}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKey(..)")
    }
}

impl ClientKey {
    /// Draws a fresh key from the operating system.
    pub fn generate() -> Result<Self, ClientKeyError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| ClientKeyError::NoRandomness)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a key from PKCS#8 DER, with or without its public half.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, ClientKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| ClientKeyError::NotEd25519)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| ClientKeyError::NotEd25519)?;
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), public })
    }

    /// Reads a key from a PEM file's text, as `openssl genpkey -algorithm ed25519` writes it too.
    pub fn from_pem(text: &str) -> Result<Self, ClientKeyError> {
        let (_, rest) = text.split_once(BEGIN).ok_or(ClientKeyError::NotPem)?;
        let (body, _) = rest.split_once(END).ok_or(ClientKeyError::NotPem)?;
        let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| ClientKeyError::NotPem)?);
        Self::from_pkcs8(&der)
    }

    /// Writes the key as a PEM file's text. Store it readable by its owner alone.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(STANDARD.encode(&self.pkcs8));
        let mut text = Zeroizing::new(format!("{BEGIN}\n"));
        for (at, c) in body.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                text.push('\n');
            }
            text.push(c);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Returns the public key, to register.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Signs an assertion for `TokenService.Exchange`, valid for 60 s from `now`.
    pub fn assertion(&self, client: &str, audience: &str, now: Timestamp) -> Result<String, ClientKeyError> {
        let claims = AssertionClaims {
            iss: client.to_owned(),
            sub: client.to_owned(),
            aud: audience.to_owned(),
            iat: now.seconds(),
            exp: now.seconds().saturating_add(ASSERTION_SECONDS),
            jti: uuid::Uuid::new_v4().to_string(),
        };
        self.sign(&claims)
    }

    /// Signs any claims, for clients that fill them in themselves.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, ClientKeyError> {
        provider::install();
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).map_err(|_| ClientKeyError::Signing)
    }
}
