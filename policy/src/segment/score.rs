//! Scores: `score(condition, points, ..)`, compared with a number.

use super::check::{Checker, SegmentError};
use super::intervals::Intervals;
use super::predicate::{Operator, Scope, written_number};
use super::{Expr, MAX_POINTS, MAX_SCORED, Score};
use cel::common::ast::{CallExpr, IdedExpr};
use std::collections::BTreeMap;

const FORM: &str =
    "1 to 16 conditions and their points would be right, such as `score(order.any(), 10, newsletter, 2) >= 12`";

/// Checks `score(..)` as a call.
fn parts(checker: &Checker<'_>, at: &IdedExpr, call: &CallExpr) -> Result<Vec<(Expr, i64)>, SegmentError> {
    let pairs = call.args.as_chunks::<2>();
    if !pairs.1.is_empty() || !(1..=MAX_SCORED).contains(&pairs.0.len()) {
        return Err(checker.error(at, FORM));
    }
    let pair = |[condition, points]: &[IdedExpr; 2]| {
        let condition = checker.condition(condition, &Scope::Subject)?;
        let worth = written_number(checker, points, 0, "points")?;
        if !(-MAX_POINTS..=MAX_POINTS).contains(&worth) {
            return Err(checker.error(points, "points are whole numbers from -1000 to 1000"));
        }
        Ok((condition, worth))
    };
    pairs.0.iter().map(pair).collect()
}

/// Checks `score(..) operator literal`.
pub(super) fn comparison(
    checker: &Checker<'_>,
    at: &IdedExpr,
    call: &CallExpr,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    let parts = parts(checker, at, call)?;
    let value = written_number(checker, literal, 0, "score")?;
    let (min, max) = operator.range(value, i64::MIN, i64::MAX);
    let score = Expr::Score(Score { parts, min, max });
    Ok(if operator == Operator::NotEqual { Expr::Not(Box::new(score)) } else { score })
}

/// Checks `score(..) in [..]`.
pub(super) fn membership(
    checker: &Checker<'_>,
    at: &IdedExpr,
    call: &CallExpr,
    literals: &[IdedExpr],
) -> Result<Expr, SegmentError> {
    let parts = parts(checker, at, call)?;
    let mut tests = Vec::with_capacity(literals.len());
    for literal in literals {
        let value = written_number(checker, literal, 0, "score")?;
        tests.push(Expr::Score(Score { parts: parts.clone(), min: value, max: value }));
    }
    Ok(match tests.len() {
        0 => Expr::Const(false),
        1 => tests.remove(0),
        _ => Expr::Any(tests),
    })
}

/// Returns the least and greatest sum.
pub(super) fn bounds(parts: &[(Expr, i64)]) -> (i64, i64) {
    let sum = |sign: i64| parts.iter().map(|(_, points)| *points).filter(|points| points.signum() == sign).sum();
    (sum(-1), sum(1))
}

/// Points of conditions in normal form. Equal conditions count once, with all their points.
#[derive(Default)]
pub(super) struct Points {
    always: i64,
    of: BTreeMap<Expr, i64>,
}

impl Points {
    pub(super) fn add_always(&mut self, points: i64) {
        self.always += points;
    }

    pub(super) fn add(&mut self, condition: Expr, points: i64) {
        *self.of.entry(condition).or_default() += points;
    }

    /// Returns the parts and the set of their sums for which the whole lies in `min..=max`. Points have no common divisor,
    /// and the first part's are positive.
    pub(super) fn fold(self, min: i64, max: i64) -> (Vec<(Expr, i64)>, Intervals) {
        // Further away than any sum is as good as that.
        let near = |bound: i64| bound.clamp(-FAR, FAR) - self.always;
        let (mut min, mut max) = (near(min), near(max));
        let mut parts: Vec<(Expr, i64)> = self.of.into_iter().filter(|(_, points)| *points != 0).collect();
        let divisor = parts.iter().fold(0, |divisor, (_, points)| common(divisor, points.abs()));
        if divisor == 0 {
            return (parts, Intervals::new([(min, max)]));
        }
        (min, max) = (-(-min).div_euclid(divisor), max.div_euclid(divisor));
        let sign = parts.first().map_or(1, |(_, points)| points.signum());
        if sign < 0 {
            (min, max) = (-max, -min);
        }
        parts.iter_mut().for_each(|(_, points)| *points = *points * sign / divisor);
        (parts, Intervals::new([(min, max)]))
    }
}

/// Beyond the sum of any score, of scores folded into one included.
const FAR: i64 = 1_000_000_000;

/// Greatest common divisor.
fn common(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common(b, a % b) }
}
