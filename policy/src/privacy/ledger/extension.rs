//! Extensions of a lifetime's cap, and when the cap is reached if spending goes on as it did: public numbers only.
//!
//! Guarantees: an extension adds at most a year's worth, is recorded once however often it is asked for under one request id,
//! and a ledger that is raised to a later state of its own has that state's extensions, none lost and none twice.
//!
//! Not here: who may extend, what it means in epsilon, and the log that signs it.

use super::{Caps, Ledger};
use crate::decide::{Reason, Refusal};
use crate::id::ClientId;
use crate::privacy::{NanoRho, Quarter};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most that a lifetime's cap can come to: the largest integer that the log writes exactly.
const MOST: NanoRho = NanoRho((1 << 53) - 1);

/// How much of a quarter is looked at, at the least, before its spending is taken to go on: thirty days. One day with a
/// portrait is no rate.
const LEAST_LOOK: i64 = 30 * 86_400;

/// One extension of a lifetime's cap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// By how much.
    pub by: NanoRho,
    /// When.
    pub at: Timestamp,
    /// Who extended it.
    pub client: ClientId,
    /// The request id it was asked for under.
    pub request: String,
    /// Why, in the log's words.
    pub because: String,
    /// Index of its leaf in the access tree.
    pub leaf: u64,
}

impl Caps {
    /// Returns the most that one extension adds: a year's worth, which is four quarters' caps.
    pub const fn largest_extension(self) -> NanoRho {
        NanoRho(self.quarter.0.saturating_mul(4))
    }
}

impl Ledger {
    /// Returns the most loss ever: the cap of the description, and all that extensions added.
    pub fn lifetime_cap(&self, caps: Caps) -> NanoRho {
        caps.lifetime.saturating_add(self.extended())
    }

    /// Returns what extensions added to the lifetime's cap.
    pub fn extended(&self) -> NanoRho {
        self.extensions.iter().fold(NanoRho::ZERO, |sum, extension| sum.saturating_add(extension.by))
    }

    /// Returns the extensions, the first first.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Returns the extension that a client asked for under a request id, and the lifetime's cap before it.
    pub fn extension_of(&self, client: &ClientId, request: &str, caps: Caps) -> Option<(NanoRho, &Extension)> {
        let mut cap = caps.lifetime;
        for extension in &self.extensions {
            if !request.is_empty() && extension.client == *client && extension.request == request {
                return Some((cap, extension));
            }
            cap = cap.saturating_add(extension.by);
        }
        None
    }

    /// Says whether the lifetime's cap can be extended by so much at once, and why not.
    ///
    /// # Errors
    /// `REQUEST_INVALID` for nothing, for more than a year's worth, and for more than the log can write.
    pub fn check_extension(&self, by: NanoRho, caps: Caps) -> Result<(), Refusal> {
        let (most, next) = (caps.largest_extension(), "choose a smaller one");
        if by == NanoRho::ZERO || by > most {
            let message = format!("an extension is above 0 and at most {most}, a year's worth: four quarters' caps");
            return Err(Refusal::new(Reason::RequestInvalid, message, next));
        }
        if self.lifetime_cap(caps).saturating_add(by) > MOST {
            return Err(Refusal::new(Reason::RequestInvalid, format!("a lifetime's cap is at most {MOST}"), next));
        }
        Ok(())
    }

    /// Records an extension that was accepted.
    pub fn extend(&mut self, extension: Extension) {
        self.extensions.push(extension);
    }

    /// Names other leaves for the extensions from the `known`-th on, counted from 0: `first`, and those that follow it. For
    /// extensions whose own leaves were lost and were written again.
    pub fn logged_again(&mut self, known: usize, first: u64) {
        for (extension, leaf) in self.extensions.iter_mut().skip(known).zip(first..) {
            extension.leaf = leaf;
        }
    }

    /// Returns what was spent in a quarter lately: in the last one, or in this one if it goes on as it began, whichever is
    /// more; the quarter's cap at most.
    pub fn rate(&self, now: Timestamp, caps: Caps) -> NanoRho {
        let (quarter, start) = (self.current(Quarter::of(now)), self.current(Quarter::of(now)).start());
        let length = seconds(start, quarter.next().start()).max(1);
        let elapsed = seconds(start, now).clamp(LEAST_LOOK, length.max(LEAST_LOOK));
        let going_on = share(self.quarter_spent(quarter), length, elapsed);
        self.last_quarter_spent(quarter).max(going_on).min(caps.quarter)
    }

    /// Returns the quarter in which the lifetime's cap is reached if spending goes on at its [`Ledger::rate`], if that is the
    /// quarter of `now` or the next.
    pub fn lifetime_ends(&self, now: Timestamp, caps: Caps) -> Option<Quarter> {
        let (quarter, rate) = (self.current(Quarter::of(now)), self.rate(now, caps));
        let (start, end) = (quarter.start(), quarter.next().start());
        let length = seconds(start, end).max(1);
        let ahead = seconds(now, end).clamp(0, length);
        let this = share(rate, ahead, length).min(caps.quarter.saturating_sub(self.quarter_spent(quarter)));
        let left = self.lifetime_cap(caps).saturating_sub(self.lifetime_spent);
        if left <= this {
            return Some(quarter);
        }
        (left <= this.saturating_add(rate)).then(|| quarter.next())
    }

    /// A clock that went back does not open a quarter again.
    fn current(&self, now: Quarter) -> Quarter {
        now.max(self.quarter)
    }

    fn last_quarter_spent(&self, now: Quarter) -> NanoRho {
        if now == self.quarter.next() {
            self.quarter_spent
        } else if now == self.quarter {
            self.last_quarter_spent
        } else {
            NanoRho::ZERO
        }
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.seconds().saturating_sub(from.seconds())
}

/// `rho * part / whole`, rounded up; `whole` is above 0.
fn share(rho: NanoRho, part: i64, whole: i64) -> NanoRho {
    let (part, whole) = (u128::from(part.unsigned_abs()), u128::from(whole.unsigned_abs().max(1)));
    NanoRho(u64::try_from((u128::from(rho.0) * part).div_ceil(whole)).unwrap_or(u64::MAX))
}
