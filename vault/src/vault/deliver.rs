//! Audiences: exact membership under pseudonyms, so the rules here are not DP and are checked on true counts.
//!
//! The declared exception of the design: a partner that holds an audience knows who is in it, by pseudonym. What is
//! guaranteed: only people whose consent to this sharing holds at emission; only fields granted at `generalise` or more,
//! in the segment too; no combination of tags, nor of tags and membership in this epoch's other audiences of the same
//! partner, is held by fewer than [`K`] rows; a noisy size below [`MINIMUM`] is refused, and paid for.

use super::change::Change;
use super::epochs::ClosedEpoch;
use super::release::touched;
use super::write::{leaf_of, refuse, require};
use super::{Vault, VaultError};
use crate::audience::{Audience, AudienceQuestion, Member};
use crate::blocks::{BLOCK_SUBJECTS, Buffer, ColumnKey};
use crate::fold::pieces::read_hidden;
use crate::keys::{Changes, SecretKey};
use crate::log::{FieldPath, Kind, Leaf};
use crate::pseudonym;
use crate::release::{Kind as Asked, Plan, Question};
use crate::scan::ScanInput;
use policy::decide::Reason;
use policy::permit::{Permit, Role, Verb};
use policy::schema::{FieldRef, Layout, Schema};
use policy::segment::Segment;
use policy::time::Timestamp;
use policy::treatment::Treatment;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fewest rows that may share a combination of tags and memberships.
pub const K: usize = 20;
/// Smallest noisy size of an audience, in people.
pub const MINIMUM: i64 = 100;

/// One row before it is named: ordinal, tag labels, memberships in held audiences.
struct Row {
    hidden: [u8; 32],
    tags: Vec<Option<String>>,
    held: Vec<bool>,
}

/// What the rows of one audience are read from.
struct Source<'a> {
    permit: &'a Permit,
    question: &'a AudienceQuestion,
    schema: Arc<Schema>,
    epoch: Arc<ClosedEpoch>,
    number: u32,
}

impl Vault {
    /// Delivers an audience.
    pub fn audience(
        &self,
        permit: &Permit,
        question: &AudienceQuestion,
        now: Timestamp,
    ) -> Result<Audience, VaultError> {
        require(permit, &[Verb::Audience])?;
        let Some(name) = permit.dataset().filter(|_| *permit.role() == Role::Partner(question.partner.clone())) else {
            return refuse(Reason::PurposeDenied, "an audience is delivered to the partner it is for", "sign in as it");
        };
        let granted = |field: &FieldRef| permit.treatment(*field) >= Treatment::Generalise;
        if !question.tags.iter().all(granted) || !question.segment.fields().iter().all(granted) {
            return refuse(
                Reason::FieldUnavailable,
                "a tag, or a field that the segment names, is unknown or not granted to this partner",
                "leave it out, or ask a steward to grant it at `generalise`",
            );
        }
        let size = Question {
            dataset: name.clone(),
            universe: Segment::everyone(),
            segment: question.segment.clone(),
            kind: Asked::Size,
            rho: question.rho,
        };
        let (plan, schema) = self.plan_of(permit, &size)?;
        let coarse = |tag: &FieldRef| {
            attribute(tag).is_some() && schema.field(*tag).is_some_and(|field| !field.coarse.is_empty())
        };
        if !question.tags.iter().all(coarse) {
            return refuse(
                Reason::FieldUnavailable,
                "a tag must be an attribute with coarse groups, so that it can be generalised",
                "leave it out, or have a steward add `coarse` to it in the dataset's description",
            );
        }
        let (answer, _) = self.release(permit, &size, now)?;
        let noised = answer.tables.first().and_then(|table| table.cells.first()).map_or(0, |cell| cell.noised);
        if noised < MINIMUM * 1024 {
            return refuse(
                Reason::AudienceTooSmall,
                format!("the noisy size of this audience is below {MINIMUM} people"),
                "widen the segment",
            );
        }
        let (epoch, number) = self.pinned(permit)?;
        let source = Source { permit, question, schema, epoch, number };
        self.deliver(&source, &size, &plan, now)
    }

    fn pinned(&self, permit: &Permit) -> Result<(Arc<ClosedEpoch>, u32), VaultError> {
        let mut state = self.lock()?;
        let dataset = super::write::dataset_of(&mut state, permit)?;
        Ok((Arc::clone(&dataset.closed), dataset.number))
    }

