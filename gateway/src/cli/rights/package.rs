//! An access package as it is read: everything but the events, of which only what the page shows is kept, so that memory
//! stays bounded however many there are. Events go on to whoever writes them, one by one.

use super::words::{Times, basis_name, class_name, method_name, right_name};
use crate::cli::answer::instant;
use crate::cli::error::CliError;
use crate::cli::session::Session;
use proto::v1;
use proto::v1::stream_access_package_response::Message;
use proto::v1::{ConsentAct, FieldKind, StreamAccessPackageRequest, SubjectRequest, SubjectRequestState};
use serde::Serialize;
use std::collections::VecDeque;

/// Events of one type that are shown on the page at most; of more, it counts them by month and shows the newest.
pub const LONG: usize = 500;

/// What a package is written to, in this order.
pub trait Sink {
    /// Takes all that comes before the events.
    fn begin(&mut self, package: &Package) -> Result<(), CliError>;
    /// Takes an event of the type at this place; types come in their order, and of each the oldest event first.
    fn event(&mut self, package: &Package, of: usize, event: &Event) -> Result<(), CliError>;
    /// Takes what comes after them.
    fn end(&mut self, package: &Package) -> Result<(), CliError>;
}

/// Reads a package off the gateway into a sink. One that breaks off is an error.
pub async fn read(
    request: StreamAccessPackageRequest,
    session: &Session,
    sink: &mut impl Sink,
) -> Result<(Package, SubjectRequest), CliError> {
    let broken = || CliError::failed("the gateway's package is not whole").hint("ask for it again");
    // A part is far smaller than what any client takes.
    let mut client = session.subjects().max_decoding_message_size(PART_BYTES);
    let mut parts = client.stream_access_package(session.request(request).await?).await?.into_inner();
    let Some(Message::Header(header)) = parts.message().await?.and_then(|part| part.message) else {
        return Err(broken());
    };
    let (mut package, mut begun) = (Package::of(header), false);
    let times = Times::of(&package.time_zone);
    loop {
        match parts.message().await?.and_then(|part| part.message).ok_or_else(broken)? {
            Message::Header(_) => return Err(broken()),
            Message::Records(records) => package.add(records),
            Message::Events(held) => {
                if !std::mem::replace(&mut begun, true) {
                    sink.begin(&package)?;
                }
                let of = package.events.iter().position(|events| events.name == held.name).ok_or_else(broken)?;
                for event in held.events.into_iter().map(Event::of) {
                    sink.event(&package, of, &event)?;
                    package.note(of, event, &times);
                }
            }
            Message::End(v1::AccessPackageEnd { request, changed }) => {
                if !begun {
                    sink.begin(&package)?;
                }
                let request = request.unwrap_or_default();
                package.requests.push(Request::of(request.clone()));
                package.changed = changed;
                sink.end(&package)?;
                return Ok((package, request));
            }
        }
    }
}

/// What a client takes by default; nothing that is sent comes near it.
const PART_BYTES: usize = 4 << 20;

/// All that is held about one person, events aside.
#[derive(Clone, PartialEq, Eq)]
pub struct Package {
    /// `datasets/{d}`.
    pub dataset: String,
    /// What the dataset is.
    pub display: String,
    /// `organizations/{o}`.
    pub organization: String,
    pub controller: Option<Controller>,
    pub notice: Option<Notice>,
    /// When the package was begun.
    pub created: String,
    /// IANA time zone of the dataset.
    pub time_zone: String,
    /// The attribute that names a person in the dataset.
    pub subject_key: String,
    /// The kind of identifier that names this one, if it is another.
    pub identity: String,
    /// Its value.
    pub identifier: Option<String>,
    /// Other subjects of the dataset that are known to be the same person.
    pub links: Vec<Link>,
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
    pub recipients: Vec<Recipient>,
    /// This request last.
    pub requests: Vec<Request>,
    /// Fields that a policy keeps out of packages.
    pub withheld: Vec<String>,
    /// Whether what is held changed while it was read: then the package is not of one moment.
    pub changed: bool,
    /// What would outlive an erasure, since a law says it must be kept.
    pub holds: Vec<Hold>,
}

/// What a law says must be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its leaf in the subject tree of the log.
    pub number: u64,
    pub fields: Vec<String>,
    pub ground: String,
    pub since: String,
    /// Missing until it is released.
    pub until: Option<String>,
}

/// Who is responsible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    pub name: String,
    pub contact: String,
    pub address: String,
    pub jurisdiction: String,
    pub storage: String,
    pub authority: String,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub name: String,
    pub version: String,
    pub language: String,
    pub url: String,
    pub sha256: String,
    pub withdrawal: String,
}

