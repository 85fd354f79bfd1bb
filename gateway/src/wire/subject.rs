//! What a person is shown. The one place where a clear value of the vault becomes part of a message; the vault's copy is
//! wiped afterwards, the message's is not.

use super::{consent, names, schema, time};
use crate::status::Failure;
use policy::consent::ConsentAct;
use policy::schema::{ColumnId, Encoded, EventType, Field, FieldRef, FieldType, Schema};
use policy::time::Timestamp;
use proto::v1;
use std::collections::BTreeMap;
use vault::ingest::{SubjectKey, Value};
use vault::subjects::{
    AccessPackage, AudienceUse, ErasureReport, Fulfilled, HeldConsent, HeldEvent, HeldEvents, OnItsWay, ProvenConsent,
    ReleaseUse, Right, RightsEvent, Standing, Uses,
};

/// Most attributes of one rectification.
const MAX_VALUES: usize = 100;

/// Reads a person's key.
pub fn subject(text: &str) -> Result<SubjectKey, Failure> {
    SubjectKey::new(text).ok_or_else(|| Failure::invalid("subject", "must be 1-255 bytes"))
}

/// Reads corrected values.
pub fn values(values: &[v1::Rectification], schema: &Schema) -> Result<Vec<(ColumnId, Value)>, Failure> {
    if !(1..=MAX_VALUES).contains(&values.len()) {
        return Err(Failure::invalid("values", format!("must be 1 to {MAX_VALUES} attributes")));
    }
    let mut read: BTreeMap<ColumnId, Value> = BTreeMap::new();
    for v1::Rectification { field: name, text } in values {
        let known = schema.attribute(name).filter(|field| field.column != schema.subject_key);
        let field = known.ok_or_else(|| Failure::invalid("values", "names something that can't be corrected"))?;
        let value = match text {
            None => Value::Missing,
            Some(text) => match field.encode(text) {
                Ok(Encoded::Code(code)) => Value::Code(code),
                Ok(Encoded::Int(number)) => Value::Int(number),
                Ok(Encoded::Bytes(bytes)) => Value::Bytes(bytes),
                Err(problem) => return Err(Failure::invalid("values", format!("holds a text that is {problem}"))),
            },
        };
        if read.insert(field.column, value).is_some() {
            return Err(Failure::invalid("values", "names an attribute twice"));
        }
    }
    Ok(read.into_iter().collect())
}

/// Writes a package. Hold what is returned beside it until the message is with the transport.
pub fn package(package: AccessPackage, now: Timestamp) -> (v1::GetAccessPackageResponse, OnItsWay) {
    let AccessPackage {
        schema,
        attributes,
        events,
        consents,
        standings,
        restricted,
        uses: Uses { releases, audiences },
        requests,
        withheld,
        request,
        on_its_way,
    } = package;
    let known = requests.iter().chain(std::iter::once(&request));
    let message = v1::AccessPackage {
        dataset: names::of_dataset(&schema.dataset),
        display: schema.display.clone(),
        organization: format!("organizations/{}", schema.organization),
        create_time: Some(time::encode(now)),
        time_zone: schema.time_zone.clone(),
        attributes: attributes.iter().filter_map(|(column, value)| attribute(&schema, *column, value)).collect(),
        events: events.iter().filter_map(|held| self::events(&schema, held)).collect(),
        consents: consents.iter().map(receipt).collect(),
        standings: standings.iter().map(standing).collect(),
        restricted,
        uses: summaries(&releases),
        audiences: audiences.iter().map(|used| audience(&schema, used)).collect(),
        requests: known.map(|request| self::request(&schema, request)).collect(),
        withheld: withheld.iter().map(|field| schema.path(*field)).collect(),
    };
    let request = Some(self::request(&schema, &request));
    (v1::GetAccessPackageResponse { package: Some(message), request }, on_its_way)
}

