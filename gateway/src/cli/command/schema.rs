//! `schema`: describe datasets.

use super::{Context, dataset_name, use_of};
use crate::cli::args::{For, SchemaCommand};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::import::{Ask, Mapping, Nobody, infer};
use crate::cli::out::Shown;
use crate::cli::session::Session;
use policy::schema::Schema;
use proto::v1::{
    CreateDatasetRequest, Dataset, Field, FieldClass, FieldKind, GetDatasetRequest, GetSchemaVersionRequest,
    ListDatasetsRequest, ListSchemaVersionsRequest, PublishSchemaRequest, PublishSchemaResponse, SchemaVersion,
    Treatment,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Values of a list that are shown when the steward is asked about it.
const SHOWN: usize = 20;

/// Runs one of them.
pub async fn run(command: SchemaCommand, context: &Context) -> Result<Shown, CliError> {
    let canvas = context.out.canvas();
    match command {
        SchemaCommand::Check { file, mapping } => check(&file, mapping.as_deref()),
        SchemaCommand::Create { file } => create(&file, &context.session().await?).await,
        SchemaCommand::Apply { file, dry_run } => apply(&file, dry_run, &context.session().await?).await,
        SchemaCommand::Show { dataset: Some(dataset), version: Some(version), .. } => {
            text(&dataset, version, &context.session().await?).await
        }
        SchemaCommand::List { dataset } => versions(&dataset, &context.session().await?, canvas).await,
        SchemaCommand::Show { dataset, version: _, purpose, basis } => {
            let r#use = purpose.is_some().then(|| use_of(&For { purpose, basis }, ""));
            show(dataset, r#use, &context.session().await?, canvas).await
        }
        SchemaCommand::Infer { file, dataset, out, yes } => infer_from(&file, &dataset, &out, yes),
    }
}

/// Reads a schema file.
pub fn read(file: &Path) -> Result<(String, Schema), CliError> {
    let text = std::fs::read_to_string(file).map_err(|problem| CliError::file(file, &problem))?;
    let schema =
        policy::schema::parse(&text).map_err(|problem| CliError::failed(format!("`{}`: {problem}", file.display())))?;
    Ok((text, schema))
}

/// Reads a mapping file for a schema.
pub fn read_mapping(file: &Path, schema: &Schema) -> Result<Mapping, CliError> {
    let text = std::fs::read_to_string(file).map_err(|problem| CliError::file(file, &problem))?;
    Mapping::parse(&text, schema).map_err(|problem| CliError::failed(format!("`{}`: {problem}", file.display())))
}

/// Drafts a schema and a mapping, asking on the terminal.
fn infer_from(file: &Path, dataset: &str, out: &Path, yes: bool) -> Result<Shown, CliError> {
    let nobody: &mut dyn Ask = &mut Nobody;
    let steward: &mut dyn Ask = &mut Steward;
    let drafted = infer(file, dataset, if yes { nobody } else { steward });
    let draft = drafted.map_err(|problem| CliError::failed(problem.to_string()))?;
    let mut words = String::new();
    for (name, text) in [("schema.toml", &draft.schema), ("mapping.toml", &draft.mapping)] {
        let path = out.join(name);
        if path.exists() {
            return Err(CliError::failed(format!("`{}` is there already", path.display())).hint("give another --out"));
        }
        std::fs::write(&path, text).map_err(|problem| CliError::file(&path, &problem))?;
        words.push_str(&format!("Wrote {}.\n", path.display()));
    }
    draft.notes.iter().for_each(|note| words.push_str(&format!("  look at this: {note}\n")));
    Ok(Shown::new(words, json!({ "schema": draft.schema, "mapping": draft.mapping, "notes": draft.notes })))
}

/// The steward at the terminal. Questions go to standard error, so that results can be piped.
struct Steward;

impl Steward {
    /// Asks; an answer that can't be had is empty.
    fn ask(question: &str) -> String {
        let mut answer = String::new();
        let asked = std::io::stderr().write_all(question.as_bytes());
        match asked.and_then(|()| std::io::stdin().read_line(&mut answer)) {
            Ok(_) => answer.trim().to_owned(),
            Err(_) => String::new(),
        }
    }
}

impl Ask for Steward {
    fn subject(&mut self, columns: &[String], guess: &str) -> String {
        let answer =
            Self::ask(&format!("Columns: {}\nWhich one names the person or household? [{guess}] ", columns.join(", ")));
        if answer.is_empty() { guess.to_owned() } else { answer }
    }

    fn is_public(&mut self, column: &str, values: &[String]) -> Option<bool> {
        let shown: Vec<&str> = values.iter().take(SHOWN).map(String::as_str).collect();
        let more = if values.len() > SHOWN { format!(", .. ({} values)", values.len()) } else { String::new() };
        let question = format!(
            "{column} holds {}{more}.\nIs this list known to everyone, whoever the people in the file are? [y/n, Enter: not sure] ",
            shown.join(", ")
        );
        match Self::ask(&question).as_str() {
            "y" | "Y" | "yes" => Some(true),
            "n" | "N" | "no" => Some(false),
            _ => None,
        }
    }
}

fn check(file: &Path, mapping: Option<&Path>) -> Result<Shown, CliError> {
    let (_, schema) = read(file)?;
    let mut words = format!(
        "`{}` is well: dataset {}, {} attributes, {} event types.\n",
        file.display(),
        schema.dataset,
        schema.attributes.len(),
        schema.events.len()
    );
    if let Some(mapping) = mapping {
        read_mapping(mapping, &schema)?;
        words.push_str(&format!("`{}` fits it.\n", mapping.display()));
    }
    Ok(Shown::new(
        words,
        json!({ "dataset": schema.dataset, "attributes": schema.attributes.len(), "events": schema.events.len() }),
    ))
}

/// Creates a dataset from the text of its schema.
pub async fn create_dataset(schema_toml: String, session: &Session) -> Result<Dataset, CliError> {
    let request = CreateDatasetRequest { schema_toml, validate_only: false, request_id: String::new() };
    let answer = session.catalog().create_dataset(session.request(request).await?).await?.into_inner();
    Ok(answer.dataset.unwrap_or_default())
}

async fn create(file: &Path, session: &Session) -> Result<Shown, CliError> {
    let (text, _) = read(file)?;
    let dataset = create_dataset(text, session).await?;
    let kind = if dataset.test { "a test dataset: its answers are NOT PRIVATE" } else { "private" };
    Ok(Shown::new(format!("Created {} ({kind}).\n", dataset.name), dataset_json(&dataset)))
}

async fn apply(file: &Path, dry_run: bool, session: &Session) -> Result<Shown, CliError> {
    let (schema_toml, schema) = read(file)?;
    let request = PublishSchemaRequest {
        dataset: dataset_name(schema.dataset.as_str()),
        schema_toml,
        validate_only: dry_run,
        request_id: String::new(),
    };
    let answer = session.admin().publish_schema(session.request(request).await?).await?.into_inner();
    let PublishSchemaResponse { changes, dataset } = answer;
    let dataset = dataset.unwrap_or_default();
    let (name, version) = (&dataset.name, dataset.schema_version);
    let mut words = match (changes.is_empty(), dry_run) {
        (true, _) => format!("Nothing changes: this is version {version} of {name}, which is in force.\n"),
        (false, true) => format!("This would be version {version} of {name}:\n"),
        (false, false) => format!("Version {version} of {name} is in force:\n"),
    };
    changes.iter().for_each(|change| words.push_str(&format!("  {change}\n")));
    let published = !dry_run && !changes.is_empty();
    Ok(Shown::new(words, json!({ "changes": changes, "published": published, "dataset": dataset_json(&dataset) })))
}

async fn show(
    dataset: Option<String>,
    r#use: Option<proto::v1::Use>,
    session: &Session,
    canvas: Canvas,
) -> Result<Shown, CliError> {
    let Some(dataset) = dataset else {
        let request = ListDatasetsRequest { page_size: 100, page_token: String::new(), r#use };
        let answer = session.catalog().list_datasets(session.request(request).await?).await?.into_inner();
        let rows: Vec<Vec<String>> = answer.datasets.iter().map(|d| vec![d.name.clone(), d.display.clone()]).collect();
        let json = answer.datasets.iter().map(dataset_json).collect::<Vec<_>>();
        let words = chart::table(&["dataset", "what it is"], &rows, canvas.width);
        return Ok(Shown::new(words, json!({ "datasets": json })));
    };
    let request = GetDatasetRequest { name: dataset_name(&dataset), r#use };
    let answer = session.catalog().get_dataset(session.request(request).await?).await?.into_inner();
    let dataset = answer.dataset.unwrap_or_default();
    Ok(Shown::new(dataset_words(&dataset, canvas), dataset_json(&dataset)))
}

/// Prints a version's text as it was published.
async fn text(dataset: &str, version: u32, session: &Session) -> Result<Shown, CliError> {
    let request = GetSchemaVersionRequest { dataset: dataset_name(dataset), version };
    let answer = session.catalog().get_schema_version(session.request(request).await?).await?.into_inner();
    let version = answer.version.unwrap_or_default();
    Ok(Shown::new(version.schema_toml.clone(), version_json(&version)))
}

async fn versions(dataset: &str, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSchemaVersionsRequest { dataset: dataset_name(dataset), page_size: 100, page_token };
        let page = session.catalog().list_schema_versions(session.request(request).await?).await?.into_inner();
        all.extend(page.versions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let row = |version: &SchemaVersion| {
        let state = if version.current { "in force" } else { "" };
        let changes = if version.version == 1 { "the first".to_owned() } else { version.changes.join("; ") };
        vec![version.version.to_string(), state.to_owned(), changes]
    };
    let words =
        chart::table(&["version", "", "what it changed"], &all.iter().map(row).collect::<Vec<_>>(), canvas.width);
    Ok(Shown::new(words, json!({ "versions": all.iter().map(version_json).collect::<Vec<_>>() })))
}

fn version_json(version: &SchemaVersion) -> Value {
    let SchemaVersion { version, current, schema_hash, changes, schema_toml } = version;
    let hash: String = schema_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "version": version, "current": current, "schema_hash": hash, "changes": changes,
        "schema_toml": (!schema_toml.is_empty()).then_some(schema_toml),
    })
}

fn dataset_words(dataset: &Dataset, canvas: Canvas) -> String {
    let kind = if dataset.test { "test, NOT PRIVATE" } else { "private" };
    let mut words = format!("{} ({kind})\n{}\n\n", dataset.display, dataset.name);
    let mut rows: Vec<Vec<String>> = dataset.attributes.iter().map(|field| row(&field.name, field)).collect();
    for event in &dataset.events {
        let what = vec![
            event.name.clone(),
            event.display.clone(),
            "event".to_owned(),
            String::new(),
            may_leave(event.treatment, event.deprecated).to_owned(),
        ];
        rows.push(what);
        rows.extend(event.fields.iter().map(|field| row(&format!("{}.{}", event.name, field.name), field)));
    }
    words.push_str(&chart::table(&["field", "in words", "values", "class", "may leave"], &rows, canvas.width));
    words.push_str(&format!("\nPurposes: {}\n", dataset.purposes.join(", ")));
    words
}

fn row(path: &str, field: &Field) -> Vec<String> {
    let class = class(field.class).to_owned();
    vec![
        path.to_owned(),
        field.display.clone(),
        values(field),
        class,
        may_leave(field.treatment, field.deprecated).to_owned(),
    ]
}

fn values(field: &Field) -> String {
    match FieldKind::try_from(field.kind) {
        Ok(FieldKind::Enum | FieldKind::Bool) if field.labels.len() <= 6 => field.labels.join(", "),
        Ok(FieldKind::Enum | FieldKind::Bool) => {
            let first: Vec<&str> = field.labels.iter().take(4).map(String::as_str).collect();
            format!("{}, .. ({} values)", first.join(", "), field.labels.len())
        }
        Ok(FieldKind::Integer) => format!("{} to {}", field.min, field.max),
        Ok(FieldKind::Decimal) => format!("{} to {}", decimal(field.min, field.scale), decimal(field.max, field.scale)),
        Ok(FieldKind::Date) => "a day".to_owned(),
        Ok(FieldKind::Identifier) => "an identifier".to_owned(),
        Ok(FieldKind::Unspecified) | Err(_) => String::new(),
    }
}

fn decimal(units: i64, scale: u32) -> String {
    let Some(one) = 10_u64.checked_pow(scale).filter(|one| *one > 1) else { return units.to_string() };
    let (whole, part) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{part:0width$}", width = usize::try_from(scale).unwrap_or(0))
}

fn class(class: i32) -> &'static str {
    match FieldClass::try_from(class) {
        Ok(FieldClass::Identifier) => "identifier",
        Ok(FieldClass::QuasiIdentifier) => "quasi-identifier",
        Ok(FieldClass::Sensitive) => "sensitive",
        Ok(FieldClass::Behavioral) => "behavioral",
        Ok(FieldClass::NonPersonal) => "not personal",
        Ok(FieldClass::Unspecified) | Err(_) => "",
    }
}

/// Says what may leave of a field; of one that takes no new values nothing does.
fn may_leave(of: i32, deprecated: bool) -> &'static str {
    if deprecated { "deprecated" } else { treatment(of) }
}

fn treatment(treatment: i32) -> &'static str {
    match Treatment::try_from(treatment) {
        Ok(Treatment::Deny) => "nothing",
        Ok(Treatment::Aggregate) => "noised totals",
        Ok(Treatment::Pseudonymise) => "a pseudonym",
        Ok(Treatment::Generalise) => "a coarse value",
        Ok(Treatment::Mask) => "a part",
        Ok(Treatment::Clear) => "the value",
        Ok(Treatment::Unspecified) | Err(_) => "",
    }
}

