//! What a person is shown. The one place where a clear value of the vault becomes part of a message; the vault's copy is
//! wiped afterwards, the message's is not.

use super::{consent, hold, names, schema, time};
use crate::status::Failure;
use policy::consent::ConsentAct;
use policy::purpose;
use policy::schema::{
    ColumnId, Controller, Encoded, EventType, Field, FieldRef, FieldType, IdentityKind, Notice, Schema,
};
use policy::time::{Timestamp, format_day};
use proto::v1;
use std::collections::BTreeMap;
use vault::ingest::{SubjectKey, Value};
use vault::subjects::{
    AccessEnd, AccessHead, AccessPart, AccessRecords, AudienceUse, ConsentReceipts, ErasureReport, Fulfilled,
    HeldConsent, HeldEvent, HeldEvents, HeldLink, HeldType, OnItsWay, PastRecipient, ProvenConsent, ProvenLeaf,
    ReleaseUse, Right, RightsEvent, Standing, UseSummary,
};
use vault::vault::AccessReading;

/// Most attributes of one rectification.
const MAX_VALUES: usize = 100;

/// Reads the name of a kind of identifier; empty is the subject key.
pub fn identity(schema: &Schema, name: &str) -> Result<IdentityKind, Failure> {
    let unknown = || Failure::invalid("identity", "must be the name of one of the dataset's identities, or empty");
    schema.identity_kind(name).ok_or_else(unknown)
}

/// Reads a person's key of a kind.
pub fn subject(kind: IdentityKind, text: &str) -> Result<SubjectKey, Failure> {
    SubjectKey::of(kind, text).ok_or_else(|| Failure::invalid("subject", "must be 1-255 bytes"))
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

/// Writes a part of a package that was begun at `begun`. Hold what is returned beside the part until the message is with
/// the transport.
pub fn part(part: AccessPart, reading: &AccessReading, begun: Timestamp) -> v1::StreamAccessPackageResponse {
    use v1::stream_access_package_response::Message;
    let schema = reading.schema();
    let message = match part {
        AccessPart::Head(head) => Message::Header(header(head, begun)),
        AccessPart::Records(AccessRecords { consents, audiences, requests }) => {
            Message::Records(v1::AccessPackageRecords {
                consents: consents.iter().map(|held| receipt(schema, held)).collect(),
                audiences: audiences.iter().map(|used| audience(schema, used)).collect(),
                requests: requests.iter().map(|asked| request(schema, asked)).collect(),
            })
        }
        AccessPart::Events(held) => Message::Events(events(schema, reading.columns(held.event), &held)),
        AccessPart::End(AccessEnd { request: done, changed }) => {
            Message::End(v1::AccessPackageEnd { request: Some(request(schema, &done)), changed })
        }
    };
    v1::StreamAccessPackageResponse { message: Some(message) }
}

fn header(head: AccessHead, begun: Timestamp) -> v1::AccessPackageHeader {
    let AccessHead {
        schema,
        known_by,
        identifier,
        links,
        attributes,
        kept_until,
        types,
        standings,
        restricted,
        holds,
        uses,
        recipients,
        withheld,
    } = head;
    let held = |(column, value): &(ColumnId, Value)| attribute(&schema, *column, value, kept_until.get(column));
    let key = schema.field(FieldRef::Attribute(schema.subject_key));
    v1::AccessPackageHeader {
        dataset: names::of_dataset(&schema.dataset),
        display: schema.display.clone(),
        organization: format!("organizations/{}", schema.organization),
        create_time: Some(time::encode(begun)),
        time_zone: schema.time_zone.clone(),
        attributes: attributes.iter().filter_map(held).collect(),
        event_types: types.iter().filter_map(|of| event_type(&schema, of)).collect(),
        standings: standings.iter().map(standing).collect(),
        restricted,
        uses: uses.into_iter().map(summary).collect(),
        recipients: recipients.iter().map(|before| recipient(&schema, before)).collect(),
        withheld: withheld.iter().map(|field| schema.path(*field)).collect(),
        controller: schema.controller.as_ref().map(controller),
        notice: schema.notice.as_ref().map(notice),
        subject_key: key.map(|field| field.name.to_string()).unwrap_or_default(),
        holds: holds.iter().map(|held| hold::encode(&schema, held)).collect(),
        identity: identity_name(&schema, known_by),
        identifier: identifier.as_ref().map(identifier_value),
        links: links.iter().map(|link| self::link(&schema, link)).collect(),
    }
}

fn identity_name(schema: &Schema, kind: IdentityKind) -> String {
    schema.identity_name(kind).map(ToString::to_string).unwrap_or_default()
}

fn link(schema: &Schema, link: &HeldLink) -> v1::HeldLink {
    let HeldLink { primary, other, since, leaf } = link;
    let identity = identity_name(schema, *other);
    v1::HeldLink { primary: *primary, identity, since_time: Some(time::encode(*since)), leaf: *leaf }
}

fn controller(controller: &Controller) -> v1::Controller {
    let Controller { name, contact, address, jurisdiction, storage, authority } = controller.clone();
    v1::Controller { name, contact, address, jurisdiction, storage, authority }
}

fn notice(notice: &Notice) -> v1::PrivacyNotice {
    let Notice { name, version, language, url, sha256, withdrawal } = notice.clone();
    v1::PrivacyNotice { name, version, language, url, sha256, withdrawal }
}

fn attribute(schema: &Schema, column: ColumnId, held: &Value, last_day: Option<&i32>) -> Option<v1::HeldAttribute> {
    let field = schema.field(FieldRef::Attribute(column))?;
    let kept_until = last_day.and_then(|day| format_day(*day)).unwrap_or_default();
    Some(v1::HeldAttribute { column: Some(self::column(field)), value: Some(value(field, held)), kept_until })
}

fn column(field: &Field) -> v1::HeldColumn {
    let Field { column: _, name, class, ty, display, max_distinct: _, coarse: _, retention_days, deprecated: _ } =
        field;
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
        Value::Bytes(_) => return identifier_value(value),
    };
    v1::HeldValue { value: Some(v1::Value { kind }), text }
}

