//! Reads the files of a mapping row by row and yields typed records.
//!
//! Rows are not kept. What must be remembered of them is hashes, about twice their size in memory: 8 bytes for a row, 8 for
//! an event, 16 for a subject with a profile, 8 for a consent given. A row is accepted as a whole or not at all.

use super::error::{ImportError, MappingError, positions};
use super::identity::{Hashes, KeyDigest, Occurrences, digest};
use super::lookup::Table;
use super::mapping::{Choice, ConsentSpec, EventSpec, FileSpec, Mapping, ProfileSpec, Purposes};
use super::raw::OnConflict;
use super::reason::{Fault, Reason};
use super::record::{Batch, Body, Line, Record, Subject, Value};
use super::report::{FileReport, Quarantined};
use super::row::Row;
use super::source::Source;
use csv::ByteRecord;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
use policy::schema::{EventTypeId, IdentityKind};
use policy::time::Timestamp;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What one step of an import yields.
#[derive(Debug, Default)]
pub struct Step {
    /// Records, of one file.
    pub batch: Batch,
    /// Rows that do not fit.
    pub quarantined: Vec<Quarantined>,
}

/// Reads the files of a mapping.
#[derive(Debug)]
pub struct Importer {
    mapping: Mapping,
    folder: PathBuf,
    waiting: VecDeque<(usize, String)>,
    current: Option<Reading>,
    done: Vec<FileReport>,
    bytes_done: u64,
    bytes_total: u64,
    memory: Memory,
}

/// What must be remembered across rows.
#[derive(Debug, Default)]
struct Memory {
    hasher: RandomState,
    /// By subject: the profile seen, for the current `[[files]]`.
    profiles: HashMap<u64, u64>,
    /// Consents written.
    consents: HashSet<u64>,
    entry: Option<usize>,
}

/// A file being read.
#[derive(Debug)]
struct Reading {
    entry: usize,
    source: Source,
    positions: Vec<usize>,
    tables: Vec<Table>,
    occurrences: Occurrences,
    rows: Hashes,
    by_type: BTreeMap<EventTypeId, (Arc<str>, u64)>,
    report: FileReport,
}

impl Importer {
    /// Prepares an import: finds every file and checks its columns, lookups included, before a row is read.
    pub fn new(mapping: Mapping, folder: &Path) -> Result<Self, ImportError> {
        let (mut waiting, mut bytes_total) = (VecDeque::new(), 0);
        for (entry, file) in mapping.files.iter().enumerate() {
            for lookup in &file.lookups {
                check_inside(&lookup.path)?;
                Table::check(lookup, folder)?;
            }
            for name in matching(folder, &file.path)? {
                let path = folder.join(&name);
                let source = Source::open(&path, &name, &file.format)?;
                positions(&name, source.header(), file.columns.names())?;
                bytes_total += path.metadata().map_or(0, |meta| meta.len());
                waiting.push_back((entry, name));
            }
        }
        let folder = folder.to_owned();
        let (done, memory) = (Vec::new(), Memory::default());
        Ok(Self { mapping, folder, waiting, current: None, done, bytes_done: 0, bytes_total, memory })
    }

    /// Returns the mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Returns bytes read and bytes in all, for a progress bar.
    pub fn progress(&self) -> (u64, u64) {
        let reading = self.current.as_ref().map_or(0, |reading| reading.source.bytes_read());
        ((self.bytes_done + reading).min(self.bytes_total), self.bytes_total)
    }

    /// Returns the reports of the files that are finished, in order.
    pub fn reports(&self) -> &[FileReport] {
        &self.done
    }

    /// Reads up to `rows` rows of one file; `None` when every file is finished.
    pub fn step(&mut self, rows: usize) -> Result<Option<Step>, ImportError> {
        let Some(mut reading) = self.next_reading()? else { return Ok(None) };
        let Some(spec) = self.mapping.files.get(reading.entry) else { return Ok(None) };
        let mut step = Step::default();
        step.batch.identity = spec.identity;
        step.batch.attributes = spec.profile.as_ref().map(|p| p.attributes.clone()).unwrap_or_default();
        let mut record = ByteRecord::new();
        for _ in 0..rows {
            match reading.source.read(&mut record)? {
                Some(line) => reading.row(spec, &record, line, &mut self.memory, &mut step),
                None => {
                    self.bytes_done += reading.source.bytes_read();
                    reading.report.read = reading.source.rows();
                    reading.report.by_type =
                        reading.by_type.into_values().map(|(name, count)| (name.to_string(), count)).collect();
                    self.done.push(reading.report);
                    return Ok(Some(step));
                }
            }
        }
        self.current = Some(reading);
        Ok(Some(step))
    }

