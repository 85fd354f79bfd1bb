//! The decoders of the root cell and of key pages, to be fed with anything.

use super::cell::{Root, SLOT_BYTES};
use super::entry::{PieceEntry, PieceId, PieceKind, PieceState};
use super::load::{self, Child, Children, Names};
use super::lock::{Cost, SecondLock, Unlocking, Wrap, Wrapped};
use super::page::{self, PageId};
use super::secret::SecretKey;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const GROUP: (u32, u32) = (1, 0);
const PLACES: [PageId; 3] = [PageId::Top, PageId::Names, PageId::Blocks { dataset: GROUP.0, group: GROUP.1 }];

/// Opens a whole page file, in the place that its first byte chooses.
pub(crate) fn page(bytes: &[u8]) {
    let Some((place, bytes)) = bytes.split_first() else { return };
    let Some(id) = PLACES.get(usize::from(*place) % PLACES.len()) else { return };
    let Ok(body) = page::open(*id, 4, &SecretKey::from_bytes(KEY), bytes) else { return };
    decode(*id, &body);
}

pub(crate) fn page_seeds() -> Vec<Vec<u8>> {
    let seal = |(place, (id, body)): (u8, (PageId, Zeroizing<Vec<u8>>))| {
        let sealed = page::seal_with_salt(id, 4, &SecretKey::from_bytes(KEY), body, &[place; 32]).ok()?;
        Some([vec![place], sealed].concat())
    };
    (0_u8..).zip(bodies()).filter_map(seal).collect()
}

/// Reads the clear body of a page, in the place that its first byte chooses.
pub(crate) fn body(bytes: &[u8]) {
    let Some((place, bytes)) = bytes.split_first() else { return };
    if let Some(id) = PLACES.get(usize::from(*place) % PLACES.len()) {
        decode(*id, bytes);
    }
}

pub(crate) fn body_seeds() -> Vec<Vec<u8>> {
    (0_u8..).zip(bodies()).map(|(place, (_, body))| [vec![place], body.to_vec()].concat()).collect()
}

fn decode(id: PageId, bytes: &[u8]) {
    let written = |bytes: &[u8]| match id {
        PageId::Top => load::decode_top(bytes).map(|children| load::encode_top(&children)),
        PageId::Names => load::decode_names(bytes).map(|names| load::encode_names(&names)),
        PageId::Blocks { dataset, group } => {
            load::decode_group((dataset, group), bytes).map(|entries| load::encode_group(&entries))
        }
        // Whoever noted it decodes it.
        PageId::Note => Some(Zeroizing::new(bytes.to_vec())),
    };
    let Some(once) = written(bytes) else { return };
    assert_eq!(written(&once).as_ref(), Some(&once), "a page reads back as another");
}

fn bodies() -> [(PageId, Zeroizing<Vec<u8>>); 3] {
    let [top, names, blocks] = PLACES;
    let child = Child { generation: 3, key: SecretKey::from_bytes([1; 32]), sha256: [2; 32] };
    let children: Children = [(names, child.clone()), (blocks, child)].into();
    let mut named = Names::default();
    named.secrets.insert("journal/1".to_owned(), SecretKey::from_bytes([4; 32]));
    named.records.insert("vault".to_owned(), b"{}".to_vec());
    let entry = |block, kind| PieceEntry {
        id: PieceId { dataset: GROUP.0, block, kind, part: 0 },
        version: 5,
        epoch: 2,
        state: PieceState::Closed,
        key: SecretKey::from_bytes([6; 32]),
        file: 5,
        sha256: [7; 32],
        bytes: 99,
    };
    let kinds = [PieceKind::Attributes, PieceKind::Events(1), PieceKind::State(3)];
    let entries = (0_u32..).zip(kinds).map(|(block, kind)| entry(block, kind));
    let group = entries.map(|entry| ((entry.id, entry.state), entry)).collect();
    [(top, load::encode_top(&children)), (names, load::encode_names(&named)), (blocks, load::encode_group(&group))]
}

/// Reads a slot of the root cell.
pub(crate) fn cell(bytes: &[u8]) {
    let Ok(root) = Root::decode(bytes, &mut Unlocking::new(&SecondLock::None)) else { return };
    let again = root.encode();
    assert_eq!(again.get(..84), bytes.get(..84), "a slot reads back as another");
}

pub(crate) fn cell_seeds() -> Vec<Vec<u8>> {
    let root = |wrap| Root { generation: 9, key: SecretKey::from_bytes(KEY), wrap };
    let wrapped = Wrapped {
        cost: Cost { memory: 64, passes: 1, lanes: 1 },
        salt: [1; 16],
        wraps: 2,
        seal_salt: [3; 32],
        commitment: [4; 16],
        sealed: [5; 48],
    };
    let slots = [root(Wrap::None), root(Wrap::Passphrase(wrapped))].map(|root| root.encode().to_vec());
    slots.into_iter().chain([vec![0; SLOT_BYTES]]).collect()
}
