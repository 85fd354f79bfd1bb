//! How finely each cell of a table of events or sums is told.
//!
//! **Lemma.** Whatever the weights, a subject's contribution to a weighted table has an L2 norm of at most its clip's norm: its
//! vector `v` becomes `W v`, with a diagonal `W` that is fixed before the scan, and [`super::Clip::scale`] bounds the norm of any
//! vector. Noise is added to the sum of these, so a cell that is divided by its weight afterwards has that much less noise, and
//! one whose weight is below one has more.

use std::sync::Arc;

/// By cell of a table: what each subject's number is multiplied by before its vector is clipped, in 1/[`Weights::ONE`]. Public.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weights(Option<Arc<[u16]>>);

impl Weights {
    /// A weight of one.
    pub const ONE: u16 = 64;

    /// The same for every cell, which is what tables have unless it is said.
    pub const EVEN: Self = Self(None);

    /// Takes weights by cell; none at all are even ones. A weight of 0, which would lose the cell, is taken for the least.
    pub fn new(weights: &[u16]) -> Self {
        Self((!weights.is_empty()).then(|| weights.iter().map(|weight| (*weight).max(1)).collect()))
    }

    /// Returns the weight of a cell, if cells differ.
    pub fn at(&self, cell: usize) -> Option<u16> {
        self.0.as_ref().map(|weights| weights.get(cell).copied().unwrap_or(Self::ONE))
    }

    /// Returns all of them by cell; nothing if they are even.
    pub fn as_slice(&self) -> &[u16] {
        self.0.as_deref().unwrap_or_default()
    }
}
