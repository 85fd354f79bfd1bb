//! The monthly synopsis: one release of everyone, from which questions of its month are answered free of charge.
//!
//! # Privacy
//! **What is released.** A portrait of everyone whom a purpose and a basis allow, over the fields that the description names:
//! one vector with the noise of its price, charged before it is drawn, with the sensitivity and the loss that the head of
//! `super` proves of portraits. Nothing is new in it but who asks, the gateway, and that it is kept for its month.
//!
//! **What is answered from it** is a function of that released vector and of public facts, which is post-processing and
//! loses nothing more, however often and by whomever it is asked. **Whether** a question is answered from it depends on
//! public facts alone: its kind, segment, universe, purpose, basis and wanted accuracy; the fields, values and price of the
//! synopsis; and the months of both. No count, true or noised, decides.
//!
//! # Estimates
//! Each table over an attribute, of `k` cells with noise of variance `s^2` each, counts everyone once, so all their sums
//! estimate one total; [`shared_total`] is their inverse-variance mean, of variance `v = s^2 / sum(1 / k_i)`. Of one table,
//! what its cells differ by from their mean is independent of its sum, and so of that total. So `m` of its cells, moved to the
//! total by their part of what the table's sum is off, `m / k` of it, have variance `s^2 m (k - m) / k + v (m / k)^2`: never more
//! than the `m s^2` of their bare sum, and that of the total where they are all. Sums are rounded to the nearest 1/1024 of a
//! person; the stated deviation is rounded up past that.
//!
//! Answers from one synopsis share its noise: two of them are no independent measurements of anything.
//!
//! Does not: answer what needs two fields at once, or events in a segment; or outlive its month.

use super::display::{Estimate, shared_total};
use super::question::{Answer, Cell, Counted, Kind, Question, Table};
use policy::consent::LawfulBasis;
use policy::id::PurposeId;
use policy::privacy::Month;
use policy::schema::{ColumnId, FieldRef, Schema};
use policy::segment::eval::{Row, eval_expr};
use policy::segment::{Expr, Segment, Window};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A synopsis that was drawn, as it is stored: in the JSON of a change, and of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synopsis {
    /// Of which month of its dataset's calendar.
    pub month: Month,
    /// For what.
    pub purpose: PurposeId,
    /// On which basis.
    pub basis: LawfulBasis,
    /// The fields, in the order of the answer's tables.
    pub fields: Vec<FieldRef>,
    /// Which events count.
    pub window: Window,
    /// The release.
    pub answer: Answer,
}

/// What a synopsis would say to a question, as far as it is public: everything but the numbers of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The month of the synopsis.
    pub month: Month,
    /// The epoch it was read from.
    pub epoch: policy::id::EpochId,
    /// End of that epoch.
    pub as_of: Timestamp,
    /// Cells of the answer.
    pub cells: usize,
    /// Standard deviation in one cell, in 1/1024 of a person.
    pub sigma_1024: u64,
    /// Half-width that holds for one cell with probability 0.95, noise only, likewise.
    pub half_width_1024: u64,
}

/// A synopsis and when it is of: what is public about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Of which month.
    pub month: Month,
    /// For what.
    pub purpose: PurposeId,
    /// On which basis.
    pub basis: LawfulBasis,
    /// The fields.
    pub fields: Vec<FieldRef>,
    /// Which events count for fields of events.
    pub window: Window,
    /// What it cost.
    pub rho: policy::privacy::NanoRho,
    /// Name of the release.
    pub release: String,
    /// Index of its INTENT leaf in the access tree.
    pub leaf: u64,
    /// What it says to each breakdown by one of its fields.
    pub one_cell: Offer,
    /// What it says to how many people there are; `None` if no field of it counts everyone.
    pub everyone: Option<Offer>,
}

impl Synopsis {
    /// Says whether it is for a use.
    pub fn is_for(&self, purpose: Option<&PurposeId>, basis: Option<LawfulBasis>) -> bool {
        purpose == Some(&self.purpose) && basis == Some(self.basis)
    }

    /// Answers a question, if it can.
    pub fn answer(&self, schema: &Schema, question: &Question) -> Option<Answer> {
        let everyone = |segment: &Segment| *segment == Segment::everyone();
        if !everyone(&question.universe) {
            return None;
        }
        match &question.kind {
            Kind::Size => self.size(schema, &question.segment).map(|estimate| self.one(estimate)),
            Kind::Breakdown { by, window } if by.len() == 1 && everyone(&question.segment) => {
                self.tables(schema, by, *window)
            }
            Kind::Portrait { fields, window } if everyone(&question.segment) => self.tables(schema, fields, *window),
            _ => None,
        }
    }

    /// Says what is public about an answer from it.
    pub fn offer(&self, answer: &Answer) -> Offer {
        Offer {
            month: self.month,
            epoch: answer.epoch,
            as_of: Timestamp::from_seconds(answer.as_of_seconds),
            cells: answer.tables.iter().map(|table| table.cells.len()).sum(),
            sigma_1024: answer.sigma_1024,
            half_width_1024: answer.half_width_1024,
        }
    }

