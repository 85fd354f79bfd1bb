//! How consent was collected: which notice was shown, in which language, and how the person answered.
//!
//! All are public labels and never personal data; whoever sends them chooses them, and nobody checks that they are true.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Why a label was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// It is no version of a notice.
    #[error("a notice's version is 1-31 characters of A-Z, a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit")]
    Notice,
    /// It is no language.
    #[error("a language is a tag of at most 15 characters, such as `en` or `zh-Hans-CN`")]
    Language,
    /// It is no way of collecting consent.
    #[error("a method is one of web_form, app, paper, phone, in_person, import, preference_center, signal")]
    Method,
}

macro_rules! label {
    ($(#[$doc:meta])* $type:ident, $error:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text.
            pub fn new(text: &str) -> Result<Self, InvalidLabel> {
                if $check(text) { Ok(Self(text.into())) } else { Err(InvalidLabel::$error) }
            }

            /// Returns the text, as it was written.
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
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidLabel;
            fn try_from(text: String) -> Result<Self, InvalidLabel> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(label: $type) -> String {
                label.0.as_ref().to_owned()
            }
        }
    };
}

label!(/** The version of the notice that was shown: `3`, `2026-05`. */ NoticeVersion, Notice, is_version);
label!(/** The language in which it was shown, a tag in the manner of BCP 47: `en`, `pt-BR`. */ LanguageTag, Language, is_language);

fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=31).contains(&text.len())
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(allowed)
}

/// A language of 2 or 3 letters, then parts of 1-8 letters and digits.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let language =
        parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic()));
    text.len() <= 15
        && language
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// How consent was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionMethod {
    /// A form on a web page.
    WebForm,
    /// A screen of an application.
    App,
    /// A signed form on paper.
    Paper,
    /// A telephone call.
    Phone,
    /// Said to a person who was there.
    InPerson,
    /// Taken over from another system.
    Import,
    /// A page on which the person keeps its own choices.
    PreferenceCenter,
    /// A signal of the person's browser or device, such as Global Privacy Control.
    Signal,
}

impl CollectionMethod {
    /// All of them. Their places are stored: new ones go to the end.
    pub const ALL: [Self; 8] = [
        Self::WebForm,
        Self::App,
        Self::Paper,
        Self::Phone,
        Self::InPerson,
        Self::Import,
        Self::PreferenceCenter,
        Self::Signal,
    ];

    /// Returns its name: `web_form`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebForm => "web_form",
            Self::App => "app",
            Self::Paper => "paper",
            Self::Phone => "phone",
            Self::InPerson => "in_person",
            Self::Import => "import",
            Self::PreferenceCenter => "preference_center",
            Self::Signal => "signal",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidLabel> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or(InvalidLabel::Method)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_plain() {
        for good in ["3", "2026-05", "v2.1_b", "A123456789012345678901234567890"] {
            assert_eq!(NoticeVersion::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-3", "version 3", "é", "a@b", "A1234567890123456789012345678901"] {
            assert_eq!(NoticeVersion::new(bad), Err(InvalidLabel::Notice), "{bad}");
        }
        for good in ["en", "pt-BR", "zh-Hans-CN", "gsw", "sl-rozaj-biske"] {
            assert_eq!(LanguageTag::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "e", "english", "en_GB", "en-", "e1", "en-GB-oxendict-a"] {
            assert_eq!(LanguageTag::new(bad), Err(InvalidLabel::Language), "{bad}");
        }
    }

    #[test]
    fn every_method_is_read_by_the_name_it_is_stored_under() {
        for method in CollectionMethod::ALL {
            assert_eq!(CollectionMethod::parse(method.as_str()), Ok(method));
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
        assert_eq!(CollectionMethod::parse("cookie"), Err(InvalidLabel::Method));
    }
}