fn attribute(schema: &Schema, column: ColumnId, held: &Value) -> Option<v1::HeldAttribute> {
    let field = schema.field(FieldRef::Attribute(column))?;
    Some(v1::HeldAttribute { column: Some(self::column(field)), value: Some(value(field, held)) })
}

fn column(field: &Field) -> v1::HeldColumn {
    let Field { column: _, name, class, ty, display, max_distinct: _, coarse: _, retention_days } = field;
    v1::HeldColumn {
        name: name.to_string(),
        display: display.clone(),
        class: schema::class(*class).into(),
        kind: schema::kind(ty).into(),
        scale: if let FieldType::Decimal { scale, .. } = ty { u32::from(*scale) } else { 0 },
        retention_days: retention_days.unwrap_or(0),
    }
}

fn value(field: &Field, value: &Value) -> v1::HeldValue {
    use proto::v1::value::Kind;
    let (kind, text) = match value {
        Value::Missing => (None, String::new()),
        Value::Code(code) => {
            (Some(Kind::Code(u32::from(*code))), field.label(*code).map(str::to_owned).unwrap_or_default())
        }
        Value::Int(number) => (Some(Kind::Number(*number)), field.ty.show(*number)),
        Value::Bytes(bytes) => {
            (Some(Kind::Identifier(bytes.clone().into())), String::from_utf8_lossy(bytes).into_owned())
        }
    };
    v1::HeldValue { value: Some(v1::Value { kind }), text }
}

fn events(schema: &Schema, held: &HeldEvents) -> Option<v1::HeldEvents> {
    let HeldEvents { event, columns, rows } = held;
    let EventType { id: _, name, fields, display, max_per_subject: _, retention_days } =
        schema.events.get(usize::from(event.0))?;
    let fields: Vec<&Field> = columns.iter().filter_map(|column| fields.get(usize::from(column.0))).collect();
    Some(v1::HeldEvents {
        name: name.to_string(),
        display: display.clone(),
        retention_days: retention_days.unwrap_or(0),
        columns: fields.iter().map(|field| column(field)).collect(),
        events: rows.iter().map(|row| event_row(&fields, row)).collect(),
    })
}

fn event_row(fields: &[&Field], row: &HeldEvent) -> v1::HeldEvent {
    let values = fields.iter().zip(&row.values).map(|(field, held)| value(field, held));
    v1::HeldEvent { at_micros: row.at.0, id: row.id, values: values.collect() }
}

fn receipt(held: &HeldConsent) -> v1::ConsentReceipt {
    let HeldConsent { event, leaf, received } = held;
    let (act, basis) = match event.act {
        ConsentAct::Give => (v1::ConsentAct::Give, consent::of_basis(event.basis)),
        ConsentAct::Withdraw => (v1::ConsentAct::Withdraw, v1::LawfulBasis::Unspecified),
    };
    v1::ConsentReceipt {
        purpose: event.purpose.to_string(),
        basis: basis.into(),
        act: act.into(),
        event_time: Some(time::encode(event.at)),
        expire_time: event.expires.map(time::encode),
        source: event.source.clone(),
        receive_time: Some(time::encode(*received)),
        leaf: *leaf,
        leaf_json: String::new(),
        proof: String::new(),
    }
}

/// Writes a receipt with its proof.
pub fn proven(proven: &ProvenConsent) -> v1::ConsentReceipt {
    let ProvenConsent { consent, json, proof } = proven;
    v1::ConsentReceipt { leaf_json: json.clone(), proof: proof.clone(), ..receipt(consent) }
}

fn standing(standing: &Standing) -> v1::PurposeStanding {
    let Standing { purpose, basis, allowed } = standing;
    v1::PurposeStanding { purpose: purpose.to_string(), basis: consent::of_basis(*basis).into(), allowed: *allowed }
}

