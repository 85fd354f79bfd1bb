//! The decoders of the gateway's own state, to be fed with anything.

use super::change::{Change, HeldAudience, StoredHold, Terms};
use super::deliver;
use super::recover::{DatasetRecord, VaultRecord};
use super::state::Shared;
use crate::holds::Ground;
use crate::release::Synopsis;
use policy::id::ClientId;
use policy::privacy::NanoRho;
use policy::schema::{EventTypeId, FieldRef};
use policy::time::Timestamp;
use roaring::RoaringBitmap;

/// Reads a change, applies it, and reads the state it leads to; or reads a state, or a record of the key tree.
pub(crate) fn state(bytes: &[u8]) {
    drop(serde_json::from_slice::<VaultRecord>(bytes));
    drop(serde_json::from_slice::<DatasetRecord>(bytes));
    _ = super::restore::Marker::parse(bytes);
    let mut shared = serde_json::from_slice::<Shared>(bytes).unwrap_or_default();
    if let Ok(change) = serde_json::from_slice::<Change>(bytes) {
        let again = serde_json::to_vec(&change).unwrap_or_default();
        assert_eq!(
            serde_json::from_slice::<Change>(&again).ok(),
            Some(change.clone()),
            "a change reads back as another"
        );
        _ = shared.apply(&change);
    }
    let once = serde_json::to_vec(&shared).unwrap_or_default();
    let again = serde_json::from_slice::<Shared>(&once).map(|again| serde_json::to_vec(&again).unwrap_or_default());
    assert_eq!(again.ok(), Some(once), "a state reads back as another");
}

pub(crate) fn state_seeds() -> Vec<Vec<u8>> {
    let people: RoaringBitmap = [3, 70_000].into_iter().collect();
    let audience = HeldAudience {
        members: deliver::encode(&people),
        tags: Vec::new(),
        blanked: deliver::encode(&RoaringBitmap::new()),
        terms: Some(Terms {
            who: r#"{"Const":true}"#.to_owned(),
            basis: policy::consent::LawfulBasis::Consent,
            schema: "00ff".to_owned(),
            left_out: deliver::encode(&RoaringBitmap::new()),
        }),
    };
    let mut changes = vec![
        Change::HoldEnded { number: 4 },
        Change::Record { collection: "clients".to_owned(), key: "shop".to_owned(), value: Some("e30=".to_owned()) },
        Change::Erase { leaf: 5, dataset: 1, people: deliver::encode(&people), after: vec![4] },
        Change::Erased { leaf: 5, resumed: None },
        Change::Held { holder: "crm/sharing.partner.crm/shop/3".to_owned(), audience },
    ];
    if let (Ok(client), Ok(population)) = (ClientId::new("marketing"), policy::id::PopulationId::new("shop")) {
        let mut spent = policy::privacy::Ledger::default();
        spent.record(&client, NanoRho(7), policy::privacy::Quarter(8_107));
        let extension = policy::privacy::Extension {
            by: NanoRho(3),
            at: Timestamp(8),
            client: client.clone(),
            request: "r1".to_owned(),
            because: "more questions".to_owned(),
            leaf: 7,
        };
        let (asked_in, key) = ("shop/1".to_owned(), |of: &str| of.repeat(32));
        changes.push(Change::Charge {
            population: population.clone(),
            client: client.clone(),
            rho: NanoRho(2),
            quarter: policy::privacy::Quarter(8_107),
            month: Some(policy::privacy::Month(24_323)),
            asked_in: asked_in.clone(),
            answer: key("ab"),
            request: "r2".to_owned(),
            leaf: 9,
            base: Some(key("cd")),
        });
        let (answer, better, request) = (key("ef"), Some(key("ab")), "r3".to_owned());
        changes.push(Change::Repeat { asked_in, client: client.clone(), request, answer, better });
        changes.push(Change::Extend { population: population.clone(), extension });
        changes.push(Change::Spent { population: population.clone(), spent });
        changes.push(Change::Quota { population, client, quota: NanoRho(5) });
    }
    if let (Ok(dataset), Some(synopsis)) = (policy::id::DatasetId::new("shop"), synopsis()) {
        changes.push(Change::Synopsis { dataset, synopsis: Box::new(synopsis) });
    }
    if let Ok(ground) = Ground::new("tax-act-147") {
        let fields = [FieldRef::Event(EventTypeId(0))].into();
        let placed = Timestamp(7);
        let hold =
            StoredHold { dataset: 1, ordinal: 3, fields, ground, placed, until: Some(Timestamp(9)), waiting: false };
        changes.insert(1, Change::Hold { number: 6, hold });
    }
    let mut shared = Shared::default();
    for change in &changes {
        _ = shared.apply(change);
    }
    if let Ok(shop) = policy::id::DatasetId::new("shop") {
        _ = shared.end_holdings(&shop, policy::id::EpochId(4));
    }
    let change = |change: &Change| serde_json::to_vec(change).unwrap_or_default();
    let mut seeds: Vec<Vec<u8>> = changes.iter().map(change).collect();
    seeds.push(serde_json::to_vec(&shared).unwrap_or_default());
    seeds
}

/// A small synopsis.
fn synopsis() -> Option<Synopsis> {
    let answer = r#"{"version":1,"release":"ab","epoch":3,"as_of_seconds":1793491200,"tables":[],"sigma_1024":9,
        "half_width_1024":18,"rho":30000000,"not_private":false,"leaf":9}"#;
    Some(Synopsis {
        month: policy::privacy::Month(24_322),
        purpose: policy::id::PurposeId::new("marketing.portrait").ok()?,
        basis: policy::consent::LawfulBasis::Consent,
        fields: vec![FieldRef::Event(EventTypeId(0))],
        window: policy::segment::Window::Ever,
        answer: serde_json::from_str(answer).ok()?,
    })
}

/// Reads a bitmap of people.
pub(crate) fn people(bytes: &[u8]) {
    let Some(people) = std::str::from_utf8(bytes).ok().and_then(deliver::decode) else { return };
    assert_eq!(deliver::decode(&deliver::encode(&people)), Some(people), "people read back as others");
}

pub(crate) fn people_seeds() -> Vec<Vec<u8>> {
    let few: RoaringBitmap = [1, 9, 80_000].into_iter().collect();
    let many: RoaringBitmap = (5..9_000).collect();
    [few, many].iter().map(|people| deliver::encode(people).into_bytes()).collect()
}
