//! Stored segments.

use super::{names, time};
use crate::records::{SegmentBody, StoredSegment};
use policy::schema::Schema;
use policy::segment::Segment;
use proto::v1;

/// Writes a stored segment with the fields it names.
pub fn encode(stored: &StoredSegment, fields: Vec<String>) -> v1::Segment {
    let StoredSegment { dataset, id, version, body } = stored;
    let SegmentBody { version: _, cel, canonical, universe, display, client, created, archived } = body;
    v1::Segment {
        name: names::of_segment(dataset, id, *version),
        cel: cel.clone(),
        canonical: canonical.clone(),
        universe: universe.clone(),
        display: display.clone(),
        client: names::of_client(client),
        create_time: Some(time::encode(*created)),
        fields,
        archived: *archived,
    }
}

/// Writes the fields a segment names.
pub fn fields(segment: &Segment, schema: &Schema) -> Vec<String> {
    segment.fields().into_iter().map(|field| schema.path(field)).collect()
}