fn identifier_value(value: &Value) -> v1::HeldValue {
    let Value::Bytes(bytes) = value else { return v1::HeldValue::default() };
    let kind = Some(proto::v1::value::Kind::Identifier(bytes.clone().into()));
    v1::HeldValue { value: Some(v1::Value { kind }), text: String::from_utf8_lossy(bytes).into_owned() }
}

fn event_type(schema: &Schema, of: &HeldType) -> Option<v1::HeldEventType> {
    let HeldType { event, columns, count } = of;
    let EventType { id: _, name, fields, display, max_per_subject: _, retention_days, deprecated: _ } =
        schema.events.get(usize::from(event.0))?;
    Some(v1::HeldEventType {
        name: name.to_string(),
        display: display.clone(),
        retention_days: retention_days.unwrap_or(0),
        columns: columns.iter().filter_map(|of| fields.get(usize::from(of.0))).map(column).collect(),
        count: *count,
    })
}

fn events(schema: &Schema, columns: &[ColumnId], held: &HeldEvents) -> v1::HeldEvents {
    let HeldEvents { event, rows } = held;
    let Some(ty) = schema.events.get(usize::from(event.0)) else { return v1::HeldEvents::default() };
    let fields: Vec<&Field> = columns.iter().filter_map(|of| ty.fields.get(usize::from(of.0))).collect();
    v1::HeldEvents { name: ty.name.to_string(), events: rows.iter().map(|row| event_row(&fields, row)).collect() }
}

fn event_row(fields: &[&Field], row: &HeldEvent) -> v1::HeldEvent {
    let values = fields.iter().zip(&row.values).map(|(field, held)| value(field, held));
    v1::HeldEvent { at_micros: row.at.0, id: row.id, values: values.collect() }
}

fn receipt(schema: &Schema, held: &HeldConsent) -> v1::ConsentReceipt {
    let HeldConsent { event, leaf, received, in_force } = held;
    let (act, basis) = match event.act {
        ConsentAct::Give => (v1::ConsentAct::Give, consent::of_basis(event.basis)),
        ConsentAct::Withdraw => (v1::ConsentAct::Withdraw, v1::LawfulBasis::Unspecified),
    };
    let shown = event.notice.as_ref().map(ToString::to_string);
    let recipients = purpose::recipients(&schema.purposes, &event.purpose);
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
        committed_json: String::new(),
        salt: Vec::new(),
        notice: shown.or_else(|| in_force.clone()).unwrap_or_default(),
        notice_in_force: event.notice.is_none() && in_force.is_some(),
        method: consent::of_method(event.method).into(),
        language: event.language.as_ref().map(ToString::to_string).unwrap_or_default(),
        recipients: recipients.into_iter().map(|partner| format!("partners/{partner}")).collect(),
    }
}

/// Writes receipts with their proofs. Hold what is returned beside them until the message is with the transport.
pub fn receipts(found: ConsentReceipts) -> (v1::GetConsentReceiptsResponse, OnItsWay) {
    let ConsentReceipts { schema, receipts, verifier_key, on_its_way } = found;
    let fields = schema.references().into_iter().filter_map(|reference| {
        let field = schema.field(reference)?;
        Some(v1::HeldColumn { name: schema.path(reference), ..column(field) })
    });
    let message = v1::GetConsentReceiptsResponse {
        receipts: receipts.into_iter().map(|held| proven(&schema, held)).collect(),
        verifier_key,
        controller: schema.controller.as_ref().map(controller),
        notice: schema.notice.as_ref().map(notice),
        organization: format!("organizations/{}", schema.organization),
        fields: fields.collect(),
    };
    (message, on_its_way)
}

