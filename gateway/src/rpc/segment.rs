//! Segments, stored and measured.

use super::Service;
use crate::insight::question::{self, Asked, View};
use crate::pace;
use crate::pipeline::{self, Call};
use crate::records::{self, SegmentBody, StoredSegment};
use crate::status::Failure;
use crate::wire::{names, page, segment};
use policy::id::SegmentId;
use policy::permit::Verb;
use policy::segment::Segment;
use proto::v1;
use proto::v1::segment_service_server::SegmentService;
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};
use vault::release::Kind;

/// Longest words for people, in characters.
const MAX_DISPLAY: usize = 200;

#[tonic::async_trait]
impl SegmentService for Service {
    async fn validate_segment(
        &self,
        request: Request<v1::ValidateSegmentRequest>,
    ) -> Result<Response<v1::ValidateSegmentResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/ValidateSegment", |call, request| {
            let v1::ValidateSegmentRequest { dataset, cel, r#use } = request;
            let view = View::open(call, &dataset, r#use, Verb::Release)?;
            let parsed = view.parse(&cel)?;
            let fields = segment::fields(&parsed, &view.schema);
            Ok(v1::ValidateSegmentResponse { canonical: parsed.canonical().to_owned(), fields })
        })
        .await
    }

    async fn create_segment(
        &self,
        request: Request<v1::CreateSegmentRequest>,
    ) -> Result<Response<v1::CreateSegmentResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/CreateSegment", create).await
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::GetSegmentResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/GetSegment", |call, request| {
            let v1::GetSegmentRequest { name, r#use } = request;
            let dataset = names::of_dataset(&names::segment(&name)?.dataset);
            let view = View::open(call, &dataset, r#use, Verb::Release)?;
            let found = question::find(call, &name, &view.schema)?;
            Ok(v1::GetSegmentResponse { segment: Some(show(&view, &found)?) })
        })
        .await
    }

    async fn archive_segment(
        &self,
        request: Request<v1::ArchiveSegmentRequest>,
    ) -> Result<Response<v1::ArchiveSegmentResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/ArchiveSegment", archive).await
    }

    async fn list_segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/ListSegments", list).await
    }

    async fn estimate_size(
        &self,
        request: Request<v1::EstimateSizeRequest>,
    ) -> Result<Response<v1::EstimateSizeResponse>, Status> {
        pipeline::unary(&self.0, request, "SegmentService/EstimateSize", |call, request| {
            let v1::EstimateSizeRequest { dataset, segment, universe, r#use, spend, validate_only, request_id } =
                request;
            let asked = Asked { dataset, segment, universe, used: r#use, spend, validate_only, request_id };
            let answered = question::answer(call, asked, pace::Kind::Size, |_, _, _| Ok(Kind::Size))?;
            Ok(v1::EstimateSizeResponse { plan: Some(answered.plan), release: answered.release })
        })
        .await
    }
}

fn create(call: &mut Call, request: v1::CreateSegmentRequest) -> Result<v1::CreateSegmentResponse, Failure> {
    let v1::CreateSegmentRequest { dataset, segment_id, cel, universe, display, r#use, validate_only, request_id } =
        request;
    call.take_request_id(&request_id)?;
    let view = View::open(call, &dataset, r#use, Verb::Release)?;
    let id = SegmentId::new(&segment_id).map_err(|problem| Failure::invalid("segment_id", problem.to_string()))?;
    if display.chars().count() > MAX_DISPLAY {
        return Err(Failure::invalid("display", "must be at most 200 characters"));
    }
    let parsed = view.parse(&cel)?;
    let everyone = if universe.is_empty() { Segment::everyone() } else { view.parse(&universe)? };
    let permit = view.permit(call, [&parsed, &everyone], &[])?;
    let app = std::sync::Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let versions = question::stored(call)?;
    let of_this = versions.into_iter().filter(|s| s.dataset == view.schema.dataset && s.id == id);
    let newest = of_this.max_by_key(|s| s.version);
    let is_same = |s: &&StoredSegment| s.body.cel == cel && s.body.universe == universe && !s.body.archived;
    if let Some(same) = newest.as_ref().filter(is_same) {
        return Ok(v1::CreateSegmentResponse { segment: Some(show(&view, same)?) });
    }
    let stored = StoredSegment {
        dataset: view.schema.dataset.clone(),
        id,
        version: newest.map_or(0, |s| s.version).saturating_add(1),
        body: SegmentBody {
            version: records::version(),
            cel,
            canonical: parsed.canonical().to_owned(),
            universe,
            display,
            client: call.principal.client.clone(),
            created: call.now,
            archived: false,
        },
    };
    if !validate_only {
        let key = StoredSegment::key(&stored.dataset, &stored.id, stored.version);
        call.app.vault.put_record(&permit, records::SEGMENTS, &key, Some(&stored.encode()), call.now)?;
    }
    Ok(v1::CreateSegmentResponse { segment: Some(show(&view, &stored)?) })
}

/// Archives every version, the newest last, so that one that fails on the way is found and done again.
fn archive(call: &mut Call, request: v1::ArchiveSegmentRequest) -> Result<v1::ArchiveSegmentResponse, Failure> {
    let v1::ArchiveSegmentRequest { name, r#use, request_id } = request;
    call.take_request_id(&request_id)?;
    let wanted = names::segment(&name)?;
    let view = View::open(call, &names::of_dataset(&wanted.dataset), r#use, Verb::Release)?;
    let app = std::sync::Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let versions = question::stored(call)?.into_iter();
    let mut versions: Vec<_> =
        versions.filter(|s| s.dataset == view.schema.dataset && s.id == wanted.segment).collect();
    versions.sort_by_key(|stored| stored.version);
    let newest = versions.last().ok_or_else(question::no_segment)?;
    // Who may not ask about it may not archive it.
    let parsed = view.parse(&newest.body.cel).map_err(|_| question::no_segment())?;
    let permit = view.permit(call, [&parsed, &Segment::everyone()], &[])?;
    for stored in versions.iter_mut().filter(|stored| !stored.body.archived) {
        stored.body.archived = true;
        let key = StoredSegment::key(&stored.dataset, &stored.id, stored.version);
        call.app.vault.put_record(&permit, records::SEGMENTS, &key, Some(&stored.encode()), call.now)?;
    }
    let newest = versions.last().ok_or_else(question::no_segment)?;
    Ok(v1::ArchiveSegmentResponse { segment: Some(show(&view, newest)?) })
}

fn list(call: &mut Call, request: v1::ListSegmentsRequest) -> Result<v1::ListSegmentsResponse, Failure> {
    let v1::ListSegmentsRequest { dataset, page_size, page_token, r#use, show_archived } = request;
    let bound = format!("segments {dataset} {:?} {show_archived}", r#use);
    let view = View::open(call, &dataset, r#use, Verb::Release)?;
    let mut newest = BTreeMap::new();
    for stored in question::stored(call)?.into_iter().filter(|s| s.dataset == view.schema.dataset) {
        // Records come in order of version, so the last one stays.
        newest.insert(stored.id.clone(), stored);
    }
    newest.retain(|_, stored| show_archived || !stored.body.archived);
    // A segment over a field that is not granted is not there for this caller.
    let shown = newest.into_values().filter_map(|stored| Some((stored.id.to_string(), show(&view, &stored).ok()?)));
    let (segments, next_page_token) = page::cut(shown.collect(), &bound, (page_size, &page_token))?;
    Ok(v1::ListSegmentsResponse { segments, next_page_token })
}

fn show(view: &View, stored: &StoredSegment) -> Result<v1::Segment, Failure> {
    let parsed = view.parse(&stored.body.cel).map_err(|_| question::no_segment())?;
    Ok(segment::encode(stored, segment::fields(&parsed, &view.schema)))
}
