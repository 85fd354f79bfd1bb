//! Audiences: exact membership under pseudonyms, so the rules here are not DP and are checked on true counts.
//!
//! The declared exception of the design: a partner that holds an audience knows who is in it, by pseudonym. What is
//! guaranteed: only people whose consent to this sharing holds when their row leaves; only fields granted at `generalise` or more,
//! in the segment and its universe too; no combination of tags and memberships, over all audiences that the partner holds in
//! the epoch for whatever purpose, is held by fewer than [`apart::K`] people ([`super::apart`]); a noisy size below [`MINIMUM`], measured for at least
//! [`LEAST_RHO`], is refused, and paid for.
//! People who withdraw after that was checked are missing from the rows that had not left and from the next delivery,
//! which shows that they did; a combination may then be held by fewer.

use super::apart::{self, Held, Person, Row, Rows};
use super::change::{Change, HeldAudience, Terms};
use super::epochs::ClosedEpoch;
use super::release::touched;
use super::write::{leaf_of, place, refuse, require};
use super::{Vault, VaultError};
use crate::audience::{Audience, AudienceQuestion, Emission, Member};
use crate::blocks::{BLOCK_SUBJECTS, Buffer, ColumnKey};
use crate::keys::{Changes, SecretKey};
use crate::log::{FieldPath, Kind, Leaf};
use crate::pseudonym;
use crate::release::{Kind as Asked, Plan, Question};
use crate::scan::ScanInput;
use parking_lot::RwLock;
use policy::decide::Reason;
use policy::permit::{Permit, Role, Verb};
use policy::privacy::{DEFAULT_SIZE_RHO, NanoRho};
use policy::schema::{FieldRef, Layout, Schema};
use policy::segment::Segment;
use policy::time::Timestamp;
use policy::treatment::Treatment;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Smallest noisy size of an audience, in people.
pub const MINIMUM: i64 = 100;
/// Most different audiences that a partner holds of an epoch: each is compared with all.
pub const MAX_HELD: usize = 48;
/// Most deliveries to a partner in an epoch, the same audience again included: each is remembered.
pub const MAX_DELIVERED: usize = 500;
/// Least price of the size that is tested against it: of a cheaper one the noise would decide, as often as somebody asks.
pub const LEAST_RHO: NanoRho = DEFAULT_SIZE_RHO;

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
        let named = [question.tags.clone(), question.segment.fields(), question.universe.fields()].concat();
        if !named.iter().all(granted) {
            return refuse(
                Reason::FieldUnavailable,
                "a tag, or a field that the segment names, is unknown or not granted to this partner",
                "leave it out, or ask a steward to grant it at `generalise`",
            );
        }
        if question.rho < LEAST_RHO {
            let message = format!("the size of an audience is measured for at least rho {LEAST_RHO}");
            return refuse(Reason::RequestInvalid, message, "spend as much, or more");
        }
        let size = Question {
            dataset: name.clone(),
            universe: question.universe.clone(),
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
        if epoch.info.epoch != answer.epoch {
            return refuse(
                Reason::EpochNotClosed,
                "an epoch closed while the size of this audience was measured",
                "ask again: the size is measured in the new epoch",
            );
        }
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
        let leaf = self.intend(source, size, now)?;
        // One delivery at a time: each is checked against all before it.
        let _turn = self.delivering.lock();
        let key = self.domain_key(&holder)?;
        let Allowed { live, withdrawn } = self.allowed_now(source, now)?;
        let blocks = source.epoch.scan_blocks();
        let resolved = super::release::resolve(plan, size, &source.schema, source.epoch.info.as_of)?;
        let mut found = self.scanner.members(&resolved, &ScanInput { blocks: &blocks, allowed: &live })?;
        let Holdings { held, gone } = self.held(source, &live)?;
        // Who withdrew and agreed again waits for the next epoch: else the same words would say that somebody did.
        found -= &gone;
        let fields = question_fields(source, &held);
        // Nothing is read of those who do not allow this use, whatever else of them the partner holds: parts only seem smaller.
        let everyone = held.iter().fold(found.clone(), |all, audience| all | &audience.members) & &live;
        let people = people(source, &everyone, &fields)?;
        let asked = apart::Asked { who: who(source), found: &found, tags: &source.question.tags, fields: &fields };
        let Rows { rows, blanked, left_out: few } = apart::rows(&asked, &people, &held, &source.schema)?;
        let told = Told { members: &found - &few, blanked, left_out: withdrawn | gone | few };
        #[cfg(test)]
        if let Some(act) = self.after_scan.lock().take() {
            act(self);
        }
        let name = |(ordinal, hidden, labels): Row<'_>| {
            let pseudonym = pseudonym::pseudonym(&key, &hidden, &source.question.partner);
            let tags = labels.into_iter().map(|label| label.map(str::to_owned)).collect();
            (ordinal, Member { pseudonym, tags })
        };
        let mut named: Vec<(u32, Member)> = rows.into_iter().map(name).collect();
        named.sort_by(|(_, a), (_, b)| a.pseudonym.cmp(&b.pseudonym));
        let outcome = Leaf {
            of: Some(leaf),
            epoch: Some(source.epoch.info.epoch),
            ..leaf_of(source.permit, Kind::Audience, "audience delivered", now)
        };
        self.log_delivery(source, outcome, holder, told)?;
        let (purpose, rho) = (source.permit.purpose().cloned(), source.question.rho);
        Ok(Audience { rows: named, dataset: source.number, purpose, leaf, rho })
    }

    /// Logs a delivery, and remembers who is in it and whose tags were blanked. Not those who were erased since it began:
    /// their erasure may have gone through all that was remembered already.
    fn log_delivery(&self, source: &Source<'_>, outcome: Leaf, holder: String, told: Told) -> Result<(), VaultError> {
        let Told { mut members, mut blanked, mut left_out } = told;
        let mut state = self.lock()?;
        let dataset = state.datasets.get(&source.number);
        let dataset = dataset.ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let erased = dataset.consent.erased_of(&(&members | &left_out));
        [&mut members, &mut blanked, &mut left_out].into_iter().for_each(|people| *people -= &erased);
        let terms = source.permit.basis().map(|basis| Terms {
            who: serde_json::to_string(who(source).root()).unwrap_or_default(),
            basis,
            schema: source.schema.hash(),
            left_out: encode(&left_out),
        });
        let tags = source.question.tags.clone();
        let audience = HeldAudience { members: encode(&members), tags, blanked: encode(&blanked), terms };
        let leaves = vec![(super::Tree::Access, outcome.to_json().into_bytes())];
        let changes = vec![Change::Held { holder, audience }];
        let ticket = self.commit(&mut state, super::commit::Outgoing { leaves, changes, ..Default::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }

    /// Lets rows `start .. start + most` of a delivered audience out: of those who still agree, at this instant. Until the
    /// returned value is dropped no withdrawal returns, so no row is on its way after one has.
    pub fn emit(
        &self,
        permit: &Permit,
        audience: &Audience,
        start: usize,
        most: usize,
        now: Timestamp,
    ) -> Result<Emission, VaultError> {
        require(permit, &[Verb::Audience])?;
        let (Some(purpose), Some(basis)) = (permit.purpose(), permit.basis()) else {
            return refuse(Reason::PurposeDenied, "an audience names a purpose and a lawful basis", "name both");
        };
        let fence = RwLock::read_arc(&self.fence);
        let mut state = self.lock()?;
        let now = now.max(state.latest);
        let dataset = super::write::dataset_of(&mut state, permit)?;
        if dataset.number != audience.dataset || permit.purpose() != audience.purpose.as_ref() {
            return refuse(
                Reason::PurposeDenied,
                "the permit is for another audience",
                "use the audience's own permit",
            );
        }
        let live = dataset.consent.clone();
        drop(state);
        let rows = audience.rows.iter().skip(start).take(most);
        let allowed = live.allowed_of(rows.clone().map(|(ordinal, _)| *ordinal), purpose, basis, now);
        let members = rows.filter(|(ordinal, _)| allowed.contains(*ordinal)).map(|(_, member)| member.clone());
        Ok(Emission { members: members.collect(), _fence: fence })
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

    fn allowed_now(&self, source: &Source<'_>, now: Timestamp) -> Result<Allowed, VaultError> {
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
        let live = &closed & live.allowed(purpose, basis, now, bound);
        Ok(Allowed { withdrawn: closed - &live, live })
    }

    /// Returns the key of a partner's pseudonym domain, made at first use and destroyed with the epoch.
    pub(super) fn domain_key(&self, holder: &str) -> Result<SecretKey, VaultError> {
        let name = format!("pseudonym/{holder}");
        let mut state = self.lock()?;
        if let Some(key) = state.tree.secret(&name) {
            return Ok(key);
        }
        let key = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
        state.tree.commit(Changes { put_secrets: vec![(name, key.clone())], ..Changes::default() })?;
        Ok(key)
    }

    /// Returns what the partner holds of this epoch, for whatever purpose and on whatever basis: it can count what it can't join.
    ///
    /// Of the same purpose, basis and description, people who are still allowed: that someone withdrew is what a later delivery has
    /// to tell. Of others everybody: the same words may be true of other people there, who agreed to the one and not to the other.
    fn held(&self, source: &Source<'_>, allowed: &RoaringBitmap) -> Result<Holdings, VaultError> {
        let (own, schema) = (holder(source), source.schema.hash());
        let (partner, rest) = (format!("{}/", source.question.partner), epoch_of(source));
        let state = self.lock()?;
        let all = state.shared.held.iter().filter(|(name, _)| name.starts_with(&partner) && name.ends_with(&rest));
        let mut holdings = Holdings { held: Vec::new(), gone: RoaringBitmap::new() };
        for (name, audience) in all.flat_map(|(name, of)| of.iter().map(move |audience| (name, audience))) {
            let terms = audience.terms.as_ref();
            let is_own = *name == own && terms.map(|terms| terms.basis) == source.permit.basis();
            if let Some(terms) = terms.filter(|_| is_own) {
                holdings.gone |= readable(&terms.left_out)?;
            }
            let same = terms.filter(|terms| terms.schema == schema);
            let who = same.and_then(|terms| serde_json::from_str(&terms.who).ok());
            let who = who.map(|who| Segment::from_expr(who, &source.schema));
            let is_whole = is_own && who.is_some();
            let (members, blanked) = (readable(&audience.members)?, readable(&audience.blanked)?);
            let members = if is_whole { members & allowed } else { members };
            holdings.held.push(Held { members, tags: audience.tags.clone(), blanked, who, is_whole });
        }
        drop(state);
        let delivered = holdings.held.len();
        // Who is left out of this one for having withdrawn meanwhile is not missed in those that have them.
        let mut held: Vec<Held> = Vec::new();
        for mut audience in std::mem::take(&mut holdings.held) {
            if audience.is_whole {
                audience.members -= &holdings.gone;
            }
            if !held.contains(&audience) {
                held.push(audience);
            }
        }
        holdings.held = held;
        let asked = (Some(who(source)), &source.question.tags);
        let is_repeated = holdings.held.iter().any(|held| held.is_whole && (held.who.clone(), &held.tags) == asked);
        if delivered >= MAX_DELIVERED || (holdings.held.len() >= MAX_HELD && !is_repeated) {
            return refuse(
                Reason::QuotaExhausted,
                format!("a partner gets {MAX_HELD} audiences in an epoch, and {MAX_DELIVERED} deliveries of them"),
                "use the ones you hold, or wait for the next epoch",
            );
        }
        Ok(holdings)
    }
}

fn readable(text: &str) -> Result<RoaringBitmap, VaultError> {
    decode(text).ok_or_else(|| VaultError::damaged("held audience", "it does not parse"))
}

/// Whom a use is allowed of at the epoch's close: those of whom it still is, and those who withdrew since.
struct Allowed {
    live: RoaringBitmap,
    withdrawn: RoaringBitmap,
}

/// What a delivery told.
struct Told {
    members: RoaringBitmap,
    blanked: RoaringBitmap,
    /// Who had withdrawn by then, whether or not the words are true of them, and whose tags were too rare.
    left_out: RoaringBitmap,
}

/// What a partner holds.
struct Holdings {
    held: Vec<Held>,
    /// Who was left out of some of it, and stays out.
    gone: RoaringBitmap,
}

/// Who an audience is of, its universe included.
fn who(source: &Source<'_>) -> Segment {
    Segment::all_of([&source.question.universe, &source.question.segment], &source.schema)
}

/// The tags of an audience and of those that its partner holds.
fn question_fields(source: &Source<'_>, held: &[Held]) -> BTreeSet<FieldRef> {
    source.question.tags.iter().chain(held.iter().flat_map(|audience| &audience.tags)).copied().collect()
}

/// Reads the people of a set, with the labels of some attributes.
fn people<'a>(
    source: &'a Source<'_>,
    who: &RoaringBitmap,
    fields: &BTreeSet<FieldRef>,
) -> Result<Vec<Person<'a>>, VaultError> {
    let mut people = Vec::with_capacity(usize::try_from(who.len()).unwrap_or(0));
    let mut buffer = Buffer::default();
    for (block, pieces) in (0_u32..).zip(&source.epoch.blocks) {
        let first = block * BLOCK_SUBJECTS;
        let here: Vec<u32> = who.range(first..first.saturating_add(BLOCK_SUBJECTS)).collect();
        let Some(piece) = pieces.attributes.as_ref().filter(|_| !here.is_empty()) else { continue };
        let positions: Vec<u16> = here.iter().map(|ordinal| place(*ordinal).1).collect();
        let hidden = piece.hidden_of(&positions)?;
        // A column that the schema gained after this piece was written is in none of its rows.
        let keys: Vec<ColumnKey> = fields.iter().filter_map(attribute).filter(|key| piece.has(*key)).collect();
        let chunks = piece.read_columns(&keys, &mut buffer)?;
        for (ordinal, hidden) in here.into_iter().zip(hidden.iter()) {
            let position = (ordinal - first) as usize;
            let label = |field: &FieldRef| {
                let chunk = chunks.iter().find(|chunk| Some(chunk.key) == attribute(field))?;
                let field = source.schema.field(*field)?;
                field.coarse_label(code_at(chunk.layout, chunk.bytes, position)?)
            };
            people.push(Person { ordinal, hidden: *hidden, labels: fields.iter().map(label).collect() });
        }
    }
    Ok(people)
}

fn holder(source: &Source<'_>) -> String {
    let purpose = source.permit.purpose().map_or("", |purpose| purpose.as_str());
    format!("{}/{purpose}{}", source.question.partner, epoch_of(source))
}

/// How the names of all that is held of an epoch end.
fn epoch_of(source: &Source<'_>) -> String {
    format!("/{}/{}", source.schema.dataset, source.epoch.info.epoch)
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

pub(super) fn encode(bitmap: &RoaringBitmap) -> String {
    use base64::Engine as _;
    let mut bytes = Vec::new();
    if bitmap.serialize_into(&mut bytes).is_err() {
        return String::new();
    }
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<RoaringBitmap> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()?;
    RoaringBitmap::deserialize_from(bytes.as_slice()).ok()
}
