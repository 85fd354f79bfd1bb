//! An access package as JSON: everything that is held about one person, for programs, and for another controller.
//!
//! ```text
//! format      "silhouette.access-package", version 1
//! values      texts as an import reads them: a label, a whole number, a decimal with its places, a day, an identifier;
//!             null is missing. `kind` says how to read one
//! instants    RFC 3339, UTC, as many digits of a second as they have
//! event ids   decimal texts of 64 bits
//! ```

use super::words::{basis_name, class_name, right_name};
use crate::cli::answer::instant;
use crate::cli::error::CliError;
use proto::v1;
use proto::v1::{ConsentAct, FieldKind, SubjectRequestState};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "silhouette.access-package";
const VERSION: u32 = 1;

/// All that is held about one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub format: String,
    pub version: u32,
    /// `datasets/{d}`.
    pub dataset: String,
    /// What the dataset is.
    pub display: String,
    /// `organizations/{o}`.
    pub organization: String,
    pub controller: Option<Controller>,
    pub notice: Option<Notice>,
    /// When the package was made.
    pub created: String,
    /// IANA time zone of the dataset.
    pub time_zone: String,
    /// The attribute that names a person in the dataset.
    pub subject_key: String,
    pub attributes: Vec<Attribute>,
    pub events: Vec<Events>,
    pub consents: Vec<Consent>,
    /// For what the person may be used now.
    pub standings: Vec<Standing>,
    /// Whether the use of all of it is restricted now.
    pub restricted: bool,
    pub uses: Vec<Use>,
    pub audiences: Vec<Audience>,
    /// Partners that got lists in earlier epochs.
    #[serde(default)]
    pub recipients: Vec<Recipient>,
    /// This request last.
    pub requests: Vec<Request>,
    /// Fields that a policy keeps out of packages.
    pub withheld: Vec<String>,
}

/// Who is responsible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    pub name: String,
    pub contact: String,
    pub address: String,
    pub jurisdiction: String,
    pub storage: String,
    pub authority: String,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub name: String,
    pub version: String,
    pub language: String,
    pub url: String,
    pub sha256: String,
    pub withdrawal: String,
}

/// A field, without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    pub display: String,
    pub class: String,
    pub kind: String,
    /// Digits after the mark of a decimal.
    pub scale: u32,
    /// 0 is for as long as the dataset exists.
    pub kept_days: u32,
}

/// One fact about the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub column: Column,
    pub value: Option<String>,
    /// The last day, in UTC, on which the value is kept; none is for as long as the dataset exists, or not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<String>,
}

/// The person's events of one type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub name: String,
    pub display: String,
    pub kept_days: u32,
    pub columns: Vec<Column>,
    /// Oldest first.
    pub rows: Vec<Event>,
}

/// One event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub at: String,
    pub id: String,
    /// One for each column.
    pub values: Vec<Option<String>>,
}

/// One act of consent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    pub purpose: String,
    /// Empty for a withdrawal, which is on every basis.
    pub basis: String,
    /// `give` or `withdraw`.
    pub act: String,
    pub at: String,
    pub expires: Option<String>,
    pub source: String,
    pub received: String,
    /// Its leaf in the subject tree of the log.
    pub leaf: u64,
}

/// Whether a use is allowed now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    pub purpose: String,
    pub basis: String,
    pub allowed: bool,
}

/// Releases of one client for one purpose.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    pub client: String,
    pub purpose: String,
    pub basis: String,
    pub releases: u64,
    pub first: String,
    pub last: String,
}

/// An audience that was delivered with the person in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    pub partner: String,
    pub purpose: String,
    pub tags: Vec<String>,
    pub epoch: u32,
    pub at: Option<String>,
}

/// A partner that got audiences with the person in epochs that are over; in which of them is not kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    pub partner: String,
    pub purpose: String,
    /// Delivered with any of them.
    pub tags: Vec<String>,
    pub first_epoch: u32,
    pub last_epoch: u32,
}

/// A request of the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub right: String,
    pub fulfilled: bool,
    pub received: String,
    pub deadline: String,
    pub completed: Option<String>,
    pub intent_leaf: u64,
    pub outcome_leaf: u64,
    pub fields: Vec<String>,
    pub purpose: String,
}

impl std::fmt::Debug for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Package(..)")
    }
}

