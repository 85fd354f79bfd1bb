//! Differentially private answers.

use super::Service;
use super::catalog::reads_catalog;
use crate::insight::parts;
use crate::insight::question::{self, Asked, View};
use crate::insight::{bounds, cut_bands, cut_points, profile, story, synopsis};
use crate::pace;
use crate::pipeline;
use crate::status::Failure;
use crate::wire::{self, insight};
use policy::schema::FieldRef;
use policy::segment::{Segment, Window};
use proto::v1;
use proto::v1::insight_service_server::InsightService;
use tonic::{Request, Response, Status};
use vault::release::{By, Kind, Measure};

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
            let answered = question::answer(call, asked, pace::Kind::Breakdown, |_, view, _| {
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
            let answered = question::answer(call, asked, pace::Kind::Portrait, |_, view, _| {
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

    async fn contrast(&self, request: Request<v1::ContrastRequest>) -> Result<Response<v1::ContrastResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Contrast", |call, request| {
            let v1::ContrastRequest { ask, fields, window } = request;
            let answered = question::answer(call, parts::asked(ask), pace::Kind::Portrait, |_, view, segment| {
                let window = question::window(window)?;
                let of = std::mem::replace(segment, Segment::everyone());
                if of == Segment::everyone() {
                    return Err(Failure::invalid("ask.segment", "is needed: everyone can't be compared with the rest"));
                }
                Ok(Kind::Contrast { of, fields: portrayed(view, &fields)?, window })
            })?;
            let rows = answered.answer.as_ref().map(|answer| insight::contrast(answer, &answered.schema));
            Ok(v1::ContrastResponse {
                plan: Some(answered.plan),
                release: answered.release,
                rows: rows.unwrap_or_default(),
            })
        })
        .await
    }

    async fn profile(&self, request: Request<v1::ProfileRequest>) -> Result<Response<v1::ProfileResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Profile", |call, request| {
            let v1::ProfileRequest { ask, parts, fields, window, rfm, lists, event, period, from, until } = request;
            let trend = profile::Trend { period, from, until };
            let wanted = profile::Wanted { parts, fields, window, rfm, lists, event, trend };
            let mut panels = Vec::new();
            let mut answered =
                question::answer(call, parts::asked(ask), pace::Kind::Profile, |call, view, segment| {
                    let (kind, named) = profile::kind(call, view, wanted, segment)?;
                    panels = named;
                    Ok(kind)
                })?;
            let budget = answered.release.as_ref().and_then(|release| release.budget.as_ref());
            let left = budget.and_then(|budget| budget.left.parse().ok());
            let shown = answered.answer.as_ref();
            let shown = shown.map(|answer| wire::profile::encode(answer, &answered.schema, &panels, left));
            if let Some(release) = &mut answered.release {
                wire::profile::relabel(release, &panels);
            }
            let response = v1::ProfileResponse { plan: Some(answered.plan), ..shown.unwrap_or_default() };
            Ok(story::told(v1::ProfileResponse { release: answered.release, ..response }))
        })
        .await
    }

    async fn funnel(&self, request: Request<v1::FunnelRequest>) -> Result<Response<v1::FunnelResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Funnel", |call, request| {
            let v1::FunnelRequest { ask, steps } = request;
            let mut names = Vec::new();
            let mut answered = question::answer(call, parts::asked(ask), TABLE, |call, view, _| {
                let (steps, called) = parts::named(call, view, "steps", steps)?;
                names = called;
                Ok(Kind::Funnel { steps })
            })?;
            let steps = answered.answer.as_ref().map(|answer| insight::funnel(answer, &names));
            let taken = std::iter::once("start".to_owned()).chain(names);
            relabel(answered.release.as_mut(), &[taken.collect()]);
            Ok(v1::FunnelResponse {
                plan: Some(answered.plan),
                release: answered.release,
                steps: steps.unwrap_or_default(),
            })
        })
        .await
    }

    async fn overlap(&self, request: Request<v1::OverlapRequest>) -> Result<Response<v1::OverlapResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Overlap", |call, request| {
            let v1::OverlapRequest { ask, others } = request;
            let mut names = Vec::new();
            let mut answered = question::answer(call, parts::asked(ask), TABLE, |call, view, _| {
                let (others, called) = parts::named(call, view, "others", others)?;
                names = called;
                Ok(Kind::Overlap { others })
            })?;
            relabel(answered.release.as_mut(), &[combinations(&names)]);
            let segments = answered.answer.as_ref().map(|answer| insight::overlapped(answer, &names));
            Ok(v1::OverlapResponse {
                plan: Some(answered.plan),
                release: answered.release,
                segments: segments.unwrap_or_default(),
            })
        })
        .await
    }

    async fn band(&self, request: Request<v1::BandRequest>) -> Result<Response<v1::BandResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Band", |call, request| {
            let v1::BandRequest { ask, lists, rfm: measures } = request;
            let mut names = Vec::new();
            let mut titles = Vec::new();
            let mut answered = question::answer(call, parts::asked(ask), TABLE, |call, view, _| {
                let cut = measures.iter().map(|measure| cut_bands::bands(call, view, measure));
                let lists = cut.chain(lists.into_iter().map(Ok)).collect::<Result<Vec<_>, Failure>>()?;
                let mut read = |v1::BandList { name, bands }: v1::BandList| {
                    parts::few_bands("lists", &bands)?;
                    let (bands, called) = parts::named(call, view, "lists", bands)?;
                    names.push(std::iter::once("(none)".to_owned()).chain(called).collect::<Vec<_>>());
                    titles.push(if name.is_empty() { "band".to_owned() } else { name });
                    Ok(bands)
                };
                Ok(Kind::Bands { lists: lists.into_iter().map(&mut read).collect::<Result<_, Failure>>()? })
            })?;
            relabel(answered.release.as_mut(), &names);
            answered.release.iter_mut().flat_map(|release| &mut release.tables).for_each(|table| {
                table.displays.clone_from(&titles);
            });
            Ok(v1::BandResponse { plan: Some(answered.plan), release: answered.release })
        })
        .await
    }

    async fn tabulate(&self, request: Request<v1::TabulateRequest>) -> Result<Response<v1::TabulateResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Tabulate", |call, request| {
            let v1::TabulateRequest { ask, measures, by, window, weighed } = request;
            let answered = question::answer(call, parts::asked(ask), TABLE, |_, view, _| {
                let (measures, by) = (parts::measures(view, measures)?, parts::dimensions(view, by)?);
                Ok(Kind::Table { measures, by, window: question::window(window)?, weighed })
            })?;
            let means = answered.answer.as_ref().map(|answer| insight::means(answer, &answered.schema));
            Ok(v1::TabulateResponse {
                plan: Some(answered.plan),
                release: answered.release,
                means: means.unwrap_or_default(),
            })
        })
        .await
    }

    async fn trend(&self, request: Request<v1::TrendRequest>) -> Result<Response<v1::TrendResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Trend", |call, request| {
            let v1::TrendRequest { ask, event, measures, period, from, until, by } = request;
            let answered = question::answer(call, parts::asked(ask), TABLE, |call, view, _| {
                let event = parts::event(view, "event", &event)?;
                let days = parts::periods(call, view, period, &from, &until)?;
                let mut dimensions = vec![By::Periods { event, days }];
                if !by.is_empty() {
                    dimensions.push(By::Field(view.closed_field("by", &by)?));
                }
                Ok(Kind::Table {
                    measures: parts::measures(view, measures)?,
                    by: dimensions,
                    window: Window::Ever,
                    weighed: false,
                })
            })?;
            let means = answered.answer.as_ref().map(|answer| insight::means(answer, &answered.schema));
            let open = answered.answer.as_ref().is_some_and(|answer| insight::last_is_open(answer, &answered.schema));
            Ok(v1::TrendResponse {
                plan: Some(answered.plan),
                release: answered.release,
                means: means.unwrap_or_default(),
                last_is_open: open,
            })
        })
        .await
    }

    async fn retention(
        &self,
        request: Request<v1::RetentionRequest>,
    ) -> Result<Response<v1::RetentionResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Retention", |call, request| {
            let v1::RetentionRequest { ask, event, period, from, until } = request;
            let answered = question::answer(call, parts::asked(ask), TABLE, |call, view, _| {
                let event = parts::event(view, "event", &event)?;
                Ok(Kind::Retention { event, days: parts::periods(call, view, period, &from, &until)? })
            })?;
            let open = answered.answer.as_ref().is_some_and(|answer| insight::last_is_open(answer, &answered.schema));
            Ok(v1::RetentionResponse {
                plan: Some(answered.plan),
                release: answered.release,
                cohorts: answered.answer.as_ref().map(insight::cohorts).unwrap_or_default(),
                last_is_open: open,
            })
        })
        .await
    }

    async fn top(&self, request: Request<v1::TopRequest>) -> Result<Response<v1::TopResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Top", |call, request| {
            let v1::TopRequest { ask, field, k, window } = request;
            let answered = question::answer(call, parts::asked(ask), TABLE, |_, view, _| {
                let window = question::window(window)?;
                Ok(Kind::Top { field: view.closed_field("field", &field)?, k, window })
            })?;
            Ok(v1::TopResponse { plan: Some(answered.plan), release: answered.release })
        })
        .await
    }

    async fn distribution(
        &self,
        request: Request<v1::DistributionRequest>,
    ) -> Result<Response<v1::DistributionResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Distribution", |call, request| {
            let v1::DistributionRequest { ask, bins, permilles } = request;
            let permilles = parts::permilles(permilles)?;
            let answered = question::answer(call, parts::asked(ask), TABLE, |_, view, _| {
                let bins = bins.map(v1::dimension::Dimension::Bins);
                let by = parts::dimensions(view, vec![v1::Dimension { dimension: bins }])?;
                Ok(Kind::Table { measures: vec![Measure::People], by, window: Window::Ever, weighed: false })
            })?;
            let quantiles = answered.answer.as_ref().map(|a| insight::quantiles(a, &answered.schema, &permilles));
            Ok(v1::DistributionResponse {
                plan: Some(answered.plan),
                release: answered.release,
                quantiles: quantiles.unwrap_or_default(),
            })
        })
        .await
    }

    async fn mean(&self, request: Request<v1::MeanRequest>) -> Result<Response<v1::MeanResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/Mean", |call, request| {
            let v1::MeanRequest { ask, field, spread } = request;
            let answered = question::answer(call, parts::asked(ask), TABLE, |_, view, _| {
                let field = view.field(&field)?;
                Ok(if spread { Kind::Spread { field } } else { Kind::Mean { field } })
            })?;
            let answer = answered.answer.as_ref();
            Ok(v1::MeanResponse {
                plan: Some(answered.plan),
                release: answered.release,
                mean: answer.and_then(|answer| insight::mean(answer, &answered.schema)),
                deviation: answer.and_then(|answer| insight::deviation(answer, &answered.schema)),
            })
        })
        .await
    }

    async fn suggest_bound(
        &self,
        request: Request<v1::SuggestBoundRequest>,
    ) -> Result<Response<v1::SuggestBoundResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/SuggestBound", bounds::suggest).await
    }

    async fn release_cut_points(
        &self,
        request: Request<v1::ReleaseCutPointsRequest>,
    ) -> Result<Response<v1::ReleaseCutPointsResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/ReleaseCutPoints", cut_points::release).await
    }

    async fn get_cut_points(
        &self,
        request: Request<v1::GetCutPointsRequest>,
    ) -> Result<Response<v1::GetCutPointsResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/GetCutPoints", cut_bands::get).await
    }

    async fn list_cut_points(
        &self,
        request: Request<v1::ListCutPointsRequest>,
    ) -> Result<Response<v1::ListCutPointsResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/ListCutPoints", cut_bands::list).await
    }

    async fn get_synopsis(
        &self,
        request: Request<v1::GetSynopsisRequest>,
    ) -> Result<Response<v1::GetSynopsisResponse>, Status> {
        pipeline::unary(&self.0, request, "InsightService/GetSynopsis", |call, request| {
            let v1::GetSynopsisRequest { dataset } = request;
            let schema = call.schema(&dataset)?;
            let all = reads_catalog(call, &schema);
            synopsis::describe(call, &schema, all)
        })
        .await
    }
}

