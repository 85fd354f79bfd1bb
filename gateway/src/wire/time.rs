//! Instants.

use crate::status::Failure;
use policy::time::Timestamp;

/// Writes an instant, to the microsecond.
pub fn encode(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.0.rem_euclid(1_000_000).saturating_mul(1_000);
    prost_types::Timestamp { seconds: at.seconds(), nanos: i32::try_from(nanos).unwrap_or(0) }
}

/// Reads an instant; finer than a microsecond is cut off.
pub fn decode(part: &'static str, at: prost_types::Timestamp) -> Result<Timestamp, Failure> {
    let prost_types::Timestamp { seconds, nanos } = at;
    let micros = seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(i64::from(nanos / 1_000)));
    match micros {
        Some(micros) if (0..1_000_000_000).contains(&nanos) => Ok(Timestamp(micros)),
        _ => Err(Failure::invalid(part, "is no instant")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_wire() {
        for micros in [0, 1, -1, 1_800_000_000_123_456, -62_135_596_800_000_000] {
            assert!(matches!(decode("at", encode(Timestamp(micros))), Ok(Timestamp(same)) if same == micros));
        }
        assert!(decode("at", prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
    }
}
