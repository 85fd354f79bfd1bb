//! A schema as it is written, before anything is checked but the names and kinds of keys.

use super::{Controller, DatasetKind, FieldClass, Notice};
use crate::consent::LawfulBasis;
use serde::Deserialize;
use toml::{Spanned, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchema {
    pub(super) version: u32,
    pub(super) dataset: Spanned<String>,
    pub(super) organization: Spanned<String>,
    pub(super) population: Option<Spanned<String>>,
    pub(super) display: Option<String>,
    pub(super) kind: Option<DatasetKind>,
    pub(super) time_zone: Spanned<String>,
    pub(super) subject_key: Spanned<String>,
    pub(super) purposes: Spanned<Vec<Spanned<String>>>,
    pub(super) budget: Option<Spanned<RawBudget>>,
    pub(super) controller: Option<Spanned<Controller>>,
    pub(super) notice: Option<Spanned<Notice>>,
    pub(super) rfm: Option<Spanned<RawRfm>>,
    pub(super) synopsis: Option<Spanned<RawSynopsis>>,
    #[serde(default)]
    pub(super) identities: Vec<RawIdentity>,
    #[serde(default)]
    pub(super) attributes: Vec<RawField>,
    #[serde(default)]
    pub(super) events: Vec<RawEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRfm {
    pub(super) event: String,
    pub(super) amount: String,
    pub(super) purchase: Option<String>,
    pub(super) window: Option<String>,
    pub(super) recency: Vec<Value>,
    pub(super) frequency: Vec<Value>,
    pub(super) monetary: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSynopsis {
    pub(super) purpose: String,
    pub(super) basis: Option<LawfulBasis>,
    pub(super) fields: Vec<String>,
    pub(super) window: Option<String>,
    pub(super) rho: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    pub(super) quarter: Option<Value>,
    pub(super) lifetime: Option<Value>,
    pub(super) month: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub(super) name: Spanned<String>,
    pub(super) display: Option<String>,
    pub(super) max_bytes: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawField {
    pub(super) name: Spanned<String>,
    pub(super) class: FieldClass,
    #[serde(rename = "type")]
    pub(super) ty: RawType,
    pub(super) display: Option<String>,
    pub(super) domain: Option<Vec<String>>,
    pub(super) coarse: Option<Vec<String>>,
    pub(super) min: Option<Value>,
    pub(super) max: Option<Value>,
    pub(super) scale: Option<u8>,
    pub(super) max_bytes: Option<u8>,
    pub(super) max_distinct: Option<u32>,
    pub(super) retention_days: Option<u32>,
    #[serde(default)]
    pub(super) deprecated: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub(super) name: Spanned<String>,
    pub(super) display: Option<String>,
    pub(super) max_per_subject: Option<u32>,
    pub(super) retention_days: Option<u32>,
    #[serde(default)]
    pub(super) deprecated: bool,
    #[serde(default)]
    pub(super) fields: Vec<RawField>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawType {
    Enum,
    Bool,
    Integer,
    Decimal,
    Date,
    Identifier,
}
