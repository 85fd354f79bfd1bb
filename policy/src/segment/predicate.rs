//! Tests of one value: comparisons, `in`, bare bools, `missing` and `known`, of attributes and of event fields.

use super::check::{Checker, NOT_A_PATH, SegmentError};
use super::events::{measure_comparison, measure_membership};
use super::rfm::is_band;
use super::{Expr, Test};
use crate::schema::number::{NumberError, parse_scaled};
use crate::schema::{ColumnId, EncodeError, Encoded, EventType, Field, FieldRef, FieldType};
use cel::common::ast::{Expr as Cel, IdedExpr, LiteralValue, operators};

/// What names mean at a place: attributes of the subject, or fields of one event type.
pub(super) enum Scope<'a> {
    /// Outside `where`.
    Subject,
    /// Within `where` of this event type.
    Event(&'a EventType),
}

impl Scope<'_> {
    /// Returns the reference of a column in this scope.
    pub(super) fn reference(&self, column: ColumnId) -> FieldRef {
        match self {
            Self::Subject => FieldRef::Attribute(column),
            Self::Event(event) => FieldRef::EventField(event.id, column),
        }
    }
}

/// A comparison operator with the tested thing on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Operator {
    fn from_cel(name: &str) -> Option<Self> {
        Some(match name {
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::NotEqual,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::LessEqual,
            operators::GREATER => Self::Greater,
            operators::GREATER_EQUALS => Self::GreaterEqual,
            _ => return None,
        })
    }

    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }

    /// Returns the inclusive bounds of the numbers for which this holds, within `low..=high`; not for
    /// [`Operator::NotEqual`], which is the negation of [`Operator::Equal`].
    pub(super) fn range(self, value: i64, low: i64, high: i64) -> (i64, i64) {
        let never = (1, 0);
        match self {
            Self::Equal | Self::NotEqual => (value, value),
            Self::Less => value.checked_sub(1).map_or(never, |value| (low, value.min(high))),
            Self::LessEqual => (low, value.min(high)),
            Self::Greater => value.checked_add(1).map_or(never, |value| (value.max(low), high)),
            Self::GreaterEqual => (value.max(low), high),
        }
    }
}

/// Checks `left operator right`, either way round.
pub(super) fn comparison<'a>(
    checker: &Checker<'a>,
    at: &IdedExpr,
    operator: &str,
    left: &IdedExpr,
    right: &IdedExpr,
    scope: &Scope<'a>,
) -> Result<Expr, SegmentError> {
    let Some(operator) = Operator::from_cel(operator) else {
        return Err(checker.error(at, "arithmetic is not part of it; compare a field with a literal"));
    };
    let (tested, operator, literal) = match (&left.expr, &right.expr) {
        (Cel::Literal(_), _) => (right, operator.turned(), left),
        (_, Cel::Literal(_)) => (left, operator, right),
        _ => {
            return Err(checker
                .error(at, "one side is a literal, such as \"25-34\", 5 or 5.00, and the other a field or measure"));
        }
    };
    match &tested.expr {
        Cel::Ident(name) => {
            let field = checker.field(tested, name, scope)?;
            compare_field(checker, at, field, operator, literal)
        }
        Cel::Call(call) if call.target.is_some() && matches!(scope, Scope::Subject) => {
            measure_comparison(checker, tested, operator, literal)
        }
        Cel::Call(call) if call.func_name == "score" && matches!(scope, Scope::Subject) => {
            super::score::comparison(checker, tested, call, operator, literal)
        }
        Cel::Call(call) if call.func_name == "band" && matches!(scope, Scope::Subject) => {
            super::cut_points::comparison(checker, tested, call, operator, literal)
        }
        Cel::Select(select) if is_band(select) && matches!(scope, Scope::Subject) => {
            super::rfm::comparison(checker, tested, select, operator, literal)
        }
        Cel::Select(_) => Err(checker.error(tested, NOT_A_PATH)),
        _ => Err(checker.error(tested, "a literal is compared with a field or a measure such as `order.count()`")),
    }
}

