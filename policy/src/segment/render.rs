//! A canonical tree as text that parses to the same tree.

use super::{EventFilter, EventTest, Expr, Measure, Test, Window};
use crate::schema::number::format_scaled;
use crate::schema::{ColumnId, Field, FieldType, Schema};

/// Renders a canonical tree as text.
pub(super) fn render(root: &Expr, schema: &Schema) -> String {
    Writer { schema, fields: &schema.attributes }.expr(root, Place::Top)
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
        let show = |value: i64| match ty {
            Some(FieldType::Date { .. }) => quote(&ty.map_or_else(String::new, |ty| ty.show(value))),
            Some(ty) => ty.show(value),
            None => value.to_string(),
        };
        if min > max {
            return format!("{name} < {}", show(low));
        }
        bounded(&name, (min, max), (low, high), &show, place)
    }

    fn event(&self, test: &EventTest, place: Place) -> String {
        let EventTest { event, window, filter, measure, min, max } = test;
        let event = self.schema.events.get(usize::from(event.0));
        let writer = Writer { schema: self.schema, fields: event.map_or(&[][..], |event| &event.fields) };
        let mut chain = event.map_or_else(|| "event".to_owned(), |event| event.name.to_string());
        match window {
            Window::Ever => {}
            Window::Last(span) => chain.push_str(&format!(".last(\"{span}\")")),
            Window::Between(from, to) => chain.push_str(&format!(".between(\"{from}\", \"{to}\")")),
        }
        if *filter != EventFilter::Const(true) {
            let condition = writer.expr(&super::canonical::lift(filter.clone()), Place::Top);
            chain.push_str(&format!(".where({condition})"));
        }
        let scale = match measure {
            Measure::Sum(column) => match writer.field(*column).map(|field| &field.ty) {
                Some(FieldType::Decimal { scale, .. }) => *scale,
                _ => 0,
            },
            Measure::Count | Measure::Distinct(_) => 0,
        };
        match measure {
            Measure::Count if (*min, *max) == (1, i64::MAX) => return format!("{chain}.any()"),
            Measure::Count => chain.push_str(".count()"),
            Measure::Sum(column) => chain.push_str(&format!(".sum({})", writer.name(*column))),
            Measure::Distinct(column) => chain.push_str(&format!(".distinct({})", writer.name(*column))),
        }
        bounded(&chain, (*min, *max), measure.bounds(), &|value| format_scaled(value, scale), place)
    }
}

/// Writes non-empty bounds as the shortest comparison.
fn bounded(
    what: &str,
    (min, max): (i64, i64),
    (low, high): (i64, i64),
    show: &dyn Fn(i64) -> String,
    place: Place,
) -> String {
    if min == max {
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
