//! What an erasure leaves behind: a receipt.

use crate::backup::BackupLag;
use crate::holds::Ground;
use crate::vault::VaultError;
use policy::id::DatasetId;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most people of one erasure.
pub const MAX_PEOPLE: usize = 10_000;

/// States what was done, and which leaf of the subject tree says so. Names nobody.
///
/// Verifiable offline: the outcome leaf commits to the SHA-256 of [`ErasureReceipt::to_json`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReceipt {
    /// Format version: 2 with `held`, 1 without.
    pub version: u16,
    /// From which dataset.
    pub dataset: DatasetId,
    /// How many people.
    pub people: u64,
    /// Index of the first INTENT leaf in the subject tree; the others follow it.
    pub intent: u64,
    /// Index of the OUTCOME leaf in the subject tree.
    pub outcome: u64,
    /// Generation of the key tree before.
    pub generation_before: u64,
    /// Generation of the key tree that was current when the erasure was done.
    pub generation_after: u64,
    /// SHA-256 of the key tree's top page before, in hex.
    pub top_before: String,
    /// SHA-256 of the key tree's top page after, in hex.
    pub top_after: String,
    /// Sealed pieces that were written again without them.
    pub pieces: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// What was left of them, since a hold stands; absent if nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldBack>,
    /// How far the backup target had followed; no fields of it if there was no target.
    #[serde(flatten)]
    pub backup: Option<BackupLag>,
    /// When it was done.
    pub at: Timestamp,
}

/// What one hold kept from an erasure. Its fields are in the order of their names, so that its JSON is canonical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBack {
    /// What is held, as written: `order`, `order.amount`.
    pub fields: Vec<String>,
    /// Why.
    pub ground: Ground,
    /// Index of the leaf in the subject tree that says it was placed.
    pub hold: u64,
    /// Index of the INTENT leaf of the person concerned.
    pub intent: u64,
}

impl ErasureReceipt {
    /// Returns the version of a receipt.
    pub(crate) fn version_with(held: &[HeldBack]) -> u16 {
        if held.is_empty() { 1 } else { 2 }
    }

    /// Writes the receipt as canonical JSON (RFC 8785): its fields are numbers, plain texts and lists of such, sorted by name
    /// here.
    pub fn to_json(&self) -> Result<String, VaultError> {
        let unwritable = || VaultError::damaged("receipt", "it can't be written");
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Err(unwritable()) };
        let sorted: BTreeMap<String, Value> = fields.into_iter().collect();
        serde_json::to_string(&sorted).map_err(|_| unwritable())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_written_as_it_was_written_down() {
        let receipt = ErasureReceipt {
            version: 1,
            dataset: DatasetId::new("shop").unwrap(),
            people: 2,
            intent: 10,
            outcome: 12,
            generation_before: 3,
            generation_after: 4,
            top_before: "aa".repeat(32),
            top_after: "bb".repeat(32),
            pieces: 5,
            bytes: 4096,
            held: Vec::new(),
            backup: None,
            at: Timestamp(1_700_000_000_000_000),
        };
        let (before, after) = ("aa".repeat(32), "bb".repeat(32));
        let golden = format!(
            r#"{{"at":1700000000000000,"bytes":4096,"dataset":"shop","generation_after":4,"generation_before":3,"intent":10,"outcome":12,"people":2,"pieces":5,"top_after":"{after}","top_before":"{before}","version":1}}"#
        );
        assert_eq!(receipt.to_json().unwrap(), golden);
        let lag = BackupLag { shipped: 7, current: 8, missing: 0, cleaned: true };
        let backup = r#"{"at":1700000000000000,"backup_cleaned":"yes","backup_current":8,"backup_missing":0,"backup_shipped":7,"bytes""#;
        let with_backup = ErasureReceipt { backup: Some(lag), ..receipt.clone() };
        assert!(with_backup.to_json().unwrap().starts_with(backup));
        let fields = vec!["order".to_owned(), "region".to_owned()];
        let held = vec![HeldBack { fields, ground: Ground::new("tax-act-147").unwrap(), hold: 7, intent: 11 }];
        let with_held = ErasureReceipt { version: 2, held, ..receipt.clone() };
        let golden = golden.replace("\"version\":1", "\"version\":2").replace(
            "\"intent\"",
            r#""held":[{"fields":["order","region"],"ground":"tax-act-147","hold":7,"intent":11}],"intent""#,
        );
        assert_eq!(with_held.to_json().unwrap(), golden);
        for receipt in [receipt, with_backup, with_held] {
            assert_eq!(serde_json::from_str::<ErasureReceipt>(&receipt.to_json().unwrap()).unwrap(), receipt);
        }
    }
}
