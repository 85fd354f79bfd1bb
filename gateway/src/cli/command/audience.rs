//! `audience`: the members of a segment, for a partner, under pseudonyms of its own.

use super::{dataset_name, segment_of, short, use_of};
use crate::cli::args::AudienceArgs;
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::deliver_audience_response::Message;
use proto::v1::{AudienceHeader, AudienceMember, DeliverAudienceRequest, Spend, spend};
use serde_json::json;
use std::path::Path;

/// How many members are shown when they go to no file.
const SHOWN: usize = 10;

/// A delivered audience.
#[derive(Debug, Default)]
pub struct Delivered {
    /// What it is.
    pub header: AudienceHeader,
    /// Its rows.
    pub members: Vec<AudienceMember>,
}

/// Delivers an audience, to a file or with its first members shown.
pub async fn deliver(args: AudienceArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let AudienceArgs { who, of, use_for, tags, rho, request_id, out } = args;
    if use_for.purpose.is_none() {
        return Err(CliError::usage("an audience needs --purpose, such as sharing.partner.acme"));
    }
    let request = DeliverAudienceRequest {
        dataset: dataset_name(&of.dataset),
        segment: segment_of(&who, &of.dataset),
        tags,
        r#use: Some(use_of(&use_for, "")),
        spend: rho.map(|rho| Spend { spend: Some(spend::Spend::Rho(rho)) }),
        request_id,
    };
    let delivered = receive(request, session).await?;
    let shown = if out.is_some() { 0 } else { SHOWN };
    let mut words = words(&delivered, shown, canvas);
    if let Some(path) = &out {
        write_csv(&delivered, path)?;
        words.push_str(&format!("  written to {}\n", path.display()));
    }
    let rows = if out.is_some() {
        Vec::new()
    } else {
        delivered.members.iter().map(|m| json!({ "pseudonym": m.pseudonym, "tags": m.tags })).collect()
    };
    let AudienceHeader { name, tags, leaf, rho, members } = &delivered.header;
    let json = json!({ "name": name, "tags": tags, "leaf": leaf, "rho": rho, "members": members, "rows": rows });
    Ok(Shown::new(words, json))
}

/// Receives a whole audience.
pub async fn receive(request: DeliverAudienceRequest, session: &Session) -> Result<Delivered, CliError> {
    let mut stream = session.activation().deliver_audience(session.request(request).await?).await?.into_inner();
    let mut delivered = Delivered::default();
    while let Some(message) = stream.message().await? {
        match message.message {
            Some(Message::Header(header)) => delivered.header = header,
            Some(Message::Members(rows)) => delivered.members.extend(rows.members),
            None => {}
        }
    }
    // Fewer rows than the header says are no break: people may withdraw meanwhile. A break is an error above.
    Ok(delivered)
}

/// Says what was delivered and shows the first members.
pub fn words(delivered: &Delivered, shown: usize, canvas: Canvas) -> String {
    let Delivered { header, members } = delivered;
    let count = chart::grouped(u64::try_from(members.len()).unwrap_or(u64::MAX));
    let mut text =
        format!("Audience {}: {count} members, under pseudonyms that only this partner sees.\n", short(&header.name));
    let row = |member: &AudienceMember| {
        let tags = member.tags.iter().map(|tag| if tag.is_empty() { "(withheld)".to_owned() } else { tag.clone() });
        std::iter::once(member.pseudonym.clone()).chain(tags).collect()
    };
    let rows: Vec<Vec<String>> = members.iter().take(shown).map(row).collect();
    if !rows.is_empty() {
        let header: Vec<&str> = std::iter::once("pseudonym").chain(header.tags.iter().map(String::as_str)).collect();
        text.push_str(&indent(&chart::table(&header, &rows, canvas.width.saturating_sub(2))));
        let more = members.len().saturating_sub(shown);
        if more > 0 {
            text.push_str(&format!("  and {} more\n", chart::grouped(u64::try_from(more).unwrap_or(u64::MAX))));
        }
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn write_csv(delivered: &Delivered, path: &Path) -> Result<(), CliError> {
    let failed = |problem: csv::Error| CliError::failed(format!("`{}`: {problem}", path.display()));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    let header = std::iter::once("pseudonym").chain(delivered.header.tags.iter().map(String::as_str));
    writer.write_record(header).map_err(failed)?;
    for member in &delivered.members {
        let row = std::iter::once(&member.pseudonym).chain(&member.tags);
        writer.write_record(row).map_err(failed)?;
    }
    writer.flush().map_err(|problem| CliError::file(path, &problem))
}