    /// Says what is public about it.
    pub fn facts(&self) -> Facts {
        Facts {
            month: self.month,
            purpose: self.purpose.clone(),
            basis: self.basis,
            fields: self.fields.clone(),
            window: self.window,
            rho: self.answer.rho,
            release: self.answer.release.clone(),
            leaf: self.answer.leaf,
            one_cell: self.offer(&self.answer),
            everyone: shared_total(&self.answer).map(|total| self.offer(&self.one(total))),
        }
    }

    /// The table of a field, unless the field got more values since. All that count people have the noise of the answer.
    fn table(&self, schema: &Schema, field: FieldRef) -> Option<&Table> {
        let at = self.fields.iter().position(|of| *of == field)?;
        let table = self.answer.tables.get(at).filter(|table| table.noise.is_none())?;
        let cells = schema.field(field)?.ty.cardinality()?.checked_add(1)?;
        (table.cells.len() == cells).then_some(table)
    }

    fn tables(&self, schema: &Schema, fields: &[FieldRef], window: Window) -> Option<Answer> {
        let has_window = |field: &FieldRef| matches!(field, FieldRef::Attribute(_)) || window == self.window;
        if fields.is_empty() || !fields.iter().all(has_window) {
            return None;
        }
        let tables = fields.iter().map(|field| self.table(schema, *field).cloned()).collect::<Option<_>>()?;
        Some(Answer { tables, ..self.answer.clone() })
    }

    /// How many people are in a segment that is everyone, or a condition on one attribute.
    fn size(&self, schema: &Schema, segment: &Segment) -> Option<Estimate> {
        let total = shared_total(&self.answer)?;
        if *segment == Segment::everyone() {
            return Some(total);
        }
        let fields = segment.fields();
        let [field @ FieldRef::Attribute(column)] = fields.as_slice() else { return None };
        let table = self.table(schema, *field).filter(|_| is_plain(segment.root()))?;
        part(&self.answer, table, total, |code| holds(segment.root(), *column, code))
    }

    /// An answer of one number.
    fn one(&self, Estimate { value, sigma }: Estimate) -> Answer {
        let cell = Cell { codes: Vec::new(), noised: value };
        let table =
            Table { by: Vec::new(), cells: vec![cell], counted: Counted::People, noise: None, weights: Vec::new() };
        Answer { tables: vec![table], sigma_1024: sigma, half_width_1024: half_width(sigma), ..self.answer.clone() }
    }
}

/// As of a plan: 1.96 deviations, and half a unit for what is drawn being whole.
fn half_width(sigma: u64) -> u64 {
    let half_width = (u128::from(sigma) * 196 + 50).div_ceil(100);
    u64::try_from(half_width).unwrap_or(u64::MAX)
}

/// How many people are in some cells of a table that counts everyone once; `None` if that is no cell.
fn part(answer: &Answer, table: &Table, total: Estimate, chosen: impl Fn(u16) -> bool) -> Option<Estimate> {
    let is_chosen = |cell: &&Cell| matches!(cell.codes.as_slice(), [code] if chosen(*code));
    let sum_of = |cells: &mut dyn Iterator<Item = &Cell>| cells.map(|cell| i128::from(cell.noised)).sum::<i128>();
    let cells = i128::try_from(table.cells.len()).ok()?;
    let some = i128::try_from(table.cells.iter().filter(is_chosen).count()).ok().filter(|some| *some > 0)?;
    let off = i128::from(total.value) - sum_of(&mut table.cells.iter());
    let shift = (2 * off * some + cells).div_euclid(2 * cells);
    let value = i64::try_from(sum_of(&mut table.cells.iter().filter(is_chosen)) + shift).ok()?;
    let (cells, some) = (cells.unsigned_abs(), some.unsigned_abs());
    let square = |sigma: u64| u128::from(sigma).pow(2);
    let own = square(answer.sigma_1024).checked_mul(some * (cells - some))?.div_ceil(cells);
    let shared = square(total.sigma).checked_mul(some.pow(2))?.div_ceil(cells.pow(2));
    let variance = own.checked_add(shared)?;
    let root = variance.isqrt();
    let root = if root * root < variance { root + 1 } else { root };
    Some(Estimate { value, sigma: u64::try_from(root + 1).ok()? })
}

/// Whether a tree is of tests of attributes alone, joined and negated.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Const(_) | Expr::Attribute(..) => true,
        Expr::Not(inner) => is_plain(inner),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(is_plain),
        Expr::Event(_) | Expr::Sequence(_) | Expr::Score(_) | Expr::Sample(_) => false,
    }
}

/// Whether a plain tree over one attribute is true for those who have this code of it; unknown is not.
fn holds(expr: &Expr, column: ColumnId, code: u16) -> bool {
    let mut attributes = vec![None; usize::from(column.0)];
    attributes.push((code > 0).then_some(i64::from(code)));
    let row = Row { attributes, events: Vec::new(), buckets: BTreeMap::new() };
    // No window is in it, so no instant and no zone matters.
    eval_expr(expr, &row, Timestamp(0), "UTC") == Ok(Some(true))
}
