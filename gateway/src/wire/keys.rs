//! Keys, as they are listed and replaced: never a key itself.

use crate::status::Failure;
use proto::v1;
use proto::v1::key_count::Oldest;
use vault::rotation::{Age, KeyKind, KeyLine, KeyState, Progress, Rotated, Rotation};

/// Writes one line of the list; nothing for keys that are gone.
pub fn encode(line: &KeyLine) -> v1::KeyCount {
    let KeyLine { kind, state, count, oldest } = *line;
    let oldest = oldest.map(|age| match age {
        Age::Generation(generation) => Oldest::Generation(generation),
        Age::Epoch(epoch) => Oldest::Epoch(epoch),
        Age::Number(number) => Oldest::Number(number),
    });
    v1::KeyCount { kind: kind_of(kind).into(), state: state_of(state).into(), count, oldest }
}

fn kind_of(kind: KeyKind) -> v1::KeyKind {
    match kind {
        KeyKind::Root => v1::KeyKind::Root,
        KeyKind::Page => v1::KeyKind::Page,
        KeyKind::Piece => v1::KeyKind::Piece,
        KeyKind::Journal => v1::KeyKind::Journal,
        KeyKind::Pseudonym => v1::KeyKind::Pseudonym,
        KeyKind::Token => v1::KeyKind::Token,
        KeyKind::Log => v1::KeyKind::Log,
    }
}

fn state_of(state: KeyState) -> v1::KeyState {
    match state {
        KeyState::Spare => v1::KeyState::Spare,
        KeyState::Active => v1::KeyState::Active,
        KeyState::Superseded => v1::KeyState::Superseded,
        // Keys that are gone are not in the list.
        KeyState::Destroyed => v1::KeyState::Unspecified,
    }
}

/// Reads which keys are to be replaced. Pseudonyms change for those who hold them, which must be acknowledged.
pub fn rotation(rotation: i32, acknowledged: bool) -> Result<Rotation, Failure> {
    match v1::KeyRotation::try_from(rotation) {
        Ok(v1::KeyRotation::Pieces) => Ok(Rotation::Pieces),
        Ok(v1::KeyRotation::Journals) => Ok(Rotation::Journals),
        Ok(v1::KeyRotation::Root) => Ok(Rotation::Root),
        Ok(v1::KeyRotation::Tokens) => Ok(Rotation::Tokens),
        Ok(v1::KeyRotation::Log) => Ok(Rotation::Log),
        Ok(v1::KeyRotation::Pseudonyms) if acknowledged => Ok(Rotation::Pseudonyms),
        Ok(v1::KeyRotation::Pseudonyms) => Err(Failure::invalid(
            "acknowledge_new_pseudonyms",
            "must be set: partners will get other pseudonyms for the same people",
        )),
        Ok(v1::KeyRotation::Unspecified) | Err(_) => Err(Failure::invalid("rotation", "must say which keys")),
    }
}

/// Writes how far a rotation is.
pub fn progress(progress: Progress) -> v1::RotateKeysResponse {
    let Progress { done, left } = progress;
    v1::RotateKeysResponse { done, left, ended: false, bytes: 0, generation: 0 }
}

/// Writes what a rotation did.
pub fn rotated(rotated: Rotated) -> v1::RotateKeysResponse {
    let Rotated { keys, bytes, generation } = rotated;
    v1::RotateKeysResponse { done: keys, left: 0, ended: true, bytes, generation }
}
