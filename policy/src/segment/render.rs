//! A canonical tree as text that parses to the same tree.

use super::{EventFilter, EventTest, Expr, MAX_POINTS, Measure, Sample, Score, Sequence, Step, Test, Window};
use crate::schema::number::format_scaled;
use crate::schema::{ColumnId, EventType, EventTypeId, Field, FieldType, Schema};

/// Renders a canonical tree as text.
pub(super) fn render(root: &Expr, schema: &Schema) -> String {
    Writer { schema, fields: &schema.attributes }.expr(root, Place::Top)
}

/// Renders what an event test measures, without what it is compared with.
pub(super) fn measured(test: &EventTest, schema: &Schema) -> String {
    Writer { schema, fields: &schema.attributes }.measured(test)
}

/// Where a part stands; decides brackets.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Conjunction,
    Disjunction,
    Negation,
}

struct Writer<'a> {
    schema: &'a Schema,
    fields: &'a [Field],
}

impl Writer<'_> {
    fn expr(&self, expr: &Expr, place: Place) -> String {
        match expr {
            Expr::Const(value) => value.to_string(),
            Expr::All(parts) => self.join(parts, " && ", Place::Conjunction, place),
            Expr::Any(parts) => self.join(parts, " || ", Place::Disjunction, place),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::Attribute(column, Test::Missing) => format!("known({})", self.name(*column)),
                inner => format!("!{}", self.expr(inner, Place::Negation)),
            },
            Expr::Attribute(column, Test::Missing) => format!("missing({})", self.name(*column)),
            Expr::Attribute(column, Test::Codes(codes)) => self.codes(*column, codes),
            Expr::Attribute(column, Test::Range { min, max }) => self.range(*column, *min, *max, place),
            Expr::Event(test) => self.event(test, place),
            Expr::Sequence(sequence) => self.sequence(sequence),
            Expr::Score(score) => self.score(score, place),
            Expr::Sample(Sample { label, from, until }) => format!("sample(\"{label}\", {from}, {until})"),
        }
    }

    fn join(&self, parts: &[Expr], sign: &str, inside: Place, place: Place) -> String {
        let text: Vec<String> = parts.iter().map(|part| self.expr(part, inside)).collect();
        bracket(text.join(sign), place != Place::Top)
    }

    fn field(&self, column: ColumnId) -> Option<&Field> {
        self.fields.get(usize::from(column.0))
    }

    fn name(&self, column: ColumnId) -> String {
        self.field(column).map_or_else(|| format!("column_{}", column.0), |field| field.name.to_string())
    }

    fn codes(&self, column: ColumnId, codes: &[u16]) -> String {
        let name = self.name(column);
        let is_bool = self.field(column).is_some_and(|field| field.ty == FieldType::Bool);
        match codes {
            [2] if is_bool => return name,
            [1] if is_bool => return format!("!{name}"),
            _ => {}
        }
        let label = |code: &u16| {
            let label = self.field(column).and_then(|field| field.label(*code)).unwrap_or_default();
            if is_bool { label.to_owned() } else { quote(label) }
        };
        match codes {
            [one] => format!("{name} == {}", label(one)),
            many => format!("{name} in [{}]", many.iter().map(label).collect::<Vec<_>>().join(", ")),
        }
    }

    fn range(&self, column: ColumnId, min: i64, max: i64, place: Place) -> String {
        let name = self.name(column);
        let ty = self.field(column).map(|field| &field.ty);
        let (low, high) = ty.and_then(FieldType::bounds).unwrap_or((i64::MIN + 1, i64::MAX));
        let show = |value: i64| ty.map_or_else(|| value.to_string(), |ty| number(ty, value));
        bounded(&name, (min, max), (low, high), &show, place)
    }

    fn inside(&self, event: EventTypeId) -> (Option<&EventType>, Writer<'_>) {
        let event = self.schema.events.get(usize::from(event.0));
        (event, Writer { schema: self.schema, fields: event.map_or(&[][..], |event| &event.fields) })
    }

    /// Writes an event type with a window and a condition.
    fn chain(&self, event: EventTypeId, window: Window, filter: &EventFilter) -> String {
        let (event, writer) = self.inside(event);
        let mut chain = event.map_or_else(|| "event".to_owned(), |event| event.name.to_string());
        chain.push_str(&written(window));
        if *filter != EventFilter::Const(true) {
            let condition = writer.expr(&super::canonical::lift(filter.clone()), Place::Top);
            chain.push_str(&format!(".where({condition})"));
        }
        chain
    }

    fn measured(&self, test: &EventTest) -> String {
        let EventTest { event, window, filter, measure, if_any, min: _, max: _ } = test;
        let mut chain = self.chain(*event, *window, filter);
        if *if_any {
            chain.push_str(".if_any()");
        }
        let (_, writer) = self.inside(*event);
        let field = measure.field().and_then(|column| writer.field(column));
        let name = field.map_or("", |field| field.name.as_str());
        match measure {
            Measure::Count => chain.push_str(".count()"),
            Measure::Days => chain.push_str(".days()"),
            Measure::Sum(_) => chain.push_str(&format!(".sum({name})")),
            Measure::Distinct(_) => chain.push_str(&format!(".distinct({name})")),
            Measure::Min(_) => chain.push_str(&format!(".min({name})")),
            Measure::Max(_) => chain.push_str(&format!(".max({name})")),
            Measure::DaysSinceLast => chain.push_str(".days_since_last()"),
            Measure::DaysSinceFirst => chain.push_str(".days_since_first()"),
        }
        chain
    }

    fn event(&self, test: &EventTest, place: Place) -> String {
        let EventTest { event, window, filter, measure, if_any, min, max } = test;
        if *measure == Measure::Count && !if_any && (*min, *max) == (1, i64::MAX) {
            return format!("{}.any()", self.chain(*event, *window, filter));
        }
        let (_, writer) = self.inside(*event);
        let ty = measure.field().and_then(|column| writer.field(column)).map(|field| &field.ty);
        let bounds = match (measure, if_any) {
            (Measure::Min(_) | Measure::Max(_), _) => ty.and_then(FieldType::bounds).unwrap_or(measure.bounds()),
            (Measure::Count | Measure::Days, true) => (1, i64::MAX),
            _ => measure.bounds(),
        };
        let show = |value: i64| match (measure, ty) {
            (Measure::Sum(_), Some(FieldType::Decimal { scale, .. })) => format_scaled(value, *scale),
            (Measure::Min(_) | Measure::Max(_), Some(ty)) => number(ty, value),
            _ => value.to_string(),
        };
        bounded(&self.measured(test), (*min, *max), bounds, &show, place)
    }

    fn sequence(&self, sequence: &Sequence) -> String {
        let Sequence { steps, without, gap_hours, within_hours, window } = sequence;
        let step = |step: &Step| self.chain(step.event, Window::Ever, &step.filter);
        let mut text = format!("sequence({})", steps.iter().map(step).collect::<Vec<_>>().join(", "));
        text.extend(without.iter().map(|absent| format!(".without({})", step(absent))));
        text.extend(gap_hours.map(|gap| format!(".gap(\"{}\")", hours(gap))));
        text.extend(within_hours.map(|within| format!(".within(\"{}\")", hours(within))));
        text + &written(*window)
    }

    /// A condition with more points than one may have as written is written several times.
    fn score(&self, score: &Score, place: Place) -> String {
        let Score { parts, min, max } = score;
        let mut pairs = Vec::with_capacity(parts.len());
        for (part, points) in parts {
            let condition = self.expr(part, Place::Top);
            let mut left = *points;
            while left != 0 {
                let some = left.clamp(-MAX_POINTS, MAX_POINTS);
                pairs.push(format!("{condition}, {some}"));
                left -= some;
            }
        }
        let text = format!("score({})", pairs.join(", "));
        bounded(&text, (*min, *max), super::score::bounds(parts), &|value| value.to_string(), place)
    }
}

