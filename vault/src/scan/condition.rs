//! Three-valued conditions over many rows at once: two byte masks, one for true and one for false, computed without
//! branches on data.

use super::plan::{Plan, Slot};
use super::view::View;
use crate::blocks::ColumnKey;
use policy::schema::ColumnId;
use policy::segment::{EventFilter, Expr, Score, Test, WindowError};
use policy::time::Timestamp;
use zeroize::{Zeroize, Zeroizing};

/// Up to this many codes are compared one after the other, which runs 16 rows at a time; more are looked up.
const COMPARED_CODES: usize = 8;

/// A condition over a row of columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Const(bool),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    /// A test of a column.
    Column(Slot, Test),
    /// The outcome of an event test, a sequence or a sample, by number.
    Outcome(usize),
    /// Whether the points of what is true add up to a number in bounds; never unknown.
    Score {
        parts: Vec<(Node, i64)>,
        min: i64,
        max: i64,
    },
}

/// Resolves a condition on subjects.
pub(super) fn attribute_nodes(expr: &Expr, plan: &mut Plan, as_of: Timestamp, zone: &str) -> Result<Node, WindowError> {
    let mut parts = |parts: &[Expr]| -> Result<Vec<Node>, WindowError> {
        parts.iter().map(|part| attribute_nodes(part, plan, as_of, zone)).collect()
    };
    Ok(match expr {
        Expr::Const(value) => Node::Const(*value),
        Expr::Not(inner) => Node::Not(Box::new(attribute_nodes(inner, plan, as_of, zone)?)),
        Expr::All(list) => Node::All(parts(list)?),
        Expr::Any(list) => Node::Any(parts(list)?),
        Expr::Attribute(column, test) => Node::Column(plan.attribute(ColumnKey::of(*column)), test.clone()),
        Expr::Event(test) => Node::Outcome(plan.event_test(test, as_of, zone)?),
        Expr::Sequence(sequence) => Node::Outcome(plan.sequence(sequence, as_of, zone)?),
        Expr::Sample(sample) => Node::Outcome(plan.sample(sample)),
        Expr::Score(Score { parts, min, max }) => {
            let nodes = parts.iter().map(|(part, points)| Ok((attribute_nodes(part, plan, as_of, zone)?, *points)));
            Node::Score { parts: nodes.collect::<Result<_, WindowError>>()?, min: *min, max: *max }
        }
    })
}

/// Resolves a condition on events.
pub(super) fn filter_nodes(filter: &EventFilter, slot: &mut dyn FnMut(ColumnId) -> Slot) -> Node {
    let mut parts = |parts: &[EventFilter]| parts.iter().map(|part| filter_nodes(part, slot)).collect();
    match filter {
        EventFilter::Const(value) => Node::Const(*value),
        EventFilter::Not(inner) => Node::Not(Box::new(filter_nodes(inner, slot))),
        EventFilter::All(list) => Node::All(parts(list)),
        EventFilter::Any(list) => Node::Any(parts(list)),
        EventFilter::Field(column, test) => Node::Column(slot(*column), test.clone()),
    }
}

/// Two masks of one byte a row, 0 or 1; neither is set where unknown, never both.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) yes: Vec<u8>,
    pub(super) no: Vec<u8>,
}

/// Masks that are used again; wiped when dropped.
#[derive(Debug, Default)]
pub(super) struct Masks {
    free: Vec<Vec<u8>>,
}

impl Masks {
    /// Gives a mask of `rows` bytes, all of them `value`.
    pub(super) fn take(&mut self, rows: usize, value: u8) -> Vec<u8> {
        let mut mask = self.free.pop().unwrap_or_default();
        if mask.capacity() < rows {
            mask.zeroize();
            mask = Vec::with_capacity(rows.max(crate::blocks::BLOCK_SUBJECTS as usize));
        }
        mask.clear();
        mask.resize(rows, value);
        mask
    }

    pub(super) fn give(&mut self, mask: Vec<u8>) {
        self.free.push(mask);
    }

    /// Gives masks of nothing known yet.
    pub(super) fn unknown(&mut self, rows: usize) -> Truth {
        Truth { yes: self.take(rows, 0), no: self.take(rows, 0) }
    }

    pub(super) fn give_truth(&mut self, truth: Truth) {
        self.give(truth.yes);
        self.give(truth.no);
    }
}

impl Drop for Masks {
    fn drop(&mut self) {
        self.free.zeroize();
    }
}