fn compare_field(
    checker: &Checker<'_>,
    at: &IdedExpr,
    field: &Field,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
    let test = match (&field.ty, field.ty.bounds()) {
        (FieldType::Identifier { .. }, _) => return Err(identifier(checker, at, field)),
        (_, Some((low, high))) => {
            let value = number_of(checker, field, literal, !ordered)?;
            let (min, max) = operator.range(value, low, high);
            Test::Range { min, max }
        }
        (_, None) if ordered => {
            let problem = format!("`{}` has no order; `==`, `!=` and `in` would be right", field.name);
            return Err(checker.error(at, problem));
        }
        (_, None) => Test::Codes(vec![code_of(checker, field, literal)?]),
    };
    let expr = Expr::Attribute(field.column, test);
    Ok(if operator == Operator::NotEqual { Expr::Not(Box::new(expr)) } else { expr })
}

/// Checks `field in [..]`.
pub(super) fn membership<'a>(
    checker: &Checker<'a>,
    at: &IdedExpr,
    tested: &IdedExpr,
    list: &IdedExpr,
    scope: &Scope<'a>,
) -> Result<Expr, SegmentError> {
    let Cel::List(list) = &list.expr else {
        return Err(checker.error(list, "a list of literals would be right, such as [\"25-34\", \"35-44\"]"));
    };
    let name = match &tested.expr {
        Cel::Ident(name) => name,
        Cel::Call(call) if call.target.is_some() && matches!(scope, Scope::Subject) => {
            return measure_membership(checker, tested, &list.elements);
        }
        Cel::Call(call) if call.func_name == "score" && matches!(scope, Scope::Subject) => {
            return super::score::membership(checker, tested, call, &list.elements);
        }
        Cel::Call(call) if call.func_name == "band" && matches!(scope, Scope::Subject) => {
            return super::cut_points::membership(checker, tested, call, &list.elements);
        }
        Cel::Select(select) if is_band(select) && matches!(scope, Scope::Subject) => {
            return super::rfm::membership(checker, tested, select, &list.elements);
        }
        Cel::Select(_) => return Err(checker.error(tested, NOT_A_PATH)),
        _ => return Err(checker.error(tested, "a field would be right before `in`")),
    };
    let field = checker.field(tested, name, scope)?;
    let leaf = |test| Expr::Attribute(field.column, test);
    match &field.ty {
        FieldType::Identifier { .. } => Err(identifier(checker, at, field)),
        FieldType::Enum { .. } | FieldType::Bool => {
            let codes: Result<Vec<u16>, _> = list.elements.iter().map(|item| code_of(checker, field, item)).collect();
            let mut codes = codes?;
            codes.sort_unstable();
            codes.dedup();
            Ok(leaf(Test::Codes(codes)))
        }
        FieldType::Integer { .. } | FieldType::Decimal { .. } | FieldType::Date { .. } => {
            let values = list.elements.iter().map(|item| number_of(checker, field, item, true));
            let parts: Result<Vec<Expr>, _> =
                values.map(|value| value.map(|value| leaf(Test::Range { min: value, max: value }))).collect();
            let mut parts = parts?;
            Ok(match parts.len() {
                0 => leaf(Test::Range { min: 1, max: 0 }),
                1 => parts.remove(0),
                _ => Expr::Any(parts),
            })
        }
    }
}

/// Checks `missing(field)` or `known(field)`.
pub(super) fn presence<'a>(
    checker: &Checker<'a>,
    at: &IdedExpr,
    missing: bool,
    scope: &Scope<'a>,
) -> Result<Expr, SegmentError> {
    let Cel::Ident(name) = &at.expr else {
        return Err(checker.error(at, "the name of a field would be right"));
    };
    let field = checker.field(at, name, scope)?;
    if matches!(field.ty, FieldType::Identifier { .. }) {
        return Err(identifier(checker, at, field));
    }
    let test = Expr::Attribute(field.column, Test::Missing);
    Ok(if missing { test } else { Expr::Not(Box::new(test)) })
}

/// Checks a field that stands alone as a condition.
pub(super) fn truth(checker: &Checker<'_>, at: &IdedExpr, field: &Field) -> Result<Expr, SegmentError> {
    match &field.ty {
        FieldType::Bool => Ok(Expr::Attribute(field.column, Test::Codes(vec![2]))),
        FieldType::Identifier { .. } => Err(identifier(checker, at, field)),
        FieldType::Enum { .. } => {
            let problem = format!("`{}` is no bool; compare it with `==`, `!=` or `in`", field.name);
            Err(checker.error(at, problem))
        }
        _ => Err(checker.error(at, format!("`{}` is no bool; compare it with a literal", field.name))),
    }
}

fn identifier(checker: &Checker<'_>, at: &IdedExpr, field: &Field) -> SegmentError {
    let problem = format!(
        "`{}` is an identifier; segments never read identifiers, only events count them with `distinct`",
        field.name
    );
    checker.error(at, problem)
}

