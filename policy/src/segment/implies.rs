//! What follows from expressions alone, whoever the people are: that everybody in one segment is in another, and that nobody is in
//! two.
//!
//! Sound, not complete: what it says holds for every subject, under unknown too, and what it does not say may hold as well. It
//! reads no data, so what depends on it tells nothing of anybody.

use super::canonical::{Context, Key, Norm};
use super::intervals::Intervals;
use super::{Expr, Measure, Segment, Span, Window};
use crate::schema::Schema;

impl Segment {
    /// Says whether it follows that each of its members is one of `other`.
    pub fn is_within(&self, other: &Self, schema: &Schema) -> bool {
        let context = Context::of(schema);
        context.implies(&context.norm(self.root(), false), &context.norm(other.root(), false))
    }

    /// Says whether it follows that nobody is a member.
    pub fn has_nobody(&self, schema: &Schema) -> bool {
        let context = Context::of(schema);
        context.is_empty(&context.norm(self.root(), false))
    }

    /// Returns the members of all of some segments; everyone if there are none.
    pub fn all_of<'a>(segments: impl IntoIterator<Item = &'a Self>, schema: &Schema) -> Self {
        let parts = segments.into_iter().map(|segment| segment.root().clone()).collect();
        Self::from_expr(Expr::All(parts), schema)
    }

    /// Returns the members of any of some segments; nobody if there are none.
    pub fn any_of<'a>(segments: impl IntoIterator<Item = &'a Self>, schema: &Schema) -> Self {
        let parts = segments.into_iter().map(|segment| segment.root().clone()).collect();
        Self::from_expr(Expr::Any(parts), schema)
    }
}

impl Context<'_> {
    /// Says whether `a` is true only where `b` is.
    fn implies(&self, a: &Norm, b: &Norm) -> bool {
        match (a, b) {
            _ if a == b || a.is_never() => true,
            (_, Norm::Const(value)) => *value,
            (Norm::Any(parts), _) => parts.iter().all(|part| self.implies(part, b)),
            (_, Norm::All(parts)) => parts.iter().all(|part| self.implies(a, part)),
            (Norm::All(parts), Norm::Any(others)) => {
                parts.iter().any(|part| self.implies(part, b)) || others.iter().any(|other| self.implies(a, other))
            }
            (Norm::All(parts), _) => parts.iter().any(|part| self.implies(part, b)),
            (_, Norm::Any(others)) => others.iter().any(|other| self.implies(a, other)),
            (Norm::Set(Key::Column(column), _), Norm::Known(known)) => column == known,
            (Norm::Known(known), Norm::Set(key @ Key::Column(column), set)) => {
                column == known && set.as_slice() == [self.universe(key)]
            }
            (Norm::Set(key, set), Norm::Set(other, outer)) => set_implies((key, set), (other, outer)),
            _ => false,
        }
    }

    /// Says whether it is true for nobody: also where two parts of a conjunction rule each other out.
    fn is_empty(&self, norm: &Norm) -> bool {
        match norm {
            norm if norm.is_never() => true,
            Norm::Any(parts) => parts.iter().all(|part| self.is_empty(part)),
            Norm::All(parts) => {
                let pairs = (0..).zip(parts).flat_map(|(place, a)| parts.iter().skip(place + 1).map(move |b| (a, b)));
                pairs.into_iter().any(|(a, b)| self.exclude(a, b)) || parts.iter().any(|part| self.is_empty(part))
            }
            _ => false,
        }
    }

    /// Says whether two are never true at once.
    fn exclude(&self, a: &Norm, b: &Norm) -> bool {
        match (a, b) {
            (Norm::Any(parts), _) => parts.iter().all(|part| self.exclude(part, b)),
            (_, Norm::Any(parts)) => parts.iter().all(|part| self.exclude(a, part)),
            (Norm::All(parts), other) | (other, Norm::All(parts)) => parts.iter().any(|part| self.exclude(part, other)),
            (Norm::Missing(column), Norm::Known(other) | Norm::Set(Key::Column(other), _))
            | (Norm::Known(other) | Norm::Set(Key::Column(other), _), Norm::Missing(column)) => column == other,
            (Norm::Set(key, set), Norm::Set(other, outer)) => {
                let not = |key: &Key, set: &Intervals| {
                    let (low, high) = self.universe(key);
                    set.complement(low, high)
                };
                set_implies((key, set), (other, &not(other, outer)))
                    || set_implies((other, outer), (key, &not(key, set)))
            }
            _ => false,
        }
    }
}

