//! What a frame changes in one block, as bytes before they are sealed under the journal key.
//!
//! An entry is a tag byte, the subject's position in its block (u16), and a body; all integers little endian.
//! Version 1: 1 new subject (hidden 32 bytes, key length u8, key), 2 profile (count u16, then column u16 and a value
//! each), 3 event (type u16, id u64, time i64 micros, a value for each field), 4 consent (leaf u64, length u16, JSON),
//! 5 request of the person (leaf u64, length u16, JSON). Version 2: 8 profile of a day (day u16, then as 2); 2 is read and
//! not written any more; 6 event of a linked subject (mark u8, then as an event); 7 end of a link (mark u8): the events that
//! bear the mark go.
//! A value is a tag byte (0 missing, 1 code u16, 2 integer i64, 3 bytes with length u8).

use crate::fold::set_day::SetDay;
use crate::holds::Held;
use crate::ingest::Value;
use crate::subjects::RightsEvent;
use policy::consent::ConsentEvent;
use policy::schema::{ColumnId, EventTypeId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Entries of one block in one frame, in clear. Wiped on drop.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct Delta(Vec<u8>);

/// One entry, read back.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A subject that did not exist before.
    NewSubject {
        /// 32 random bytes of this subject alone.
        hidden: [u8; 32],
        /// The value of the subject key.
        key: Vec<u8>,
    },
    /// Attribute values to set.
    Profile {
        /// The day of the frame; `None` in entries that were written before it was kept.
        set: Option<SetDay>,
        /// Columns and values.
        values: Vec<(u16, Value)>,
    },
    /// An event.
    Event {
        /// Its type.
        event: u16,
        /// Its id.
        id: u64,
        /// Its time in microseconds.
        at: i64,
        /// Its fields.
        values: Vec<Value>,
    },
    /// A consent event and the index of its leaf in the subject tree.
    Consent {
        /// The leaf.
        leaf: u64,
        /// What happened.
        event: ConsentEvent,
    },
    /// An event of a subject that is linked to this one, beside its own.
    Copied {
        /// Which link it came by, from 1.
        mark: u8,
        /// Its type.
        event: u16,
        /// Its id.
        id: u64,
        /// Its time in microseconds.
        at: i64,
        /// Its fields.
        values: Vec<Value>,
    },
    /// A link was ended: the events that came by it go.
    Uncopied {
        /// Which link.
        mark: u8,
    },
    /// A request of the person that was fulfilled, and the index of the leaf in the subject tree that says so.
    Rights {
        /// The leaf.
        leaf: u64,
        /// The request.
        event: RightsEvent,
    },
}

/// A delta that does not parse: it was written by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a journal entry does not parse")]
pub struct JournalError;

/// New subjects, and what has a leaf, that were written again. One comes twice when an erasure wrote it again and died; an
/// event or a profile that does is no harm.
#[derive(Debug, Default)]
pub struct Seen {
    subjects: BTreeSet<u16>,
    leaves: BTreeSet<(u16, u64)>,
}

impl Seen {
    fn is_first(&mut self, position: u16, entry: &Entry) -> bool {
        match entry {
            Entry::NewSubject { .. } => self.subjects.insert(position),
            Entry::Consent { leaf, .. } | Entry::Rights { leaf, .. } => self.leaves.insert((position, *leaf)),
            Entry::Profile { .. } | Entry::Event { .. } | Entry::Copied { .. } | Entry::Uncopied { .. } => true,
        }
    }
}

impl Delta {
    fn head(&mut self, tag: u8, position: u16) {
        self.0.push(tag);
        self.0.extend_from_slice(&position.to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Missing => self.0.push(0),
            Value::Code(code) => {
                self.0.push(1);
                self.0.extend_from_slice(&code.to_le_bytes());
            }
            Value::Int(number) => {
                self.0.push(2);
                self.0.extend_from_slice(&number.to_le_bytes());
            }
            Value::Bytes(bytes) => {
                self.0.push(3);
                self.short(bytes);
            }
        }
    }

    /// Appends a length byte and at most 255 bytes.
    fn short(&mut self, bytes: &[u8]) {
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.0.push(length);
        self.0.extend(bytes.iter().take(usize::from(length)));
    }

    /// Appends a new subject.
    pub fn new_subject(&mut self, position: u16, hidden: &[u8; 32], key: &[u8]) {
        self.head(1, position);
        self.0.extend_from_slice(hidden);
        self.short(key);
    }

    /// Appends attribute values that are set on a day.
    pub fn profile(&mut self, position: u16, set: SetDay, values: &[(u16, &Value)]) {
        self.profile_of(position, Some(set), values);
    }