fn proven(schema: &Schema, proven: ProvenConsent) -> v1::ConsentReceipt {
    let ProvenConsent { consent, committed, salt, leaf: ProvenLeaf { index: _, json, proof } } = proven;
    let (leaf_json, committed_json, salt) = (json, committed, salt.to_vec());
    v1::ConsentReceipt { leaf_json, proof, committed_json, salt, ..receipt(schema, &consent) }
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

/// Writes a partner that got audiences with the person before.
pub fn recipient(schema: &Schema, recipient: &PastRecipient) -> v1::PastRecipient {
    let PastRecipient { partner, purpose, tags, first, last } = recipient;
    v1::PastRecipient {
        partner: names::of_partner(partner),
        purpose: purpose.to_string(),
        tags: tags.iter().map(|tag| schema.path(*tag)).collect(),
        first_epoch: first.0,
        last_epoch: last.0,
    }
}

fn summary(used: UseSummary) -> v1::UseSummary {
    let UseSummary { client, purpose, basis, releases, first, last } = used;
    v1::UseSummary {
        client: names::of_client(&client),
        r#use: Some(v1::Use { purpose: purpose.to_string(), basis: consent::of_basis(basis).into() }),
        releases,
        first_time: Some(time::encode(first)),
        last_time: Some(time::encode(last)),
    }
}

/// Writes a fulfilled request.
pub fn request(schema: &Schema, fulfilled: &Fulfilled) -> v1::SubjectRequest {
    let Fulfilled { event, outcome } = fulfilled;
    // What of a link a person is shown is in the package.
    let RightsEvent { right, received, done, intent, columns, purpose, link: _ } = event;
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
        Right::Linking => v1::SubjectRight::Linking,
        Right::Unlinking => v1::SubjectRight::Unlinking,
    }
}

/// Writes what an erasure leaves behind.
pub fn erased(report: ErasureReport) -> v1::EraseSubjectsResponse {
    let (receipt, request) = erasure(report);
    v1::EraseSubjectsResponse { receipt: Some(receipt), request: Some(request) }
}

/// Writes what a hold's end leaves behind.
pub fn released(report: Option<ErasureReport>) -> v1::ReleaseHoldResponse {
    let (receipt, request) = report.map(erasure).unzip();
    v1::ReleaseHoldResponse { receipt, request }
}

fn erasure(report: ErasureReport) -> (v1::ErasureReceipt, v1::SubjectRequest) {
    let deadline = report.deadline();
    let ErasureReport { receipt, json, intents, outcome, confirmed, confirmation, verifier_key } = report;
    let state = match (confirmed, receipt.held.is_empty()) {
        (true, true) => v1::SubjectRequestState::Fulfilled,
        (true, false) => v1::SubjectRequestState::PartlyHeld,
        (false, _) => v1::SubjectRequestState::Open,
    };
    let request = v1::SubjectRequest {
        right: v1::SubjectRight::Erasure.into(),
        state: state.into(),
        receive_time: Some(time::encode(receipt.at)),
        deadline_time: Some(time::encode(deadline)),
        complete_time: confirmed.then(|| time::encode(receipt.at)),
        intent_leaf: receipt.intent,
        outcome_leaf: confirmation.index,
        fields: Vec::new(),
        purpose: String::new(),
    };
    let ProvenLeaf { index: leaf, json: leaf_json, proof } = outcome;
    let (intents, confirmation) = (intents.into_iter().map(proven_leaf).collect(), Some(proven_leaf(confirmation)));
    let receipt = v1::ErasureReceipt { json, leaf, leaf_json, proof, intents, confirmation, verifier_key };
    (receipt, request)
}

fn proven_leaf(leaf: ProvenLeaf) -> v1::ProvenLeaf {
    let ProvenLeaf { index, json, proof } = leaf;
    v1::ProvenLeaf { index, json, proof }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::id::DatasetId;
    use vault::erasure::ErasureReceipt;

    #[test]
    fn an_erasure_is_fulfilled_only_when_nothing_was_found() {
        let held = vault::erasure::HeldBack {
            fields: vec!["order".to_owned()],
            ground: vault::holds::Ground::new("tax-act-147").unwrap(),
            hold: 1,
            intent: 4,
        };
        let leaf = |index| ProvenLeaf { index, json: String::new(), proof: String::new() };
        let cases = [
            (true, None, v1::SubjectRequestState::Fulfilled),
            (true, Some(held.clone()), v1::SubjectRequestState::PartlyHeld),
            (false, None, v1::SubjectRequestState::Open),
            (false, Some(held), v1::SubjectRequestState::Open),
        ];
        for (confirmed, held, state) in cases {
            let receipt = ErasureReceipt {
                version: 1,
                dataset: DatasetId::new("shop").unwrap(),
                people: 1,
                intent: 4,
                outcome: 5,
                generation_before: 1,
                generation_after: 2,
                top_before: String::new(),
                top_after: String::new(),
                pieces: 1,
                bytes: 1,
                held: held.into_iter().collect(),
                backup: None,
                at: Timestamp(0),
            };
            let report = ErasureReport {
                receipt,
                json: String::new(),
                intents: vec![leaf(4)],
                outcome: leaf(5),
                confirmed,
                confirmation: leaf(6),
                verifier_key: String::new(),
            };
            let request = erased(report).request.unwrap();
            assert_eq!((request.state, request.complete_time.is_some()), (i32::from(state), confirmed));
            assert_eq!((request.intent_leaf, request.outcome_leaf), (4, 6));
        }
    }
}
