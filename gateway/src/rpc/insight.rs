//! Differentially private answers.

use super::Service;
use crate::insight::question::{self, Asked, View};
use crate::pace;
use crate::pipeline;
use crate::status::Failure;
use policy::schema::FieldRef;
use policy::treatment::Treatment;
use proto::v1;
use proto::v1::insight_service_server::InsightService;
use tonic::{Request, Response, Status};
use vault::release::Kind;

/// Most fields of a portrait: beyond it a page shows nothing and each cell gets too little of the price.
const MAX_FIELDS: usize = 64;

#[tonic::async_trait]
impl InsightService for Service {
    async fn breakdown(
        &self,
        request: Request<v1::BreakdownRequest>,
    ) -> Result<Response<v1::BreakdownResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Breakdown", |call, request| {
            let v1::BreakdownRequest {
                dataset,
                segment,
                universe,
                by,
                window,
                r#use,
                spend,
                validate_only,
                request_id,
            } = request;
            let asked = Asked { dataset, segment, universe, used: r#use, spend, validate_only, request_id };
            let answered = question::answer(call, asked, pace::Kind::Breakdown, |view| {
                let window = question::window(window)?;
                Ok(Kind::Breakdown { by: crossed(view, &by)?, window })
            })?;
            Ok(v1::BreakdownResponse { plan: Some(answered.plan), release: answered.release })
        })
        .await
    }

    async fn portrait(&self, request: Request<v1::PortraitRequest>) -> Result<Response<v1::PortraitResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Portrait", |call, request| {
            let v1::PortraitRequest {
                dataset,
                segment,
                universe,
                fields,
                window,
                r#use,
                spend,
                validate_only,
                request_id,
            } = request;
            let asked = Asked { dataset, segment, universe, used: r#use, spend, validate_only, request_id };
            let answered = question::answer(call, asked, pace::Kind::Portrait, |view| {
                let window = question::window(window)?;
                Ok(Kind::Portrait { fields: portrayed(view, &fields)?, window })
            })?;
            Ok(v1::PortraitResponse {
                plan: Some(answered.plan),
                release: answered.release,
                total_people: answered.total,
            })
        })
        .await
    }
}

fn crossed(view: &View, by: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields = closed(view, "by", by)?;
    let events = fields.iter().filter(|field| !matches!(field, FieldRef::Attribute(_))).count();
    if !(1..=2).contains(&fields.len()) || (fields.len() == 2 && events > 1) {
        return Err(Failure::invalid("by", "must be one or two fields, at most one of two an event's"));
    }
    Ok(fields)
}

fn portrayed(view: &View, fields: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields = if fields.is_empty() { granted(view) } else { closed(view, "fields", fields)? };
    if !(1..=MAX_FIELDS).contains(&fields.len()) {
        return Err(Failure::invalid("fields", format!("must be 1 to {MAX_FIELDS} fields")));
    }
    Ok(fields)
}

/// Reads distinct fields with closed domains.
fn closed(view: &View, part: &'static str, paths: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields: Vec<_> = paths.iter().map(|path| view.closed_field(part, path)).collect::<Result<_, _>>()?;
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == fields.len() { Ok(fields) } else { Err(Failure::invalid(part, "names a field twice")) }
}

/// Returns the attributes with a closed domain that the caller may count.
fn granted(view: &View) -> Vec<FieldRef> {
    let attributes = view.schema.attributes.iter().filter(|field| field.ty.cardinality().is_some());
    let references = attributes.map(|field| FieldRef::Attribute(field.column));
    references.filter(|field| view.treatment(*field) >= Treatment::Aggregate).collect()
}
