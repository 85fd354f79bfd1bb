//! Canonical form: equal questions fold together, so that they share one stored answer.
//!
//! Every step keeps the three-valued meaning, for every subject: negations go down to the tests (De Morgan), joins
//! flatten, tests of one thing in one join become one set of admitted values, sets are sorted and coalesced, parts
//! implied by others are absorbed, constants fold. What does not hold for unknown is left alone: `x || !x` is unknown
//! for a missing `x`, so it stays, as the test for any value at all. Tests of events are never unknown, and there it
//! folds. Not promised: that all equivalent segments meet; those that don't are merely paid for twice.

use super::intervals::Intervals;
use super::{EventFilter, EventTest, Expr, Measure, Test, Window};
use crate::schema::{ColumnId, EventTypeId, Field, FieldType, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// Puts a tree into canonical form without changing its three-valued meaning.
pub(super) fn normalize(root: &Expr, schema: &Schema) -> Expr {
    let context = Context { schema, fields: &schema.attributes };
    context.expr(context.norm(root, false))
}

/// What a test measures; sets of equal keys merge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Column(ColumnId),
    Event(EventTypeId, Window, EventFilter, Measure),
}

/// A negation-free tree. A set of a column is unknown for a missing value; of an event it never is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Norm {
    Const(bool),
    Set(Key, Intervals),
    Missing(ColumnId),
    Known(ColumnId),
    All(Vec<Norm>),
    Any(Vec<Norm>),
}

/// The fields that columns name at a place.
struct Context<'a> {
    schema: &'a Schema,
    fields: &'a [Field],
}

