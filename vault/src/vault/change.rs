//! Changes of the gateway's own state: sealed in frames, replayed at open, checkpointed as one state piece.
//!
//! A change says nothing about one person but what is to be erased or held of a place in a block: it is catalog, ledger,
//! answers. It is sealed all the same, and what it says of a person who is erased goes with the key of its journal.

use crate::erasure::ErasureReceipt;
use crate::holds::Ground;
use crate::release::Synopsis;
use policy::consent::LawfulBasis;
use policy::id::{ClientId, DatasetId, PopulationId};
use policy::privacy::{Extension, Ledger, Month, NanoRho, Quarter};
use policy::schema::FieldRef;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One change, as it is sealed in a frame. Version 1, JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A dataset was created under this number.
    Dataset {
        /// Its number, never reused.
        number: u32,
        /// Its description.
        schema_toml: String,
    },
    /// A dataset's description got another version.
    Schema {
        /// Number of the dataset.
        number: u32,
        /// Number of the version, one more than that of the one before.
        version: u32,
        /// The description.
        schema_toml: String,
    },
    /// A record was put or removed.
    Record {
        /// Collection.
        collection: String,
        /// Key.
        key: String,
        /// Base64 of the value; none removes it.
        value: Option<String>,
    },
    /// A question was charged; its answer is owed.
    Charge {
        /// Whose ledger.
        population: PopulationId,
        /// Who asked.
        client: ClientId,
        /// How much.
        rho: NanoRho,
        /// In which quarter.
        quarter: Quarter,
        /// In which month; none of what was charged before months were counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        month: Option<Month>,
        /// Dataset and epoch that were asked about.
        asked_in: String,
        /// Key of the answer.
        answer: String,
        /// The caller's request id.
        request: String,
        /// INTENT leaf.
        leaf: u64,
        /// Key of the stored answer that it adds to, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
    },
    /// An answer was drawn.
    Answer {
        /// Dataset and epoch that were asked about.
        asked_in: String,
        /// Its key.
        key: String,
        /// Its bytes, JSON.
        bytes: String,
        /// What its question has in common at all prices, if answers of it add up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<String>,
    },
    /// A request was answered from the store.
    Repeat {
        /// Dataset and epoch that were asked about.
        asked_in: String,
        /// Who asked.
        client: ClientId,
        /// The caller's request id.
        request: String,
        /// Key of the answer.
        answer: String,
        /// Key of the answer of a higher price that it was answered from, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        better: Option<String>,
    },
    /// The synopsis of a month was drawn, and stands instead of the one before.
    Synopsis {
        /// Of which dataset.
        dataset: DatasetId,
        /// The synopsis.
        synopsis: Box<Synopsis>,
    },
    /// A client's quota was set.
    Quota {
        /// Whose ledger.
        population: PopulationId,
        /// Whose quota.
        client: ClientId,
        /// How much in a quarter.
        quota: NanoRho,
    },
    /// A lifetime's cap was extended.
    Extend {
        /// Whose ledger.
        population: PopulationId,
        /// By how much, by whom and why.
        extension: Extension,
    },
    /// A restore found that more was spent than it brought back: balances are at least these.
    Spent {
        /// Whose ledger.
        population: PopulationId,
        /// A later state of it.
        spent: Ledger,
    },
    /// People are to be erased; it is done, or done again at the next opening, until [`Change::Erased`].
    Erase {
        /// First of their leaves in the subject tree, which names the erasure.
        leaf: u64,
        /// Number of the dataset.
        dataset: u32,
        /// Base64 of the bitmap of their ordinals.
        people: String,
        /// Ended holds that it waited for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<u64>,
    },
    /// An erasure is done.
    Erased {
        /// Its name.
        leaf: u64,
        /// What it left behind, if it had waited for holds: nobody is there to take it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumed: Option<Box<Resumed>>,
    },
    /// A hold was placed.
    Hold {
        /// Its number: the index of its leaf in the subject tree.
        number: u64,
        /// What is held.
        hold: StoredHold,
    },
    /// A hold ended.
    HoldEnded {
        /// Its number.
        number: u64,
    },
    /// A partner got an audience, which the rules between its audiences compare with later ones.
    Held {
        /// Which partner, purpose, dataset and epoch: `partner/purpose/dataset/epoch`.
        holder: String,
        /// What it got.
        audience: HeldAudience,
    },
}

/// What a delivered audience told its partner about its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldAudience {
    /// Base64 of the members' bitmap.
    pub members: String,
    /// The tags delivered.
    pub tags: Vec<FieldRef>,
    /// Base64 of the bitmap of the members whose tags were blanked.
    pub blanked: String,
    /// What its words meant. Older ones do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// Under which its words say who is in an audience: everybody of the epoch's close whom they are true of, but those left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    /// Who it is of: a [`policy::segment::Expr`] as JSON. What can't be read as one says nothing.
    pub who: String,
    /// The basis it was delivered on.
    pub basis: LawfulBasis,
    /// Hash of the description that it was asked under.
    pub schema: String,
    /// Base64 of the bitmap of who had withdrawn since the close, whoever they are, and of whose tags were too rare to be told.
    pub left_out: String,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredHold {
    /// Number of the dataset.
    pub dataset: u32,
    /// Of whom.
    pub ordinal: u32,
    /// What.
    pub fields: BTreeSet<FieldRef>,
    /// Why.
    pub ground: Ground,
    /// Since when.
    pub placed: Timestamp,
    /// First instant at which it no longer stands.
    pub until: Option<Timestamp>,
    /// Whether the person is erased but for what is held.
    pub waiting: bool,
}

/// An erasure that had waited for holds and was carried out. Names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resumed {
    /// Number of the dataset.
    pub dataset: u32,
    /// The holds.
    pub holds: Vec<u64>,
    /// What was done.
    pub receipt: ErasureReceipt,
    /// Index of the leaf in the subject tree that says what was found afterwards.
    pub confirmation: u64,
    /// Whether that was nothing, but for what other holds hold.
    pub confirmed: bool,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn held_audiences_stay_readable_with_and_without_what_their_words_meant() {
        let without = r#"{"members":"OjAAAAA","tags":[],"blanked":"OjAAAAA"}"#;
        let with = r#"{"members":"OjAAAAA","tags":[],"blanked":"OjAAAAA","terms":{"who":"{\"Const\":true}","basis":"consent","schema":"00ff","left_out":"OjAAAAA"}}"#;
        for golden in [without, with] {
            let audience: HeldAudience = serde_json::from_str(golden).unwrap();
            assert_eq!(serde_json::to_string(&audience).unwrap(), golden);
        }
        let audience: HeldAudience = serde_json::from_str(with).unwrap();
        let who = serde_json::from_str::<policy::segment::Expr>(&audience.terms.unwrap().who).unwrap();
        assert_eq!(who, policy::segment::Expr::Const(true));
    }
}
