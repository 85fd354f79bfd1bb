//! Sequences: `sequence(step, ..)[.without(step)]*[.gap(..)][.within(..)]` and a window.

use super::canonical::Context;
use super::check::{Checker, SegmentError};
use super::events::{chain, span, window};
use super::{EventFilter, EventTest, Expr, MAX_STEPS, Measure, Sequence, Step, Window};
use crate::schema::EventTypeId;
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr};
use std::collections::BTreeMap;

const STEPS: &str = "1 to 5 steps would be right, such as `sequence(view, cart.where(items > 2))`";
const LINKS: &str = "after the steps of a sequence come `.without(step)`, `.gap(\"1d\")`, `.within(\"3d\")` or a window such as \
     `.last(\"30d\")`";

/// Returns the call of `sequence` that a chain starts with.
pub(super) fn head(at: &IdedExpr) -> Option<&CallExpr> {
    let mut head = at;
    loop {
        let Cel::Call(call) = &head.expr else { return None };
        match &call.target {
            Some(target) => head = target,
            None if call.func_name == "sequence" => return Some(call),
            None => return None,
        }
    }
}

/// Checks a sequence with all its links.
pub(super) fn sequence(checker: &Checker<'_>, at: &IdedExpr) -> Result<Expr, SegmentError> {
    let mut links = Vec::new();
    let mut rest = at;
    let steps = loop {
        let Cel::Call(call) = &rest.expr else { return Err(checker.error(rest, LINKS)) };
        let Some(target) = &call.target else { break &call.args };
        links.push((rest, call));
        rest = target;
    };
    if !(1..=MAX_STEPS).contains(&steps.len()) {
        return Err(checker.error(rest, STEPS));
    }
    let steps = steps.iter().map(|at| step(checker, at)).collect::<Result<_, _>>()?;
    let mut found = Sequence { steps, without: Vec::new(), gap_hours: None, within_hours: None, window: Window::Ever };
    for (place, call) in links.into_iter().rev() {
        link(checker, place, call, &mut found)?;
    }
    match (found.steps.len(), found.without.is_empty(), found.gap_hours) {
        (1, true, _) => {
            Err(checker.error(rest, "a sequence of one step needs a `.without(..)`; else `order.any()` would be right"))
        }
        (1, _, Some(_)) => Err(checker.error(rest, "a gap is between two steps, and this sequence has one")),
        _ => Ok(Expr::Sequence(found)),
    }
}

fn link(checker: &Checker<'_>, at: &IdedExpr, call: &CallExpr, into: &mut Sequence) -> Result<(), SegmentError> {
    let length = |given: &Option<u32>, length: &IdedExpr| match given {
        None => span(checker, length).map(|span| Some(span.exact_hours())),
        Some(_) => Err(checker.error(at, "once is enough; this sequence says it twice")),
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("without", [absent]) => into.without.push(step(checker, absent)?),
        ("gap", [hours]) => into.gap_hours = length(&into.gap_hours, hours)?,
        ("within", [hours]) => into.within_hours = length(&into.within_hours, hours)?,
        (name, arguments) => match window(checker, at, name, arguments)? {
            Some(window) if into.window == Window::Ever => into.window = window,
            Some(_) => return Err(checker.error(at, "one window is enough; this sequence has two")),
            None => return Err(checker.error(at, LINKS)),
        },
    }
    Ok(())
}

/// Checks `event` or `event.where(..)`.
fn step(checker: &Checker<'_>, at: &IdedExpr) -> Result<Step, SegmentError> {
    let found = chain(checker, at)?;
    if found.window.is_some() || found.if_any {
        return Err(checker.error(at, "a step is an event with conditions; the window comes after the sequence"));
    }
    Ok(Step { event: found.event.id, filter: found.filter() })
}

/// Puts a sequence into its one form: a sequence, a test of events, or a constant.
pub(super) fn fold(context: &Context<'_>, sequence: &Sequence) -> Expr {
    let Sequence { steps, without, gap_hours, within_hours, window } = sequence;
    let folded = |step: &Step| Step { event: step.event, filter: context.filter(step.event, &step.filter) };
    let steps: Vec<Step> = steps.iter().map(folded).collect();
    if steps.iter().any(|step| step.filter == EventFilter::Const(false)) {
        return Expr::Const(false);
    }
    let mut absent: BTreeMap<EventTypeId, Vec<EventFilter>> = BTreeMap::new();
    for Step { event, filter } in without {
        absent.entry(*event).or_default().push(filter.clone());
    }
    let together =
        absent.into_iter().map(|(event, filters)| Step { event, filter: context.filter(event, &either(filters)) });
    let without: Vec<Step> = together.filter(|step| step.filter != EventFilter::Const(false)).collect();
    if let ([Step { event, filter }], true) = (steps.as_slice(), without.is_empty()) {
        let (event, window, filter) = (*event, *window, filter.clone());
        return Expr::Event(EventTest {
            event,
            window,
            filter,
            measure: Measure::Count,
            if_any: false,
            min: 1,
            max: i64::MAX,
        });
    }
    let (gap_hours, within_hours) = lengths(steps.len(), without.is_empty(), *gap_hours, *within_hours);
    Expr::Sequence(Sequence { steps, without, gap_hours, within_hours, window: *window })
}

/// Joins conditions of which one is enough.
pub(super) fn either(mut filters: Vec<EventFilter>) -> EventFilter {
    if filters.len() == 1 { filters.remove(0) } else { EventFilter::Any(filters) }
}

/// Drops a length that follows from the other. Without `without`, `within` bounds the steps only.
fn lengths(steps: usize, free: bool, gap: Option<u32>, within: Option<u32>) -> (Option<u32>, Option<u32>) {
    let gaps = u32::try_from(steps.saturating_sub(1)).unwrap_or(u32::MAX);
    match (gap, within) {
        (_, within) if gaps == 0 => (None, within),
        (gap, within) if gaps == 1 && free => (None, gap.into_iter().chain(within).min()),
        (Some(gap), Some(within)) if gap >= within => (None, Some(within)),
        (Some(gap), Some(within)) if free && within >= gap.saturating_mul(gaps) => (Some(gap), None),
        lengths => lengths,
    }
}