impl Context<'_> {
    fn field(&self, column: ColumnId) -> Option<&Field> {
        self.fields.get(usize::from(column.0))
    }

    /// Returns the least and greatest number a key can have.
    fn universe(&self, key: &Key) -> (i64, i64) {
        match key {
            Key::Event(_, _, _, measure) => measure.bounds(),
            Key::Column(column) => {
                let ty = self.field(*column).map(|field| &field.ty);
                let codes = ty.and_then(FieldType::cardinality).and_then(|n| i64::try_from(n).ok());
                let bounds = ty.and_then(FieldType::bounds);
                codes.map(|n| (1, n)).or(bounds).unwrap_or((i64::MIN + 1, i64::MAX))
            }
        }
    }

    /// Returns the normal form of a tree, or of its negation.
    fn norm(&self, expr: &Expr, negated: bool) -> Norm {
        match expr {
            Expr::Const(value) => Norm::Const(*value != negated),
            Expr::Not(inner) => self.norm(inner, !negated),
            Expr::All(parts) => self.join(!negated, parts.iter().map(|part| self.norm(part, negated))),
            Expr::Any(parts) => self.join(negated, parts.iter().map(|part| self.norm(part, negated))),
            Expr::Attribute(column, Test::Missing) if negated => Norm::Known(*column),
            Expr::Attribute(column, Test::Missing) => Norm::Missing(*column),
            Expr::Attribute(column, Test::Codes(codes)) => {
                let set = Intervals::new(codes.iter().map(|code| (i64::from(*code), i64::from(*code))));
                self.set(Key::Column(*column), &set, negated)
            }
            Expr::Attribute(column, Test::Range { min, max }) => {
                self.set(Key::Column(*column), &Intervals::new([(*min, *max)]), negated)
            }
            Expr::Event(test) => self.event(test, negated),
        }
    }

    fn set(&self, key: Key, set: &Intervals, negated: bool) -> Norm {
        let (low, high) = self.universe(&key);
        let set = if negated { set.complement(low, high) } else { set.intersection(&Intervals::new([(low, high)])) };
        self.fold(key, set)
    }

    /// Folds a set of an event measure that admits all or nothing; a column's stays, since its value may be missing.
    fn fold(&self, key: Key, set: Intervals) -> Norm {
        if let Key::Event(..) = key {
            let (low, high) = self.universe(&key);
            if set.is_empty() {
                return Norm::Const(false);
            }
            if set.as_slice() == [(low, high)] {
                return Norm::Const(true);
            }
        }
        Norm::Set(key, set)
    }

    fn event(&self, test: &EventTest, negated: bool) -> Norm {
        let EventTest { event, window, filter, measure, min, max } = test;
        let fields = self.schema.events.get(usize::from(event.0)).map_or(&[][..], |event| &event.fields);
        let inner = Context { schema: self.schema, fields };
        let filter = match lower(inner.expr(inner.norm(&lift(filter.clone()), false))) {
            // An event for which the filter is unknown does not count, so a test that admits no value is as good as no.
            EventFilter::Field(_, Test::Codes(codes)) if codes.is_empty() => EventFilter::Const(false),
            EventFilter::Field(_, Test::Range { min, max }) if min > max => EventFilter::Const(false),
            filter => filter,
        };
        let set = Intervals::new([(*min, *max)]);
        if filter == EventFilter::Const(false) {
            return Norm::Const(set.contains(0) != negated);
        }
        self.set(Key::Event(*event, *window, filter, *measure), &set, negated)
    }

    /// Joins parts in normal form: a conjunction if `all`, else a disjunction.
    fn join(&self, all: bool, parts: impl Iterator<Item = Norm>) -> Norm {
        let mut sets: BTreeMap<Key, Intervals> = BTreeMap::new();
        let mut rest: Vec<Norm> = Vec::new();
        for part in flat(all, parts) {
            match part {
                Norm::Set(key, set) => {
                    let merged = match sets.get(&key) {
                        Some(other) if all => set.intersection(other),
                        Some(other) => set.union(other),
                        None => set,
                    };
                    sets.insert(key, merged);
                }
                other => rest.push(other),
            }
        }
        self.presence(all, &mut sets, &mut rest);
        rest.extend(sets.into_iter().map(|(key, set)| self.fold(key, set)));
        if rest.contains(&Norm::Const(!all)) {
            return Norm::Const(!all);
        }
        rest.retain(|part| *part != Norm::Const(all));
        rest.sort_unstable();
        rest.dedup();
        absorb(all, &mut rest);
        match rest.len() {
            0 => Norm::Const(all),
            1 => rest.remove(0),
            _ if all => Norm::All(rest),
            _ => Norm::Any(rest),
        }
    }

    /// Folds `missing(c)` and `known(c)` with each other and with the set of the same column. The table of values of
    /// each pair, for missing and for present, is in the comments. Once per column, however often it is named.
    fn presence(&self, all: bool, sets: &mut BTreeMap<Key, Intervals>, rest: &mut Vec<Norm>) {
        let columns: BTreeSet<ColumnId> = rest
            .iter()
            .filter_map(|part| match part {
                Norm::Missing(column) | Norm::Known(column) => Some(*column),
                _ => None,
            })
            .collect();
        for column in columns {
            let (missing, known) = (Norm::Missing(column), Norm::Known(column));
            if rest.contains(&missing) && rest.contains(&known) {
                rest.push(Norm::Const(!all));
                return;
            }
            let key = Key::Column(column);
            let (low, high) = self.universe(&key);
            let full = Intervals::new([(low, high)]);
            let Some(set) = sets.get(&key).cloned() else { continue };
            let has_missing = rest.contains(&missing);
            if all == has_missing {
                // missing && set: unknown, false. known || set: unknown, true. Either is a set by itself.
                rest.retain(|part| *part != missing && *part != known);
                sets.insert(key, if all { Intervals::new([]) } else { full });
            } else if set.is_empty() || set == full {
                // known && none: false, false. known && full: false, true. missing || full: true, true.
                // missing || none: true, false.
                if set.is_empty() == all {
                    rest.push(Norm::Const(!all));
                }
                sets.remove(&key);
            }
        }
    }

    fn expr(&self, norm: Norm) -> Expr {
        match norm {
            Norm::Const(value) => Expr::Const(value),
            Norm::Missing(column) => Expr::Attribute(column, Test::Missing),
            Norm::Known(column) => Expr::Not(Box::new(Expr::Attribute(column, Test::Missing))),
            Norm::All(parts) => Expr::All(parts.into_iter().map(|part| self.expr(part)).collect()),
            Norm::Any(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    match self.expr(part) {
                        Expr::Any(inner) => flat.extend(inner),
                        other => flat.push(other),
                    }
                }
                Expr::Any(flat)
            }
            Norm::Set(key, set) => self.tests(&key, &set),
        }
    }

    /// Writes a set as tests: one list of codes, or one range for each interval.
    fn tests(&self, key: &Key, set: &Intervals) -> Expr {
        let leaf = |(min, max): (i64, i64)| match key {
            Key::Column(column) => Expr::Attribute(*column, Test::Range { min, max }),
            Key::Event(event, window, filter, measure) => Expr::Event(EventTest {
                event: *event,
                window: *window,
                filter: filter.clone(),
                measure: *measure,
                min,
                max,
            }),
        };
        if let Key::Column(column) = key
            && self.field(*column).is_some_and(|field| field.ty.cardinality().is_some())
        {
            let codes = set.as_slice().iter().flat_map(|(min, max)| *min..=*max);
            return Expr::Attribute(*column, Test::Codes(codes.filter_map(|code| u16::try_from(code).ok()).collect()));
        }
        match set.as_slice() {
            [] => leaf((1, 0)),
            [one] => leaf(*one),
            many => Expr::Any(many.iter().copied().map(leaf).collect()),
        }
    }
}