    fn next_reading(&mut self) -> Result<Option<Reading>, ImportError> {
        if let Some(reading) = self.current.take() {
            return Ok(Some(reading));
        }
        let Some((entry, name)) = self.waiting.pop_front() else { return Ok(None) };
        let Some(spec) = self.mapping.files.get(entry) else { return Ok(None) };
        if self.memory.entry != Some(entry) {
            self.memory.profiles = HashMap::new();
            self.memory.entry = Some(entry);
        }
        let source = Source::open(&self.folder.join(&name), &name, &spec.format)?;
        let positions = positions(&name, source.header(), spec.columns.names())?;
        let tables: Result<Vec<Table>, ImportError> =
            spec.lookups.iter().map(|lookup| Table::load(lookup, &self.folder)).collect();
        let report = FileReport { file: name, ..FileReport::default() };
        let (occurrences, rows, by_type) = (Occurrences::default(), Hashes::default(), BTreeMap::new());
        Ok(Some(Reading { entry, source, positions, tables: tables?, occurrences, rows, by_type, report }))
    }
}

/// A row's cells, to be hashed.
struct Cells<'a>(&'a ByteRecord);

impl Hash for Cells<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|cell| cell.hash(state));
    }
}

/// What a row says, before anything is remembered of it.
struct Draft {
    subject: Subject,
    profile: Option<Vec<Value>>,
    events: Vec<(KeyDigest, EventTypeId, Timestamp, Vec<Value>)>,
    consents: Vec<ConsentEvent>,
}

impl Reading {
    fn row(&mut self, spec: &FileSpec, record: &ByteRecord, line: u64, memory: &mut Memory, step: &mut Step) {
        let is_new = self.rows.insert(memory.hasher.hash_one(Cells(record)));
        self.report.repeated_rows += u64::from(!is_new);
        let row = Row { record, positions: &self.positions, number: self.source.rows(), tables: &self.tables };
        let drafted = draft(spec, &row, self.source.header().len());
        let outcome = match drafted {
            Ok(Some(draft)) => self.commit(spec, draft, line, memory, &mut step.batch),
            Ok(None) => {
                self.report.filtered += 1;
                return;
            }
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(()) => self.report.accepted += 1,
            Err(fault) => {
                self.report.quarantined += 1;
                step.quarantined.push(Quarantined { file: Arc::clone(self.source.name()), line, fault });
            }
        }
    }

    fn commit(
        &mut self,
        spec: &FileSpec,
        draft: Draft,
        line: u64,
        memory: &mut Memory,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let Draft { subject, profile, events, consents } = draft;
        let line = Line(line);
        let mut push = |body| batch.records.push(Record { line, subject: subject.clone(), body });
        if let (Some(values), Some(spec)) = (profile, &spec.profile) {
            let seen = memory.profile(&subject, &values);
            self.report.conflicts += u64::from(seen == Seen::Other && spec.on_conflict != OnConflict::Quarantine);
            match (seen, spec.on_conflict) {
                (Seen::Other, OnConflict::Quarantine) => {
                    return Err(Fault { column: "".into(), reason: Reason::Conflict });
                }
                (Seen::Same, _) | (Seen::Other, OnConflict::First) => {}
                (Seen::New, _) | (Seen::Other, OnConflict::Last) => {
                    memory.keep_profile(&subject, &values);
                    self.report.profiles += 1;
                    push(Body::Profile(values));
                }
            }
        }
        for (key, event, at, values) in events {
            self.report.events += 1;
            let named = || (spec.event_name(event), 0);
            self.by_type.entry(event).or_insert_with(named).1 += 1;
            push(Body::Event { event, id: self.occurrences.next_id(key), at, values });
        }
        for consent in consents {
            if memory.keep_consent(spec.identity, &subject, &consent) {
                self.report.consents += 1;
                push(Body::Consent(consent));
            }
        }
        Ok(())
    }
}

