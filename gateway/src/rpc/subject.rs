//! The rights of the people whose data it is. What shows a person's data leaves while the vault keeps withdrawals and
//! erasures from returning; an access package part by part.

mod package;

use super::Service;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{hold, page, subject};
use package::Parts;
use policy::id::PurposeId;
use policy::permit::{Permit, Verb};
use policy::schema::Schema;
use proto::v1;
use proto::v1::subject_service_server::SubjectService;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use vault::ingest::SubjectKey;
use vault::subjects::OnItsWay;

/// Releases of a page by default, and at most.
const PAGE: (usize, usize) = (100, 1_000);

/// Most people of one erasure.
const MAX_PEOPLE: usize = 10_000;

#[tonic::async_trait]
impl SubjectService for Service {
    type StreamAccessPackageStream = Parts;

    async fn stream_access_package(
        &self,
        request: Request<v1::StreamAccessPackageRequest>,
    ) -> Result<Response<Self::StreamAccessPackageStream>, Status> {
        package::stream(&self.0, request).await
    }

    async fn rectify_subject(
        &self,
        request: Request<v1::RectifySubjectRequest>,
    ) -> Result<Response<v1::RectifySubjectResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/RectifySubject", rectify).await
    }

    async fn restrict_subject(
        &self,
        request: Request<v1::RestrictSubjectRequest>,
    ) -> Result<Response<v1::RestrictSubjectResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/RestrictSubject", |call, request| {
            let v1::RestrictSubjectRequest { dataset, subject, request_id, identity } = request;
            let about = About::begin(call, &dataset, (&identity, &subject), &request_id, Verb::RestrictSubject)?;
            let done = call.app.vault.restrict_subject(&about.permit, &about.key, call.now)?;
            Ok(v1::RestrictSubjectResponse { request: Some(subject::request(&about.schema, &done)) })
        })
        .await
    }

    async fn unrestrict_subject(
        &self,
        request: Request<v1::UnrestrictSubjectRequest>,
    ) -> Result<Response<v1::UnrestrictSubjectResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/UnrestrictSubject", |call, request| {
            let v1::UnrestrictSubjectRequest { dataset, subject, request_id, identity } = request;
            let about = About::begin(call, &dataset, (&identity, &subject), &request_id, Verb::RestrictSubject)?;
            let done = call.app.vault.unrestrict_subject(&about.permit, &about.key, call.now)?;
            Ok(v1::UnrestrictSubjectResponse { request: Some(subject::request(&about.schema, &done)) })
        })
        .await
    }

    async fn object_to_purpose(
        &self,
        request: Request<v1::ObjectToPurposeRequest>,
    ) -> Result<Response<v1::ObjectToPurposeResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/ObjectToPurpose", |call, request| {
            let v1::ObjectToPurposeRequest { dataset, subject, purpose, request_id, identity } = request;
            let about = About::begin(call, &dataset, (&identity, &subject), &request_id, Verb::RestrictSubject)?;
            let purpose =
                PurposeId::new(&purpose).map_err(|_| Failure::invalid("purpose", "must be a purpose's name"))?;
            let done = call.app.vault.object_to_purpose(&about.permit, &about.key, &purpose, call.now)?;
            Ok(v1::ObjectToPurposeResponse { request: Some(subject::request(&about.schema, &done)) })
        })
        .await
    }

    async fn erase_subjects(
        &self,
        request: Request<v1::EraseSubjectsRequest>,
    ) -> Result<Response<v1::EraseSubjectsResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/EraseSubjects", erase).await
    }

    async fn link_subjects(
        &self,
        request: Request<v1::LinkSubjectsRequest>,
    ) -> Result<Response<v1::LinkSubjectsResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/LinkSubjects", |call, request| {
            let v1::LinkSubjectsRequest {
                dataset,
                primary,
                primary_identity,
                secondary,
                secondary_identity,
                request_id,
            } = request;
            let (first, second) = ((&*primary_identity, &*primary), (&*secondary_identity, &*secondary));
            let about = AboutBoth::begin(call, &dataset, first, second, &request_id)?;
            let AboutBoth { schema, permit, primary, secondary } = &about;
            let done = call.app.vault.link_subjects(permit, primary, secondary, call.now)?;
            Ok(v1::LinkSubjectsResponse { request: Some(subject::request(schema, &done)) })
        })
        .await
    }

    async fn unlink_subjects(
        &self,
        request: Request<v1::UnlinkSubjectsRequest>,
    ) -> Result<Response<v1::UnlinkSubjectsResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/UnlinkSubjects", |call, request| {
            let v1::UnlinkSubjectsRequest {
                dataset,
                primary,
                primary_identity,
                secondary,
                secondary_identity,
                request_id,
            } = request;
            let (first, second) = ((&*primary_identity, &*primary), (&*secondary_identity, &*secondary));
            let about = AboutBoth::begin(call, &dataset, first, second, &request_id)?;
            let AboutBoth { schema, permit, primary, secondary } = &about;
            let done = call.app.vault.unlink_subjects(permit, primary, secondary, call.now)?;
            Ok(v1::UnlinkSubjectsResponse { request: Some(subject::request(schema, &done)) })
        })
        .await
    }

    async fn get_consent_receipts(
        &self,
        request: Request<v1::GetConsentReceiptsRequest>,
    ) -> Result<Response<v1::GetConsentReceiptsResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/GetConsentReceipts", receipts).await.map(let_go)
    }

    async fn place_hold(
        &self,
        request: Request<v1::PlaceHoldRequest>,
    ) -> Result<Response<v1::PlaceHoldResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/PlaceHold", |call, request| {
            let v1::PlaceHoldRequest { dataset, subject: who, fields, ground, expire_time, request_id, identity } =
                request;
            call.take_request_id(&request_id)?;
            let schema = call.schema(&dataset)?;
            let permit = call.permit(Verb::HoldSubject, Some(&schema), None, &[])?;
            let wanted = hold::decode(&fields, &ground, expire_time, &schema)?;
            let key = subject::subject(subject::identity(&schema, &identity)?, &who)?;
            let placed = call.app.vault.place_hold(&permit, &key, wanted, call.now)?;
            Ok(v1::PlaceHoldResponse { hold: Some(hold::encode(&schema, &placed)) })
        })
        .await
    }

    async fn release_hold(
        &self,
        request: Request<v1::ReleaseHoldRequest>,
    ) -> Result<Response<v1::ReleaseHoldResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/ReleaseHold", |call, request| {
            let v1::ReleaseHoldRequest { dataset, number, request_id } = request;
            call.take_request_id(&request_id)?;
            let schema = call.schema(&dataset)?;
            let permit = call.permit(Verb::HoldSubject, Some(&schema), None, &[])?;
            Ok(subject::released(call.app.vault.release_hold(&permit, number, call.now)?))
        })
        .await
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/ListHolds", |call, request| {
            let v1::ListHoldsRequest { dataset, page_size, page_token } = request;
            let schema = call.schema(&dataset)?;
            let permit = call.permit(Verb::HoldSubject, Some(&schema), None, &[])?;
            let holds = call.app.vault.list_holds(&permit)?;
            let items =
                holds.iter().map(|held| (format!("{:020}", held.number), hold::encode(&schema, held))).collect();
            let (holds, next_page_token) = page::cut(items, &format!("holds {dataset}"), (page_size, &page_token))?;
            Ok(v1::ListHoldsResponse { holds, next_page_token })
        })
        .await
    }

    async fn list_uses(&self, request: Request<v1::ListUsesRequest>) -> Result<Response<v1::ListUsesResponse>, Status> {
        pipeline::unary(&self.0, request, "SubjectService/ListUses", uses).await.map(let_go)
    }
}