/// Reads a literal as a code of a closed domain.
fn code_of(checker: &Checker<'_>, field: &Field, literal: &IdedExpr) -> Result<u16, SegmentError> {
    let wrong = || {
        let labels = field.ty.labels().unwrap_or_default();
        let quoted = matches!(field.ty, FieldType::Enum { .. });
        let some: Vec<String> = labels
            .iter()
            .take(8)
            .map(|label| if quoted { format!("{label:?}") } else { (*label).to_owned() })
            .collect();
        let more = if labels.len() > some.len() { ", .." } else { "" };
        let problem = format!("not one of the {} values of `{}`: {}{more}", labels.len(), field.name, some.join(", "));
        checker.error(literal, problem)
    };
    match (&literal.expr, &field.ty) {
        (Cel::Literal(LiteralValue::Boolean(value)), FieldType::Bool) => Ok(if *value.inner() { 2 } else { 1 }),
        (Cel::Literal(LiteralValue::String(label)), FieldType::Enum { .. }) => match field.encode(label.inner()) {
            Ok(Encoded::Code(code)) => Ok(code),
            _ => Err(wrong()),
        },
        (Cel::Literal(LiteralValue::Null), _) => Err(null(checker, literal)),
        _ => Err(wrong()),
    }
}

fn null(checker: &Checker<'_>, literal: &IdedExpr) -> SegmentError {
    checker.error(literal, "there is no null; `missing(field)` and `known(field)` test presence")
}

/// Reads a literal as a stored number of a field. `exact` values must lie within the field's bounds, since nothing
/// could equal them; others may lie outside.
pub(super) fn number_of(
    checker: &Checker<'_>,
    field: &Field,
    literal: &IdedExpr,
    exact: bool,
) -> Result<i64, SegmentError> {
    let (low, high) = field.ty.bounds().unwrap_or((i64::MIN, i64::MAX));
    let value = match (&field.ty, &literal.expr) {
        (_, Cel::Literal(LiteralValue::Null)) => return Err(null(checker, literal)),
        (FieldType::Date { .. }, Cel::Literal(LiteralValue::String(day))) => {
            crate::time::parse_day(day.inner()).map(i64::from).ok_or_else(|| {
                let error = EncodeError::NotADay { field: field.name.clone() };
                checker.error(literal, error.to_string())
            })?
        }
        (FieldType::Date { .. }, _) => {
            return Err(checker.error(literal, format!("`{}` is compared with a day, \"YYYY-MM-DD\"", field.name)));
        }
        (FieldType::Decimal { scale, .. }, _) => written_number(checker, literal, *scale, field.name.as_str())?,
        _ => written_number(checker, literal, 0, field.name.as_str())?,
    };
    if exact && !(low..=high).contains(&value) {
        let problem = format!("outside {}..={} of `{}`", field.ty.show(low), field.ty.show(high), field.name);
        return Err(checker.error(literal, problem));
    }
    Ok(value)
}

/// Reads a number literal from its written digits as a count of `10^-scale`.
pub(super) fn written_number(
    checker: &Checker<'_>,
    literal: &IdedExpr,
    scale: u8,
    what: &str,
) -> Result<i64, SegmentError> {
    let refuse = |problem: String| Err(checker.error(literal, problem));
    let read = match &literal.expr {
        Cel::Literal(LiteralValue::Int(value)) => parse_scaled(&value.inner().to_string(), scale),
        // The lexeme is the number without its sign, which is a token of its own.
        Cel::Literal(LiteralValue::Double(value)) => match checker.lexeme(literal) {
            Some(digits) if value.inner().is_sign_negative() => parse_scaled(&format!("-{digits}"), scale),
            Some(digits) => parse_scaled(digits, scale),
            None => Err(NumberError::Malformed),
        },
        _ => {
            return refuse(format!(
                "`{what}` is compared with a number such as {}",
                if scale == 0 { "5" } else { "5.00" }
            ));
        }
    };
    match read {
        Ok(value) => Ok(value),
        Err(NumberError::TooFine) if scale == 0 => refuse(format!("`{what}` is compared with whole numbers")),
        Err(NumberError::TooFine) => {
            refuse(format!("`{what}` has {scale} digits after the decimal mark, this number has more"))
        }
        Err(_) => refuse(format!("this number is too large for `{what}`")),
    }
}
