//! Who calls. Tokens in and out: EdDSA only, every registered claim required, five minutes at most.
//!
//! A client signs an assertion with its own key and gets a token signed with the gateway's; each call presents it and is
//! checked here, in the order of RFC 8725: size, type, key, signature, then issuer, audience and times. A token is an
//! upper bound: roles and purposes are looked up again for each call, and the policies decide within them.
//! Not here: binding a token to its sender's connection. Whoever steals a token has it until it expires.

mod assertion;
mod client_key;
mod provider;
mod token;
mod transport;

pub use assertion::{AssertionProblem, SeenAssertions, check_assertion, claimed_client};
pub use client_key::{AssertionClaims, ClientKey, ClientKeyError};
pub use token::{Authority, AuthorityError, Claims, IssuedToken, TokenProblem};
pub use transport::{TlsError, acceptor};

use policy::time::Timestamp;

/// Longest life of an access token in seconds: short, so that a stolen one is soon useless.
pub const TOKEN_SECONDS: i64 = 300;

/// Longest life of a client's assertion in seconds: it is used at once.
pub const ASSERTION_SECONDS: i64 = 60;

/// How far a client's clock may be off, in seconds.
const SKEW_SECONDS: i64 = 30;

/// Longest token or assertion in bytes; longer ones are not parsed.
const MAX_TOKEN_BYTES: usize = 4096;

/// Returns whether a period that begins at `start` and ends at `end` holds `now` and is at most `longest` long.
fn holds(start: i64, end: i64, longest: i64, skew: i64, now: Timestamp) -> Period {
    let now = now.seconds();
    let length = end.saturating_sub(start);
    if now >= end.saturating_add(skew) {
        return Period::Over;
    }
    if now < start.saturating_sub(SKEW_SECONDS) || !(1..=longest).contains(&length) {
        return Period::Wrong;
    }
    Period::Holds
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Holds,
    Over,
    Wrong,
}

#[cfg(test)]
mod tests;
