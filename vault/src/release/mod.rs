//! DP releases: questions, plans (public), noise (OpenDP) and answers.
//!
//! # Privacy
//! **Adjacency.** Two inputs are neighbours when one holds one subject more: the subject's whole stream, that is its
//! profile, all its events, its consents, links and erasure, comes or goes. No bound on how many events it has.
//!
//! **What is released.** A vector of integers `x + z`: `x` is a scan's partial sums (`scan::Partial`) over every cell of every
//! table of the plan, zeros included, one person counting 1,024; `z` is discrete Gaussian noise, independent for every
//! cell, of standard deviation `sigma`. The number of cells and `sigma` follow from schema, question and price alone.
//!
//! **Sensitivity.** `x` is a sum over subjects, so neighbours differ by one subject's contribution `c`. Whether it is
//! allowed, in the universe and in the segment depends on its own stream only, and if not, `c = 0`. Otherwise, by table:
//! - *size*: the one cell gets 1,024;
//! - *breakdown by attributes*, one or two: a subject has one value of each, missing being a value, so one cell gets
//!   1,024;
//! - *breakdown with an event field* (alone or crossed with an attribute): with `m` distinct cells, each gets
//!   `floor(1,024 * sqrt(min(1, l0 / m)))`, so the squared norm is at most `1,024^2 * l0`, where
//!   `l0 = min(max_distinct, cells)` is public; and `m <= cells` bounds it by the same when `l0 = cells`;
//! - *portrait*: its tables' cells are disjoint coordinates of one vector, so squared norms add.
//!
//! Hence `|c|_2 <= D = 1,024 * sqrt(sum over tables of l0)`, `l0` being 1 without an event field.
//! Clipping is per subject and deterministic, before any sum.
//!
//! **Loss.** `rho = (D / sigma)^2 / 2` of zero-concentrated DP (Bun and Steinke 2016, Proposition 1.6; Canonne, Kamath and
//! Steinke 2020, Theorem 4, for the discrete Gaussian), composed by addition, adaptively too (Whitehouse, Ramdas, Rogers
//! and Wu 2023). `sigma` is an integer, rounded up; before a draw OpenDP's own privacy map is evaluated at `D`, rounded
//! up, and must not exceed the charge. Answers are post-processed freely, and that is all [`display`] does.
//!
//! **Not covered.** Timing of the sampler; the accuracy of clipped event counts (half-widths are of the noise only);
//! what several populations say about one person.

pub mod display;
mod draw;
mod loss;
mod plan;
mod question;

pub use draw::DrawError;
pub(crate) use draw::draw;
pub use loss::{LossError, epsilon_for};
pub use plan::{MAX_CELLS, MAX_TABLES, Plan, PlanError, plan, price_for};
pub use question::{Answer, Cell, Kind, Question, Table};

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
