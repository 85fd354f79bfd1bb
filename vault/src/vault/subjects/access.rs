//! The access package, part by part, so that someone with a million events is shown all of them in bounded memory.
//!
//! Guarantees: that it was taken up is in the log before the first part leaves, that it was handed over before the last. A
//! part leaves only of a person who is held at that instant, and no erasure, objection or restriction returns while one is
//! on its way. What waits in memory between two parts is wiped by an erasure before it returns. The parts are one reading:
//! if anything of the person's block was written or folded meanwhile, all is read again at the end and compared with what
//! was told, and the last part says whether it differs.
//!
//! Memory: one piece of events, one part, and what of the person is not folded yet. A reading that is dropped before its
//! end leaves the request open in the log. Does not: limit how long a reading may take.

use super::super::write::{Gathered, dataset_of, refuse, require};
use super::super::{Tree, Vault, VaultError, links};
use super::person::{Folded, History, Version};
use super::uses::{Timeline, UsesCounted};
use super::waiting::Waiting;
use super::{TakenUp, find, on_its_way, outgoing};
use crate::fold::data::{BlockData, EventRows};
use crate::fold::subject::{Place, count_events, read_events_after};
use crate::ingest::{SubjectKey, Value};
use crate::subjects::{
    AccessEnd, AccessHead, AccessPart, AccessRecords, Fulfilled, HeldEvent, HeldEvents, HeldType, OnItsWay, Right,
    RightsEvent, Standing,
};
use parking_lot::Mutex;
use policy::consent::LawfulBasis;
use policy::decide::Reason;
use policy::permit::{Permit, Verb};
use policy::schema::{ColumnId, EventType, EventTypeId, Field, FieldRef, IdentityKind, Schema};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a part, about, as they are sent: far below the 4 MiB that a client takes by default.
const PART_BYTES: usize = 256 << 10;
/// Consents, audiences and requests of a part.
const PART_RECORDS: usize = 1_000;

/// An access package of which parts are still to come.
pub struct AccessReading {
    number: u32,
    ordinal: u32,
    /// Its leaf in the subject tree.
    intent: u64,
    received: Timestamp,
    schema: Arc<Schema>,
    types: Vec<HeldType>,
    /// What was read at the beginning.
    version: Version,
    waiting: Arc<Mutex<Waiting>>,
    next: Next,
    told: Told,
}

impl std::fmt::Debug for AccessReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessReading(..)")
    }
}

/// Which part comes next.
enum Next {
    Head,
    Records,
    Events(Cursor),
    Nothing,
}

/// How far events were told.
#[derive(Default)]
struct Cursor {
    /// Number of the type among those that are shown.
    shown: usize,
    after: Option<Place>,
    /// Pieces before this one hold nothing after that place, in this version.
    piece: usize,
    version: Option<Version>,
}

