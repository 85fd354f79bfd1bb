//! The ledger of one population: what has been spent, by whom, and whether the next charge fits.
//!
//! Guarantees: after any sequence of charges and extensions, neither a month, where it has a cap, nor a quarter nor
//! the lifetime nor a client is above its cap; the lifetime's is what it was made with and all that extensions added, and they move nothing else. A charge that fits to the last nano-rho is accepted; nothing overflows. Whether a charge fits depends on prices, caps
//! and the calendar only, never on data, so a refusal may say all it knows. Nothing is ever given back.
//!
//! Not here: durability and order. Whoever holds the ledger makes a charge durable before noise is drawn.

mod extension;

pub use extension::Extension;

use super::{Month, NanoRho, Quarter, basis_points_of_cap};
use crate::decide::{Reason, Refusal};
use crate::id::ClientId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The caps of a population's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Most loss in a calendar quarter.
    pub quarter: NanoRho,
    /// Most loss ever, extensions aside.
    pub lifetime: NanoRho,
    /// Most loss in a calendar month, if there is such a cap: a further one, so that a quarter is not spent in its first days.
    pub month: Option<NanoRho>,
}

impl Caps {
    /// Nothing may be spent.
    pub const NOTHING: Self = Self { quarter: NanoRho::ZERO, lifetime: NanoRho::ZERO, month: None };

    /// Returns the strictest of both.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            quarter: self.quarter.min(other.quarter),
            lifetime: self.lifetime.min(other.lifetime),
            month: self.month.into_iter().chain(other.month).min(),
        }
    }

    /// Returns the most a client may spend in a quarter: half the cap, so that no client alone can starve the others.
    pub const fn largest_quota(self) -> NanoRho {
        NanoRho(self.quarter.0 / 2)
    }
}