    /// Appends attribute values, without a day as they were written before they had one.
    fn profile_of(&mut self, position: u16, set: Option<SetDay>, values: &[(u16, &Value)]) {
        self.head(if set.is_some() { 8 } else { 2 }, position);
        set.into_iter().for_each(|set| self.0.extend_from_slice(&set.stored().to_le_bytes()));
        let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&count.to_le_bytes());
        for (column, value) in values.iter().take(usize::from(count)) {
            self.0.extend_from_slice(&column.to_le_bytes());
            self.value(value);
        }
    }

    /// Appends an event.
    pub fn event(&mut self, position: u16, event: u16, id: u64, at: i64, values: &[Value]) {
        self.head(3, position);
        self.event_body(event, id, at, values);
    }

    /// Appends an event of a subject that is linked to this one.
    pub fn copied(&mut self, position: u16, mark: u8, event: u16, id: u64, at: i64, values: &[Value]) {
        self.head(6, position);
        self.0.push(mark);
        self.event_body(event, id, at, values);
    }

    /// Appends the end of a link.
    pub fn uncopied(&mut self, position: u16, mark: u8) {
        self.head(7, position);
        self.0.push(mark);
    }

    fn event_body(&mut self, event: u16, id: u64, at: i64, values: &[Value]) {
        self.0.extend_from_slice(&event.to_le_bytes());
        self.0.extend_from_slice(&id.to_le_bytes());
        self.0.extend_from_slice(&at.to_le_bytes());
        self.0.push(u8::try_from(values.len()).unwrap_or(u8::MAX));
        for value in values.iter().take(255) {
            self.value(value);
        }
    }

    /// Appends a consent event.
    pub fn consent(&mut self, position: u16, leaf: u64, event: &ConsentEvent) -> Result<(), JournalError> {
        self.history(4, position, leaf, event)
    }

    /// Appends a request of a person that was fulfilled.
    pub fn rights(&mut self, position: u16, leaf: u64, event: &RightsEvent) -> Result<(), JournalError> {
        self.history(5, position, leaf, event)
    }

    fn history(&mut self, tag: u8, position: u16, leaf: u64, event: &impl Serialize) -> Result<(), JournalError> {
        let json = serde_json::to_vec(event).map_err(|_| JournalError)?;
        let length = u16::try_from(json.len()).map_err(|_| JournalError)?;
        self.head(tag, position);
        self.0.extend_from_slice(&leaf.to_le_bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(&json);
        Ok(())
    }

    /// Appends the entries of another delta but those that came before, and of people who are erased only what is left of
    /// them: `left` says what, and is none for everyone else.
    pub fn append_without<'h>(
        &mut self,
        delta: &[u8],
        left: impl Fn(u16) -> Option<&'h Held>,
        seen: &mut Seen,
    ) -> Result<(), JournalError> {
        let mut reader = Reader::new(delta);
        let mut rest = delta;
        while let Some((position, entry)) = reader.next_entry()? {
            let length = rest.len().saturating_sub(reader.0.len());
            let (bytes, later) = rest.split_at_checked(length).ok_or(JournalError)?;
            rest = later;
            if !seen.is_first(position, &entry) {
                continue;
            }
            match left(position) {
                None => self.0.extend_from_slice(bytes),
                Some(held) => self.append_left(position, &entry, held),
            }
        }
        Ok(())
    }

    /// Appends what is left of an entry. Of a person who is new here and gone, the place stays, since positions are dense:
    /// without key and hidden bytes.
    fn append_left(&mut self, position: u16, entry: &Entry, held: &Held) {
        match entry {
            Entry::NewSubject { .. } if held.is_nothing() => self.new_subject(position, &[0; 32], b""),
            Entry::NewSubject { hidden, key } => self.new_subject(position, hidden, key),
            Entry::Profile { set, values } => {
                let kept = values.iter().filter(|(column, _)| held.attribute(ColumnId(*column)));
                let kept: Vec<_> = kept.map(|(column, value)| (*column, value)).collect();
                if !kept.is_empty() {
                    self.profile_of(position, *set, &kept);
                }
            }
            Entry::Event { event, id, at, values } | Entry::Copied { mark: _, event, id, at, values }
                if held.event(EventTypeId(*event)) =>
            {
                let field = |(column, value): (u16, &Value)| {
                    let held = held.field(EventTypeId(*event), ColumnId(column));
                    if held { value.clone() } else { Value::Missing }
                };
                let values: Vec<Value> = (0..).zip(values).map(field).collect();
                match entry {
                    Entry::Copied { mark, .. } => self.copied(position, *mark, *event, *id, *at, &values),
                    _ => self.event(position, *event, *id, *at, &values),
                }
            }
            // The copies that it takes out may be among what is left.
            Entry::Uncopied { mark } if !held.is_nothing() => self.uncopied(position, *mark),
            Entry::Event { .. }
            | Entry::Copied { .. }
            | Entry::Uncopied { .. }
            | Entry::Consent { .. }
            | Entry::Rights { .. } => {}
        }
    }

    /// Counts its bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the bytes out, to be sealed in place.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Reads entries from the bytes of a delta.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first entry.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], JournalError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(JournalError)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JournalError> {
        self.bytes(N)?.try_into().map_err(|_| JournalError)
    }

    fn u8(&mut self) -> Result<u8, JournalError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, JournalError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn short(&mut self) -> Result<&'a [u8], JournalError> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    fn value(&mut self) -> Result<Value, JournalError> {
        match self.u8()? {
            0 => Ok(Value::Missing),
            1 => Ok(Value::Code(self.u16()?)),
            2 => Ok(Value::Int(i64::from_le_bytes(self.array()?))),
            3 => Ok(Value::Bytes(self.short()?.to_vec())),
            _ => Err(JournalError),
        }
    }

    fn columns(&mut self) -> Result<Vec<(u16, Value)>, JournalError> {
        let count = self.u16()?;
        let mut values = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            values.push((self.u16()?, self.value()?));
        }
        Ok(values)
    }

    fn history<T: DeserializeOwned>(&mut self) -> Result<(u64, T), JournalError> {
        let leaf = u64::from_le_bytes(self.array()?);
        let length = self.u16()?;
        let event = serde_json::from_slice(self.bytes(usize::from(length))?).map_err(|_| JournalError)?;
        Ok((leaf, event))
    }

    /// Reads type, id, time and fields of an event.
    fn event(&mut self) -> Result<(u16, u64, i64, Vec<Value>), JournalError> {
        let event = self.u16()?;
        let id = u64::from_le_bytes(self.array()?);
        let at = i64::from_le_bytes(self.array()?);
        let count = self.u8()?;
        let values = (0..count).map(|_| self.value()).collect::<Result<_, _>>()?;
        Ok((event, id, at, values))
    }

    fn mark(&mut self) -> Result<u8, JournalError> {
        Some(self.u8()?).filter(|mark| *mark > 0).ok_or(JournalError)
    }

    /// Reads the next entry and the subject's position in its block; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<(u16, Entry)>, JournalError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.u8()?;
        let position = self.u16()?;
        let entry = match tag {
            1 => Entry::NewSubject { hidden: self.array()?, key: self.short()?.to_vec() },
            2 => Entry::Profile { set: None, values: self.columns()? },
            3 => {
                let (event, id, at, values) = self.event()?;
                Entry::Event { event, id, at, values }
            }
            4 => {
                let (leaf, event) = self.history()?;
                Entry::Consent { leaf, event }
            }
            5 => {
                let (leaf, event) = self.history()?;
                Entry::Rights { leaf, event }
            }
            8 => {
                let set = SetDay::read(self.u16()?).ok_or(JournalError)?;
                Entry::Profile { set: Some(set), values: self.columns()? }
            }
            6 => {
                let mark = self.mark()?;
                let (event, id, at, values) = self.event()?;
                Entry::Copied { mark, event, id, at, values }
            }
            7 => Entry::Uncopied { mark: self.mark()? },
            _ => return Err(JournalError),
        };
        Ok(Some((position, entry)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::time::Timestamp;

    fn all(bytes: &[u8]) -> Vec<(u16, Entry)> {
        let mut reader = Reader::new(bytes);
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }

    /// Profile entries of both versions, as they are stored.
    #[test]
    fn profile_entries_are_golden_and_those_without_a_day_are_read() {
        let values = vec![(1, Value::Code(2)), (3, Value::Missing)];
        let mut delta = Delta::default();
        let set = SetDay::of(Timestamp::from_seconds(1_790_000_000));
        delta.profile(7, set, &values.iter().map(|(column, value)| (*column, value)).collect::<Vec<_>>());
        let new = delta.take();
        assert_eq!(new, [8, 7, 0, 0xed, 0x50, 2, 0, 1, 0, 1, 2, 0, 3, 0, 0]);
        assert_eq!(all(&new), [(7, Entry::Profile { set: Some(set), values: values.clone() })]);
        let old = [2, 7, 0, 2, 0, 1, 0, 1, 2, 0, 3, 0, 0];
        assert_eq!(all(&old), [(7, Entry::Profile { set: None, values })]);
        assert_eq!(Reader::new(&[8, 7, 0, 0, 0, 0, 0]).next_entry(), Err(JournalError), "there is no day 0");
    }

    #[test]
    fn entries_of_both_versions_are_written_again_as_they_were() {
        let mut delta = Delta::default();
        delta.profile(1, SetDay::of(Timestamp(0)), &[(2, &Value::Int(5))]);
        let mut both = delta.take();
        both.extend([2, 1, 0, 1, 0, 2, 0, 0]);
        delta.append_without(&both, |_| None, &mut Seen::default()).unwrap();
        assert_eq!(delta.take(), both);
    }
}
