//! What a thief can do with a key: AES-256-GCM and HKDF-SHA256.

use ring::{aead, hkdf};

/// 32 bytes that may open something.
pub type Key = [u8; 32];

/// Opens what was sealed, if it was under this key, nonce and additional data.
pub fn open(key: &Key, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key).unwrap());
    let mut bytes = sealed.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, aead::Aad::from(aad), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// Derives a key: extract with the salt, expand with the label.
pub fn derive(key: &Key, salt: &[u8], label: &[u8]) -> Key {
    let mut derived = [0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    extracted.expand(&[label], hkdf::HKDF_SHA256).unwrap().fill(&mut derived).unwrap();
    derived
}