/// How a profile compares with the one remembered of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    New,
    Same,
    Other,
}

impl Memory {
    fn profile(&self, subject: &Subject, values: &[Value]) -> Seen {
        match self.profiles.get(&self.hasher.hash_one(subject.expose())) {
            None => Seen::New,
            Some(known) if *known == self.hash(values) => Seen::Same,
            Some(_) => Seen::Other,
        }
    }

    fn keep_profile(&mut self, subject: &Subject, values: &[Value]) {
        let hash = self.hash(values);
        match self.profiles.entry(self.hasher.hash_one(subject.expose())) {
            Entry::Occupied(mut entry) => *entry.get_mut() = hash,
            Entry::Vacant(entry) => _ = entry.insert(hash),
        }
    }

    /// Returns whether this consent is new.
    fn keep_consent(&mut self, kind: IdentityKind, subject: &Subject, consent: &ConsentEvent) -> bool {
        self.consents.insert(self.hasher.hash_one((kind, subject.expose(), consent)))
    }

    fn hash(&self, values: &[Value]) -> u64 {
        let parts: Vec<(u8, i64, &[u8])> = values
            .iter()
            .map(|value| match value {
                Value::Missing => (0, 0, &[][..]),
                Value::Code(code) => (1, i64::from(*code), &[][..]),
                Value::Int(units) => (2, *units, &[][..]),
                Value::Bytes(bytes) => (3, 0, bytes.as_slice()),
            })
            .collect();
        self.hasher.hash_one(parts)
    }
}

/// Reads what a row says; `None` when the mapping leaves it out.
fn draft(spec: &FileSpec, row: &Row<'_>, cells: usize) -> Result<Option<Draft>, Fault> {
    if row.record.len() != cells {
        let reason = Reason::Ragged { cells: row.record.len(), expected: cells };
        return Err(Fault { column: "".into(), reason });
    }
    if !passes(spec.filter.as_ref(), row)? {
        return Ok(None);
    }
    let profile = match &spec.profile {
        Some(profile) if passes(profile.filter.as_ref(), row)? => Some(profile_values(profile, row)?),
        _ => None,
    };
    let (mut events, mut consents) = (Vec::new(), Vec::new());
    for event in &spec.events {
        if passes(event.filter.as_ref(), row)? {
            events.push(read_event(spec, event, row)?);
        }
    }
    // Consents that only accompany a row do not bring it in.
    let alone = spec.profile.is_none() && spec.events.is_empty();
    if profile.is_none() && events.is_empty() && !alone {
        return Ok(None);
    }
    for consent in &spec.consents {
        if passes(consent.filter.as_ref(), row)? {
            read_consents(consent, row, &mut consents)?;
        }
    }
    if alone && consents.is_empty() {
        return Ok(None);
    }
    Ok(Some(Draft { subject: read_subject(spec, row)?, profile, events, consents }))
}

fn passes(filter: Option<&super::filter::Filter>, row: &Row<'_>) -> Result<bool, Fault> {
    filter.map_or(Ok(true), |filter| filter.passes(row))
}

fn read_subject(spec: &FileSpec, row: &Row<'_>) -> Result<Subject, Fault> {
    let key = spec.subject.text(row)?.ok_or_else(|| spec.subject.fault(Reason::NoSubject))?;
    let max = spec.subject_max;
    let key = Some(key.into_owned()).filter(|key| key.len() <= max).and_then(Subject::new);
    key.ok_or_else(|| spec.subject.fault(Reason::TooLong { max }))
}

fn profile_values(spec: &ProfileSpec, row: &Row<'_>) -> Result<Vec<Value>, Fault> {
    spec.fields.iter().map(|field| field.encode(row)).collect()
}

