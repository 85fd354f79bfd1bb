//! The ledger: what a population has spent, what a client has spent, and the caps. A projection of the log.

use policy::privacy::NanoRho;

/// A statement of one population's ledger and one client's share of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Spent in this quarter, everyone together.
    pub quarter_spent: NanoRho,
    /// Cap of a quarter.
    pub quarter_cap: NanoRho,
    /// Spent ever.
    pub lifetime_spent: NanoRho,
    /// Cap of a lifetime.
    pub lifetime_cap: NanoRho,
    /// Spent by this client in this quarter.
    pub client_spent: NanoRho,
    /// This client's quota in a quarter.
    pub client_quota: NanoRho,
}