/// Writes a window as links of a chain.
fn written(window: Window) -> String {
    let day = |day: i32| crate::time::format_day(day).unwrap_or_default();
    match window {
        Window::Ever => String::new(),
        Window::Last(span) => format!(".last(\"{span}\")"),
        Window::Between(from, to) => format!(".between(\"{from}\", \"{to}\")"),
        Window::Since(from) => format!(".since(\"{}\")", day(from)),
        Window::Dates(from, to) => format!(".dates(\"{}\", \"{}\")", day(from), day(to)),
    }
}

/// Writes a length of exact time.
fn hours(hours: u32) -> String {
    if hours.is_multiple_of(24) { format!("{}d", hours / 24) } else { format!("{hours}h") }
}

/// Writes a number or a day of a field.
fn number(ty: &FieldType, value: i64) -> String {
    match ty {
        FieldType::Date { .. } => quote(&ty.show(value)),
        _ => ty.show(value),
    }
}

/// Writes bounds as the shortest comparison.
fn bounded(
    what: &str,
    (min, max): (i64, i64),
    (low, high): (i64, i64),
    show: &dyn Fn(i64) -> String,
    place: Place,
) -> String {
    if min > max {
        format!("{what} < {}", show(low))
    } else if min == max {
        format!("{what} == {}", show(min))
    } else if max == high {
        format!("{what} >= {}", show(min))
    } else if min == low {
        format!("{what} <= {}", show(max))
    } else {
        let both = format!("{what} >= {} && {what} <= {}", show(min), show(max));
        bracket(both, matches!(place, Place::Disjunction | Place::Negation))
    }
}

fn bracket(text: String, wanted: bool) -> String {
    if wanted { format!("({text})") } else { text }
}

/// Writes a text literal. Labels hold no control characters.
fn quote(label: &str) -> String {
    format!("\"{}\"", label.replace('\\', "\\\\").replace('"', "\\\""))
}
