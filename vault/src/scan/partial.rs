//! Un-noised sums of a scan.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Un-noised cells of all tables of a plan, in order, one person counting [`super::UNIT`]. Mergeable, serialisable, and
/// as secret as the data: redacted and wiped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Partial {
    cells: Vec<i64>,
}

impl Partial {
    /// The sum over nobody.
    pub(crate) fn zero(cells: usize) -> Self {
        Self { cells: vec![0; cells] }
    }

    /// Adds another partial of the same plan.
    pub(crate) fn add(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, other)| *cell += other);
    }

    /// Takes another partial of the same plan out.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, other)| *cell -= other);
    }

    /// Shows the cells to the mechanism.
    pub(crate) fn expose(&self) -> &[i64] {
        &self.cells
    }

    pub(super) fn cells_mut(&mut self) -> &mut [i64] {
        &mut self.cells
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partial({} cells)", self.cells.len())
    }
}