impl Node {
    /// Evaluates the condition for `rows` rows. `outcomes` holds what is known already, by number.
    pub(super) fn evaluate(&self, rows: usize, views: &[View<'_>], outcomes: &[Truth], masks: &mut Masks) -> Truth {
        match self {
            Self::Const(value) => {
                Truth { yes: masks.take(rows, u8::from(*value)), no: masks.take(rows, u8::from(!*value)) }
            }
            Self::Not(inner) => {
                let Truth { yes, no } = inner.evaluate(rows, views, outcomes, masks);
                Truth { yes: no, no: yes }
            }
            Self::All(parts) => {
                let mut all = Truth { yes: masks.take(rows, 1), no: masks.take(rows, 0) };
                for part in parts {
                    let part = part.evaluate(rows, views, outcomes, masks);
                    and(&mut all.yes, &part.yes);
                    or(&mut all.no, &part.no);
                    masks.give_truth(part);
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Truth { yes: masks.take(rows, 0), no: masks.take(rows, 1) };
                for part in parts {
                    let part = part.evaluate(rows, views, outcomes, masks);
                    or(&mut any.yes, &part.yes);
                    and(&mut any.no, &part.no);
                    masks.give_truth(part);
                }
                any
            }
            Self::Column(slot, test) => {
                let view = views.get(*slot).copied().unwrap_or(View::Absent);
                column(view, test, rows, masks)
            }
            Self::Outcome(number) => {
                let mut truth = masks.unknown(rows);
                if let Some(outcome) = outcomes.get(*number) {
                    or(&mut truth.yes, &outcome.yes);
                    or(&mut truth.no, &outcome.no);
                }
                truth
            }
            Self::Score { parts, min, max } => {
                let mut sums = Zeroizing::new(vec![0_i64; rows]);
                for (part, points) in parts {
                    let part = part.evaluate(rows, views, outcomes, masks);
                    sums.iter_mut().zip(&part.yes).for_each(|(sum, yes)| *sum += points * i64::from(*yes));
                    masks.give_truth(part);
                }
                let mut truth = masks.unknown(rows);
                truth
                    .yes
                    .iter_mut()
                    .zip(sums.iter())
                    .for_each(|(yes, sum)| *yes = u8::from((min..=max).contains(&sum)));
                truth.no.iter_mut().zip(&truth.yes).for_each(|(no, yes)| *no = yes ^ 1);
                truth
            }
        }
    }
}

/// `into &= other`.
pub(super) fn and(into: &mut [u8], other: &[u8]) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into &= other);
}

fn or(into: &mut [u8], other: &[u8]) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into |= other);
}

/// `into &= !other`, for masks of 0 and 1.
fn subtract(into: &mut [u8], other: &[u8]) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into &= other ^ 1);
}

fn column(view: View<'_>, test: &Test, rows: usize, masks: &mut Masks) -> Truth {
    let mut truth = Truth { yes: masks.take(rows, 0), no: masks.take(rows, 0) };
    // `no` first holds which rows are present.
    present(view, &mut truth.no);
    match (test, view) {
        (Test::Missing, _) => {
            // Present rows are the false ones already.
            truth.yes.iter_mut().zip(&truth.no).for_each(|(yes, present)| *yes = present ^ 1);
            return truth;
        }
        (Test::Codes(codes), View::Code8(column)) => match_code8(codes, column, &mut truth.yes),
        (Test::Range { min, max }, View::Int64(column)) => match_range(*min, *max, column, &mut truth.yes),
        (test, view) => match_slowly(test, view, &mut truth.yes),
    }
    and(&mut truth.yes, &truth.no);
    let Truth { yes, no } = &mut truth;
    subtract(no, yes);
    truth
}

fn present(view: View<'_>, mask: &mut [u8]) {
    match view {
        View::Code8(column) => mask.iter_mut().zip(column).for_each(|(mask, code)| *mask = u8::from(*code != 0)),
        View::Code16(column) => mask.iter_mut().zip(column).for_each(|(mask, code)| *mask = u8::from(*code != [0; 2])),
        View::Int64(column) => mask
            .iter_mut()
            .zip(column)
            .for_each(|(mask, value)| *mask = u8::from(i64::from_le_bytes(*value) != i64::MIN)),
        View::Bytes(column) => mask
            .iter_mut()
            .enumerate()
            .for_each(|(row, mask)| *mask = u8::from(column.row(row).is_some_and(|bytes| !bytes.is_empty()))),
        View::Absent => {}
    }
}

fn match_code8(codes: &[u16], column: &[u8], mask: &mut [u8]) {
    let codes: Vec<u8> = codes.iter().filter_map(|code| u8::try_from(*code).ok()).collect();
    if codes.len() <= COMPARED_CODES {
        for wanted in codes {
            mask.iter_mut().zip(column).for_each(|(mask, code)| *mask |= u8::from(*code == wanted));
        }
        return;
    }
    let mut lookup = [0_u8; 256];
    for code in codes {
        if let Some(entry) = lookup.get_mut(usize::from(code)) {
            *entry = 1;
        }
    }
    mask.iter_mut().zip(column).for_each(|(mask, code)| *mask = lookup.get(usize::from(*code)).copied().unwrap_or(0));
}

fn match_range(min: i64, max: i64, column: &[[u8; 8]], mask: &mut [u8]) {
    mask.iter_mut().zip(column).for_each(|(mask, value)| {
        let value = i64::from_le_bytes(*value);
        *mask = u8::from(min <= value) & u8::from(value <= max);
    });
}

/// Tests that are rare on their layout, by value.
fn match_slowly(test: &Test, view: View<'_>, mask: &mut [u8]) {
    let matches = |value: i128| match test {
        Test::Codes(codes) => u16::try_from(value).is_ok_and(|value| codes.binary_search(&value).is_ok()),
        Test::Range { min, max } => i128::from(*min) <= value && value <= i128::from(*max),
        Test::Missing => false,
    };
    mask.iter_mut().enumerate().for_each(|(row, mask)| *mask = u8::from(view.value(row).is_some_and(matches)));
}