/// A field, without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Attribute {
    pub column: Column,
    pub value: Option<String>,
    /// The last day, in UTC, on which the value is kept; none is for as long as the dataset exists, or not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<String>,
}

/// A type of the person's events, and what the page shows of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Events {
    pub name: String,
    pub display: String,
    pub kept_days: u32,
    pub columns: Vec<Column>,
    /// How many there were when the package was begun.
    pub expected: u64,
    /// How many came.
    pub count: u64,
    pub first: String,
    pub last: String,
    /// Months of the dataset's zone with events, and how many.
    pub months: Vec<(String, u64)>,
    /// Which columns have a value in some event.
    pub filled: Vec<bool>,
    /// The newest, at most [`LONG`].
    pub newest: VecDeque<Event>,
}

impl Events {
    /// Says whether there are more than the page shows one by one.
    pub fn is_long(&self) -> bool {
        self.expected.max(self.count) > LONG as u64
    }
}

/// One event.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    pub at: String,
    pub id: String,
    /// One for each column.
    pub values: Vec<Option<String>>,
}

/// One act of consent.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Consent {
    pub purpose: String,
    /// Empty for a withdrawal, which is on every basis.
    pub basis: String,
    /// `give` or `withdraw`.
    pub act: String,
    pub at: String,
    pub expires: Option<String>,
    pub source: String,
    /// How it was collected: `web_form`; null is not said.
    pub method: Option<String>,
    /// The language in which the person was asked; null is not said.
    pub language: Option<String>,
    /// Version of the notice; null if there was none.
    pub notice: Option<String>,
    /// Whether `notice` is the one that was in force, and not one that the source said was shown.
    pub notice_in_force: bool,
    /// Partners with whom the purpose shares data: `partners/{p}`.
    pub recipients: Vec<String>,
    pub received: String,
    /// Its leaf in the subject tree of the log.
    pub leaf: u64,
}

/// Whether a use is allowed now.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub purpose: String,
    pub basis: String,
    pub allowed: bool,
}

/// Releases of one client for one purpose.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    pub client: String,
    pub purpose: String,
    pub basis: String,
    pub releases: u64,
    pub first: String,
    pub last: String,
}

/// An audience that was delivered with the person in it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Audience {
    pub partner: String,
    pub purpose: String,
    pub tags: Vec<String>,
    pub epoch: u32,
    pub at: Option<String>,
}

/// A partner that got audiences with the person in epochs that are over; in which of them is not kept.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    pub partner: String,
    pub purpose: String,
    /// Delivered with any of them.
    pub tags: Vec<String>,
    pub first_epoch: u32,
    pub last_epoch: u32,
}

/// A link with another subject of the dataset.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Whether this person stands for both.
    pub primary: bool,
    /// Of which kind the other's identifier is.
    pub identity: String,
    pub since: String,
    /// Its leaf in the subject tree of the log.
    pub leaf: u64,
}

/// A request of the person.
#[derive(Clone, PartialEq, Eq, Serialize)]
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
    fn of(header: v1::AccessPackageHeader) -> Self {
        let v1::AccessPackageHeader {
            dataset,
            display,
            organization,
            create_time,
            time_zone,
            attributes,
            event_types,
            standings,
            restricted,
            uses,
            withheld,
            controller,
            notice,
            subject_key,
            recipients,
            holds,
            identity,
            identifier,
            links,
        } = header;
        Self {
            dataset,
            display,
            organization,
            controller: controller.map(Controller::of),
            notice: notice.map(Notice::of),
            created: time(create_time),
            time_zone,
            identity: if identity == subject_key { String::new() } else { identity },
            identifier: identifier.and_then(value),
            links: links.into_iter().map(Link::of).collect(),
            subject_key,
            attributes: attributes.into_iter().map(Attribute::of).collect(),
            events: event_types.into_iter().map(Events::of).collect(),
            consents: Vec::new(),
            standings: standings.into_iter().map(Standing::of).collect(),
            restricted,
            uses: uses.into_iter().map(Use::of).collect(),
            audiences: Vec::new(),
            recipients: recipients.into_iter().map(Recipient::of).collect(),
            requests: Vec::new(),
            withheld,
            changed: false,
            holds: holds.into_iter().map(Hold::of).collect(),
        }
    }

    fn add(&mut self, records: v1::AccessPackageRecords) {
        let v1::AccessPackageRecords { consents, audiences, requests } = records;
        self.consents.extend(consents.into_iter().map(Consent::of));
        self.audiences.extend(audiences.into_iter().map(Audience::of));
        self.requests.extend(requests.into_iter().map(Request::of));
    }

    /// Keeps of an event what the page shows.
    pub(super) fn note(&mut self, of: usize, event: Event, times: &Times) {
        let month = times.month(&event.at);
        let Some(events) = self.events.get_mut(of) else { return };
        if events.count == 0 {
            events.first.clone_from(&event.at);
        }
        events.last.clone_from(&event.at);
        events.count = events.count.saturating_add(1);
        match events.months.last_mut().filter(|(last, _)| *last == month) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => events.months.push((month, 1)),
        }
        for (filled, value) in events.filled.iter_mut().zip(&event.values) {
            *filled |= value.is_some();
        }
        if events.newest.len() == LONG {
            events.newest.pop_front();
        }
        events.newest.push_back(event);
    }

    /// Counts the events that came.
    pub fn records(&self) -> u64 {
        self.events.iter().map(|events| events.count).sum()
    }
}

