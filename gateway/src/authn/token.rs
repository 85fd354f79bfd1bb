//! Access tokens: issued and checked by the gateway alone (RFC 9068).

use super::{MAX_TOKEN_BYTES, Period, SKEW_SECONDS, TOKEN_SECONDS, holds, provider};
use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use policy::decide::{Reason, Refusal};
use policy::id::{ClientId, PurposeId};
use policy::time::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use vault::rotation::{KeyState, TOKEN_OVERLAP_SECONDS, TokenKey};

/// What the type header of our tokens says, so that nothing else signed with the key passes for one.
const TYPE: &str = "at+jwt";

/// The claims of an access token. All are required; a wrong type is as good as missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The gateway that issued it.
    pub iss: String,
    /// The gateway that it is for.
    pub aud: String,
    /// The client.
    pub sub: ClientId,
    /// The client again (RFC 9068).
    pub client_id: ClientId,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not valid before, in seconds since 1970.
    pub nbf: i64,
    /// Ends at, in seconds since 1970; at most 300 s after `iat`.
    pub exp: i64,
    /// Its own number, a UUID.
    pub jti: String,
    /// The purposes it may be used for.
    pub purposes: Vec<PurposeId>,
    /// The client's role when it was issued.
    pub scope: String,
}

/// A token, ready to leave once it is logged.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token itself.
    pub jwt: String,
    /// Its claims.
    pub claims: Claims,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("jti", &self.claims.jti).finish_non_exhaustive()
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// None was sent.
    #[error("this call carries no token")]
    Missing,
    /// It was ours and has ended.
    #[error("the token has expired")]
    Expired,
    /// It was signed by us for another gateway.
    #[error("the token is for another audience")]
    Audience,
    /// Anything else: not a token, not ours, a claim missing, revoked.
    #[error("the token isn't valid")]
    Invalid,
}

impl TokenProblem {
    /// Says it as a refusal with its next step.
    pub fn refusal(self) -> Refusal {
        let reason = match self {
            Self::Missing => Reason::TokenMissing,
            Self::Expired => Reason::TokenExpired,
            Self::Audience => Reason::AudienceMismatch,
            Self::Invalid => Reason::TokenInvalid,
        };
        let next_step = match self {
            Self::Missing => "exchange a signed assertion for a token and send it as `authorization: Bearer ...`",
            Self::Expired => "exchange a fresh assertion for a new token",
            Self::Audience => "get a token from this gateway",
            Self::Invalid => "get a new token; if that fails, ask a steward whether the client is registered",
        };
        Refusal { reason, message: self.to_string(), next_step: next_step.to_owned() }
    }
}

/// Why the gateway can't issue tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The seed gives no key.
    #[error("the token key can't be used")]
    Key,
    /// A token failed to sign.
    #[error("a token can't be signed")]
    Signing,
    /// The library accepted what it must not, or refused its own token.
    #[error("the token self-test failed")]
    SelfTest,
}

/// A token that a key signed must have expired when the vault destroys the key.
const _: () = assert!(TOKEN_SECONDS + SKEW_SECONDS <= TOKEN_OVERLAP_SECONDS);

/// One of the gateway's token keys.
struct Key {
    state: KeyState,
    signing: EncodingKey,
    verifying: DecodingKey,
    public: Vec<u8>,
    id: String,
}

impl Key {
    fn of(key: &TokenKey) -> Result<Self, AuthorityError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(key.seed.expose()).map_err(|_| AuthorityError::Key)?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self {
            state: key.state,
            signing: EncodingKey::from_ed_der(key.seed.expose()),
            verifying: DecodingKey::from_ed_der(&public),
            id: thumbprint(&public),
            public,
        })
    }

    /// Says whether it signs, or signed: one that will has signed nothing that could be good.
    fn has_signed(&self) -> bool {
        matches!(self.state, KeyState::Active | KeyState::Superseded)
    }
}

/// The gateway's token keys, its name and its audience.
pub struct Authority {
    keys: ArcSwap<Vec<Key>>,
    issuer: String,
    audience: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<String> = self.keys.load().iter().map(|key| key.id.clone()).collect();
        f.debug_struct("Authority").field("key_ids", &ids).finish_non_exhaustive()
    }
}