/// Drops what holds withdrawals and erasures back, once the message is made: in the same poll it goes to the transport.
fn let_go<R>(response: Response<(R, OnItsWay)>) -> Response<R> {
    response.map(|(message, _on_its_way)| message)
}

/// A call about one person.
struct About {
    schema: Arc<Schema>,
    permit: Permit,
    key: SubjectKey,
}

impl About {
    fn begin(
        call: &mut Call,
        dataset: &str,
        (identity, who): (&str, &str),
        request_id: &str,
        verb: Verb,
    ) -> Result<Self, Failure> {
        call.take_request_id(request_id)?;
        let schema = call.schema(dataset)?;
        let key = subject::identity(&schema, identity).and_then(|kind| subject::subject(kind, who));
        // The permit first: who may not do this learns nothing of the schema.
        let permit = call.permit_about(verb, &schema, key.as_ref().ok())?;
        Ok(Self { schema, permit, key: key? })
    }
}

/// A call about two people who are one.
struct AboutBoth {
    schema: Arc<Schema>,
    permit: Permit,
    primary: SubjectKey,
    secondary: SubjectKey,
}

impl AboutBoth {
    /// Each of the two is the name of its kind of identifier, and the value.
    fn begin(
        call: &mut Call,
        dataset: &str,
        primary: (&str, &str),
        secondary: (&str, &str),
        request_id: &str,
    ) -> Result<Self, Failure> {
        call.take_request_id(request_id)?;
        let schema = call.schema(dataset)?;
        let key = |(identity, who)| subject::identity(&schema, identity).and_then(|kind| subject::subject(kind, who));
        let (primary, secondary) = (key(primary), key(secondary));
        let both = (primary.as_ref().ok(), secondary.as_ref().ok());
        let permit = call.permit_about_both(Verb::LinkSubject, &schema, both)?;
        Ok(Self { permit, primary: primary?, secondary: secondary?, schema })
    }
}

