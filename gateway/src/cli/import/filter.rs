//! Conditions on rows. A test of a null is false, and its negation is true; a number test of a null is false.

use super::number::{self, Number};
use super::reason::{Fault, Reason};
use super::row::Row;
use super::value::ValueSpec;
use std::cmp::Ordering;

/// A condition on a row.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test(Box<ValueSpec>, Vec<Test>),
}

/// A test of one value; the second field is whether its outcome is turned around.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Equals(Vec<String>, bool),
    StartsWith(Vec<String>, bool),
    EndsWith(Vec<String>, bool),
    Contains(Vec<String>, bool),
    Empty(bool),
    /// Holds when the value compares so with the number.
    Number(&'static [Ordering], Number),
}

impl Filter {
    /// Returns whether the row passes. A number test of something else than a number is a fault of the row.
    pub fn passes(&self, row: &Row<'_>) -> Result<bool, Fault> {
        match self {
            Self::All(parts) => {
                for part in parts {
                    if !part.passes(row)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.passes(row)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(inner) => inner.passes(row).map(|passes| !passes),
            Self::Test(value, tests) => {
                let text = value.text(row)?;
                for test in tests {
                    if !test.holds(text.as_deref(), value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Test {
    fn holds(&self, text: Option<&str>, value: &ValueSpec) -> Result<bool, Fault> {
        let among = |list: &[String], test: fn(&str, &str) -> bool| {
            text.is_some_and(|text| list.iter().any(|item| test(text, item)))
        };
        Ok(match self {
            Self::Equals(list, turned) => among(list, |text, item| text == item) != *turned,
            Self::StartsWith(list, turned) => among(list, |text, item| text.starts_with(item)) != *turned,
            Self::EndsWith(list, turned) => among(list, |text, item| text.ends_with(item)) != *turned,
            Self::Contains(list, turned) => among(list, |text, item| text.contains(item)) != *turned,
            Self::Empty(wanted) => text.is_none() == *wanted,
            Self::Number(wanted, bound) => match text {
                None => false,
                Some(text) => {
                    let number = number::parse(text, value.numbers).ok_or_else(|| value.fault(Reason::NotNumber))?;
                    wanted.contains(&number.compare(*bound))
                }
            },
        })
    }
}
