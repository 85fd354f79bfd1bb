//! `subject access`: all that is held about a person, into files. Written as it is read, so that memory stays bounded; a
//! folder holds all of it or nothing.

use super::{counted, request_words};
use crate::cli::args::Whose;
use crate::cli::chart;
use crate::cli::command::dataset_name;
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::rights::{self, Event, Json, Package, Reserved, Sink, Tables};
use crate::cli::session::Session;
use proto::v1::StreamAccessPackageRequest;
use serde_json::json;
use std::path::Path;

/// The files that events are written to.
struct Files {
    json: Json<Reserved>,
    tables: Tables,
}

impl Sink for Files {
    fn begin(&mut self, package: &Package) -> Result<(), CliError> {
        self.json.begin(package)?;
        self.tables.begin(package)
    }

    fn event(&mut self, package: &Package, of: usize, event: &Event) -> Result<(), CliError> {
        self.json.event(package, of, event)?;
        self.tables.event(package, of, event)
    }

    fn end(&mut self, package: &Package) -> Result<(), CliError> {
        self.json.end(package)?;
        self.tables.end(package)
    }
}

/// Asks for all that is held about a person, known by an identifier of a kind.
pub fn request(dataset: &str, (identity, subject): (&str, &str)) -> StreamAccessPackageRequest {
    let (dataset, identity, subject) = (dataset_name(dataset), identity.to_owned(), subject.to_owned());
    StreamAccessPackageRequest { dataset, subject, request_id: String::new(), identity }
}

/// Reads a package into a folder: for programs, for people and, if asked for or too long for people, as tables.
pub async fn write(
    whose: &Whose,
    subject: &str,
    out: &Path,
    tables: bool,
    session: &Session,
) -> Result<Shown, CliError> {
    std::fs::create_dir_all(out).map_err(|problem| CliError::file(out, &problem))?;
    let json = Json::new(Reserved::make(out.join("access-package.json"))?);
    let mut page = Reserved::make(out.join("access-package.html"))?;
    let mut files = Files { json, tables: Tables::new(out, tables) };
    let (package, asked) =
        rights::read(request(&whose.of.dataset, (&whose.identity, subject)), session, &mut files).await?;
    page.put(&rights::page(&package)?)?;
    // All are whole before any is kept.
    let (data, page) = (files.json.into_inner().settle()?, page.settle()?);
    let more: Vec<_> = files.tables.files()?.into_iter().map(Reserved::settle).collect::<Result<_, _>>()?;
    let (data, page) = (data.keep(), page.keep());
    let more: Vec<_> = more.into_iter().map(rights::Settled::keep).collect();
    let known = package.attributes.iter().filter(|held| held.value.is_some()).count();
    let records = package.records();
    let changed = "Some of it changed while it was read: ask again for a package of one moment.\n";
    let words = format!(
        "All that is held about this person: {}, {}, {}.\n  for programs  {}\n  for people    {}\n{}{}{}These are \
         personal: give them to this person and keep no copy.\n",
        counted(known, "fact", "facts"),
        format_args!(
            "{} {}",
            chart::grouped(records),
            if records == 1 { "record of what was done" } else { "records of what was done" }
        ),
        counted(package.consents.len(), "act of consent", "acts of consent"),
        data.display(),
        page.display(),
        more.iter().map(|path| format!("  a table       {}\n", path.display())).collect::<String>(),
        if package.changed { changed } else { "" },
        request_words(&asked),
    );
    let counts = json!({ "facts": known, "records": records, "consents": package.consents.len() });
    Ok(Shown::new(
        words,
        json!({
            "package": data, "page": page, "tables": more, "held": counts, "changed": package.changed,
            "request": rights::request_json(&asked),
        }),
    ))
}