impl Package {
    /// Reads a package off the wire.
    pub fn of(package: v1::AccessPackage) -> Self {
        let v1::AccessPackage {
            dataset,
            display,
            organization,
            create_time,
            time_zone,
            attributes,
            events,
            consents,
            standings,
            restricted,
            uses,
            audiences,
            requests,
            withheld,
            controller,
            notice,
            subject_key,
            recipients,
        } = package;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            dataset,
            display,
            organization,
            controller: controller.map(Controller::of),
            notice: notice.map(Notice::of),
            created: time(create_time),
            time_zone,
            subject_key,
            attributes: attributes.into_iter().map(Attribute::of).collect(),
            events: events.into_iter().map(Events::of).collect(),
            consents: consents.into_iter().map(Consent::of).collect(),
            standings: standings.into_iter().map(Standing::of).collect(),
            restricted,
            uses: uses.into_iter().map(Use::of).collect(),
            audiences: audiences.into_iter().map(Audience::of).collect(),
            recipients: recipients.into_iter().map(Recipient::of).collect(),
            requests: requests.into_iter().map(Request::of).collect(),
            withheld,
        }
    }

    /// Reads a package's JSON, as whoever is given one would.
    #[cfg(test)]
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let read: Self = serde_json::from_str(text).map_err(|problem| {
            // serde quotes values in some problems; where it is says enough.
            CliError::failed(format!("not an access package: line {}, column {}", problem.line(), problem.column()))
        })?;
        if read.format == FORMAT && read.version == VERSION {
            return Ok(read);
        }
        Err(CliError::failed(format!("not an access package of version {VERSION}")))
    }

    /// Writes the package's JSON.
    pub fn json(&self) -> Result<String, CliError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|_| CliError::failed("the package can't be written as JSON"))
    }
}

fn time(time: Option<prost_types::Timestamp>) -> String {
    time.as_ref().map(instant).unwrap_or_default()
}

impl Controller {
    /// Reads it off the wire.
    pub fn of(controller: v1::Controller) -> Self {
        let v1::Controller { name, contact, address, jurisdiction, storage, authority } = controller;
        Self { name, contact, address, jurisdiction, storage, authority }
    }
}

impl Notice {
    /// Reads it off the wire.
    pub fn of(notice: v1::PrivacyNotice) -> Self {
        let v1::PrivacyNotice { name, version, language, url, sha256, withdrawal } = notice;
        Self { name, version, language, url, sha256, withdrawal }
    }
}

impl Column {
    /// Reads it off the wire.
    pub fn of(column: v1::HeldColumn) -> Self {
        let v1::HeldColumn { name, display, class, kind, scale, retention_days } = column;
        let kind = match FieldKind::try_from(kind) {
            Ok(FieldKind::Enum) => "enum",
            Ok(FieldKind::Bool) => "bool",
            Ok(FieldKind::Integer) => "integer",
            Ok(FieldKind::Decimal) => "decimal",
            Ok(FieldKind::Date) => "date",
            Ok(FieldKind::Identifier) => "identifier",
            Ok(FieldKind::Unspecified) | Err(_) => "",
        };
        let (class, kind) = (class_name(class).to_owned(), kind.to_owned());
        Self { name, display, class, kind, scale, kept_days: retention_days }
    }
}

fn value(held: v1::HeldValue) -> Option<String> {
    let v1::HeldValue { value, text } = held;
    value.and_then(|value| value.kind).map(|_| text)
}

impl Attribute {
    fn of(held: v1::HeldAttribute) -> Self {
        let v1::HeldAttribute { column, value: held, kept_until } = held;
        let kept_until = Some(kept_until).filter(|day| !day.is_empty());
        Self { column: Column::of(column.unwrap_or_default()), value: held.and_then(value), kept_until }
    }
}

impl Events {
    fn of(held: v1::HeldEvents) -> Self {
        let v1::HeldEvents { name, display, retention_days, columns, events } = held;
        let columns = columns.into_iter().map(Column::of).collect();
        Self { name, display, kept_days: retention_days, columns, rows: events.into_iter().map(Event::of).collect() }
    }
}

impl Event {
    fn of(held: v1::HeldEvent) -> Self {
        let v1::HeldEvent { at_micros, id, values } = held;
        let at = jiff::Timestamp::from_microsecond(at_micros).map_or_else(|_| String::new(), |at| at.to_string());
        Self { at, id: id.to_string(), values: values.into_iter().map(value).collect() }
    }
}

impl Consent {
    fn of(receipt: v1::ConsentReceipt) -> Self {
        let v1::ConsentReceipt { purpose, basis, act, event_time, expire_time, source, receive_time, leaf, .. } =
            receipt;
        let act = if act == i32::from(ConsentAct::Give) { "give" } else { "withdraw" };
        Self {
            purpose,
            basis: basis_name(basis).to_owned(),
            act: act.to_owned(),
            at: time(event_time),
            expires: expire_time.as_ref().map(instant),
            source,
            received: time(receive_time),
            leaf,
        }
    }
}

impl Standing {
    fn of(standing: v1::PurposeStanding) -> Self {
        let v1::PurposeStanding { purpose, basis, allowed } = standing;
        Self { purpose, basis: basis_name(basis).to_owned(), allowed }
    }
}

