//! `segment`: check, store, list.

use super::{dataset_name, short, use_of};
use crate::cli::args::SegmentCommand;
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{ArchiveSegmentRequest, CreateSegmentRequest, ListSegmentsRequest, Segment, ValidateSegmentRequest};
use serde_json::{Value, json};

const PURPOSE: &str = "marketing.segmentation";

/// Runs one of them.
pub async fn run(command: SegmentCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    match command {
        SegmentCommand::Check { expression, of, use_for } => {
            let (dataset, r#use) = (dataset_name(&of.dataset), Some(use_of(&use_for, PURPOSE)));
            let request = session.request(ValidateSegmentRequest { dataset, cel: expression, r#use }).await?;
            let answer = session.segments().validate_segment(request).await?.into_inner();
            let words = format!("It is understood as\n  {}\nand names {}.\n", answer.canonical, named(&answer.fields));
            Ok(Shown::new(words, json!({ "canonical": answer.canonical, "fields": answer.fields })))
        }
        SegmentCommand::Create { name, expression, display, universe, of, use_for } => {
            let request = CreateSegmentRequest {
                dataset: dataset_name(&of.dataset),
                segment_id: name,
                cel: expression,
                universe,
                display,
                r#use: Some(use_of(&use_for, PURPOSE)),
                validate_only: false,
                request_id: String::new(),
            };
            let request = session.request(request).await?;
            let segment = session.segments().create_segment(request).await?.into_inner().segment.unwrap_or_default();
            let words = format!("Stored as {}:\n  {}\n", short(&segment.name), segment.canonical);
            Ok(Shown::new(words, segment_json(&segment)))
        }
        SegmentCommand::Archive { name, of, use_for } => {
            let name = format!("{}/segments/{name}", dataset_name(&of.dataset));
            let r#use = Some(use_of(&use_for, PURPOSE));
            let request = session.request(ArchiveSegmentRequest { name, r#use, request_id: String::new() }).await?;
            let segment = session.segments().archive_segment(request).await?.into_inner().segment.unwrap_or_default();
            Ok(Shown::new(format!("Archived {}.\n", short(&segment.name)), segment_json(&segment)))
        }
        SegmentCommand::List { all, of, use_for } => {
            let (dataset, r#use) = (dataset_name(&of.dataset), Some(use_of(&use_for, PURPOSE)));
            list((dataset, all), r#use, session, canvas).await
        }
    }
}

async fn list(
    (dataset, show_archived): (String, bool),
    r#use: Option<proto::v1::Use>,
    session: &Session,
    canvas: Canvas,
) -> Result<Shown, CliError> {
    let (mut segments, mut page_token) = (Vec::new(), String::new());
    loop {
        let (dataset, r#use) = (dataset.clone(), r#use.clone());
        let request = ListSegmentsRequest { dataset, page_size: 100, page_token, r#use, show_archived };
        let page = session.segments().list_segments(session.request(request).await?).await?.into_inner();
        segments.extend(page.segments);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let row = |segment: &Segment| {
        let note = if segment.archived { " (archived)" } else { "" };
        let name = format!("{}{note}", short(&segment.name));
        vec![name, segment.canonical.clone(), segment.display.clone()]
    };
    let rows: Vec<Vec<String>> = segments.iter().map(row).collect();
    let json = segments.iter().map(segment_json).collect::<Vec<_>>();
    Ok(Shown::new(chart::table(&["segment", "who", "in words"], &rows, canvas.width), json!({ "segments": json })))
}

fn named(fields: &[String]) -> String {
    if fields.is_empty() { "no field".to_owned() } else { fields.join(", ") }
}

fn segment_json(segment: &Segment) -> Value {
    let Segment { name, cel, canonical, universe, display, client, create_time, fields, archived } = segment;
    json!({
        "name": name, "cel": cel, "canonical": canonical, "universe": universe, "display": display, "client": client,
        "create_time": create_time.as_ref().map(crate::cli::answer::instant), "fields": fields,
        "archived": archived,
    })
}
