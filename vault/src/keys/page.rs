//! A page: a sealed file that only its parent's key opens, and only in its own place and generation.
//!
//! ```text
//! magic "SILHKEYP" | version u16 = 1 | algorithm u8 = 1 | kind u8 | dataset u32 | group u32 | generation u64
//! | salt 32 | commitment 16 | body length u32 | sealed body (length + 16)
//! ```
//! Little-endian. Algorithm 1: AES-256-GCM under HKDF-SHA256(parent's key, salt, [`SEAL_LABEL`]), nonce zero, AAD the
//! whole header. The salt is fresh for every page written, so a derived key seals once and the nonce can't repeat.
//! GCM alone does not commit to its key: the commitment, HKDF under [`COMMIT_LABEL`], is compared first.

use super::codec::Reader;
use super::derive::derive_key;
use super::error::{KeysError, Part};
use super::limits::{PAGE, Uses};
use super::secret::{RandomUnavailable, SecretKey};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// HKDF label of the key that seals a page's body.
const SEAL_LABEL: &[u8] = b"silhouette/keys/v1/page-seal";
/// HKDF label of the commitment in a page's header.
const COMMIT_LABEL: &[u8] = b"silhouette/keys/v1/page-commitment";

const MAGIC: [u8; 8] = *b"SILHKEYP";
const VERSION: u16 = 1;
const AES_256_GCM: u8 = 1;
const TAG_BYTES: usize = 16;
/// The one nonce: every page has a key of its own.
const NONCE: [u8; 12] = [0; 12];

/// The fields of a page's header and their bytes, in order; the sealed body follows.
pub(crate) const HEADER_FIELDS: [(&str, usize); 10] = [
    ("magic", 8),
    ("version", 2),
    ("algorithm", 1),
    ("kind", 1),
    ("dataset", 4),
    ("group", 4),
    ("generation", 8),
    ("salt", 32),
    ("commitment", 16),
    ("body length", 4),
];
const HEADER_BYTES: usize = 80;

/// Names a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PageId {
    /// The page that names the others.
    Top,
    /// Named secrets and small records.
    Names,
    /// Pieces of a run of blocks of one dataset.
    Blocks {
        /// The dataset's number.
        dataset: u32,
        /// The run's number.
        group: u32,
    },
    /// What the vault has done at the least: only in the mirror, named by its generation, and written more often.
    Note,
}

impl PageId {
    pub(super) fn numbers(self) -> (u8, u32, u32) {
        match self {
            Self::Top => (0, 0, 0),
            Self::Names => (1, 0, 0),
            Self::Blocks { dataset, group } => (2, dataset, group),
            Self::Note => (3, 0, 0),
        }
    }

    pub(super) fn from_numbers(kind: u8, dataset: u32, group: u32) -> Option<Self> {
        match (kind, dataset, group) {
            (0, 0, 0) => Some(Self::Top),
            (1, 0, 0) => Some(Self::Names),
            (2, dataset, group) => Some(Self::Blocks { dataset, group }),
            (3, 0, 0) => Some(Self::Note),
            _ => None,
        }
    }

    pub(super) fn file_name(self, generation: u64) -> String {
        let (kind, dataset, group) = self.numbers();
        let word = match kind {
            0 => "top",
            1 => "names",
            2 => "blocks",
            _ => "note",
        };
        format!("{word}-{dataset:08x}-{group:08x}-{generation:016x}.page")
    }

    /// Reads a file name back; `None` if it is not the name of a page.
    pub(super) fn from_file_name(name: &str) -> Option<(Self, u64)> {
        let mut fields = name.strip_suffix(".page")?.split('-');
        let kind = match fields.next()? {
            "top" => 0,
            "names" => 1,
            "blocks" => 2,
            "note" => 3,
            _ => return None,
        };
        let dataset = u32::from_str_radix(fields.next()?, 16).ok()?;
        let group = u32::from_str_radix(fields.next()?, 16).ok()?;
        let generation = u64::from_str_radix(fields.next()?, 16).ok()?;
        let id = Self::from_numbers(kind, dataset, group)?;
        (id.file_name(generation) == name).then_some((id, generation))
    }
}

