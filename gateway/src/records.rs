//! Small public records that the gateway keeps in the vault: clients, segments, policy sets. JSON with a version.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::consent::LawfulBasis;
use policy::decide::Principal;
use policy::id::{ClientId, CutPointsId, DatasetId, PartnerId, PurposeId, SegmentId};
use policy::permit::{Role, SYSTEM};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Collection of clients, by client id.
pub const CLIENTS: &str = "clients";
/// Collection of segments, by `dataset/segment@000001`.
pub const SEGMENTS: &str = "segments";
/// Collection of released cut points, by `dataset/cuts@000001`.
pub const CUT_POINTS: &str = "cut_points";
/// Collection of policy sets, by `000001`; the last one is in force.
pub const POLICIES: &str = "policies";

/// Format version of every record here.
const VERSION: u32 = 1;

/// A record that can't be read: written by a newer version, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} record can't be read")]
pub struct UnreadableRecord(&'static str);

/// A registered caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its role.
    pub role: Role,
    /// The purposes its tokens may carry.
    pub purposes: Vec<PurposeId>,
    /// Its Ed25519 public key.
    pub public_key: [u8; 32],
    /// Whether it was revoked.
    pub revoked: bool,
    /// When it was registered.
    pub created: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredClient {
    version: u32,
    role: String,
    partner: Option<PartnerId>,
    purposes: Vec<PurposeId>,
    public_key: String,
    revoked: bool,
    created: Timestamp,
}

impl Client {
    /// Returns who calls when this client does, with these purposes of its token.
    pub fn principal(&self, purposes: Vec<PurposeId>) -> Principal {
        Principal { client: self.id.clone(), role: self.role.clone(), purposes }
    }

    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        let Self { id: _, role, purposes, public_key, revoked, created } = self;
        let stored = StoredClient {
            version: VERSION,
            role: role.name().to_owned(),
            partner: role.partner().cloned(),
            purposes: purposes.clone(),
            public_key: URL_SAFE_NO_PAD.encode(public_key),
            revoked: *revoked,
            created: *created,
        };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads a record.
    pub fn decode(id: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let unreadable = UnreadableRecord("client");
        let StoredClient { version, role, partner, purposes, public_key, revoked, created } =
            serde_json::from_slice(bytes).map_err(|_| unreadable.clone())?;
        let role = match (role.as_str(), partner) {
            ("service", None) => Role::Service,
            ("partner", Some(partner)) => Role::Partner(partner),
            ("officer", None) => Role::Officer,
            ("steward", None) => Role::Steward,
            ("producer", None) => Role::Producer,
            ("portal", None) => Role::Portal,
            _ => return Err(unreadable),
        };
        let key = URL_SAFE_NO_PAD.decode(public_key).ok().and_then(|bytes| bytes.try_into().ok());
        match (version, ClientId::new(id), key) {
            (VERSION, Ok(id), Some(public_key)) => Ok(Self { id, role, purposes, public_key, revoked, created }),
            _ => Err(unreadable),
        }
    }
}

/// Reads the collection of clients.
pub fn clients(records: &[(String, Arc<[u8]>)]) -> Result<BTreeMap<ClientId, Client>, UnreadableRecord> {
    let read = records.iter().map(|(id, bytes)| Client::decode(id, bytes));
    read.map(|client| client.map(|client| (client.id.clone(), client))).collect()
}

/// A stored version of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSegment {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Its id.
    pub id: SegmentId,
    /// Its version, from 1.
    pub version: u32,
    /// Its parts.
    pub body: SegmentBody,
}

/// The parts of a stored segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentBody {
    /// Format version: 1.
    pub version: u32,
    /// The expression as written.
    pub cel: String,
    /// Its canonical form.
    pub canonical: String,
    /// Who could be in it: an expression; empty is everyone.
    pub universe: String,
    /// For people.
    pub display: String,
    /// Who stored it.
    pub client: ClientId,
    /// When.
    pub created: Timestamp,
    /// Whether it was archived. Left out where it was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

impl StoredSegment {
    /// Returns the key of a version.
    pub fn key(dataset: &DatasetId, id: &SegmentId, version: u32) -> String {
        format!("{dataset}/{id}@{version:06}")
    }

    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.body).unwrap_or_default()
    }

    /// Reads a record.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let unreadable = || UnreadableRecord("segment");
        let (dataset, id, version) = parts(key).ok_or_else(unreadable)?;
        let body: SegmentBody = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        match (SegmentId::new(id), body.version) {
            (Ok(id), VERSION) => Ok(Self { dataset, id, version, body }),
            _ => Err(unreadable()),
        }
    }
}

/// A stored version of released cut points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCutPoints {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Their id.
    pub id: CutPointsId,
    /// Their version, from 1.
    pub version: u32,
    /// Their parts.
    pub body: CutPointsBody,
}