    fn deliver(
        &self,
        source: &Source<'_>,
        size: &Question,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Audience, VaultError> {
        let holder = holder(source);
        let key = self.domain_key(&holder)?;
        let leaf = self.intend(source, size, now)?;
        // From here to the OUTCOME no withdrawal returns: whoever is in the rows had not withdrawn when they left.
        let _fence = self.fence.read();
        let allowed = self.allowed_now(source, now)?;
        let blocks = source.epoch.scan_blocks();
        let resolved = super::release::resolve(plan, size, &source.schema, source.epoch.info.as_of)?;
        let found = self.scanner.members(&resolved, &ScanInput { blocks: &blocks, allowed: &allowed })?;
        let held = self.held(&holder)?;
        let mut rows = self.rows(source, &found, &held)?;
        apply_k(&mut rows)?;
        let mut members: Vec<Member> = rows
            .into_iter()
            .map(|row| Member {
                pseudonym: pseudonym::pseudonym(&key, &row.hidden, &source.question.partner),
                tags: row.tags,
            })
            .collect();
        members.sort_by(|a, b| a.pseudonym.cmp(&b.pseudonym));
        let outcome = Leaf {
            of: Some(leaf),
            epoch: Some(source.epoch.info.epoch),
            ..leaf_of(source.permit, Kind::Audience, "audience delivered", now)
        };
        self.log_change(outcome, vec![Change::Held { holder, members: encode(&found) }])?;
        Ok(Audience { members, leaf, rho: source.question.rho })
    }

    fn intend(&self, source: &Source<'_>, size: &Question, now: Timestamp) -> Result<u64, VaultError> {
        let fields = touched(size).into_iter().chain(source.question.tags.iter().copied());
        let leaf = Leaf {
            epoch: Some(source.epoch.info.epoch),
            fields: fields.map(|field| (FieldPath::of(&source.schema, field), Treatment::Generalise)).collect(),
            table: Some(*source.permit.table_hash()),
            ..leaf_of(source.permit, Kind::Intent, "audience", now)
        };
        let mut state = self.lock()?;
        let index = self.next_leaf(super::Tree::Access);
        let leaves = vec![(super::Tree::Access, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, super::commit::Outgoing { leaves, ..Default::default() })?;
        drop(state);
        ticket.wait()?;
        Ok(index)
    }

    fn allowed_now(&self, source: &Source<'_>, now: Timestamp) -> Result<RoaringBitmap, VaultError> {
        let (Some(purpose), Some(basis)) = (source.permit.purpose(), source.permit.basis()) else {
            return refuse(Reason::PurposeDenied, "an audience names a purpose and a lawful basis", "name both");
        };
        let bound = source.epoch.bound;
        let state = self.lock()?;
        let now = now.max(state.latest);
        let live = state.datasets.get(&source.number).map(|dataset| dataset.consent.clone());
        drop(state);
        let live = live.ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let closed = source.epoch.consent.allowed(purpose, basis, source.epoch.info.as_of, bound);
        Ok(closed & live.allowed(purpose, basis, now, bound))
    }

    /// Returns the key of a partner's pseudonym domain, made at first use and destroyed with the partner.
    fn domain_key(&self, holder: &str) -> Result<SecretKey, VaultError> {
        let name = format!("pseudonym/{holder}");
        let mut state = self.lock()?;
        if let Some(key) = state.tree.secret(&name) {
            return Ok(key);
        }
        let key = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
        state.tree.commit(Changes { put_secrets: vec![(name, key.clone())], ..Changes::default() })?;
        Ok(key)
    }

    fn held(&self, holder: &str) -> Result<Vec<RoaringBitmap>, VaultError> {
        let state = self.lock()?;
        let held = state.shared.held.get(holder).into_iter().flatten();
        held.map(|text| decode(text).ok_or_else(|| VaultError::damaged("held audience", "it does not parse"))).collect()
    }

    fn rows(&self, source: &Source<'_>, found: &RoaringBitmap, held: &[RoaringBitmap]) -> Result<Vec<Row>, VaultError> {
        let mut rows = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
        let mut buffer = Buffer::default();
        for (block, pieces) in (0_u32..).zip(&source.epoch.blocks) {
            let first = block * BLOCK_SUBJECTS;
            let here: Vec<u32> = found.range(first..first.saturating_add(BLOCK_SUBJECTS)).collect();
            let Some(piece) = pieces.attributes.as_ref().filter(|_| !here.is_empty()) else { continue };
            let hidden = read_hidden(piece)?;
            let keys: Vec<ColumnKey> = source.question.tags.iter().filter_map(attribute).collect();
            let chunks = piece.read_columns(&keys, &mut buffer)?;
            for ordinal in here {
                let position = (ordinal - first) as usize;
                let tag = |(chunk, field): (&crate::blocks::Chunk<'_>, &FieldRef)| {
                    let field = source.schema.field(*field)?;
                    let code = code_at(chunk.layout, chunk.bytes, position)?;
                    field.coarse_label(code).map(str::to_owned)
                };
                rows.push(Row {
                    hidden: hidden.get(position).copied().ok_or_else(|| piece.unreadable())?,
                    tags: chunks.iter().zip(&source.question.tags).map(tag).collect(),
                    held: held.iter().map(|audience| audience.contains(ordinal)).collect(),
                });
            }
        }
        self.differs_enough(found, held)?;
        Ok(rows)
    }

    /// Refuses an audience that differs from a held one by 1 to K-1 people, in either direction.
    fn differs_enough(&self, found: &RoaringBitmap, held: &[RoaringBitmap]) -> Result<(), VaultError> {
        let few = |count: u64| (1..K as u64).contains(&count);
        if held.iter().any(|other| few((found - other).len()) || few((other - found).len())) {
            return refuse(
                Reason::AudienceTooSmall,
                format!("this audience differs from one you hold by fewer than {K} people"),
                "use the one you hold, or wait for the next epoch",
            );
        }
        Ok(())
    }
}

fn holder(source: &Source<'_>) -> String {
    let purpose = source.permit.purpose().map_or("", |purpose| purpose.as_str());
    format!("{}/{}/{}/{}", source.question.partner, purpose, source.schema.dataset, source.epoch.info.epoch)
}

fn attribute(field: &FieldRef) -> Option<ColumnKey> {
    if let FieldRef::Attribute(column) = field { Some(ColumnKey::of(*column)) } else { None }
}

fn code_at(layout: Layout, bytes: &[u8], position: usize) -> Option<u16> {
    match layout {
        Layout::Code8 => bytes.get(position).map(|code| u16::from(*code)),
        Layout::Code16 => {
            let start = position.checked_mul(2)?;
            Some(u16::from_le_bytes(bytes.get(start..start.checked_add(2)?)?.try_into().ok()?))
        }
        Layout::Int64 | Layout::Bytes => None,
    }
}

/// Blanks the tags of rows whose combination of tags and memberships fewer than [`K`] rows share, and goes on with the
/// next smallest class while the blanked rows of a membership class are themselves too few.
fn apply_k(rows: &mut [Row]) -> Result<(), VaultError> {
    let mut by_membership: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        by_membership.entry(row.held.clone()).or_default().push(index);
    }
    for indexes in by_membership.values() {
        if indexes.len() < K {
            return refuse(
                Reason::AudienceTooSmall,
                format!("fewer than {K} of its people share their membership in the audiences you hold"),
                "use the ones you hold, or wait for the next epoch",
            );
        }
        let mut classes: BTreeMap<Vec<Option<String>>, Vec<usize>> = BTreeMap::new();
        for index in indexes {
            if let Some(row) = rows.get(*index) {
                classes.entry(row.tags.clone()).or_default().push(*index);
            }
        }
        let blank = classes.keys().next().map(|tags| vec![None; tags.len()]).unwrap_or_default();
        let mut blanked = classes.remove(&blank).unwrap_or_default();
        let mut sized: Vec<Vec<usize>> = classes.into_values().collect();
        sized.sort_by_key(Vec::len);
        for class in sized {
            if class.len() < K || (!blanked.is_empty() && blanked.len() < K) {
                blanked.extend(class);
            }
        }
        for index in blanked {
            if let Some(row) = rows.get_mut(index) {
                row.tags.fill(None);
            }
        }
    }
    Ok(())
}

fn encode(bitmap: &RoaringBitmap) -> String {
    use base64::Engine as _;
    let mut bytes = Vec::new();
    if bitmap.serialize_into(&mut bytes).is_err() {
        return String::new();
    }
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<RoaringBitmap> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()?;
    RoaringBitmap::deserialize_from(bytes.as_slice()).ok()
}
