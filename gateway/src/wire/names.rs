//! Resource names: `datasets/{d}`, `datasets/{d}/segments/{s}@{n}`, `clients/{c}`, `partners/{p}`.

use crate::status::Failure;
use policy::id::{ClientId, CutPointsId, DatasetId, PartnerId, SegmentId};

/// Reads `datasets/{d}`.
pub fn dataset(name: &str) -> Result<DatasetId, Failure> {
    read("dataset", "datasets/{d}", name.strip_prefix("datasets/").map(DatasetId::new))
}

/// Writes `datasets/{d}`.
pub fn of_dataset(id: &DatasetId) -> String {
    format!("datasets/{id}")
}

/// Reads `clients/{c}`.
pub fn client(name: &str) -> Result<ClientId, Failure> {
    read("client", "clients/{c}", name.strip_prefix("clients/").map(ClientId::new))
}

/// Writes `clients/{c}`.
pub fn of_client(id: &ClientId) -> String {
    format!("clients/{id}")
}

/// Reads `partners/{p}`.
pub fn partner(name: &str) -> Result<PartnerId, Failure> {
    read("partner", "partners/{p}", name.strip_prefix("partners/").map(PartnerId::new))
}

/// Writes `partners/{p}`.
pub fn of_partner(id: &PartnerId) -> String {
    format!("partners/{id}")
}

/// A segment's name; no version means the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentName {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which segment.
    pub segment: SegmentId,
    /// Which version.
    pub version: Option<u32>,
}

/// Reads `datasets/{d}/segments/{s}` or `datasets/{d}/segments/{s}@{n}`.
pub fn segment(name: &str) -> Result<SegmentName, Failure> {
    let wrong = || Failure::invalid("segment", "must be of the form `datasets/{d}/segments/{s}@{n}`");
    let (dataset, id, version) = versioned(name, "/segments/").ok_or_else(wrong)?;
    Ok(SegmentName { dataset, segment: SegmentId::new(id).map_err(|_| wrong())?, version })
}

/// Writes `datasets/{d}/segments/{s}@{n}`.
pub fn of_segment(dataset: &DatasetId, segment: &SegmentId, version: u32) -> String {
    format!("datasets/{dataset}/segments/{segment}@{version}")
}

/// The name of cut points; no version means the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutPointsName {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which ones.
    pub cut_points: CutPointsId,
    /// Which version.
    pub version: Option<u32>,
}

/// Reads `datasets/{d}/cutPoints/{c}` or `datasets/{d}/cutPoints/{c}@{n}`.
pub fn cut_points(name: &str) -> Result<CutPointsName, Failure> {
    let wrong = || Failure::invalid("name", "must be of the form `datasets/{d}/cutPoints/{c}@{n}`");
    let (dataset, id, version) = versioned(name, "/cutPoints/").ok_or_else(wrong)?;
    Ok(CutPointsName { dataset, cut_points: CutPointsId::new(id).map_err(|_| wrong())?, version })
}

/// Writes `datasets/{d}/cutPoints/{c}@{n}`.
pub fn of_cut_points(dataset: &DatasetId, id: &CutPointsId, version: u32) -> String {
    format!("datasets/{dataset}/cutPoints/{id}@{version}")
}

/// Reads a dataset, an id and perhaps a version.
fn versioned<'n>(name: &'n str, collection: &str) -> Option<(DatasetId, &'n str, Option<u32>)> {
    let (owner, rest) = name.split_once(collection)?;
    let (id, version) = match rest.split_once('@') {
        Some((id, version)) => (id, Some(version.parse().ok()?)),
        None => (rest, None),
    };
    Some((DatasetId::new(owner.strip_prefix("datasets/")?).ok()?, id, version))
}

fn read<T, E>(part: &'static str, form: &str, id: Option<Result<T, E>>) -> Result<T, Failure> {
    match id {
        Some(Ok(id)) => Ok(id),
        _ => Err(Failure::invalid(part, format!("must be of the form `{form}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["datasets/shop/segments/lovers@3", "datasets/shop/segments/a@1"] {
            let read = segment(name).map(|s| of_segment(&s.dataset, &s.segment, s.version.unwrap_or(0)));
            assert!(matches!(read, Ok(same) if same == name));
        }
        assert!(segment("datasets/shop/segments/lovers").is_ok_and(|s| s.version.is_none()));
        for bad in ["shop", "datasets/", "datasets/Shop", "datasets/shop/x", "clients/shop"] {
            assert!(dataset(bad).is_err(), "{bad}");
        }
        assert!(segment("datasets/shop/segments/a@x").is_err());
        let cuts = cut_points("datasets/shop/cutPoints/spend@2");
        let written = cuts.map(|c| of_cut_points(&c.dataset, &c.cut_points, c.version.unwrap_or(0)));
        assert!(matches!(written, Ok(same) if same == "datasets/shop/cutPoints/spend@2"));
        for bad in ["datasets/shop/cutPoints/", "shop/cutPoints/spend", "datasets/shop/cutPoints/spend@x"] {
            assert!(cut_points(bad).is_err(), "{bad}");
        }
    }
}
