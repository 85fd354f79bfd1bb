//! What a version changes, for people.

use crate::privacy::NanoRho;
use crate::schema::FieldClass;
use std::fmt;

/// One thing that a version changes. Paths are as segments write them: `age_band`, `order.category`, `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of each variant is its documentation")]
pub enum Difference {
    AddedField { path: String, class: FieldClass },
    AddedEvent { event: String },
    AddedPurpose { purpose: String },
    AddedIdentity { name: String },
    Values { path: String, added: Vec<String> },
    Bounds { path: String, from: String, to: String },
    Longest { path: String, from: u8, to: u8 },
    Distinct { path: String, from: u32, to: u32 },
    Events { event: String, from: u32, to: u32 },
    Class { path: String, from: FieldClass, to: FieldClass },
    Coarse { path: String },
    Retention { path: String, from: Option<u32>, to: Option<u32> },
    Retained { path: String, days: u32 },
    Deprecated { path: String },
    Restored { path: String },
    Display { path: String },
    AddedRfm,
    Rfm,
    Synopsis { rho: NanoRho },
    RemovedSynopsis,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddedField { path, class } => {
                write!(f, "`{path}` is new, of class {}; nobody has a value of it yet", class.as_str())
            }
            Self::AddedEvent { event } => write!(f, "`{event}` is a new type of event; nobody has one yet"),
            Self::AddedPurpose { purpose } => write!(f, "people can be asked about `{purpose}`; nobody has agreed yet"),
            Self::AddedIdentity { name } => write!(f, "people can be known by `{name}` too; nobody is yet"),
            Self::Values { path, added } => write!(f, "`{path}` can also be {}", added.join(", ")),
            Self::Bounds { path, from, to } => write!(f, "`{path}` takes values in {to}, until now {from}"),
            Self::Longest { path, from, to } => write!(f, "`{path}` takes up to {to} bytes, until now {from}"),
            Self::Distinct { path, from, to } => write!(
                f,
                "a person counts in up to {to} values of `{path}`, until now {from}; the same price gives a breakdown by it \
                 an interval about {} % wider from now on",
                wider(*from, *to)
            ),
            Self::Events { event, from, to } => write!(
                f,
                "up to {to} `{event}` events of a person count, until now {from}; answers may differ from those given before"
            ),
            Self::Class { path, from, to } => {
                write!(
                    f,
                    "`{path}` is of class {}, until now {}: policies for that class apply",
                    to.as_str(),
                    from.as_str()
                )
            }
            Self::Coarse { path } => {
                write!(f, "`{path}` has coarse labels, so that it can be generalised for partners")
            }
            Self::Retention { path, from, to } => {
                write!(f, "`{path}` is kept {}, until now {}{}", kept(*to), kept(*from), removed(*from, *to))
            }
            Self::Retained { path, days } => write!(
                f,
                "a value of `{path}` is kept {days} days after it was last set, until now {}; values that are stored without \
                 the day on which they were set count from the next close of an epoch",
                kept(None)
            ),
            Self::Deprecated { path } => write!(
                f,
                "`{path}` is deprecated: it takes no new values and is in no question; what is held of it is still shown to \
                 its person"
            ),
            Self::Restored { path } => write!(f, "`{path}` is not deprecated any more"),
            Self::Display { path } => write!(f, "`{path}` has other words for people"),
            Self::AddedRfm => f.write_str("segments can name bands of recency, frequency and monetary value"),
            Self::Rfm => {
                f.write_str("`rfm` cuts its bands elsewhere: segments that name them mean other people from now on")
            }
            Self::Synopsis { rho } => write!(
                f,
                "each month's synopsis is of what `synopsis` names, for {rho} of the budget a month, from the next one on"
            ),
            Self::RemovedSynopsis => f.write_str(
                "no synopsis is released any more, and none is answered from: questions cost what they cost",
            ),
        }
    }
}

/// The noise grows with the square root of the number of cells that one person counts in.
fn wider(from: u32, to: u32) -> u64 {
    let percent_squared = u64::from(to) * 10_000 / u64::from(from.max(1));
    percent_squared.isqrt().saturating_sub(100)
}

fn kept(days: Option<u32>) -> String {
    days.map_or_else(|| "as long as the dataset".to_owned(), |days| format!("{days} days"))
}

fn removed(from: Option<u32>, to: Option<u32>) -> &'static str {
    match (from, to) {
        (_, None) => "",
        (Some(from), Some(to)) if to >= from => "",
        (_, Some(_)) => "; what is older is erased when the next epoch closes",
    }
}