impl Authority {
    /// Builds from the vault's keys and tests itself: a good token passes; a changed one and an unsigned one do not.
    pub fn new(keys: &[TokenKey], issuer: &str, audience: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        provider::install();
        let authority = Self { keys: ArcSwap::default(), issuer: issuer.to_owned(), audience: audience.to_owned() };
        authority.reload(keys)?;
        authority.self_test(now)?;
        Ok(authority)
    }

    /// Takes over the keys and states that the vault has now. Cheap where nothing has changed.
    pub fn reload(&self, keys: &[TokenKey]) -> Result<(), AuthorityError> {
        let new: Vec<Key> = keys.iter().map(Key::of).collect::<Result<_, _>>()?;
        if !new.iter().any(|key| key.state == KeyState::Active) {
            return Err(AuthorityError::Key);
        }
        let old = self.keys.load();
        let same = |(new, old): (&Key, &Key)| (new.state, &new.id) == (old.state, &old.id);
        if old.len() != new.len() || !new.iter().zip(old.iter()).all(same) {
            self.keys.store(Arc::new(new));
        }
        Ok(())
    }

    /// Returns the audience that tokens and assertions must name.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Signs a token of 300 s.
    pub fn issue(
        &self,
        client: &ClientId,
        purposes: Vec<PurposeId>,
        scope: &str,
        now: Timestamp,
    ) -> Result<IssuedToken, AuthorityError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: client.clone(),
            client_id: client.clone(),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.seconds().saturating_add(TOKEN_SECONDS),
            jti: uuid::Uuid::new_v4().to_string(),
            purposes,
            scope: scope.to_owned(),
        };
        Ok(IssuedToken { jwt: self.sign(&claims)?, claims })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, AuthorityError> {
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.state == KeyState::Active).ok_or(AuthorityError::Signing)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(|_| AuthorityError::Signing)
    }

    /// Checks a token. Whether its client still exists is for the caller to look up.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Claims, TokenProblem> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenProblem::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenProblem::Invalid)?;
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(TokenProblem::Invalid);
        }
        let keys = self.keys.load();
        let named = |key: &&Key| key.has_signed() && header.kid.as_deref() == Some(&key.id);
        let key = keys.iter().find(named).ok_or(TokenProblem::Invalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifying, &signature_only());
        let claims = decoded.map_err(|_| TokenProblem::Invalid)?.claims;
        self.check_claims(&claims, now)?;
        Ok(claims)
    }

    fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenProblem> {
        if claims.aud != self.audience {
            return Err(TokenProblem::Audience);
        }
        if claims.iss != self.issuer || claims.sub != claims.client_id || claims.nbf != claims.iat {
            return Err(TokenProblem::Invalid);
        }
        // No skew at the end: we set the time ourselves.
        match holds(claims.iat, claims.exp, TOKEN_SECONDS, 0, now) {
            Period::Holds => Ok(()),
            Period::Over => Err(TokenProblem::Expired),
            Period::Wrong => Err(TokenProblem::Invalid),
        }
    }

    /// Returns the key set (RFC 7517) as JSON: the key that signs, the next one, and those whose tokens may still be good.
    pub fn jwks(&self) -> String {
        let keys = self.keys.load();
        let key = |key: &Key| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": key.id, "x": URL_SAFE_NO_PAD.encode(&key.public),
            })
        };
        serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string()
    }

    fn self_test(&self, now: Timestamp) -> Result<(), AuthorityError> {
        let client = ClientId::new("self-test").map_err(|_| AuthorityError::SelfTest)?;
        let token = self.issue(&client, Vec::new(), "service", now)?.jwt;
        let (body, _) = token.rsplit_once('.').ok_or(AuthorityError::SelfTest)?;
        let forged = format!("{body}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        let passes = |token: &str| self.check(token, now).is_ok();
        if !passes(&token) || passes(&forged) || passes(&format!("{body}.")) {
            return Err(AuthorityError::SelfTest);
        }
        Ok(())
    }
}

/// Leaves issuer, audience and times to us: the library would read a clock and take an absent claim for a good one.
pub(super) fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
    validation
}

/// The key's name: its RFC 7638 thumbprint.
fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}
