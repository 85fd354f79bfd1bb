//! Conditions as text of the segment language.

use super::times::dated;
use super::{ATTRIBUTES, Check, Condition, EVENTS, Field, Fields, Length, Measure, Sign, Sort, Step, Window};

impl Condition {
    /// Writes the condition; a stored segment is `segments/s{number}@1`.
    pub fn text(&self) -> String {
        match self {
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::And(parts) => joined(parts, " && "),
            Self::Or(parts) => joined(parts, " || "),
            Self::Attribute(fields) => fields.text(&ATTRIBUTES),
            Self::Event { step, window, if_any, measure, check } => {
                let mut chain = step.text() + &written(*window);
                if *if_any {
                    chain += ".if_any()";
                }
                let (call, field) = measure_text(*measure, EVENTS[step.event].1);
                match measure {
                    Measure::Any => format!("{chain}.any()"),
                    _ => checked(&format!("{chain}.{call}"), check, field),
                }
            }
            Self::Sequence { steps, without, gap, within, window } => {
                let mut text = format!("sequence({})", steps.iter().map(Step::text).collect::<Vec<_>>().join(", "));
                text.extend(within.map(|within| format!(".within({})", length(within))));
                text.extend(without.iter().map(|step| format!(".without({})", step.text())));
                text.extend(gap.map(|gap| format!(".gap({})", length(gap))));
                text + &written(*window)
            }
            Self::Score { parts, check } => {
                let pairs: Vec<String> =
                    parts.iter().map(|(part, points)| format!("{}, {points}", part.text())).collect();
                checked(&format!("score({})", pairs.join(", ")), check, ("", Sort::Whole))
            }
            Self::Band { of, check } => {
                checked(["rfm.recency", "rfm.frequency", "rfm.monetary"][*of], check, ("", Sort::Whole))
            }
            Self::Named(number) => format!("segment(\"segments/s{number}@1\")"),
        }
    }
}

impl Step {
    fn text(&self) -> String {
        let (name, fields, _) = EVENTS[self.event];
        let filter = self.filter.as_ref().map(|filter| format!(".where({})", filter.text(fields)));
        name.to_owned() + &filter.unwrap_or_default()
    }
}

impl Fields {
    fn text(&self, fields: &[Field]) -> String {
        let all = |parts: &[Self], sign: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.text(fields)).collect();
            format!("({})", parts.join(sign))
        };
        match self {
            Self::Const(value) => value.to_string(),
            Self::Not(inner) => format!("!({})", inner.text(fields)),
            Self::And(parts) => all(parts, " && "),
            Self::Or(parts) => all(parts, " || "),
            Self::Field(column, check) => checked(fields[*column].0, check, fields[*column]),
        }
    }
}

fn joined(parts: &[Condition], sign: &str) -> String {
    format!("({})", parts.iter().map(Condition::text).collect::<Vec<_>>().join(sign))
}

fn measure_text(measure: Measure, fields: &[Field]) -> (String, Field) {
    let of = |name: &str, column: usize| format!("{name}({})", fields[column].0);
    let number = ("", Sort::Whole);
    match measure {
        Measure::Any | Measure::Count => ("count()".to_owned(), number),
        Measure::Days => ("days()".to_owned(), number),
        Measure::Sum(column) => (of("sum", column), fields[column]),
        Measure::Distinct(column) => (of("distinct", column), number),
        Measure::Min(column) => (of("min", column), fields[column]),
        Measure::Max(column) => (of("max", column), fields[column]),
        Measure::SinceLast => ("days_since_last()".to_owned(), number),
        Measure::SinceFirst => ("days_since_first()".to_owned(), number),
    }
}

fn checked(what: &str, check: &Check, (_, sort): Field) -> String {
    match check {
        Check::Missing => format!("missing({what})"),
        Check::Known => format!("known({what})"),
        Check::In(list) => {
            format!("{what} in [{}]", list.iter().map(|value| literal(*value, sort)).collect::<Vec<_>>().join(", "))
        }
        Check::Is(sign, value) => {
            let sign = match sign {
                Sign::Equal => "==",
                Sign::Unequal => "!=",
                Sign::Less => "<",
                Sign::AtMost => "<=",
                Sign::More => ">",
                Sign::AtLeast => ">=",
            };
            format!("{what} {sign} {}", literal(*value, sort))
        }
    }
}

fn literal(value: i64, sort: Sort) -> String {
    match sort {
        Sort::Label => format!("\"{}\"", ["a", "b", "c"][usize::try_from(value - 1).unwrap()]),
        Sort::Bool => (value == 2).to_string(),
        Sort::Whole => value.to_string(),
        Sort::Hundredths => {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", value.abs() / 100, value.abs() % 100)
        }
        Sort::Day => format!("\"{}\"", dated(value)),
        Sort::Id => panic!("identifiers are not compared"),
    }
}

fn length(length: Length) -> String {
    match length {
        Length::Days(days) => format!("\"{days}d\""),
        Length::Hours(hours) => format!("\"{hours}h\""),
    }
}

fn written(window: Window) -> String {
    match window {
        Window::Ever => String::new(),
        Window::Last(of) => format!(".last({})", length(of)),
        Window::Between(from, to) => format!(".between({}, {})", length(from), length(to)),
        Window::Since(day) => format!(".since(\"{}\")", dated(day)),
        Window::Dates(from, to) => format!(".dates(\"{}\", \"{}\")", dated(from), dated(to)),
    }
}
