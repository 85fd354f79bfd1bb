//! A small dataset and principals for tests of rules and decisions.

use super::Rules;
use crate::decide::Principal;
use crate::id::{ClientId, DatasetId, FieldName, OrganizationId, PartnerId, PopulationId, PurposeId};
use crate::permit::Role;
use crate::privacy::NanoRho;
use crate::schema::{ColumnId, DatasetKind, EventType, EventTypeId, Field, FieldClass, FieldRef, FieldType, Schema};

pub(crate) const EMAIL: FieldRef = FieldRef::Attribute(ColumnId(0));
pub(crate) const AGE_BAND: FieldRef = FieldRef::Attribute(ColumnId(1));
pub(crate) const HEALTH: FieldRef = FieldRef::Attribute(ColumnId(2));
pub(crate) const LOYALTY: FieldRef = FieldRef::Attribute(ColumnId(3));
pub(crate) const ORDER: FieldRef = FieldRef::Event(EventTypeId(0));
pub(crate) const CATEGORY: FieldRef = FieldRef::EventField(EventTypeId(0), ColumnId(0));

pub(crate) fn purpose(text: &str) -> PurposeId {
    PurposeId::new(text).unwrap()
}

fn field(column: u16, name: &str, class: FieldClass, ty: FieldType) -> Field {
    Field {
        column: ColumnId(column),
        name: FieldName::new(name).unwrap(),
        class,
        ty,
        display: name.into(),
        max_distinct: 1,
        coarse: Vec::new(),
        retention_days: None,
        deprecated: false,
    }
}

pub(crate) fn schema() -> Schema {
    let domain = || FieldType::Enum { domain: vec!["a".into(), "b".into()] };
    Schema {
        version: 1,
        dataset: DatasetId::new("shop").unwrap(),
        organization: OrganizationId::new("village").unwrap(),
        population: PopulationId::new("shop").unwrap(),
        display: "Shop".into(),
        kind: DatasetKind::Private,
        time_zone: "Etc/UTC".into(),
        subject_key: ColumnId(0),
        attributes: vec![
            field(0, "email", FieldClass::Identifier, FieldType::Identifier { max_bytes: 64 }),
            field(1, "age_band", FieldClass::QuasiIdentifier, domain()),
            field(2, "health", FieldClass::Sensitive, domain()),
            field(3, "loyalty", FieldClass::NonPersonal, domain()),
        ],
        events: vec![EventType {
            id: EventTypeId(0),
            name: FieldName::new("order").unwrap(),
            fields: vec![field(0, "category", FieldClass::Behavioral, domain())],
            display: "Order".into(),
            max_per_subject: 64,
            retention_days: None,
            deprecated: false,
        }],
        purposes: vec![purpose("marketing.portrait"), purpose("marketing.measurement"), purpose("sharing.partner")],
        cap_quarter: NanoRho(200_000_000),
        cap_lifetime: NanoRho(800_000_000),
        cap_month: None,
        rfm: None,
        synopsis: None,
        identities: Vec::new(),
        controller: None,
        notice: None,
    }
}

pub(crate) fn principal(role: Role) -> Principal {
    let client = ClientId::new(&format!("the-{}", role.name())).unwrap();
    Principal { client, role, purposes: vec![purpose("marketing"), purpose("sharing")] }
}

pub(crate) fn partner(name: &str) -> Principal {
    principal(Role::Partner(PartnerId::new(name).unwrap()))
}

pub(crate) fn everyone() -> Vec<Principal> {
    let roles = [Role::Service, Role::Officer, Role::Steward, Role::Producer, Role::Portal, Role::System];
    std::iter::once(partner("acme")).chain(roles.map(principal)).collect()
}

pub(crate) fn defaults() -> Rules {
    Rules::parse(Rules::default_texts(), 1).unwrap()
}