impl Vault {
    /// Takes up a person's request to see all that is held, and reads what is not long of it.
    pub fn begin_access(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<AccessReading, VaultError> {
        let (taken, on_its_way) = self.take_up(permit, subject, Right::Access.words(), now)?;
        let begun = self.begin_reading(permit, &taken, on_its_way);
        begun.map_err(|error| self.gave_up(permit, &taken, Right::Access.words(), error))
    }

    /// Lets the next part out; `None` after the last. Hold what is returned beside it until it is with the transport.
    /// After an error the reading has ended.
    pub fn next_part(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &mut AccessReading,
        now: Timestamp,
    ) -> Result<Option<(AccessPart, OnItsWay)>, VaultError> {
        require(permit, &[Verb::AccessSubject])?;
        let part = self.part_of(permit, subject, reading, now);
        part.map_err(|error| {
            reading.next = Next::Nothing;
            self.gave_up_reading(permit, subject, reading, error)
        })
    }

    fn begin_reading(
        &self,
        permit: &Permit,
        taken: &TakenUp,
        on_its_way: OnItsWay,
    ) -> Result<AccessReading, VaultError> {
        let source = self.source(taken.number, taken.ordinal)?;
        let (version, schema, folded) = (source.version(), Arc::clone(&source.schema), source.folded());
        let mut data = source.read()?;
        drop(source);
        let history = self.history(&data)?;
        let timeline = Timeline::new(&history);
        let mut told = Told::default();
        let types = types(permit, &schema, &folded, &data)?;
        let mut head = head(permit, taken, &schema, &data, &timeline);
        head.links = links::held(&history.requests);
        told.head(&head, &history);
        head.types.clone_from(&types);
        head.holds = self.lock()?.shared.holds_on(taken.number, taken.ordinal);
        let pending = std::mem::take(&mut data.events);
        let through = links::through(&history.requests);
        let History { consents, requests } = history;
        let records = AccessRecords { consents, requests, audiences: Vec::new() };
        let waiting = self.waiting.keep(taken.number, taken.ordinal, Waiting { head: Some(head), records, pending });
        drop((data, folded, on_its_way));
        let UsesCounted { uses, audiences, recipients } =
            self.uses_counted(&schema, &timeline, (taken.ordinal, &through))?;
        {
            let mut waiting = waiting.lock();
            // Someone who was erased meanwhile has no head any more, and the next part says so.
            if let Some(head) = &mut waiting.head {
                (head.uses, head.recipients) = (uses, recipients);
                waiting.records.audiences = audiences;
            }
        }
        let TakenUp { number, ordinal, hidden: _, intent, received } = *taken;
        Ok(AccessReading { number, ordinal, intent, received, schema, types, version, waiting, next: Next::Head, told })
    }

    fn part_of(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &mut AccessReading,
        now: Timestamp,
    ) -> Result<Option<(AccessPart, OnItsWay)>, VaultError> {
        let on_its_way = on_its_way(&self.fence);
        let folded = self.still_held(permit, subject, reading)?;
        let part = match reading.next {
            Next::Nothing => return Ok(None),
            Next::Head => {
                reading.next = Next::Records;
                let head = reading.waiting.lock().head.take();
                AccessPart::Head(head.ok_or_else(|| VaultError::damaged("access package", "it was begun twice"))?)
            }
            Next::Records => {
                let some = reading.waiting.lock().some_records(PART_RECORDS);
                let Some(records) = some else {
                    reading.next = Next::Events(Cursor::default());
                    drop(on_its_way);
                    return self.part_of(permit, subject, reading, now);
                };
                AccessPart::Records(records)
            }
            Next::Events(_) => match reading.next_events(&folded)? {
                Some(events) => AccessPart::Events(events),
                None => {
                    drop((on_its_way, folded));
                    return self.last_part(permit, subject, reading, now).map(Some);
                }
            },
        };
        Ok(Some((part, on_its_way)))
    }

    fn last_part(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &mut AccessReading,
        now: Timestamp,
    ) -> Result<(AccessPart, OnItsWay), VaultError> {
        let changed = self.changed_since(permit, subject, reading)?;
        let on_its_way = on_its_way(&self.fence);
        let request = self.hand_over(permit, subject, reading, now)?;
        reading.next = Next::Nothing;
        Ok((AccessPart::End(AccessEnd { request, changed }), on_its_way))
    }

    /// Finds the person again, who may have been erased, and where the person's events are now.
    fn still_held(&self, permit: &Permit, subject: &SubjectKey, reading: &AccessReading) -> Result<Folded, VaultError> {
        let mut state = self.lock()?;
        if find(&mut state, permit, subject)? != (reading.number, reading.ordinal) {
            return refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key");
        }
        Ok(Folded::of(&dataset_of(&mut state, permit)?.closed, reading.ordinal))
    }

    /// Says whether what is held differs from what was told. Reads it again only if something of its block was written or
    /// folded since.
    fn changed_since(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &AccessReading,
    ) -> Result<bool, VaultError> {
        let here = on_its_way(&self.fence);
        self.still_held(permit, subject, reading)?;
        let source = self.source(reading.number, reading.ordinal)?;
        if source.version().same(&reading.version) {
            return Ok(false);
        }
        if !Arc::ptr_eq(&source.schema, &reading.schema) {
            return Ok(true);
        }
        let (data, folded) = (source.read()?, source.folded());
        drop((source, here));
        let history = self.history(&data)?;
        let mut told = Told::default();
        let taken = (reading.received, &Timeline::new(&history));
        told.values(attributes(permit, &reading.schema, &data).iter().map(|(_, value)| value));
        told.history(&history, taken.1.restricted(taken.0));
        let mut cursor = Cursor::default();
        while let Some(held) = reading.events_after(&mut cursor, &folded, &data.events)? {
            told.events(&held);
        }
        Ok(told.finish() != reading.told.clone().finish())
    }

    /// Logs that a package is handed over, unless the person was erased meanwhile.
    fn hand_over(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &AccessReading,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        let mut state = self.lock()?;
        let now = state.latest.max(now);
        if find(&mut state, permit, subject)? != (reading.number, reading.ordinal) {
            return refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key");
        }
        let event = RightsEvent { received: reading.received, ..RightsEvent::new(Right::Access, reading.intent, now) };
        let first = self.next_leaf(Tree::Subject);
        let mut gathered = Gathered::default();
        let dataset = dataset_of(&mut state, permit)?;
        let hidden = Zeroizing::new(dataset.hidden(reading.ordinal)?);
        let done = dataset.conclude(permit, reading.ordinal, &hidden, event, first, now, &mut gathered);
        let done = self.poison_on_error(Ok(done))?;
        let ticket = self.commit(&mut state, outgoing(gathered, reading.number))?;
        drop(state);
        ticket.wait()?;
        Ok(done)
    }

    /// Logs that a request failed, of a person who is still held, and returns why.
    fn gave_up_reading(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        reading: &AccessReading,
        error: VaultError,
    ) -> VaultError {
        let hidden = || {
            let mut state = self.lock()?;
            match find(&mut state, permit, subject)? == (reading.number, reading.ordinal) {
                true => {
                    dataset_of(&mut state, permit)?.hidden(reading.ordinal).map(|hidden| Some(Zeroizing::new(hidden)))
                }
                false => Ok(None),
            }
        };
        // Nothing refers to someone who is erased; that the call was refused is in the log of calls.
        let Ok(Some(hidden)) = hidden() else { return error };
        let AccessReading { number, ordinal, intent, received, .. } = *reading;
        self.gave_up(permit, &TakenUp { number, ordinal, hidden, intent, received }, Right::Access.words(), error)
    }
}

impl AccessReading {
    /// Returns the dataset's description that the package is read under.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns which fields of an event type are shown, in the order of each event's values.
    pub fn columns(&self, event: EventTypeId) -> &[ColumnId] {
        self.types.iter().find(|of| of.event == event).map_or(&[], |of| &of.columns)
    }

