//! The decoder of a target's position, to be fed with anything.

use super::noted::Noted;
use super::position::{Position, Seen};
use crate::log::Sizes;

/// Reads a position, also with its checksum put right, and a moment.
pub(crate) fn position(bytes: &[u8]) {
    if let Some(seen) = Seen::decode(bytes) {
        assert_eq!(seen.encode(), bytes, "a moment has two forms");
    }
    if let Some(noted) = Noted::decode(bytes) {
        assert_eq!(Noted::decode(&noted.encode()), Some(noted), "what is noted reads back as another");
    }
    if let Ok(position) = Position::decode(bytes) {
        assert_eq!(position.encode(), bytes, "a position has two forms");
    }
    let Some((body, _)) = bytes.split_last_chunk::<32>() else { return };
    let summed = Position::summed(body.to_vec());
    if let Ok(position) = Position::decode(&summed) {
        assert_eq!(position.encode(), summed, "a position has two forms");
    }
}

pub(crate) fn position_seeds() -> Vec<Vec<u8>> {
    let seen = Seen { next_seq: 9, sizes: Sizes { access: 5, subject: 3 }, roots: [[1; 32], [2; 32]] };
    let position = Position { identity: [7; 16], seen, segment: (4, 900), next_file: 12 };
    let noted = Noted { home: Some(seen), shipped: Some(seen), ..Noted::default() };
    vec![position.encode(), seen.encode(), noted.encode()]
}
