//! The log's decoders, to be fed with anything.

use super::frame::{self, Frame, SealedPart};
use super::segment::{FRAME_HEADER, FrameHeader, Header};
use crate::log::Sizes;
use crate::vault::Tree;

pub(crate) fn frame(bytes: &[u8]) {
    let Ok(frame) = frame::decode(bytes) else { return };
    let mut again = Vec::new();
    frame::encode(&frame, &mut again);
    assert_eq!(again, bytes, "a frame has two forms");
    assert_eq!(frame::encoded_len(&frame), bytes.len(), "a frame's length is another");
}

pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let leaves = vec![(Tree::Access, b"{\"k\":\"start\"}".to_vec()), (Tree::Subject, Vec::new())];
    let parts = vec![SealedPart { kind: 1, dataset: 2, block: 3, key_id: 4, sealed: vec![5; 40] }];
    let all = [Frame::default(), Frame { before: Sizes { access: 9, subject: 8 }, leaves, parts }];
    let bytes = |frame: &Frame| {
        let mut bytes = Vec::new();
        frame::encode(frame, &mut bytes);
        bytes
    };
    all.iter().map(bytes).collect()
}

/// Reads a segment's header, and what follows as a frame's.
pub(crate) fn header(bytes: &[u8]) {
    let (head, rest) = bytes.split_at(bytes.len().min(Header { first_seq: 0, id: [0; 16] }.encode().len()));
    if let Ok(header) = Header::decode(head) {
        assert_eq!(header.encode(), head, "a segment's header has two forms");
    }
    if let Some((head, _)) = rest.split_first_chunk::<FRAME_HEADER>() {
        assert_eq!(FrameHeader::decode(head).encode(), *head, "a frame's header has two forms");
    }
}

pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    let mut segment = Header { first_seq: 7, id: [3; 16] }.encode();
    segment.extend(FrameHeader { len: 40, seq: 7, place: 0, sum: [1; 16] }.encode());
    vec![segment]
}