/// Writes a release that was made while the person allowed it.
pub fn release(used: &ReleaseUse) -> v1::ReleaseUse {
    let ReleaseUse { client, purpose, basis, question, fields, at, leaf, repeated } = used;
    v1::ReleaseUse {
        client: names::of_client(client),
        r#use: Some(v1::Use { purpose: purpose.to_string(), basis: consent::of_basis(*basis).into() }),
        question: question.clone(),
        fields: fields.clone(),
        time: Some(time::encode(*at)),
        leaf: *leaf,
        repeated_answer: *repeated,
    }
}

/// Writes an audience that the person was in.
pub fn audience(schema: &Schema, used: &AudienceUse) -> v1::AudienceUse {
    let AudienceUse { partner, purpose, tags, epoch, delivered } = used;
    v1::AudienceUse {
        partner: names::of_partner(partner),
        purpose: purpose.to_string(),
        tags: tags.iter().map(|tag| schema.path(*tag)).collect(),
        epoch: epoch.0,
        time: delivered.map(|(at, _)| time::encode(at)),
        leaf: delivered.map_or(0, |(_, leaf)| leaf),
    }
}

fn summaries(releases: &[ReleaseUse]) -> Vec<v1::UseSummary> {
    let mut counted: BTreeMap<_, (u64, Timestamp, Timestamp)> = BTreeMap::new();
    for release in releases {
        let key = (&release.client, &release.purpose, release.basis);
        let entry = counted.entry(key).or_insert((0, release.at, release.at));
        *entry = (entry.0 + 1, entry.1.min(release.at), entry.2.max(release.at));
    }
    let summary = |((client, purpose, basis), (releases, first, last))| v1::UseSummary {
        client: names::of_client(client),
        r#use: Some(v1::Use { purpose: ToString::to_string(purpose), basis: consent::of_basis(basis).into() }),
        releases,
        first_time: Some(time::encode(first)),
        last_time: Some(time::encode(last)),
    };
    counted.into_iter().map(summary).collect()
}

/// Writes a fulfilled request.
pub fn request(schema: &Schema, fulfilled: &Fulfilled) -> v1::SubjectRequest {
    let Fulfilled { event, outcome } = fulfilled;
    let RightsEvent { right, received, done, intent, columns, purpose } = event;
    let fields = columns.iter().map(|column| schema.path(FieldRef::Attribute(*column)));
    v1::SubjectRequest {
        right: of_right(*right).into(),
        state: v1::SubjectRequestState::Fulfilled.into(),
        receive_time: Some(time::encode(*received)),
        deadline_time: Some(time::encode(fulfilled.deadline())),
        complete_time: Some(time::encode(*done)),
        intent_leaf: *intent,
        outcome_leaf: *outcome,
        fields: fields.collect(),
        purpose: purpose.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn of_right(right: Right) -> v1::SubjectRight {
    match right {
        Right::Access => v1::SubjectRight::Access,
        Right::Rectification => v1::SubjectRight::Rectification,
        Right::Restriction => v1::SubjectRight::Restriction,
        Right::Lifting => v1::SubjectRight::Lifting,
        Right::Objection => v1::SubjectRight::Objection,
    }
}

/// Writes what an erasure leaves behind.
pub fn erased(report: ErasureReport) -> v1::EraseSubjectsResponse {
    let deadline = report.deadline();
    let ErasureReport { receipt, json, leaf_json, proof, confirmed, confirmation } = report;
    let state = if confirmed { v1::SubjectRequestState::Fulfilled } else { v1::SubjectRequestState::Open };
    let request = v1::SubjectRequest {
        right: v1::SubjectRight::Erasure.into(),
        state: state.into(),
        receive_time: Some(time::encode(receipt.at)),
        deadline_time: Some(time::encode(deadline)),
        complete_time: confirmed.then(|| time::encode(receipt.at)),
        intent_leaf: receipt.intent,
        outcome_leaf: confirmation,
        fields: Vec::new(),
        purpose: String::new(),
    };
    let receipt = v1::ErasureReceipt { json, leaf: receipt.outcome, leaf_json, proof };
    v1::EraseSubjectsResponse { receipt: Some(receipt), request: Some(request) }
}
