//! DP releases: questions, plans (public), noise (OpenDP) and answers.
//!
//! # Privacy
//! **Adjacency.** Two inputs are neighbours when one holds one subject more: the subject's whole stream, that is its
//! profile, all its events, its consents, links and erasure, comes or goes. No bound on how many events it has.
//!
//! **What is released.** A vector of integers `x + z`: `x` is a scan's partial sums (`scan::Partial`) over every cell of every
//! table of the plan, zeros included; `z` is discrete Gaussian noise, independent for every cell, of standard deviation
//! `sigma`. The number of cells and `sigma` follow from schema, question and price alone.
//!
//! **Sensitivity.** `x` is a sum over subjects, so neighbours differ by one subject's contribution `c`. Whether it is
//! allowed, in the universe and in the segment, and every code and amount below, depends on its own stream only (and on
//! public cut points); if it does not count, `c = 0`. Otherwise, by table (`scan::TableSpec::norm_squared`):
//! - *people, over subjects only* (sizes; breakdowns and portraits by attributes; contrasts, whose cells are pairs of in or
//!   out and a value; funnels, by the last step taken; overlaps, by combination; bands, by the first that applies; bins of a
//!   number): a subject has one code along each dimension, missing and none being codes, so one cell gets 1,024;
//! - *people, over events* (fields of events, periods, hours, weekdays, alone, crossed, or crossed with what subjects have;
//!   trends; retention, by cohort and period): with `m` distinct cells, each gets `floor(1,024 * sqrt(min(1, l0 / m)))`, so
//!   the squared norm is at most `1,024^2 * l0`, where `l0`, the product of the dimensions' public bounds, is at most the
//!   number of cells over events: a subject has one code along each of the others;
//! - *events and sums* (tables, trends): the subject's whole vector of numbers, or of sums, over the table's cells is scaled
//!   as one to fine units and to a public bound: its integer L2 norm is at most `bound * per_one` (lemma in `scan::clip`). Over
//!   fields of events a first draw for a part of the price sets weights of the cells before (`pilot`, `scan::weights`);
//! - *norms of such vectors*: a subject of whom an event counts has one vector, so one cell, that of its length, gets 1,024;
//! - *means*: two tables of one cell each, one if there is a value, and the value less a public center, scaled as above to
//!   the public bounds of the field;
//! - *means with deviations*: a third table of one cell, the square of that value in public units, less the public middle of
//!   what squares within the bounds are, scaled as above to half of the largest; also a function of the subject's own value, so
//!   `D^2` is the sum of the three. One subject at a bound of the field comes to all three at once: nothing can be saved;
//! - *the most frequent values*: proof in `top`;
//! - *the monthly synopsis*: a portrait of everyone; what is answered from it is post-processing, as `synopsis` says;
//! - *whole portraits*: tables of people, all after the same dimension of two cells, member or not, along which a subject has
//!   one code: so each is one of the above, over subjects (fields, bands: 1,024 to one cell) or over events (fields of events,
//!   hours, weekdays, periods: `m` distinct cells, at most `1,024^2 * l0` squared), and members and the rest share one bound.
//!   `D^2` is the sum over tables; one noise for all, since one unit of one person is as large in each. The bounds on hours,
//!   weekdays and periods are public constants (`shape`); whoever has more distinct ones counts `sqrt(l0 / m)` in each;
//! - *several tables*: their cells are disjoint coordinates of one vector, so squared norms add. What part of the price each
//!   gets is what part of that sum its own is: equal for tables of people, two to three for events and sums (`shape`), by
//!   scales that are fixed before any data.
//!
//! Hence `|c|_2 <= D`, the root of the sum of the tables' squared norms. Clipping is per subject and deterministic, before any
//! sum.
//!
//! **Loss.** `rho = (D / sigma)^2 / 2` of zero-concentrated DP (Bun and Steinke 2016, Proposition 1.6; Canonne, Kamath and
//! Steinke 2020, Theorem 4, for the discrete Gaussian), composed by addition, adaptively too (Whitehouse, Ramdas, Rogers
//! and Wu 2023). `sigma` is an integer, rounded up; before a draw OpenDP's own privacy map is evaluated at `D`, rounded
//! up, and must not exceed the charge. Answers are post-processed freely, and that is all [`display`] and [`ratio`] do;
//! so is the rounding of fine units to 1/1024 of what is counted.
//!
//! **Not covered.** Timing of the sampler; the accuracy of clipped counts and sums (half-widths are of the noise only);
//! what several populations say about one person.

pub mod bounds;
mod combine;
pub mod cuts;
pub mod display;
mod draw;
mod loss;
mod pilot;
mod plan;
mod question;
pub mod ratio;
mod shape;
mod synopsis;
mod top;

pub use crate::scan::MAX_NORM;
pub(crate) use combine::combine;
pub(crate) use draw::draw;
pub use draw::{DrawError, Drawn};
pub use loss::{LossError, epsilon_for};
pub(crate) use pilot::weigh;
pub use plan::{
    MAX_BANDS, MAX_CELLS, MAX_COHORTS, MAX_EDGES, MAX_MEASURES, MAX_NORMS, MAX_OVERLAP, MAX_PERIODS, MAX_STEPS,
    MAX_TABLES, MAX_TOP, Plan, PlanError, plan, price_for,
};
pub use question::{Answer, By, Cell, Counted, Dimension, Kind, Measure, Part, Question, Table, TableNoise, Times};
pub use shape::{PROFILE_HOURS, PROFILE_PERIODS, PROFILE_WEEKDAYS};
pub(crate) use synopsis::Synopsis;
pub use synopsis::{Facts, Offer};

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