impl Use {
    fn of(summary: v1::UseSummary) -> Self {
        let v1::UseSummary { client, r#use, releases, first_time, last_time } = summary;
        let v1::Use { purpose, basis } = r#use.unwrap_or_default();
        let (first, last) = (time(first_time), time(last_time));
        Self { client, purpose, basis: basis_name(basis).to_owned(), releases, first, last }
    }
}

impl Audience {
    fn of(used: v1::AudienceUse) -> Self {
        let v1::AudienceUse { partner, purpose, tags, epoch, time: delivered, leaf: _ } = used;
        Self { partner, purpose, tags, epoch, at: delivered.as_ref().map(instant) }
    }
}

impl Recipient {
    fn of(recipient: v1::PastRecipient) -> Self {
        let v1::PastRecipient { partner, purpose, tags, first_epoch, last_epoch } = recipient;
        Self { partner, purpose, tags, first_epoch, last_epoch }
    }
}

impl Request {
    fn of(request: v1::SubjectRequest) -> Self {
        let v1::SubjectRequest {
            right,
            state,
            receive_time,
            deadline_time,
            complete_time,
            intent_leaf,
            outcome_leaf,
            fields,
            purpose,
        } = request;
        Self {
            right: right_name(right).to_owned(),
            fulfilled: state == i32::from(SubjectRequestState::Fulfilled),
            received: time(receive_time),
            deadline: time(deadline_time),
            completed: complete_time.as_ref().map(instant),
            intent_leaf,
            outcome_leaf,
            fields,
            purpose,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use super::*;

    fn column(name: &str, display: &str, class: &str, kind: &str) -> Column {
        let [name, display, class, kind] = [name, display, class, kind].map(str::to_owned);
        Column { name, display, class, kind, scale: 0, kept_days: 0 }
    }

    /// Someone of whom a little of everything is held.
    pub fn package() -> Package {
        let text = str::to_owned;
        Package {
            format: text(FORMAT),
            version: VERSION,
            dataset: text("datasets/hill"),
            display: text("Members"),
            organization: text("organizations/hill"),
            controller: Some(Controller {
                name: text("Hill & Sons"),
                contact: text("privacy@hill.example"),
                address: String::new(),
                jurisdiction: text("GB"),
                storage: String::new(),
                authority: String::new(),
            }),
            notice: None,
            created: text("2017-02-01T12:00:00Z"),
            time_zone: text("America/New_York"),
            subject_key: text("member_no"),
            attributes: vec![
                Attribute {
                    column: column("member_no", "Number", "identifier", "identifier"),
                    value: Some(text("m1")),
                    kept_until: None,
                },
                Attribute { column: column("age", "Age", "quasi_identifier", "enum"), value: None, kept_until: None },
                Attribute {
                    column: Column { kept_days: 730, ..column("note", "Note", "sensitive", "identifier") },
                    value: Some(text("<script>alert(1)</script>")),
                    kept_until: Some(text("2019-01-02")),
                },
            ],
            events: vec![Events {
                name: text("order"),
                display: text("Orders"),
                kept_days: 0,
                columns: vec![
                    column("amount", "Paid", "behavioral", "decimal"),
                    column("coupon", "Coupon", "behavioral", "integer"),
                ],
                rows: vec![
                    Event { at: text("2017-01-01T04:53:26Z"), id: text("7"), values: vec![Some(text("12.50")), None] },
                    Event { at: text("2017-01-01T04:53:27Z"), id: text("8"), values: vec![None, None] },
                ],
            }],
            consents: vec![Consent {
                purpose: text("marketing.segmentation"),
                basis: text("consent"),
                act: text("give"),
                at: text("2017-01-01T05:00:00Z"),
                expires: None,
                source: text("till"),
                received: text("2017-01-01T05:00:01Z"),
                leaf: 3,
            }],
            standings: vec![Standing {
                purpose: text("marketing.segmentation"),
                basis: text("consent"),
                allowed: true,
            }],
            restricted: false,
            uses: Vec::new(),
            audiences: vec![Audience {
                partner: text("partners/acme"),
                purpose: text("sharing.partner.acme"),
                tags: vec![text("age")],
                epoch: 1,
                at: None,
            }],
            recipients: vec![Recipient {
                partner: text("partners/brook"),
                purpose: text("sharing.partner.brook"),
                tags: vec![text("age")],
                first_epoch: 3,
                last_epoch: 9,
            }],
            requests: Vec::new(),
            withheld: vec![text("order.note")],
        }
    }

    #[test]
    fn a_package_comes_back_from_its_json_and_no_other_version_is_read() {
        let package = package();
        let json = package.json().unwrap();
        assert_eq!(Package::parse(&json).unwrap(), package);
        assert!(json.starts_with("{\n  \"format\": \"silhouette.access-package\",\n  \"version\": 1,\n"), "{json}");
        for (from, to) in [("\"version\": 1", "\"version\": 2"), ("\"restricted\"", "\"resticted\"")] {
            let problem = Package::parse(&json.replacen(from, to, 1)).unwrap_err();
            assert!(problem.words().contains("not an access package"), "{problem}");
        }
        assert_eq!(format!("{package:?}"), "Package(..)");
    }
}
