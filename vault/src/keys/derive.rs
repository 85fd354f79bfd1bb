//! Keys from keys: HKDF-SHA256 (RFC 5869) with a label for each use.

use super::SecretKey;
use super::secret::RandomUnavailable;
use ring::hkdf;

/// Derives a key for one use. `salt` may be empty; labels are listed where they are used and never shared by two uses.
///
/// Fails only if the HKDF implementation refuses a 32-byte output, which RFC 5869 allows always.
pub(crate) fn derive_key(key: &[u8; 32], salt: &[u8], label: &[u8]) -> Result<SecretKey, RandomUnavailable> {
    let mut derived = zeroize::Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(key)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(derived.as_mut_slice()))
        .map_err(|_| RandomUnavailable)?;
    Ok(SecretKey::from_bytes(*derived))
}