/// What a population has spent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    quarter: Quarter,
    quarter_spent: NanoRho,
    lifetime_spent: NanoRho,
    clients: BTreeMap<ClientId, (Quarter, NanoRho)>,
    quotas: BTreeMap<ClientId, NanoRho>,
    #[serde(default, skip_serializing_if = "is_never")]
    month: Month,
    #[serde(default, skip_serializing_if = "is_zero")]
    month_spent: NanoRho,
    /// What was spent in the quarter before `quarter`.
    #[serde(default, skip_serializing_if = "is_zero")]
    last_quarter_spent: NanoRho,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<Extension>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(rho: &NanoRho) -> bool {
    *rho == NanoRho::ZERO
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_never(month: &Month) -> bool {
    *month == Month(0)
}

impl Ledger {
    /// Returns what everyone together spent in the quarter of `now`.
    pub fn quarter_spent(&self, now: Quarter) -> NanoRho {
        if now > self.quarter { NanoRho::ZERO } else { self.quarter_spent }
    }

    /// Returns what everyone together spent in the month of `now`.
    pub fn month_spent(&self, now: Month) -> NanoRho {
        if now > self.month { NanoRho::ZERO } else { self.month_spent }
    }

    /// Returns what was ever spent.
    pub const fn lifetime_spent(&self) -> NanoRho {
        self.lifetime_spent
    }

    /// Returns what a client spent in the quarter of `now`.
    pub fn client_spent(&self, client: &ClientId, now: Quarter) -> NanoRho {
        // A clock that went back does not open a quarter again.
        let current = now.max(self.quarter);
        self.clients.get(client).filter(|(quarter, _)| *quarter >= current).map_or(NanoRho::ZERO, |(_, spent)| *spent)
    }

    /// Returns a client's quota: the one set for it, half the quarter's cap by default and at most.
    pub fn quota(&self, client: &ClientId, caps: Caps) -> NanoRho {
        self.quotas.get(client).copied().unwrap_or(NanoRho(u64::MAX)).min(caps.largest_quota())
    }

    /// Sets a client's quota per quarter. A quota above half the cap counts as half the cap.
    pub fn set_quota(&mut self, client: &ClientId, quota: NanoRho) {
        self.quotas.insert(client.clone(), quota);
    }

    /// Says whether a charge would be accepted now, and why not.
    ///
    /// # Errors
    /// `PRICE_ABOVE_CAP` if it could never fit, `QUOTA_EXHAUSTED` or `BUDGET_EXHAUSTED` if it does not fit now.
    pub fn check(&self, client: &ClientId, rho: NanoRho, now: impl Into<Month>, caps: Caps) -> Result<(), Refusal> {
        let month = now.into();
        let quota = self.quota(client, caps);
        let most = quota.min(self.largest(caps));
        if rho > most {
            return Err(price_above_cap(rho, most));
        }
        let quarter = month.quarter();
        let left_to_client = quota.saturating_sub(self.client_spent(client, quarter));
        if rho > left_to_client {
            return Err(quota_exhausted(rho, left_to_client, quota, quarter.max(self.quarter).next()));
        }
        self.check_caps(rho, month, caps)
    }

    /// Says whether a charge of the gateway itself, which no client's quota is for, would be accepted now, and why not.
    ///
    /// # Errors
    /// `PRICE_ABOVE_CAP` if it could never fit, `BUDGET_EXHAUSTED` if it does not fit now.
    pub fn check_standing(&self, rho: NanoRho, now: impl Into<Month>, caps: Caps) -> Result<(), Refusal> {
        let most = self.largest(caps);
        if rho > most {
            return Err(price_above_every_cap(rho, most));
        }
        self.check_caps(rho, now.into(), caps)
    }

    /// Returns the most that one charge could ever be.
    fn largest(&self, caps: Caps) -> NanoRho {
        caps.quarter.min(self.lifetime_cap(caps)).min(caps.month.unwrap_or(caps.quarter))
    }

    fn check_caps(&self, rho: NanoRho, month: Month, caps: Caps) -> Result<(), Refusal> {
        let now = month.quarter();
        let lifetime = self.lifetime_cap(caps);
        let next = now.max(self.quarter).next();
        let left_ever = lifetime.saturating_sub(self.lifetime_spent);
        if rho > left_ever {
            return Err(lifetime_exhausted(rho, left_ever, lifetime));
        }
        let left = caps.quarter.saturating_sub(self.quarter_spent(now));
        if rho > left {
            return Err(budget_exhausted(rho, left, caps, next));
        }
        let Some(cap) = caps.month else { return Ok(()) };
        let left = cap.saturating_sub(self.month_spent(month));
        if rho > left {
            return Err(month_exhausted(rho, left, cap, month.max(self.month).next()));
        }
        Ok(())
    }

    /// Charges, or refuses and changes nothing.
    ///
    /// # Errors
    /// Those of [`Ledger::check`].
    pub fn try_charge(
        &mut self,
        client: &ClientId,
        rho: NanoRho,
        now: impl Into<Month>,
        caps: Caps,
    ) -> Result<(), Refusal> {
        let now = now.into();
        self.check(client, rho, now, caps)?;
        self.record(client, rho, now);
        Ok(())
    }

    /// Records a charge that was accepted before, whatever the caps are now: for rebuilding a ledger from its log.
    pub fn record(&mut self, client: &ClientId, rho: NanoRho, now: impl Into<Month>) {
        let month = now.into();
        let now = month.quarter();
        if month > self.month {
            self.month = month;
            self.month_spent = NanoRho::ZERO;
        }
        if now > self.quarter {
            self.last_quarter_spent = if now == self.quarter.next() { self.quarter_spent } else { NanoRho::ZERO };
            self.quarter = now;
            self.quarter_spent = NanoRho::ZERO;
            // Balances of closed quarters answer no question any more.
            self.clients.clear();
        }
        let spent = self.client_spent(client, now).saturating_add(rho);
        self.clients.insert(client.clone(), (self.quarter, spent));
        self.month_spent = self.month_spent.saturating_add(rho);
        self.quarter_spent = self.quarter_spent.saturating_add(rho);
        self.lifetime_spent = self.lifetime_spent.saturating_add(rho);
    }

    /// Raises every balance to at least that of a later state of the same ledger, and takes over its quotas and extensions: for
    /// a ledger that was made again from an older copy. Nothing is ever given back by it.
    pub fn raise_to(&mut self, later: &Self) {
        if later.quarter > self.quarter {
            self.quarter = later.quarter;
            self.quarter_spent = NanoRho::ZERO;
            self.last_quarter_spent = NanoRho::ZERO;
            self.clients.clear();
        }
        if later.quarter == self.quarter {
            self.quarter_spent = self.quarter_spent.max(later.quarter_spent);
            self.last_quarter_spent = self.last_quarter_spent.max(later.last_quarter_spent);
            for (client, (quarter, spent)) in &later.clients {
                let here = self.clients.entry(client.clone()).or_insert((*quarter, NanoRho::ZERO));
                *here = (*here).max((*quarter, *spent));
            }
        }
        if later.month > self.month {
            self.month = later.month;
            self.month_spent = NanoRho::ZERO;
        }
        if later.month == self.month {
            self.month_spent = self.month_spent.max(later.month_spent);
        }
        self.lifetime_spent = self.lifetime_spent.max(later.lifetime_spent);
        self.quotas.extend(later.quotas.iter().map(|(client, quota)| (client.clone(), *quota)));
        // Of two states of one ledger, the extensions of the earlier are the first of the later's.
        if later.extensions.len() > self.extensions.len() {
            self.extensions.clone_from(&later.extensions);
        }
    }
}

fn price_above_cap(rho: NanoRho, most: NanoRho) -> Refusal {
    Refusal::new(
        Reason::PriceAboveCap,
        format!("this costs {rho}, and {most} is the most one client can ever spend in a quarter"),
        "ask for less accuracy or fewer cells",
    )
}

fn price_above_every_cap(rho: NanoRho, most: NanoRho) -> Refusal {
    Refusal::new(
        Reason::PriceAboveCap,
        format!("this costs {rho}, and the caps of these people allow {most} at once"),
        "ask for less accuracy or fewer cells",
    )
}

fn quota_exhausted(rho: NanoRho, left: NanoRho, quota: NanoRho, next: Quarter) -> Refusal {
    Refusal::new(
        Reason::QuotaExhausted,
        format!("this costs {rho}, and {} of this client's quota is left", share(left, quota)),
        format!("wait until {}, ask for less accuracy, or ask a steward for a larger quota", next.first_day()),
    )
}

fn budget_exhausted(rho: NanoRho, left: NanoRho, caps: Caps, next: Quarter) -> Refusal {
    Refusal::new(
        Reason::BudgetExhausted,
        format!("this costs {rho}, and {} of this quarter's budget is left", share(left, caps.quarter)),
        format!("wait until {}, or ask for less accuracy", next.first_day()),
    )
}

fn month_exhausted(rho: NanoRho, left: NanoRho, cap: NanoRho, next: Month) -> Refusal {
    Refusal::new(
        Reason::BudgetExhausted,
        format!("this costs {rho}, and {} of this month's budget is left", share(left, cap)),
        format!("wait until {}, or ask for less accuracy", next.first_day()),
    )
}

fn lifetime_exhausted(rho: NanoRho, left: NanoRho, cap: NanoRho) -> Refusal {
    Refusal::new(
        Reason::BudgetExhausted,
        format!("this costs {rho}, and {} of the lifetime budget of these people is left", share(left, cap)),
        "ask for less accuracy, or ask a steward for an extension; a new quarter does not help",
    )
}

/// Writes what is left, and as per cent of the whole, rounded down: `0.003 (1.50 %)`.
fn share(left: NanoRho, whole: NanoRho) -> String {
    let spent = whole.saturating_sub(left);
    let points = basis_points_of_cap(spent, whole).map_or(0, |spent| 10_000_u64.saturating_sub(spent));
    format!("{left} ({}.{:02} %)", points / 100, points % 100)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
