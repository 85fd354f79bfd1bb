//! Released cut points.

use super::{consent, names, time};
use crate::records::{CutPointsBody, StoredCutPoints};
use proto::v1;

/// Writes stored cut points with the words of their bands, number 1 first.
pub fn encode(stored: &StoredCutPoints, words: Vec<String>) -> v1::CutPoints {
    let StoredCutPoints { dataset, id, version, body } = stored;
    let CutPointsBody {
        version: _,
        number,
        cuts,
        shares,
        segment,
        universe,
        fields: _,
        purpose,
        basis,
        release,
        epoch,
        not_private,
        client,
        created,
    } = body;
    let percent = |hundredths: u32| f64::from(hundredths) / 100.0;
    let band = |((number, words), [value, low, high]): ((u32, String), &[u32; 3])| v1::CutBand {
        number,
        words,
        share: Some(v1::Estimate { value: percent(*value), low: percent(*low), high: percent(*high) }),
    };
    v1::CutPoints {
        name: names::of_cut_points(dataset, id, *version),
        of: number.clone(),
        cuts: cuts.clone(),
        bands: (1..).zip(words).zip(shares).map(band).collect(),
        segment: segment.clone(),
        universe: universe.clone(),
        r#use: Some(v1::Use { purpose: purpose.to_string(), basis: consent::of_basis(*basis).into() }),
        release: release.clone(),
        epoch: *epoch,
        not_private: *not_private,
        client: names::of_client(client),
        create_time: Some(time::encode(*created)),
    }
}