/// Gives the codes along the dimensions of all tables the names that the question gave them.
fn relabel(release: Option<&mut v1::Release>, names: &[Vec<String>]) {
    for cell in release.into_iter().flat_map(|release| &mut release.tables).flat_map(|table| &mut table.cells) {
        for ((label, code), names) in cell.labels.iter_mut().zip(&cell.codes).zip(names) {
            if let Some(name) = names.get(*code as usize) {
                label.clone_from(name);
            }
        }
    }
}

/// Names every combination of segments, the first being the lowest bit.
fn combinations(names: &[String]) -> Vec<String> {
    let combination = |bits: usize| {
        let chosen = names.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| name.as_str());
        let chosen: Vec<&str> = chosen.collect();
        if chosen.is_empty() { "(none)".to_owned() } else { chosen.join(" + ") }
    };
    (0..1_usize << names.len().min(8)).map(combination).collect()
}

/// Which kind of pace the questions of one table have that read whatever they like.
const TABLE: pace::Kind = pace::Kind::Table;

fn crossed(view: &View, by: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields = parts::closed(view, "by", by)?;
    if (1..=3).contains(&fields.len()) {
        return Ok(fields);
    }
    Err(Failure::invalid("by", "must be one to three fields"))
}

fn portrayed(view: &View, fields: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields = if fields.is_empty() { parts::granted(view) } else { parts::closed(view, "fields", fields)? };
    if !(1..=MAX_FIELDS).contains(&fields.len()) {
        return Err(Failure::invalid("fields", format!("must be 1 to {MAX_FIELDS} fields")));
    }
    Ok(fields)
}
