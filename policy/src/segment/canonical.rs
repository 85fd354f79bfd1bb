//! Canonical form: equal questions fold together, so that they share one stored answer.
//!
//! Every step keeps the three-valued meaning, for every subject: negations go down to the tests (De Morgan), joins
//! flatten, tests of one thing in one join become one set of admitted values, sets are sorted and coalesced, parts
//! implied by others are absorbed, constants fold. What does not hold for unknown is left alone: `x || !x` is unknown
//! for a missing `x`, so it stays, as the test for any value at all. Tests that are never unknown fold there; those that
//! may be (the last order's day, of somebody who has none) are treated as attributes are. Not promised: that all
//! equivalent segments meet; those that don't are merely paid for twice.

use super::intervals::Intervals;
use super::score::Points;
use super::{EventFilter, EventTest, Expr, Measure, SAMPLE_BUCKETS, Sample, Score, Sequence, Test, Window};
use crate::id::SampleLabel;
use crate::schema::{ColumnId, EventTypeId, Field, FieldType, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// Puts a tree into canonical form without changing its three-valued meaning.
pub(super) fn normalize(root: &Expr, schema: &Schema) -> Expr {
    let context = Context::of(schema);
    context.expr(context.norm(root, false))
}

/// What a test measures; sets of equal keys merge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Column(ColumnId),
    /// Type, times, which, what, and whether it is unknown when there are none.
    Event(EventTypeId, Window, EventFilter, Measure, bool),
    /// 1 if it happened, else 0.
    Sequence(Sequence),
    Score(Vec<(Expr, i64)>),
    Sample(SampleLabel),
}

impl Key {
    /// Says whether there may be nothing to measure.
    fn may_be_unknown(&self) -> bool {
        match self {
            Self::Column(_) => true,
            Self::Event(_, _, _, measure, if_any) => *if_any || measure.may_be_unknown(),
            Self::Sequence(_) | Self::Score(_) | Self::Sample(_) => false,
        }
    }
}

/// A negation-free tree. A set is unknown where there is nothing to measure, as its key says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Norm {
    Const(bool),
    Set(Key, Intervals),
    Missing(ColumnId),
    Known(ColumnId),
    All(Vec<Norm>),
    Any(Vec<Norm>),
}

impl Norm {
    /// Says whether it is certainly true for nobody. It may still be unknown for some.
    pub(super) fn is_never(&self) -> bool {
        match self {
            Self::Const(value) => !value,
            Self::Set(_, set) => set.is_empty(),
            Self::Missing(_) | Self::Known(_) => false,
            Self::All(parts) => parts.iter().any(Self::is_never),
            Self::Any(parts) => parts.iter().all(Self::is_never),
        }
    }
}

/// The fields that columns name at a place.
pub(super) struct Context<'a> {
    schema: &'a Schema,
    fields: &'a [Field],
}

impl<'a> Context<'a> {
    /// Where attributes of subjects are named.
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self { schema, fields: &schema.attributes }
    }
}