/// The parts of stored cut points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutPointsBody {
    /// Format version: 1.
    pub version: u32,
    /// What is cut, in canonical form.
    pub number: String,
    /// Where, as written numbers or days, rising.
    pub cuts: Vec<String>,
    /// Part of each band, number 1 first, and the ends of its interval: in hundredths of a per cent.
    pub shares: Vec<[u32; 3]>,
    /// Of whom, in canonical form.
    pub segment: String,
    /// Who could be in it, in canonical form.
    pub universe: String,
    /// Every field that all of that names, as written.
    pub fields: Vec<String>,
    /// The purpose that they were released for.
    pub purpose: PurposeId,
    /// And the basis.
    pub basis: LawfulBasis,
    /// Name of the release.
    pub release: String,
    /// The epoch it was read from.
    pub epoch: u32,
    /// Whether it is of a test dataset.
    pub not_private: bool,
    /// Who asked.
    pub client: ClientId,
    /// When.
    pub created: Timestamp,
}

impl StoredCutPoints {
    /// Returns the key of a version.
    pub fn key(dataset: &DatasetId, id: &CutPointsId, version: u32) -> String {
        format!("{dataset}/{id}@{version:06}")
    }

    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.body).unwrap_or_default()
    }

    /// Reads a record.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let unreadable = || UnreadableRecord("cut points");
        let (dataset, id, version) = parts(key).ok_or_else(unreadable)?;
        let body: CutPointsBody = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        match (CutPointsId::new(id), body.version) {
            (Ok(id), VERSION) => Ok(Self { dataset, id, version, body }),
            _ => Err(unreadable()),
        }
    }
}

/// Reads the key of a version: `dataset/id@000001`.
fn parts(key: &str) -> Option<(DatasetId, &str, u32)> {
    let (dataset, rest) = key.split_once('/')?;
    let (id, version) = rest.split_once('@')?;
    Some((DatasetId::new(dataset).ok()?, id, version.parse().ok()?))
}

/// A published policy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySet {
    /// Format version: 1.
    pub version: u32,
    /// Its number, from 2: 1 is the set that ships.
    pub epoch: u64,
    /// Cedar text.
    pub cedar: String,
}

impl PolicySet {
    /// Builds a set.
    pub fn new(epoch: u64, cedar: String) -> Self {
        Self { version: VERSION, epoch, cedar }
    }

    /// Returns its key: keys sort as numbers do.
    pub fn key(&self) -> String {
        format!("{:06}", self.epoch)
    }

    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let set: Self = serde_json::from_slice(bytes).map_err(|_| UnreadableRecord("policy"))?;
        if set.version == VERSION { Ok(set) } else { Err(UnreadableRecord("policy")) }
    }
}

/// Returns who the gateway itself is when it works for nobody in particular.
pub fn system() -> Option<Principal> {
    Some(Principal { client: ClientId::new(SYSTEM).ok()?, role: Role::System, purposes: Vec::new() })
}

/// Returns the format version that new records carry.
pub const fn version() -> u32 {
    VERSION
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_client_record_of_version_1_stays_readable() {
        let golden = br#"{"version":1,"role":"partner","partner":"acme","purposes":["sharing.partner.acme"],"public_key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","revoked":false,"created":1800000000000000}"#;
        let client = Client {
            id: ClientId::new("acme-crm").unwrap(),
            role: Role::Partner(PartnerId::new("acme").unwrap()),
            purposes: vec![PurposeId::new("sharing.partner.acme").unwrap()],
            public_key: [7; 32],
            revoked: false,
            created: Timestamp::from_seconds(1_800_000_000),
        };
        assert_eq!(String::from_utf8(client.encode()).unwrap(), std::str::from_utf8(golden).unwrap());
        assert_eq!(Client::decode("acme-crm", golden).unwrap(), client);
        let newer = std::str::from_utf8(golden).unwrap().replace("\"version\":1", "\"version\":2");
        assert!(Client::decode("acme-crm", newer.as_bytes()).is_err());
    }

    #[test]
    fn a_segment_record_of_version_1_stays_readable() {
        let golden = br#"{"version":1,"cel":"a == \"b\"","canonical":"a in [\"b\"]","universe":"","display":"","client":"shop","created":1}"#;
        let key = "farm/lovers@000003";
        let segment = StoredSegment::decode(key, golden).unwrap();
        assert_eq!(StoredSegment::key(&segment.dataset, &segment.id, segment.version), key);
        assert_eq!(segment.encode(), golden);
    }

    #[test]
    fn a_record_of_cut_points_of_version_1_stays_readable() {
        let golden = br#"{"version":1,"number":"order.if_any().sum(amount)","cuts":["50.00","120.00"],"shares":[[3350,3200,3500],[3300,3150,3450],[3350,3200,3500]],"segment":"true","universe":"true","fields":["order","order.amount"],"purpose":"marketing.segmentation","basis":"consent","release":"00ff","epoch":3,"not_private":false,"client":"shop","created":1}"#;
        let key = "farm/spend@000002";
        let cuts = StoredCutPoints::decode(key, golden).unwrap();
        assert_eq!(StoredCutPoints::key(&cuts.dataset, &cuts.id, cuts.version), key);
        assert_eq!(cuts.encode(), golden);
        assert!(StoredCutPoints::decode("farm/spend@x", golden).is_err());
    }

    #[test]
    fn a_policy_record_of_version_1_stays_readable() {
        let golden = br#"{"version":1,"epoch":2,"cedar":"permit (principal, action, resource);"}"#;
        let set = PolicySet::decode(golden).unwrap();
        assert_eq!((set.encode().as_slice(), set.key().as_str()), (golden.as_slice(), "000002"));
    }
}
