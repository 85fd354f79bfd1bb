//! Who is responsible for a dataset, and what its people are told: the words of consent receipts and access packages.
//!
//! The fields are those of ISO/IEC TS 27560 that a dataset can state for everyone in it. Nobody checks that they are true.

use super::parse::SchemaError;
use serde::{Deserialize, Serialize};

/// Longest of these texts.
const MAX_TEXT_BYTES: usize = 512;

/// Who is responsible, `[controller]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// Its name in law.
    pub name: String,
    /// Where to write to about personal data: an e-mail address, a page, a telephone number.
    pub contact: String,
    /// Its postal address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Whose law applies: `GB`, `EU`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jurisdiction: String,
    /// Where the data is stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub storage: String,
    /// The authority that one can complain to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authority: String,
}

/// What people are told when they are asked for consent, `[notice]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// What it is called.
    pub name: String,
    /// Which version is in use.
    pub version: String,
    /// In which language: `en`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// Where it can be read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// SHA-256 of its text, 64 hex digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// How consent is taken back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub withdrawal: String,
}

impl Controller {
    pub(super) fn checked(self, line: &str) -> Result<Self, SchemaError> {
        let Self { name, contact, address, jurisdiction, storage, authority } = &self;
        let place = format!("{line}, [controller]");
        needed(&place, &[("name", name), ("contact", contact)])?;
        short(&place, &[name, contact, address, jurisdiction, storage, authority])?;
        Ok(self)
    }
}

impl Notice {
    pub(super) fn checked(self, line: &str) -> Result<Self, SchemaError> {
        let Self { name, version, language, url, sha256, withdrawal } = &self;
        let place = format!("{line}, [notice]");
        needed(&place, &[("name", name), ("version", version)])?;
        short(&place, &[name, version, language, url, withdrawal])?;
        let hex = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !sha256.is_empty() && !hex {
            return Err(SchemaError::new(place, "`sha256` is the SHA-256 of the notice's text, 64 digits of 0-9 a-f"));
        }
        Ok(self)
    }
}

fn needed(place: &str, texts: &[(&str, &String)]) -> Result<(), SchemaError> {
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((key, _)) => Err(SchemaError::new(place, format!("`{key}` is not empty"))),
        None => Ok(()),
    }
}

fn short(place: &str, texts: &[&String]) -> Result<(), SchemaError> {
    let fits = |text: &&String| text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control);
    if texts.iter().all(fits) {
        return Ok(());
    }
    Err(SchemaError::new(place, format!("a text here is one line of at most {MAX_TEXT_BYTES} bytes")))
}
