//! An access package as JSON: everything that is held about one person, for programs, and for another controller. Written as
//! it is read: events are never all in memory.
//!
//! ```text
//! format      "silhouette.access-package", version 2
//! values      texts as an import reads them: a label, a whole number, a decimal with its places, a day, an identifier;
//!             null is missing. `kind` says how to read one
//! instants    RFC 3339, UTC, as many digits of a second as they have
//! event ids   decimal texts of 64 bits
//! events      a list of types; of each `rows`, oldest first, one a line
//! holds       what a law says must be kept; absent if nothing
//! identity    the kind of identifier that names this person, with `identifier`, if it is not the subject key; absent if it is
//! links       other subjects known to be the same person; absent if there are none
//! changed     whether what is held changed while it was read: then the package is not of one moment
//! ```
//!
//! Version 1 had no `changed`, and `events` before `consents`.

use super::package::{
    Attribute, Audience, Column, Consent, Controller, Event, Events, Hold, Link, Notice, Package, Recipient, Request,
    Sink, Standing, Use,
};
use crate::cli::error::CliError;
use serde::Serialize;
use std::io::Write;

const FORMAT: &str = "silhouette.access-package";
const VERSION: u32 = 2;

/// What comes before the events.
#[derive(Serialize)]
struct Beginning<'a> {
    format: &'static str,
    version: u32,
    dataset: &'a str,
    display: &'a str,
    organization: &'a str,
    controller: Option<&'a Controller>,
    notice: Option<&'a Notice>,
    created: &'a str,
    time_zone: &'a str,
    subject_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    identity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Link]>::is_empty")]
    links: &'a [Link],
    attributes: &'a [Attribute],
    consents: &'a [Consent],
    standings: &'a [Standing],
    restricted: bool,
    uses: &'a [Use],
    audiences: &'a [Audience],
    recipients: &'a [Recipient],
    withheld: &'a [String],
    #[serde(skip_serializing_if = "<[Hold]>::is_empty")]
    holds: &'a [Hold],
}

/// What comes before the rows of a type.
#[derive(Serialize)]
struct Type<'a> {
    name: &'a str,
    display: &'a str,
    kept_days: u32,
    columns: &'a [Column],
}

/// What comes after the events.
#[derive(Serialize)]
struct Ending<'a> {
    requests: &'a [Request],
    changed: bool,
}

/// Writes a package's JSON.
pub struct Json<W> {
    out: W,
    /// Types that were begun.
    types: usize,
    /// Whether the last of them has a row.
    rows: bool,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, types: 0, rows: false }
    }

    /// Returns what was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn put(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write_all(text.as_bytes()).map_err(CliError::from)
    }

    /// Begins types up to the one at a place.
    fn type_at(&mut self, package: &Package, of: usize) -> Result<(), CliError> {
        while self.types <= of
            && let Some(events) = package.events.get(self.types)
        {
            let Events { name, display, kept_days, columns, .. } = events;
            let head = object(&Type { name, display, kept_days: *kept_days, columns })?;
            self.end_type()?;
            self.put(if self.types == 0 { "\n" } else { ",\n" })?;
            self.put(&format!("{},\n  \"rows\": [", head.trim_end_matches("\n}")))?;
            (self.types, self.rows) = (self.types.saturating_add(1), false);
        }
        Ok(())
    }

    fn end_type(&mut self) -> Result<(), CliError> {
        match (self.types, self.rows) {
            (0, _) => Ok(()),
            (_, false) => self.put("]\n}"),
            (_, true) => self.put("\n  ]\n}"),
        }
    }
}

impl<W: Write> Sink for Json<W> {
    fn begin(&mut self, package: &Package) -> Result<(), CliError> {
        let beginning = object(&Beginning {
            format: FORMAT,
            version: VERSION,
            dataset: &package.dataset,
            display: &package.display,
            organization: &package.organization,
            controller: package.controller.as_ref(),
            notice: package.notice.as_ref(),
            created: &package.created,
            time_zone: &package.time_zone,
            subject_key: &package.subject_key,
            identity: &package.identity,
            identifier: package.identifier.as_deref(),
            links: &package.links,
            attributes: &package.attributes,
            consents: &package.consents,
            standings: &package.standings,
            restricted: package.restricted,
            uses: &package.uses,
            audiences: &package.audiences,
            recipients: &package.recipients,
            withheld: &package.withheld,
            holds: &package.holds,
        })?;
        self.put(&format!("{},\n  \"events\": [", beginning.trim_end_matches("\n}")))
    }

    fn event(&mut self, package: &Package, of: usize, event: &Event) -> Result<(), CliError> {
        self.type_at(package, of)?;
        let line = serde_json::to_string(event).map_err(|_| unwritable())?;
        self.put(if self.rows { ",\n    " } else { "\n    " })?;
        self.rows = true;
        self.put(&line)
    }

    fn end(&mut self, package: &Package) -> Result<(), CliError> {
        self.type_at(package, package.events.len())?;
        self.end_type()?;
        let ending = object(&Ending { requests: &package.requests, changed: package.changed })?;
        self.put(&format!("\n],{}\n", ending.trim_start_matches('{')))
    }
}

fn object(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map_err(|_| unwritable())
}

fn unwritable() -> CliError {
    CliError::failed("the package can't be written as JSON")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::package::tests::{events, package, two_orders};
    use super::*;
    use serde_json::Value;

    fn written(package: &Package, all: &[(usize, Event)]) -> (String, Value) {
        let mut json = Json::new(Vec::new());
        json.begin(package).unwrap();
        all.iter().for_each(|(of, event)| json.event(package, *of, event).unwrap());
        json.end(package).unwrap();
        let text = String::from_utf8(json.into_inner()).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    #[test]
    fn a_package_is_one_value_with_every_type_whether_it_has_rows_or_not() {
        let mut package = package();
        package.events = ["view", "order", "cart"].map(events).to_vec();
        let (text, value) = written(&package, &two_orders().map(|event| (1, event)));
        assert!(text.starts_with("{\n  \"format\": \"silhouette.access-package\",\n  \"version\": 2,\n"), "{text}");
        let rows = value["events"].as_array().unwrap().iter();
        let rows: Vec<_> =
            rows.map(|of| (of["name"].as_str().unwrap(), of["rows"].as_array().unwrap().len())).collect();
        assert_eq!(rows, [("view", 0), ("order", 2), ("cart", 0)]);
        assert_eq!(value["events"][1]["rows"][0]["values"], serde_json::json!(["12.50", null]));
        assert_eq!((&value["changed"], &value["subject_key"]), (&Value::Bool(false), &"member_no".into()));
        assert_eq!(value["attributes"][2]["value"], "<script>alert(1)</script>");
        package.events.clear();
        let (_, value) = written(&package, &[]);
        assert_eq!(value["events"], serde_json::json!([]));
        assert_eq!(format!("{package:?}"), "Package(..)");
    }
}