fn rectify(call: &mut Call, request: v1::RectifySubjectRequest) -> Result<v1::RectifySubjectResponse, Failure> {
    let v1::RectifySubjectRequest { dataset, subject: who, values, request_id, identity } = request;
    let about = About::begin(call, &dataset, (&identity, &who), &request_id, Verb::RectifySubject)?;
    let values = subject::values(&values, &about.schema)?;
    let done = call.app.vault.rectify_subject(&about.permit, &about.key, values, call.now)?;
    Ok(v1::RectifySubjectResponse { request: Some(subject::request(&about.schema, &done)) })
}

fn erase(call: &mut Call, request: v1::EraseSubjectsRequest) -> Result<v1::EraseSubjectsResponse, Failure> {
    let v1::EraseSubjectsRequest { dataset, subjects, request_id, identity } = request;
    call.take_request_id(&request_id)?;
    let schema = call.schema(&dataset)?;
    let permit = call.permit(Verb::EraseSubject, Some(&schema), None, &[])?;
    if !(1..=MAX_PEOPLE).contains(&subjects.len()) {
        return Err(Failure::invalid("subjects", format!("must be 1 to {MAX_PEOPLE} people")));
    }
    let kind = subject::identity(&schema, &identity)?;
    let keys: Vec<_> = subjects.iter().map(|who| subject::subject(kind, who)).collect::<Result<_, _>>()?;
    let report = call.app.vault.erase_subjects(&permit, &keys, call.now)?;
    Ok(subject::erased(report))
}

fn receipts(
    call: &mut Call,
    request: v1::GetConsentReceiptsRequest,
) -> Result<(v1::GetConsentReceiptsResponse, OnItsWay), Failure> {
    let v1::GetConsentReceiptsRequest { dataset, subject: who, request_id, identity } = request;
    let about = About::begin(call, &dataset, (&identity, &who), &request_id, Verb::AccessSubject)?;
    Ok(subject::receipts(call.app.vault.consent_receipts(&about.permit, &about.key, call.now)?))
}

fn uses(call: &mut Call, request: v1::ListUsesRequest) -> Result<(v1::ListUsesResponse, OnItsWay), Failure> {
    let v1::ListUsesRequest { dataset, subject: who, page_size, page_token, request_id, identity } = request;
    let bound = format!("uses {dataset} {identity} {who}");
    let about = About::begin(call, &dataset, (&identity, &who), &request_id, Verb::AccessSubject)?;
    let size = page::size(page_size, PAGE.0, PAGE.1)?;
    let start: usize = match page::position(&bound, &page_token)? {
        Some(position) => position.parse().map_err(|_| Failure::invalid("page_token", "is not from a page"))?,
        None => 0,
    };
    let found = call.app.vault.list_uses(&about.permit, &about.key, call.now)?;
    let next = start.saturating_add(size);
    let more = next < found.uses.releases.len();
    let audiences = found.uses.audiences.iter().filter(|_| start == 0);
    let recipients = found.uses.recipients.iter().filter(|_| start == 0);
    let message = v1::ListUsesResponse {
        releases: found.uses.releases.iter().skip(start).take(size).map(subject::release).collect(),
        audiences: audiences.map(|used| subject::audience(&found.schema, used)).collect(),
        recipients: recipients.map(|recipient| subject::recipient(&found.schema, recipient)).collect(),
        next_page_token: if more { page::token(&bound, &next.to_string()) } else { String::new() },
    };
    Ok((message, found.on_its_way))
}
