//! Names of things. Every name is checked once, on the way in, and cannot be wrong afterwards.
//!
//! A name is 1-63 characters of `a-z 0-9 _ -` (purposes also `.`), starting with a letter, so that it is safe in
//! a path, a log line, a Cedar entity and a resource name. Names are never personal data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} names are 1-63 characters of a-z, 0-9, `_`, `-`{dots}, starting with a letter")]
pub struct InvalidName {
    what: &'static str,
    dots: &'static str,
}

fn is_name(text: &str, dots: bool) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_' || *b == b'-' || (dots && *b == b'.'))
        && !text.ends_with('.')
        && !text.contains("..")
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $dots:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// Checks the text and builds the name.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if is_name(text, $dots) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { what: $what, dots: if $dots { ", `.`" } else { "" } })
                }
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    };
}

name!(/** An organization, the owner of datasets. */ OrganizationId, "organization", false);
name!(/** A dataset: one population's profiles, events and consents. */ DatasetId, "dataset", false);
name!(/** A population: the people whose privacy one ledger protects; several datasets may share it. */ PopulationId, "population", false);
name!(/** A client: a registered caller with its own key and purposes. */ ClientId, "client", false);
name!(/** A partner: an outside organization with its own pseudonyms. */ PartnerId, "partner", false);
name!(/** An attribute, event type or event field. */ FieldName, "field", false);
name!(/** A stored segment. */ SegmentId, "segment", false);
name!(/** Released cut points. */ CutPointsId, "cut points", false);
name!(/** What a sample of people is drawn for. */ SampleLabel, "sample", false);
name!(/** A purpose of use, dotted from general to particular: `marketing.segmentation`. */ PurposeId, "purpose", true);

/// A subject's dense number within one dataset. Never reused. Not personal data by itself, and never leaves the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ordinal(pub u32);

/// A closed epoch's number within one dataset, counted from 1; 0 means that none has closed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpochId(pub u32);

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
