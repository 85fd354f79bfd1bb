//! The ledger: what a population has spent, what a client has spent, and the caps. A projection of the log.

use policy::privacy::{Epsilon, Extension, NanoRho, Quarter};

/// A statement of one population's ledger and one client's share of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Spent in this quarter, everyone together.
    pub quarter_spent: NanoRho,
    /// Cap of a quarter.
    pub quarter_cap: NanoRho,
    /// Spent in this month, everyone together.
    pub month_spent: NanoRho,
    /// Cap of a month, if it has one.
    pub month_cap: Option<NanoRho>,
    /// Spent ever.
    pub lifetime_spent: NanoRho,
    /// Cap of a lifetime, extensions included.
    pub lifetime_cap: NanoRho,
    /// What moved the lifetime's cap, the first first.
    pub extensions: Vec<Extension>,
    /// Spent in a quarter lately.
    pub quarter_rate: NanoRho,
    /// The quarter in which the lifetime's cap is reached if that goes on, if it is this one or the next.
    pub lifetime_ends: Option<Quarter>,
    /// Spent in this quarter on the monthly synopsis, everyone's.
    pub synopsis_spent: NanoRho,
    /// Spent by this client in this quarter.
    pub client_spent: NanoRho,
    /// This client's quota in a quarter.
    pub client_quota: NanoRho,
}

/// A loss in both its forms, epsilon at `policy::privacy::DEFAULT_DELTA`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// As rho.
    pub rho: NanoRho,
    /// As epsilon, by the tight conversion, rounded up.
    pub epsilon: Epsilon,
}

/// An extension of a lifetime's cap, made or only planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extended {
    /// What these people may have lost at most, before it.
    pub before: Loss,
    /// And after it.
    pub after: Loss,
    /// What was spent so far.
    pub spent: Loss,
    /// Index of its leaf in the access tree; none if it was only planned.
    pub leaf: Option<u64>,
}