fn read_event(
    file: &FileSpec,
    spec: &EventSpec,
    row: &Row<'_>,
) -> Result<(KeyDigest, EventTypeId, Timestamp, Vec<Value>), Fault> {
    let event = pick(&spec.ty, row)?;
    let at = read_time(&spec.time, row)?.ok_or_else(|| spec.time.fault(Reason::NoTime))?;
    let Some((name, fields)) = spec.fields.get(&event.0) else {
        return Err(Fault { column: "".into(), reason: Reason::NotListed { field: "the event types".into() } });
    };
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        values.push(field.as_ref().map_or(Ok(Value::Missing), |field| field.encode(row))?);
    }
    let key = match &spec.key {
        Some(slots) => digest(&file.source, name, slots.iter().map(|slot| row.bytes(*slot))),
        None => digest(&file.source, name, row.record.iter()),
    };
    Ok((key, event, at, values))
}

fn read_time(value: &super::value::ValueSpec, row: &Row<'_>) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = value.text(row)? else { return Ok(None) };
    value.time.instant(&text).map(Some).ok_or_else(|| value.fault(Reason::NotTime))
}

fn pick<T: Copy>(choice: &Choice<T>, row: &Row<'_>) -> Result<T, Fault> {
    match choice {
        Choice::Constant(one) => Ok(*one),
        Choice::Column { value, known, what } => {
            let text = value.text(row)?.ok_or_else(|| value.fault(Reason::Empty { what }))?;
            known.get(text.as_ref()).copied().ok_or_else(|| value.fault(Reason::NotListed { field: (*what).into() }))
        }
    }
}

fn read_consents(spec: &ConsentSpec, row: &Row<'_>, into: &mut Vec<ConsentEvent>) -> Result<(), Fault> {
    let Some(act) = pick(&spec.act, row)? else { return Ok(()) };
    let basis: LawfulBasis = pick(&spec.basis, row)?;
    let at = read_time(&spec.time, row)?.ok_or_else(|| spec.time.fault(Reason::NoTime))?;
    let expires = match &spec.expires {
        Some(value) if act == ConsentAct::Give => read_time(value, row)?,
        _ => None,
    };
    let (notice, method, language) = spec.collected.read(row)?;
    for purpose in read_purposes(&spec.purposes, row)? {
        let (source, language, notice) = (spec.source.clone(), language.clone(), notice.clone());
        into.push(ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source });
    }
    Ok(())
}

fn read_purposes(purposes: &Purposes, row: &Row<'_>) -> Result<Vec<PurposeId>, Fault> {
    let (value, separator, known) = match purposes {
        Purposes::Constant(list) => return Ok(list.clone()),
        Purposes::Column { value, separator, known } => (value, separator, known),
    };
    let Some(text) = value.text(row)? else { return Ok(Vec::new()) };
    let names: Vec<&str> = match separator {
        Some(separator) => text.split(separator.as_str()).map(str::trim).filter(|name| !name.is_empty()).collect(),
        None => vec![text.as_ref()],
    };
    let find = |name: &str| {
        known.get(name).cloned().ok_or_else(|| value.fault(Reason::NotListed { field: "the purposes".into() }))
    };
    names.into_iter().map(find).collect()
}

/// Checks that a path leads nowhere but into the source folder.
fn check_inside(path: &str) -> Result<(), MappingError> {
    if path.split(['/', '\\']).any(|part| part == "..") || Path::new(path).is_absolute() {
        return Err(MappingError::new(path, "a path stays inside the source folder"));
    }
    Ok(())
}

/// Returns the files that a path names; `*` in the last part stands for any characters. Sorted by name.
fn matching(folder: &Path, path: &str) -> Result<Vec<String>, ImportError> {
    check_inside(path)?;
    let (parent, pattern) = path.rsplit_once('/').unwrap_or(("", path));
    let Some((start, end)) = pattern.split_once('*') else { return Ok(vec![path.to_owned()]) };
    let listed = std::fs::read_dir(folder.join(parent)).map_err(|error| ImportError::io(path, &error))?;
    let mut names: Vec<String> = listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end))
        .map(|name| if parent.is_empty() { name } else { format!("{parent}/{name}") })
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(ImportError::NoFile { file: path.to_owned() });
    }
    Ok(names)
}
