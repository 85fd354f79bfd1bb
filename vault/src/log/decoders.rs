//! The decoders of checkpoints and bundles, to be fed with anything.

use super::note::{Head, Signer};
use super::tiles::split_entries;
use crate::keys::SecretKey;

/// Opens a signed checkpoint; the text of one is read too.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(head) = Head::parse(text) {
        assert_eq!(head.text(), text, "a checkpoint has two forms");
    }
    if let Some(opened) = signer().and_then(|signer| signer.open(text).map(str::to_owned)) {
        assert!(text.starts_with(&opened), "what was opened is not what was signed");
    }
}

pub(crate) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let text = Head { origin: "silhouette/access".to_owned(), size: 5, root: [3; 32] }.text();
    let signed = signer().map(|signer| signer.sign(&text));
    signed.into_iter().chain([text]).map(String::into_bytes).collect()
}

/// Splits a bundle; its first byte says how many entries it has.
pub(crate) fn bundle(bytes: &[u8]) {
    let Some((width, bundle)) = bytes.split_first() else { return };
    let Some(entries) = split_entries(bundle, u64::from(*width)) else { return };
    let again: Vec<u8> = entries.iter().flat_map(|entry| [&length(entry)[..], entry].concat()).collect();
    assert_eq!(bundle.get(..again.len()), Some(again.as_slice()), "a bundle has two forms");
    assert_eq!(entries.len(), usize::from(*width));
}

fn length(entry: &[u8]) -> [u8; 2] {
    u16::try_from(entry.len()).unwrap_or(0).to_be_bytes()
}

pub(crate) fn bundle_seeds() -> Vec<Vec<u8>> {
    vec![vec![2, 0, 3, b'{', b' ', b'}', 0, 0, 9], vec![0]]
}

fn signer() -> Option<Signer> {
    Signer::new("silhouette/access", &SecretKey::from_bytes([9; 32]))
}