fn time(time: Option<prost_types::Timestamp>) -> String {
    time.as_ref().map(instant).unwrap_or_default()
}

impl Hold {
    fn of(hold: v1::Hold) -> Self {
        let v1::Hold { number, fields, ground, place_time, expire_time, erasure_waits: _ } = hold;
        Self { number, fields, ground, since: time(place_time), until: expire_time.as_ref().map(instant) }
    }
}

impl Link {
    fn of(link: v1::HeldLink) -> Self {
        let v1::HeldLink { primary, identity, since_time, leaf } = link;
        Self { primary, identity, since: time(since_time), leaf }
    }
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
    fn of(held: v1::HeldEventType) -> Self {
        let v1::HeldEventType { name, display, retention_days, columns, count } = held;
        let columns: Vec<Column> = columns.into_iter().map(Column::of).collect();
        let filled = vec![false; columns.len()];
        let (first, last, months, newest) = Default::default();
        Self {
            name,
            display,
            kept_days: retention_days,
            columns,
            expected: count,
            count: 0,
            first,
            last,
            months,
            filled,
            newest,
        }
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
        let v1::ConsentReceipt { notice, notice_in_force, method, language, recipients, .. } = receipt;
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        let act = if act == i32::from(ConsentAct::Give) { "give" } else { "withdraw" };
        Self {
            purpose,
            basis: basis_name(basis).to_owned(),
            act: act.to_owned(),
            at: time(event_time),
            expires: expire_time.as_ref().map(instant),
            source,
            method: said(method_name(method).to_owned()),
            language: said(language),
            notice: said(notice),
            notice_in_force,
            recipients,
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
pub(super) mod tests {
    use super::*;

    pub fn column(name: &str, display: &str, class: &str, kind: &str) -> Column {
        let [name, display, class, kind] = [name, display, class, kind].map(str::to_owned);
        Column { name, display, class, kind, scale: 0, kept_days: 0 }
    }

    /// Someone of whom a little of everything is held.
    pub fn package() -> Package {
        let text = str::to_owned;
        let mut package = Package {
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
            identity: String::new(),
            identifier: None,
            links: vec![Link {
                primary: true,
                identity: text("visitor"),
                since: text("2017-01-02T00:00:00Z"),
                leaf: 9,
            }],
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
            events: vec![events("order")],
            consents: vec![Consent {
                purpose: text("marketing.segmentation"),
                basis: text("consent"),
                act: text("give"),
                at: text("2017-01-01T05:00:00Z"),
                expires: None,
                source: text("till"),
                method: Some(text("in_person")),
                language: None,
                notice: Some(text("3")),
                notice_in_force: true,
                recipients: Vec::new(),
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
            holds: Vec::new(),
            withheld: vec![text("order.note")],
            changed: false,
        };
        let times = Times::of(&package.time_zone);
        two_orders().into_iter().for_each(|event| package.note(0, event, &times));
        package
    }

    /// Two orders of someone, a second apart, on the last day of a year in New York.
    pub fn two_orders() -> [Event; 2] {
        let text = str::to_owned;
        [
            Event { at: text("2017-01-01T04:53:26Z"), id: text("7"), values: vec![Some(text("12.50")), None] },
            Event { at: text("2017-01-01T04:53:27Z"), id: text("8"), values: vec![None, None] },
        ]
    }

    /// Events of a name, none of which came yet.
    pub fn events(name: &str) -> Events {
        let columns = vec![
            column("amount", "Paid", "behavioral", "decimal"),
            column("coupon", "Coupon", "behavioral", "integer"),
        ];
        let (first, last, months, newest) = Default::default();
        let (name, display) = (name.to_owned(), "Orders".to_owned());
        let filled = vec![false; 2];
        Events { name, display, kept_days: 0, columns, expected: 2, count: 0, first, last, months, filled, newest }
    }
}