/// Of one thing, sets within sets. Of numbers of events in windows within windows: what happened as often in the shorter one
/// happened as often in the longer, and the other way round.
fn set_implies((key, set): (&Key, &Intervals), (other, outer): (&Key, &Intervals)) -> bool {
    if key == other {
        return set.within(outer);
    }
    let (Key::Event(event, window, filter, measure, _), Key::Event(of, longer, which, what, may_be_unknown)) =
        (key, other)
    else {
        return false;
    };
    let grows = matches!(measure, Measure::Count | Measure::Days | Measure::Distinct(_));
    if (event, filter, measure) != (of, which, what) || !grows {
        return false;
    }
    let (least, most) = (set.as_slice().first().map(|(min, _)| *min), set.as_slice().last().map(|(_, max)| *max));
    // At least one event, so that both are known. Distinct values may be none for all the events that there are.
    let happened = least.filter(|least| *least >= 1);
    let at_least = happened.is_some_and(|least| Intervals::new([(least, i64::MAX)]).within(outer));
    let at_most = most.is_some_and(|most| Intervals::new([(0, most)]).within(outer)) && !may_be_unknown;
    (window_within(*window, *longer) && at_least) || (window_within(*longer, *window) && at_most)
}

/// Says whether each time in a window is in another, whatever the instant and the zone.
fn window_within(window: Window, longer: Window) -> bool {
    match (window, longer) {
        (_, Window::Ever) => true,
        (Window::Last(span) | Window::Between(span, _), Window::Last(from)) => no_longer(span, from),
        (Window::Between(from, to), Window::Between(earlier, later)) => {
            no_longer(from, earlier) && no_longer(later, to)
        }
        (Window::Since(from) | Window::Dates(from, _), Window::Since(earlier)) => earlier <= from,
        (Window::Dates(from, to), Window::Dates(earlier, later)) => earlier <= from && to <= later,
        (window, longer) => window == longer,
    }
}

/// Days are no number of hours: clocks change.
fn no_longer(span: Span, other: Span) -> bool {
    match (span, other) {
        (Span::Days(a), Span::Days(b)) | (Span::Hours(a), Span::Hours(b)) => a <= b,
        _ => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::parse;
    use super::super::test_schema::schema;
    use super::*;

    fn seg(text: &str) -> Segment {
        parse(text, &schema(), &|_| true).unwrap()
    }

    #[test]
    fn what_follows_from_the_words_is_seen() {
        for (inner, outer) in [
            ("newsletter && household > 2", "newsletter"),
            ("household > 4", "household >= 3"),
            ("region == \"north\"", "known(region)"),
            ("order.last(\"30d\").any()", "order.last(\"90d\").any()"),
            ("order.last(\"30d\").count() >= 3", "order.any()"),
            ("order.count() <= 2", "order.last(\"90d\").count() <= 3"),
            ("order.between(\"60d\", \"30d\").any()", "order.last(\"60d\").any()"),
            ("order.dates(\"2024-01-01\", \"2024-02-01\").any()", "order.since(\"2023-12-01\").any()"),
            ("newsletter && order.last(\"1w\").days() >= 2", "order.last(\"4w\").days() >= 2 || household == 1"),
            ("household > 4 && household < 3", "newsletter"),
        ] {
            assert!(seg(inner).is_within(&seg(outer), &schema()), "{inner} is within {outer}");
            assert!(!seg(outer).is_within(&seg(inner), &schema()), "{outer} is not within {inner}");
        }
        for nobody in [
            "newsletter && !newsletter",
            "region == \"north\" && region == \"south\"",
            "missing(region) && region == \"north\"",
            "order.last(\"30d\").any() && order.last(\"90d\").count() == 0",
            "(order.last(\"30d\").any() || order.count() > 5) && !order.any()",
            "false",
        ] {
            assert!(seg(nobody).has_nobody(&schema()), "{nobody}");
        }
        for (inner, outer) in [
            ("order.last(\"24h\").any()", "order.last(\"1d\").any()"),
            ("order.last(\"30d\").sum(items) >= 5", "order.last(\"90d\").sum(items) >= 5"),
            ("order.last(\"90d\").any()", "order.last(\"30d\").any()"),
            ("order.count() <= 2", "order.last(\"30d\").if_any().count() <= 2"),
            ("missing(region)", "!known(newsletter)"),
        ] {
            assert!(!seg(inner).is_within(&seg(outer), &schema()), "{inner} is not within {outer}");
        }
        assert!(!seg("newsletter && region == \"north\"").has_nobody(&schema()));
    }
}