impl Context<'_> {
    fn field(&self, column: ColumnId) -> Option<&Field> {
        self.fields.get(usize::from(column.0))
    }

    fn fields_of(&self, event: EventTypeId) -> &[Field] {
        self.schema.events.get(usize::from(event.0)).map_or(&[][..], |event| &event.fields)
    }

    /// Returns the least and greatest number a key can have.
    pub(super) fn universe(&self, key: &Key) -> (i64, i64) {
        match key {
            Key::Event(event, _, _, Measure::Min(column) | Measure::Max(column), _) => {
                let field = self.fields_of(*event).get(usize::from(column.0));
                field.and_then(|field| field.ty.bounds()).unwrap_or((i64::MIN + 1, i64::MAX))
            }
            Key::Event(_, _, _, Measure::Count | Measure::Days, true) => (1, i64::MAX),
            Key::Event(_, _, _, measure, _) => measure.bounds(),
            Key::Sequence(_) => (0, 1),
            Key::Score(parts) => super::score::bounds(parts),
            Key::Sample(_) => (0, i64::from(SAMPLE_BUCKETS) - 1),
            Key::Column(column) => {
                let ty = self.field(*column).map(|field| &field.ty);
                let codes = ty.and_then(FieldType::cardinality).and_then(|n| i64::try_from(n).ok());
                let bounds = ty.and_then(FieldType::bounds);
                codes.map(|n| (1, n)).or(bounds).unwrap_or((i64::MIN + 1, i64::MAX))
            }
        }
    }

    /// Returns the normal form of a tree, or of its negation.
    pub(super) fn norm(&self, expr: &Expr, negated: bool) -> Norm {
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
            Expr::Sequence(sequence) => match super::sequence::fold(self, sequence) {
                Expr::Sequence(sequence) => self.set(Key::Sequence(sequence), &Intervals::new([(1, 1)]), negated),
                other => self.norm(&other, negated),
            },
            Expr::Score(score) => self.score(score, negated),
            Expr::Sample(Sample { label, from, until }) => {
                let set = Intervals::new([(i64::from(*from), i64::from(*until) - 1)]);
                self.set(Key::Sample(label.clone()), &set, negated)
            }
        }
    }

    fn score(&self, score: &Score, negated: bool) -> Norm {
        let mut points = Points::default();
        for (condition, worth) in &score.parts {
            match self.norm(condition, false) {
                Norm::Const(true) => points.add_always(*worth),
                never if never.is_never() => {}
                condition => points.add(self.expr(condition), *worth),
            }
        }
        let (parts, set) = points.fold(score.min, score.max);
        if parts.is_empty() {
            return Norm::Const(set.contains(0) != negated);
        }
        self.set(Key::Score(parts), &set, negated)
    }

    fn set(&self, key: Key, set: &Intervals, negated: bool) -> Norm {
        let (low, high) = self.universe(&key);
        let set = if negated { set.complement(low, high) } else { set.intersection(&Intervals::new([(low, high)])) };
        self.fold(key, set)
    }

    /// Folds a set that admits all or nothing, unless there may be nothing to measure.
    fn fold(&self, key: Key, set: Intervals) -> Norm {
        if !key.may_be_unknown() {
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
        let EventTest { event, window, filter, measure, if_any, min, max } = test;
        let filter = self.filter(*event, filter);
        let set = Intervals::new([(*min, *max)]);
        let nothing = filter == EventFilter::Const(false);
        let if_any = *if_any && !measure.may_be_unknown();
        let key = Key::Event(*event, *window, filter, *measure, if_any);
        match (nothing, key.may_be_unknown()) {
            (false, _) => self.set(key, &set, negated),
            (true, false) => Norm::Const(set.contains(0) != negated),
            // Unknown for everyone, whatever is asked.
            (true, true) => Norm::Set(key, Intervals::new([])),
        }
    }

    /// Folds a condition on events of a type. An event for which it is unknown does not count.
    pub(super) fn filter(&self, event: EventTypeId, filter: &EventFilter) -> EventFilter {
        let inner = Context { schema: self.schema, fields: self.fields_of(event) };
        let norm = inner.norm(&lift(filter.clone()), false);
        if norm.is_never() { EventFilter::Const(false) } else { lower(inner.expr(norm)) }
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

    pub(super) fn expr(&self, norm: Norm) -> Expr {
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
        let leaf = |(min, max): (i64, i64)| match key.clone() {
            Key::Column(column) => Expr::Attribute(column, Test::Range { min, max }),
            Key::Event(event, window, filter, measure, if_any) => {
                Expr::Event(EventTest { event, window, filter, measure, if_any, min, max })
            }
            Key::Sequence(sequence) if min == 1 => Expr::Sequence(sequence),
            Key::Sequence(sequence) => Expr::Not(Box::new(Expr::Sequence(sequence))),
            Key::Score(parts) => Expr::Score(Score { parts, min, max }),
            Key::Sample(label) => {
                let bucket = |bucket: i64| u16::try_from(bucket).unwrap_or(SAMPLE_BUCKETS);
                Expr::Sample(Sample { label, from: bucket(min), until: bucket(max + 1) })
            }
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

/// Reads a condition on columns as a condition on one event. Events within events and the like do not exist: they are
/// false.
pub(super) fn lower(expr: Expr) -> EventFilter {
    match expr {
        Expr::Const(value) => EventFilter::Const(value),
        Expr::Not(inner) => EventFilter::Not(Box::new(lower(*inner))),
        Expr::All(parts) => EventFilter::All(parts.into_iter().map(lower).collect()),
        Expr::Any(parts) => EventFilter::Any(parts.into_iter().map(lower).collect()),
        Expr::Attribute(column, test) => EventFilter::Field(column, test),
        Expr::Event(_) | Expr::Sequence(_) | Expr::Score(_) | Expr::Sample(_) => EventFilter::Const(false),
    }
}