/// Seals a body, whose buffer should have 16 bytes to spare, into a whole page file.
pub(super) fn seal(
    id: PageId,
    generation: u64,
    parent: &SecretKey,
    body: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, KeysError> {
    seal_with_salt(id, generation, parent, body, SecretKey::random()?.expose())
}

/// Seals under a given salt, which must never be used twice with one parent key.
pub(super) fn seal_with_salt(
    id: PageId,
    generation: u64,
    parent: &SecretKey,
    mut body: Zeroizing<Vec<u8>>,
    salt: &[u8; 32],
) -> Result<Vec<u8>, KeysError> {
    let bytes = body.len();
    let too_long =
        || KeysError::Size { what: "key page", bytes, limit: usize::try_from(PAGE.bytes).unwrap_or(usize::MAX) };
    // The key that is derived below seals this body and nothing else.
    Uses::of(PAGE).take(bytes).map_err(|_| too_long())?;
    let length = u32::try_from(bytes).map_err(|_| too_long())?;
    let (kind, dataset, group) = id.numbers();
    let mut page = Vec::with_capacity(HEADER_BYTES + body.len() + TAG_BYTES);
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&[AES_256_GCM, kind]);
    page.extend_from_slice(&dataset.to_le_bytes());
    page.extend_from_slice(&group.to_le_bytes());
    page.extend_from_slice(&generation.to_le_bytes());
    page.extend_from_slice(salt);
    page.extend_from_slice(&commitment(parent, salt)?);
    page.extend_from_slice(&length.to_le_bytes());
    let key = derive_key(parent.expose(), salt, SEAL_LABEL)?;
    #[cfg(test)]
    super::witness::sealed("a key page", key.expose(), &NONCE, &page, &body);
    seal_body(&key, NONCE, &page, &mut body)
        .map_err(|_| KeysError::Damaged { part: Part::page(id, generation), problem: "it could not be sealed" })?;
    page.extend_from_slice(&body);
    Ok(page)
}

/// Opens a whole page file; refuses another page, another generation, another key and any changed bit.
pub(super) fn open(
    id: PageId,
    generation: u64,
    parent: &SecretKey,
    page: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let damaged = |problem| KeysError::Damaged { part: Part::page(id, generation), problem };
    let (header, sealed) = page.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("it is cut off"))?;
    let salt = check_header(id, generation, parent, header, sealed.len()).map_err(damaged)?;
    let mut body = Zeroizing::new(sealed.to_vec());
    let key = derive_key(parent.expose(), &salt, SEAL_LABEL)?;
    open_body(&key, NONCE, header, &mut body).map_err(|_| damaged("it does not open"))?;
    Ok(body)
}

/// Compares a header with what its parent says and returns the salt.
fn check_header(
    id: PageId,
    generation: u64,
    parent: &SecretKey,
    header: &[u8],
    sealed: usize,
) -> Result<[u8; 32], &'static str> {
    const SHORT: &str = "it is cut off";
    let mut from = Reader::new(header);
    if from.take::<8>().ok_or(SHORT)? != MAGIC {
        return Err("it is not a key page");
    }
    if from.u16().ok_or(SHORT)? != VERSION || from.u8().ok_or(SHORT)? != AES_256_GCM {
        return Err("it is of a version this program does not know");
    }
    let place = (from.u8().ok_or(SHORT)?, from.u32().ok_or(SHORT)?, from.u32().ok_or(SHORT)?);
    if place != id.numbers() || from.u64().ok_or(SHORT)? != generation {
        return Err("it is another page");
    }
    let salt = from.take::<32>().ok_or(SHORT)?;
    let stated = from.take::<16>().ok_or(SHORT)?;
    let length = from.u32().ok_or(SHORT)?;
    if usize::try_from(length).ok().and_then(|length| length.checked_add(TAG_BYTES)) != Some(sealed) {
        return Err("its length is not the one it states");
    }
    let expected = commitment(parent, &salt).map_err(|_| "its key could not be derived")?;
    if !bool::from(stated.ct_eq(&expected)) {
        return Err("it is sealed under another key");
    }
    Ok(salt)
}

/// Seals in place and appends the tag.
pub(super) fn seal_body(
    key: &SecretKey,
    nonce: [u8; 12],
    header: &[u8],
    body: &mut Vec<u8>,
) -> Result<(), aes_gcm::Error> {
    Aes256Gcm::new(key.expose().into()).encrypt_in_place(&nonce.into(), header, body)
}

/// Opens in place and cuts the tag off.
pub(super) fn open_body(
    key: &SecretKey,
    nonce: [u8; 12],
    header: &[u8],
    body: &mut Vec<u8>,
) -> Result<(), aes_gcm::Error> {
    Aes256Gcm::new(key.expose().into()).decrypt_in_place(&nonce.into(), header, body)
}

fn commitment(parent: &SecretKey, salt: &[u8; 32]) -> Result<[u8; 16], RandomUnavailable> {
    let derived = derive_key(parent.expose(), salt, COMMIT_LABEL)?;
    derived.expose().first_chunk::<16>().copied().ok_or(RandomUnavailable)
}
