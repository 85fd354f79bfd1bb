//! Clients' signed assertions: checked once each, against the key that the client registered.

use super::client_key::AssertionClaims;
use super::token::signature_only;
use super::{ASSERTION_SECONDS, MAX_TOKEN_BYTES, Period, SKEW_SECONDS, TokenProblem, holds};
use jsonwebtoken::DecodingKey;
use parking_lot::Mutex;
use policy::id::ClientId;
use policy::time::Timestamp;
use std::collections::BTreeMap;

/// Most assertion ids remembered; a flood beyond it is refused rather than let through twice.
const MAX_SEEN: usize = 100_000;

/// Longest `jti` in bytes.
const MAX_ID_BYTES: usize = 64;

/// Why an assertion was refused: as tokens are.
pub type AssertionProblem = TokenProblem;

/// Reads which client an assertion claims to be from. Not verified: only good for finding the key to verify it with.
pub fn claimed_client(assertion: &str) -> Result<ClientId, AssertionProblem> {
    if assertion.is_empty() {
        return Err(AssertionProblem::Missing);
    }
    if assertion.len() > MAX_TOKEN_BYTES {
        return Err(AssertionProblem::Invalid);
    }
    let claims: AssertionClaims =
        jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| AssertionProblem::Invalid)?;
    ClientId::new(&claims.sub).map_err(|_| AssertionProblem::Invalid)
}

/// Checks an assertion against the client's key. The caller marks its `jti` as seen.
pub fn check_assertion(
    assertion: &str,
    client: &ClientId,
    public_key: &[u8; 32],
    audience: &str,
    now: Timestamp,
) -> Result<AssertionClaims, AssertionProblem> {
    super::provider::install();
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| AssertionProblem::Invalid)?;
    if header.crit.is_some() || assertion.len() > MAX_TOKEN_BYTES {
        return Err(AssertionProblem::Invalid);
    }
    let key = DecodingKey::from_ed_der(public_key);
    let claims = jsonwebtoken::decode::<AssertionClaims>(assertion, &key, &signature_only())
        .map_err(|_| AssertionProblem::Invalid)?
        .claims;
    if claims.aud != audience {
        return Err(AssertionProblem::Audience);
    }
    let own = claims.iss == claims.sub && claims.sub == client.as_str();
    if !own || claims.jti.is_empty() || claims.jti.len() > MAX_ID_BYTES {
        return Err(AssertionProblem::Invalid);
    }
    match holds(claims.iat, claims.exp, ASSERTION_SECONDS, SKEW_SECONDS, now) {
        Period::Holds => Ok(claims),
        Period::Over => Err(AssertionProblem::Expired),
        Period::Wrong => Err(AssertionProblem::Invalid),
    }
}

/// Assertions that were used, until they would have expired anyway. In memory: a restart within a minute forgets them,
/// and the signer's clock bounds what that is worth.
#[derive(Debug, Default)]
pub struct SeenAssertions {
    seen: Mutex<BTreeMap<(ClientId, String), i64>>,
}

impl SeenAssertions {
    /// Marks an assertion as used; an error if it was already, or if too many are remembered.
    pub fn mark(&self, client: &ClientId, claims: &AssertionClaims, now: Timestamp) -> Result<(), AssertionProblem> {
        let mut seen = self.seen.lock();
        if seen.len() >= MAX_SEEN {
            seen.retain(|_, forget| *forget > now.seconds());
        }
        let forget = claims.exp.saturating_add(SKEW_SECONDS);
        if seen.len() >= MAX_SEEN || seen.contains_key(&(client.clone(), claims.jti.clone())) {
            return Err(AssertionProblem::Invalid);
        }
        seen.insert((client.clone(), claims.jti.clone()), forget);
        Ok(())
    }
}