fn field_json(field: &Field) -> Value {
    let Field {
        name,
        display,
        class: of,
        kind,
        labels,
        min,
        max,
        scale,
        max_bytes,
        max_per_subject,
        treatment: may,
        deprecated,
        retention_days,
    } = field;
    let kind = FieldKind::try_from(*kind).map_or("", |kind| kind.as_str_name());
    json!({
        "name": name, "display": display, "class": class(*of), "kind": kind.trim_start_matches("FIELD_KIND_").to_lowercase(),
        "labels": labels, "min": min, "max": max, "scale": scale, "max_bytes": max_bytes,
        "max_per_subject": max_per_subject, "may_leave": treatment(*may), "deprecated": deprecated,
        "retention_days": retention_days,
    })
}

fn dataset_json(dataset: &Dataset) -> Value {
    let fields = |fields: &[Field]| fields.iter().map(field_json).collect::<Vec<_>>();
    let event = |event: &proto::v1::EventType| {
        json!({
            "name": event.name, "display": event.display, "fields": fields(&event.fields),
            "max_per_subject": event.max_per_subject, "may_leave": treatment(event.treatment),
            "deprecated": event.deprecated, "retention_days": event.retention_days,
        })
    };
    let hash: String = dataset.schema_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "name": dataset.name, "display": dataset.display, "organization": dataset.organization,
        "population": dataset.population, "test": dataset.test, "time_zone": dataset.time_zone,
        "subject_key": dataset.subject_key, "attributes": fields(&dataset.attributes),
        "events": dataset.events.iter().map(event).collect::<Vec<_>>(), "purposes": dataset.purposes,
        "schema_hash": hash, "schema_version": dataset.schema_version, "epoch": dataset.epoch,
        "epoch_close_time": dataset.epoch_close_time.as_ref().map(crate::cli::answer::instant),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_places() {
        let shown = [(1999, 2), (-5, 2), (7, 0), (100, 3)].map(|(units, scale)| decimal(units, scale));
        assert_eq!(shown, ["19.99", "-0.05", "7", "0.100"]);
    }
}