/// Opens joins of the same kind.
fn flat(all: bool, parts: impl Iterator<Item = Norm>) -> Vec<Norm> {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Norm::All(inner) if all => flat.extend(inner),
            Norm::Any(inner) if !all => flat.extend(inner),
            other => flat.push(other),
        }
    }
    flat
}

/// Drops parts that another part implies (in a conjunction) or is implied by (in a disjunction).
fn absorb(all: bool, parts: &mut Vec<Norm>) {
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
        let redundant = others.into_iter().any(|(_, other)| if all { below(other, part) } else { below(part, other) });
        if redundant {
            parts.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Returns whether `low <= high` is certain for every subject, in the order false < unknown < true.
fn below(low: &Norm, high: &Norm) -> bool {
    match (low, high) {
        (low, high) if low == high => true,
        (Norm::Set(left, inner), Norm::Set(right, outer)) => left == right && inner.within(outer),
        (Norm::Any(parts), high) => parts.iter().all(|part| below(part, high)),
        (low, Norm::All(parts)) => parts.iter().all(|part| below(low, part)),
        (Norm::All(parts), Norm::Any(others)) => {
            parts.iter().any(|part| below(part, high)) || others.iter().any(|other| below(low, other))
        }
        (Norm::All(parts), high) => parts.iter().any(|part| below(part, high)),
        (low, Norm::Any(others)) => others.iter().any(|other| below(low, other)),
        _ => false,
    }
}

/// Reads a condition on one event as a condition on columns.
pub(super) fn lift(filter: EventFilter) -> Expr {
    match filter {
        EventFilter::Const(value) => Expr::Const(value),
        EventFilter::Not(inner) => Expr::Not(Box::new(lift(*inner))),
        EventFilter::All(parts) => Expr::All(parts.into_iter().map(lift).collect()),
        EventFilter::Any(parts) => Expr::Any(parts.into_iter().map(lift).collect()),
        EventFilter::Field(column, test) => Expr::Attribute(column, test),
    }
}

/// Reads a condition on columns as a condition on one event. Events within events do not exist: they are false.
pub(super) fn lower(expr: Expr) -> EventFilter {
    match expr {
        Expr::Const(value) => EventFilter::Const(value),
        Expr::Not(inner) => EventFilter::Not(Box::new(lower(*inner))),
        Expr::All(parts) => EventFilter::All(parts.into_iter().map(lower).collect()),
        Expr::Any(parts) => EventFilter::Any(parts.into_iter().map(lower).collect()),
        Expr::Attribute(column, test) => EventFilter::Field(column, test),
        Expr::Event(_) => EventFilter::Const(false),
    }
}
