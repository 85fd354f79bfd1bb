//! What the mirror knows of its vault besides the key tree: how far home was, how far the target was, and what was spent.
//!
//! Version 2, little-endian: version u8 = 2 | when it was noted i64, microseconds | home's [`Seen`] | whether the target was
//! ever seen u8, and if so its [`Seen`] | the ledgers, JSON by population, to the end. Version 1 is a [`Seen`] alone, of the
//! target.
//!
//! It is sealed under the root. All in it is public within the gateway: numbers of frames and leaves, and balances.

use super::position::{SEEN_BYTES, Seen};
use policy::id::PopulationId;
use policy::privacy::Ledger;
use policy::time::Timestamp;
use std::collections::BTreeMap;

const VERSION: u8 = 2;

/// What was noted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    /// When.
    pub at: Timestamp,
    /// What was durable at home; none if it was noted before that was.
    pub home: Option<Seen>,
    /// What the target held; none if it was never seen to hold anything.
    pub shipped: Option<Seen>,
    /// What every population had spent.
    pub ledgers: BTreeMap<PopulationId, Ledger>,
}

impl Default for Noted {
    fn default() -> Self {
        Self { at: Timestamp(0), home: None, shipped: None, ledgers: BTreeMap::new() }
    }
}

impl Noted {
    pub fn encode(&self) -> Vec<u8> {
        let Some(home) = &self.home else { return self.shipped.map(|shipped| shipped.encode()).unwrap_or_default() };
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&home.encode());
        out.push(u8::from(self.shipped.is_some()));
        out.extend(self.shipped.iter().flat_map(Seen::encode));
        // Maps of names and numbers always have a form.
        out.extend(serde_json::to_vec(&self.ledgers).unwrap_or_default());
        out
    }

    /// Reads one back; `None` if the bytes are none. Nothing at all stands for nothing noted.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            None => Some(Self::default()),
            Some((&VERSION, rest)) => Self::read(rest),
            Some(_) => Seen::decode(bytes).map(|shipped| Self { shipped: Some(shipped), ..Self::default() }),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (home, rest) = rest.split_first_chunk::<SEEN_BYTES>()?;
        let (shipped, rest) = match rest.split_first()? {
            (0, rest) => (None, rest),
            (1, rest) => {
                let (shipped, rest) = rest.split_first_chunk::<SEEN_BYTES>()?;
                (Some(Seen::decode(shipped)?), rest)
            }
            _ => return None,
        };
        let (at, home) = (Timestamp(i64::from_le_bytes(*at)), Some(Seen::decode(home)?));
        Some(Self { at, home, shipped, ledgers: serde_json::from_slice(rest).ok()? })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::log::Sizes;
    use policy::id::ClientId;
    use policy::privacy::{NanoRho, Quarter};

    fn seen(next_seq: u64) -> Seen {
        Seen { next_seq, sizes: Sizes { access: 3, subject: 4 }, roots: [[0xaa; 32], [0xbb; 32]] }
    }

    #[test]
    fn the_bytes_of_what_is_noted_are_frozen() {
        let mut ledger = Ledger::default();
        ledger.record(&ClientId::new("ads").unwrap(), NanoRho(5), Quarter(8_107));
        ledger.set_quota(&ClientId::new("ads").unwrap(), NanoRho(9));
        let ledgers = BTreeMap::from([(PopulationId::new("shop").unwrap(), ledger)]);
        let noted = Noted { at: Timestamp(258), home: Some(seen(7)), shipped: Some(seen(6)), ledgers };
        let bytes = noted.encode();
        assert_eq!(bytes[..9], [2, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[9..9 + SEEN_BYTES], seen(7).encode());
        assert_eq!(bytes[9 + SEEN_BYTES], 1);
        assert_eq!(bytes[10 + SEEN_BYTES..10 + 2 * SEEN_BYTES], seen(6).encode());
        let json = r#"{"shop":{"quarter":8107,"quarter_spent":5,"lifetime_spent":5,"clients":{"ads":[8107,5]},"quotas":{"ads":9},"month":24323,"month_spent":5}}"#;
        assert_eq!(std::str::from_utf8(&bytes[10 + 2 * SEEN_BYTES..]).unwrap(), json);
        assert_eq!(Noted::decode(&bytes), Some(noted));
    }

    #[test]
    fn what_an_earlier_version_noted_is_the_target_alone() {
        let noted = Noted::decode(&seen(6).encode()).unwrap();
        assert_eq!((noted.home, noted.shipped, noted.ledgers.len()), (None, Some(seen(6)), 0));
        assert_eq!(noted.encode(), seen(6).encode());
        assert_eq!(Noted::decode(&[]), Some(Noted::default()));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused() {
        let bytes = Noted { home: Some(seen(7)), ..Noted::default() }.encode();
        for length in 1..bytes.len() {
            assert_eq!(Noted::decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Noted::decode(&[&[3], &bytes[1..]].concat()), None);
    }
}