    /// Says whether nothing of the person waits in it.
    #[cfg(test)]
    pub(in crate::vault) fn is_wiped(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.head.is_none() && waiting.records.is_empty() && waiting.pending.is_empty()
    }

    /// Returns the person's next events, of one type, about a part of them.
    fn next_events(&mut self, folded: &Folded) -> Result<Option<HeldEvents>, VaultError> {
        let Next::Events(cursor) = &mut self.next else { return Ok(None) };
        let mut cursor = std::mem::take(cursor);
        let version = folded.version();
        if !cursor.version.as_ref().is_some_and(|known| known.same_pieces(&version)) {
            (cursor.piece, cursor.version) = (0, Some(version));
        }
        let events = self.events_after(&mut cursor, folded, &self.waiting.lock().pending)?;
        self.next = Next::Events(cursor);
        events.iter().for_each(|events| self.told.events(events));
        Ok(events)
    }

    fn events_after(
        &self,
        cursor: &mut Cursor,
        folded: &Folded,
        pending: &[EventRows],
    ) -> Result<Option<HeldEvents>, VaultError> {
        while let Some(of) = self.types.get(cursor.shown) {
            if let Some(event) = self.schema.events.get(usize::from(of.event.0)) {
                let none = EventRows::empty(&event.fields);
                let pending = pending.get(usize::from(of.event.0)).unwrap_or(&none);
                let rows = next_rows(event, of, folded, pending, cursor)?;
                if !rows.is_empty() {
                    return Ok(Some(HeldEvents { event: of.event, rows }));
                }
            }
            *cursor =
                Cursor { shown: cursor.shown.saturating_add(1), version: cursor.version.take(), ..Cursor::default() };
        }
        Ok(None)
    }
}

/// Merges the folded events of the next piece with those that are not folded, about a part of them. An event that was
/// folded since the beginning is in both and is told once.
fn next_rows(
    event: &EventType,
    of: &HeldType,
    folded: &Folded,
    pending: &EventRows,
    cursor: &mut Cursor,
) -> Result<Vec<HeldEvent>, VaultError> {
    let (parts, position) = folded.events(of.event);
    let found = read_events_after(event, parts, position, (cursor.after, cursor.piece))?;
    let (rows, piece) = found.unwrap_or_else(|| (EventRows::empty(&event.fields), cursor.piece));
    cursor.piece = piece;
    // Later ones may come after events of the next piece.
    let end = rows.at.len().checked_sub(1).and_then(|last| rows.place(last));
    let later = |rows: &EventRows| (0..rows.at.len()).find(|row| rows.place(*row) > cursor.after).unwrap_or(usize::MAX);
    let (mut here, mut there) = (later(&rows), later(pending));
    let (mut held, mut bytes) = (Vec::new(), 0_usize);
    while bytes < PART_BYTES {
        let waits = pending.place(there).filter(|place| end.is_none_or(|end| *place <= end));
        let (source, row, place) = match (rows.place(here), waits) {
            (None, None) => break,
            (Some(folded), Some(waits)) if folded == waits => {
                there = there.saturating_add(1);
                continue;
            }
            (Some(folded), waits) if waits.is_none_or(|waits| folded < waits) => {
                here = here.saturating_add(1);
                (&rows, here.saturating_sub(1), folded)
            }
            (folded, waits) => {
                there = there.saturating_add(1);
                (pending, there.saturating_sub(1), waits.or(folded).unwrap_or_default())
            }
        };
        let values = of
            .columns
            .iter()
            .map(|column| source.columns.get(usize::from(column.0)).map_or(Value::Missing, |column| column.value(row)));
        let one = HeldEvent { at: Timestamp(place.0), id: place.1, values: values.collect() };
        bytes = bytes.saturating_add(sent_bytes(event, of, &one));
        held.push(one);
        cursor.after = Some(place);
    }
    Ok(held)
}

/// Returns how many bytes an event takes in a message, about.
fn sent_bytes(event: &EventType, of: &HeldType, one: &HeldEvent) -> usize {
    const EVENT: usize = 24;
    const VALUE: usize = 16;
    let field = |at: usize| -> Option<&Field> { event.fields.get(usize::from(of.columns.get(at)?.0)) };
    let value = |(at, value): (usize, &Value)| match value {
        Value::Missing => VALUE,
        Value::Code(code) => VALUE + field(at).and_then(|field| field.label(*code)).map_or(0, str::len),
        Value::Int(_) => VALUE + VALUE,
        Value::Bytes(bytes) => VALUE + bytes.len() + bytes.len(),
    };
    EVENT + one.values.iter().enumerate().map(value).sum::<usize>()
}

fn shown(permit: &Permit, field: FieldRef) -> bool {
    permit.treatment(field) == Treatment::Clear
}

fn attributes(permit: &Permit, schema: &Schema, data: &BlockData) -> Vec<(ColumnId, Value)> {
    let columns = schema.attributes.iter().zip(&data.columns);
    let columns = columns.filter(|(field, _)| shown(permit, FieldRef::Attribute(field.column)));
    let other = known_by(schema, data).1.is_some();
    // The key of another kind stands in the subject key's column.
    let value =
        |field: &Field, held: Value| if other && field.column == schema.subject_key { Value::Missing } else { held };
    columns.map(|(field, column)| (field.column, value(field, column.value(0)))).collect()
}

/// Returns by which kind of identifier a person is known, and its value if it is not the subject key.
fn known_by(schema: &Schema, data: &BlockData) -> (IdentityKind, Option<Value>) {
    match data.columns.get(usize::from(schema.subject_key.0)).map(|column| column.value(0)) {
        Some(Value::Bytes(ref bytes)) => {
            let key = SubjectKey::from_stored(bytes);
            let (kind, value) = key.parts();
            (kind, (kind != IdentityKind::SUBJECT_KEY).then(|| Value::Bytes(value.to_vec())))
        }
        _ => (IdentityKind::SUBJECT_KEY, None),
    }
}

/// Lists the event types that are shown, with how many events of each are held.
fn types(permit: &Permit, schema: &Schema, folded: &Folded, data: &BlockData) -> Result<Vec<HeldType>, VaultError> {
    let mut types = Vec::new();
    for event in schema.events.iter().filter(|event| shown(permit, FieldRef::Event(event.id))) {
        let columns = event.fields.iter().map(|field| field.column);
        let columns = columns.filter(|column| shown(permit, FieldRef::EventField(event.id, *column))).collect();
        let (parts, position) = folded.events(event.id);
        let pending = data.events.get(usize::from(event.id.0)).map_or(0, |rows| rows.at.len());
        let count = count_events(parts, position)?.saturating_add(pending as u64);
        types.push(HeldType { event: event.id, columns, count });
    }
    Ok(types)
}

fn head(permit: &Permit, taken: &TakenUp, schema: &Arc<Schema>, data: &BlockData, timeline: &Timeline) -> AccessHead {
    let standings = schema.purposes.iter().flat_map(|purpose| {
        LawfulBasis::ALL.map(|basis| Standing {
            purpose: purpose.clone(),
            basis,
            allowed: timeline.agreed(purpose, basis, taken.received),
        })
    });
    let limited = schema.attributes.iter().filter(|field| shown(permit, FieldRef::Attribute(field.column)));
    let (known_by, identifier) = known_by(schema, data);
    AccessHead {
        known_by,
        identifier: identifier.filter(|_| shown(permit, FieldRef::Attribute(schema.subject_key))),
        links: Vec::new(),
        attributes: attributes(permit, schema, data),
        kept_until: limited.filter_map(|field| Some((field.column, last_day(field, data)?))).collect(),
        types: Vec::new(),
        standings: standings.collect(),
        restricted: timeline.restricted(taken.received),
        holds: Vec::new(),
        uses: Vec::new(),
        recipients: Vec::new(),
        withheld: schema.references().into_iter().filter(|field| !shown(permit, *field)).collect(),
        schema: Arc::clone(schema),
    }
}

/// Returns the last day on which a value of an attribute is kept, if there is one and it has its day.
fn last_day(field: &Field, data: &BlockData) -> Option<i32> {
    let day = data.set_day(usize::from(field.column.0), 0)?;
    i32::try_from(day.last(field.retention_days?)).ok()
}

/// A digest of what was told, to compare with what is held later.
#[derive(Clone, Default)]
struct Told(Sha256);

impl Told {
    fn head(&mut self, head: &AccessHead, history: &History) {
        self.values(head.attributes.iter().map(|(_, value)| value));
        self.history(history, head.restricted);
    }

    /// Consents are only ever added.
    fn history(&mut self, history: &History, restricted: bool) {
        self.0.update((history.consents.len() as u64).to_le_bytes());
        self.0.update([u8::from(restricted)]);
    }

    fn events(&mut self, held: &HeldEvents) {
        for row in &held.rows {
            self.0.update(held.event.0.to_le_bytes());
            self.0.update(row.at.0.to_le_bytes());
            self.0.update(row.id.to_le_bytes());
            self.values(row.values.iter());
        }
    }

    fn values<'a>(&mut self, values: impl Iterator<Item = &'a Value>) {
        for value in values {
            match value {
                Value::Missing => self.0.update([0]),
                Value::Code(code) => self.0.update([&[1][..], &code.to_le_bytes()].concat()),
                Value::Int(number) => self.0.update([&[2][..], &number.to_le_bytes()].concat()),
                Value::Bytes(bytes) => {
                    self.0.update([&[3][..], &(bytes.len() as u64).to_le_bytes()].concat());
                    self.0.update(bytes);
                }
            }
        }
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
