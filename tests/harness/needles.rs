//! Searching bytes for planted values in every form that they could take on a disk or a line: UTF-8, UTF-16 of either
//! byte order, hexadecimal of either case, and base64 of either alphabet at each of its three offsets.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of a pattern that are looked up; what follows is compared.
const HEAD: usize = 8;

/// The forms of a set of values, to search for all at once.
pub struct Needles {
    heads: HashMap<[u8; HEAD], Vec<(usize, &'static str, Vec<u8>)>>,
    /// Which pairs of the first bytes of a pattern exist: most places are dismissed by it.
    pairs: Vec<bool>,
}

/// Returns `count` random values of 12 bytes and more, in turn a name, an e-mail address, an id and a word.
pub fn values(count: usize) -> Vec<String> {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"a thousand needles in a haystack");
    let mut letters = |count: usize, from: &[u8]| -> String {
        (0..count).map(|_| char::from(from[(rng.next_u64() % from.len() as u64) as usize])).collect()
    };
    let (lower, upper, digits) = (b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789");
    let mut value = |n: usize| match n % 4 {
        0 => [letters(1, upper), letters(6, lower), " ".into(), letters(1, upper), letters(7, lower)].concat(),
        1 => [letters(10, lower), "@".into(), letters(8, lower), ".example".into()].concat(),
        2 => [letters(2, upper), "-".into(), letters(16, digits)].concat(),
        _ => letters(14, lower),
    };
    (0..count).map(&mut value).collect()
}

impl Needles {
    /// Prepares a search for values of at least 12 bytes.
    pub fn new(values: &[String]) -> Self {
        let mut heads: HashMap<_, Vec<_>> = HashMap::new();
        let mut pairs = vec![false; 1 << 16];
        for (number, value) in values.iter().enumerate() {
            assert!(value.len() >= 12);
            for (form, bytes) in forms(value) {
                let head: [u8; HEAD] = bytes[..HEAD].try_into().unwrap();
                pairs[pair(&head)] = true;
                heads.entry(head).or_default().push((number, form, bytes));
            }
        }
        Self { heads, pairs }
    }

    /// Returns the numbers of the values that the bytes hold, each with its form.
    pub fn find(&self, bytes: &[u8]) -> Vec<(usize, &'static str)> {
        let mut found = Vec::new();
        for (at, window) in bytes.windows(HEAD).enumerate() {
            if !self.pairs[pair(window)] {
                continue;
            }
            let head: [u8; HEAD] = window.try_into().unwrap();
            let here = self.heads.get(&head).into_iter().flatten();
            found.extend(
                here.filter(|(_, _, form)| bytes[at..].starts_with(form)).map(|(number, form, _)| (*number, *form)),
            );
        }
        found
    }

    /// Searches every file below a folder.
    pub fn find_below(&self, folder: &Path) -> Vec<(PathBuf, usize, &'static str)> {
        let mut found = Vec::new();
        for file in files(folder) {
            // A file may go while a gateway works.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            found.extend(self.find(&bytes).into_iter().map(|(number, form)| (file.clone(), number, form)));
        }
        found
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Lists all files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex = |upper: bool| -> String {
        value.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let mut forms = vec![
        ("utf-8", value.as_bytes().to_vec()),
        ("utf-16le", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16be", value.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("hex", hex(false).into_bytes()),
        ("HEX", hex(true).into_bytes()),
    ];
    for offset in 0..3 {
        let padded = [&b"\0\0\0"[..offset], value.as_bytes()].concat();
        // The characters that the value alone decides: from the first whole one to the last.
        let (from, to) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        for (form, text) in [("base64", STANDARD.encode(&padded)), ("base64url", URL_SAFE.encode(&padded))] {
            forms.push((form, text.as_bytes()[from..to].to_vec()));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_form_is_found_wherever_it_lies() {
        let values = values(20);
        let needles = Needles::new(&values);
        for (number, value) in values.iter().enumerate() {
            for before in 0..4 {
                let hay = [&b"hay"[..before.min(3)], value.as_bytes(), b"stack"].concat();
                // A value whose hex has no letters is found in both cases of it, at one place.
                let numbers = |bytes: &[u8]| needles.find(bytes).into_iter().map(|(n, _)| n).collect::<BTreeSet<_>>();
                let alone = BTreeSet::from([number]);
                assert_eq!(numbers(&hay), alone);
                assert!(numbers(STANDARD.encode(&hay).as_bytes()).contains(&number));
                assert!(numbers(URL_SAFE.encode(&hay).as_bytes()).contains(&number));
                let hex: String = hay.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(numbers(hex.as_bytes()), alone);
                let text = String::from_utf8(hay).unwrap();
                assert_eq!(numbers(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()), alone);
                assert_eq!(numbers(&text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()), alone);
            }
        }
        assert_eq!(needles.find(b"nothing of the kind is in these words"), []);
    }
}
