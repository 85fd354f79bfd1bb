//! Every decoder takes anything. `tests/fuzz` searches for longer, with coverage to guide it.

use harness::decoders::{Decoder, all};

/// Random changes of each seed.
const CHANGES: u64 = 600;
/// Longest seed whose every truncation and bit is tried.
const SHORT: usize = 400;

/// SplitMix64: the same changes at every run.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Cuts, flips, doubles, moves or overwrites a run of bytes.
fn change(seed: &[u8], random: &mut u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=mix(random) % 3 {
        let len = bytes.len().max(1);
        let at = (mix(random) as usize) % len;
        let end = (at + 1 + (mix(random) as usize) % 9).min(bytes.len());
        match mix(random) % 6 {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << (mix(random) % 8),
            2 if at < end => drop(bytes.drain(at..end)),
            3 if at < end => {
                let run = bytes[at..end].to_vec();
                bytes.splice(at..at, run);
            }
            4 if at < end => bytes[at..end].fill([0, 0xFF, 0x7F, 0x80][(mix(random) % 4) as usize]),
            _ => bytes.extend((mix(random) % 5).to_le_bytes()),
        }
    }
    bytes
}

fn try_all(decoder: &Decoder) -> u64 {
    let mut tried = 0;
    let mut feed = |bytes: &[u8]| {
        (decoder.run)(bytes);
        tried += 1;
    };
    let mut random = decoder.name.bytes().fold(1, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
    for seed in (decoder.seeds)() {
        feed(&seed);
        if seed.len() <= SHORT {
            (0..seed.len()).for_each(|end| feed(&seed[..end]));
            for bit in 0..seed.len() * 8 {
                let mut flipped = seed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                feed(&flipped);
            }
        }
        (0..CHANGES).for_each(|_| feed(&change(&seed, &mut random)));
    }
    tried
}

#[test]
fn every_decoder_takes_damaged_bytes() {
    for decoder in all() {
        assert!(!(decoder.seeds)().is_empty(), "{} has nothing to begin from", decoder.name);
        let tried = try_all(decoder);
        assert!(tried > CHANGES, "{}: {tried}", decoder.name);
    }
}

#[test]
fn the_search_has_a_target_for_every_decoder() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for decoder in all() {
        assert!(manifest.contains(&format!("name = \"{}\"", decoder.name)), "no target for {}", decoder.name);
    }
}
