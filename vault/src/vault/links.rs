//! Linking two subjects of a dataset that are one person, and ending that.
//!
//! Guarantees: a link is made for a permit that names both, and only while both have consented to `identity.linking`; that it
//! was made, or ended, are leaves of the subject tree for both, durable before it is said to be done; it is kept in both
//! people's sealed histories. Once it has returned, no noise drawn and no row emitted afterwards counts the secondary for
//! itself, or uses either for what one of them does not allow. A withdrawal of that consent on either side ends the link in
//! the same frame.
//!
//! The primary stands for both, with its own attributes and the events of both: what the secondary has is copied to it, and
//! what arrives for the secondary later is written to both. Each copy bears the link's mark, so that ending the link takes
//! the copies out again and nothing else. An event that both report under one id is the primary's own while it is linked and
//! afterwards; one that two secondaries of a primary report is taken out with the link it came by first.
//!
//! A link that was ended acts until the next close, since the closed epoch's rows of the primary hold the copies.

use super::state::{Dataset, State};
use super::subjects::{Source, outgoing, rights_leaf};
use super::write::{Gathered, dataset_of, place, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::consent::{Link, MAX_SECONDARIES};
use crate::fold::data::EventRows;
use crate::fold::subject::read_events_after;
use crate::ingest::SubjectKey;
use crate::log::Kind;
use crate::subjects::{Fulfilled, HeldLink, LinkSide, Right, RightsEvent};
use policy::decide::Reason;
use policy::permit::{Permit, Verb};
use policy::schema::EventTypeId;
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use zeroize::Zeroizing;

/// Most bytes of copied events: half of what a frame holds.
const MOST_COPIED: usize = 8 << 20;

/// Two subjects that a permit names.
#[derive(Clone, Copy)]
struct Pair {
    number: u32,
    primary: u32,
    secondary: u32,
}

impl Vault {
    /// Links two subjects that are one person: the primary stands for both. At most [`MAX_SECONDARIES`] to a primary, and no
    /// chains. Reads the secondary under the commit lock: some milliseconds.
    pub fn link_subjects(
        &self,
        permit: &Permit,
        primary: &SubjectKey,
        secondary: &SubjectKey,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::LinkSubject])?;
        let mut state = self.lock()?;
        state.latest_at_least(now);
        let now = state.latest;
        let pair = find_both(&mut state, permit, primary, secondary)?;
        let mark = dataset_of(&mut state, permit)?.check_link(pair, now)?;
        let source = self.source_in(&state, pair.number, pair.secondary)?;
        let mut gathered = Gathered::default();
        copy_events(&source, place(pair.primary), mark, &mut gathered)?;
        drop(source);
        let dataset = dataset_of(&mut state, permit)?;
        let link = self.next_leaf(Tree::Subject);
        let hidden = dataset.take_up_both(permit, pair, Right::Linking, now, &mut gathered)?;
        let side = |other: &SubjectKey, to| LinkSide { link, other: Some(other.parts().0), to };
        let sides = [side(secondary, None), side(primary, Some((pair.primary, mark)))];
        let event = RightsEvent::new(Right::Linking, link, now);
        let done = dataset.conclude_both(permit, pair, &hidden, event, sides, link, &mut gathered);
        self.write_link(state, pair, done, gathered)
    }

    /// Ends a link. From the next epoch on each is a row of its own again, with its own events.
    pub fn unlink_subjects(
        &self,
        permit: &Permit,
        primary: &SubjectKey,
        secondary: &SubjectKey,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::LinkSubject])?;
        let mut state = self.lock()?;
        state.latest_at_least(now);
        let now = state.latest;
        let pair = find_both(&mut state, permit, primary, secondary)?;
        let dataset = dataset_of(&mut state, permit)?;
        let Some(link) = dataset.consent.link_of(pair.secondary).filter(|link| link.primary == pair.primary) else {
            return refuse(Reason::RequestInvalid, "these two are not linked, in this order", "check both keys");
        };
        let mut gathered = Gathered::default();
        let intent = self.next_leaf(Tree::Subject);
        let hidden = dataset.take_up_both(permit, pair, Right::Unlinking, now, &mut gathered)?;
        let event = RightsEvent::new(Right::Unlinking, intent, now);
        let done = dataset.end_link(permit, link, &hidden, event, intent, &mut gathered);
        self.write_link(state, pair, done, gathered)
    }

    fn write_link(
        &self,
        mut state: parking_lot::MutexGuard<'_, State>,
        pair: Pair,
        done: Result<Fulfilled, VaultError>,
        gathered: Gathered,
    ) -> Result<Fulfilled, VaultError> {
        let done = self.poison_on_error(Ok(done))?;
        let ticket = self.commit(&mut state, outgoing(gathered, pair.number))?;
        drop(state);
        ticket.wait()?;
        self.fence();
        Ok(done)
    }

    /// Returns the keys of some people of a dataset, in the order of their ordinals.
    pub(super) fn keys_of(
        &self,
        state: &State,
        number: u32,
        people: &RoaringBitmap,
    ) -> Result<Vec<SubjectKey>, VaultError> {
        let key = |ordinal| {
            let source = self.source_in(state, number, ordinal)?;
            let data = source.read()?;
            let key = data.columns.get(usize::from(source.schema.subject_key.0)).map(|column| column.value(0));
            match key {
                Some(crate::ingest::Value::Bytes(ref bytes)) => Ok(SubjectKey::from_stored(bytes)),
                _ => Err(VaultError::damaged("subject", "it has no key")),
            }
        };
        people.iter().map(key).collect()
    }
}

/// Finds the two people a permit names.
fn find_both(
    state: &mut State,
    permit: &Permit,
    primary: &SubjectKey,
    secondary: &SubjectKey,
) -> Result<Pair, VaultError> {
    if !permit.is_about_both(primary.expose(), secondary.expose()) {
        return refuse(Reason::PurposeDenied, "this permit is about other people", "ask for a permit about these two");
    }
    let dataset = dataset_of(state, permit)?;
    let find = |key: &SubjectKey| dataset.index.find(dataset.index.tag(key.expose()));
    match (find(primary), find(secondary)) {
        (Some(primary), Some(secondary)) if primary != secondary => {
            Ok(Pair { number: dataset.number, primary, secondary })
        }
        (Some(_), Some(_)) => refuse(Reason::RequestInvalid, "this is one subject, not two", "name two"),
        _ => refuse(Reason::FieldUnavailable, "one of the two is no subject of this dataset", "check both keys"),
    }
}

/// Gathers copies of what the secondary has itself, for the primary's block.
fn copy_events(
    source: &Source,
    (block, position): (u32, u16),
    mark: u8,
    gathered: &mut Gathered,
) -> Result<(), VaultError> {
    let delta = gathered.blocks.entry(block).or_default();
    let mut copy = |event: EventTypeId, rows: &EventRows| {
        for (row, (at, id)) in rows.at.iter().zip(&rows.id).enumerate() {
            let values: Vec<_> = rows.columns.iter().map(|column| column.value(row)).collect();
            delta.copied(position, mark, event.0, *id, *at, &values);
        }
        if delta.len() <= MOST_COPIED {
            return Ok(());
        }
        refuse(
            Reason::MessageTooLarge,
            "the one named second has more events than can be copied at once",
            "name it first, and the other second",
        )
    };
    let (folded, pending) = (source.folded(), source.read()?);
    for (event, pending) in source.schema.events.iter().zip(&pending.events) {
        let (parts, of) = folded.events(event.id);
        let mut from = 0;
        while let Some((rows, piece)) = read_events_after(event, parts, of, (None, from))? {
            copy(event.id, &rows)?;
            from = piece.saturating_add(1);
        }
        copy(event.id, pending)?;
    }
    Ok(())
}

/// Lists the links of a person's history that were not ended.
pub(super) fn held(requests: &[Fulfilled]) -> Vec<HeldLink> {
    let of = |right| requests.iter().filter(move |request| request.event.right == right);
    let ended =
        |link: u64| of(Right::Unlinking).any(|end| end.event.link.as_ref().is_some_and(|side| side.link == link));
    let held = |request: &Fulfilled| {
        let LinkSide { link, other, to } = request.event.link.clone()?;
        let since = request.event.done;
        (!ended(link)).then_some(HeldLink { primary: to.is_none(), other: other?, since, leaf: link })
    };
    of(Right::Linking).filter_map(held).collect()
}

/// While somebody was a secondary: the primary's ordinal, since when, and until when if it ended.
pub(super) type Through = (u32, Timestamp, Option<Timestamp>);

/// Lists by whom a person was counted, and while when.
pub(super) fn through(requests: &[Fulfilled]) -> Vec<Through> {
    let of = |right| requests.iter().filter(move |request| request.event.right == right);
    let end = |link: u64| {
        let mut ends = of(Right::Unlinking).filter(|end| end.event.link.as_ref().is_some_and(|side| side.link == link));
        ends.next().map(|end| end.event.done)
    };
    let stood = |request: &Fulfilled| {
        let side = request.event.link.as_ref()?;
        side.to.map(|(primary, _)| (primary, request.event.done, end(side.link)))
    };
    of(Right::Linking).filter_map(stood).collect()
}

/// The hidden bytes of both sides: the primary's, the secondary's.
type Hidden = [Zeroizing<[u8; 32]>; 2];

impl Dataset {
    /// Checks all that could stand against a link, and returns the mark of its copies.
    fn check_link(&self, pair: Pair, now: Timestamp) -> Result<u8, VaultError> {
        let Pair { primary, secondary, .. } = pair;
        if self.schema.linking().is_none() {
            return refuse(
                Reason::PurposeDenied,
                "nobody in this dataset is asked for consent to be linked",
                "have a steward add the purpose `identity.linking` to the dataset's description",
            );
        }
        if !self.consent.agree_to_links(&[primary, secondary], now) {
            return refuse(
                Reason::PurposeDenied,
                "both sides of a link have to have consented to `identity.linking`, each for itself",
                "ask for consent first, and record it for both",
            );
        }
        let links: Vec<Link> = self.consent.links().filter(|link| !link.ended).collect();
        if links.iter().any(|link| link.secondary == secondary) {
            return refuse(Reason::RequestInvalid, "the one named second is linked already", "unlink it first");
        }
        if links.iter().any(|link| link.secondary == primary || link.primary == secondary) {
            return refuse(
                Reason::RequestInvalid,
                "links don't form chains: one that stands for others is named first in each of their links",
                "name the one first that stands for all",
            );
        }
        let marks: Vec<u8> = links.iter().filter(|link| link.primary == primary).map(|link| link.mark).collect();
        let free = (1_u8..).take(MAX_SECONDARIES).find(|mark| !marks.contains(mark));
        free.map_or_else(
            || {
                let message = format!("a subject stands for at most {MAX_SECONDARIES} others");
                refuse(Reason::RequestInvalid, message, "unlink one of them first")
            },
            Ok,
        )
    }

    /// Reads the hidden bytes of both and adds the leaves that say it was taken up: the primary's, then the secondary's.
    fn take_up_both(
        &self,
        permit: &Permit,
        pair: Pair,
        right: Right,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<Hidden, VaultError> {
        let hidden = [self.hidden(pair.primary)?, self.hidden(pair.secondary)?].map(Zeroizing::new);
        for hidden in &hidden {
            let leaf = rights_leaf(permit, Kind::Intent, right.words(), hidden, now);
            gathered.leaves.push(leaf.to_json().into_bytes());
        }
        Ok(hidden)
    }

    /// Adds outcome and history of both sides, and applies them. The secondary's intent is the leaf after the primary's.
    #[expect(clippy::too_many_arguments, reason = "one request, spread out")]
    fn conclude_both(
        &mut self,
        permit: &Permit,
        pair: Pair,
        hidden: &Hidden,
        event: RightsEvent,
        sides: [LinkSide; 2],
        first_leaf: u64,
        gathered: &mut Gathered,
    ) -> Result<Fulfilled, VaultError> {
        let ([primary, secondary], now) = (sides, event.done);
        let [of_primary, of_secondary] = hidden;
        let other = RightsEvent { intent: event.intent.saturating_add(1), link: Some(secondary), ..event.clone() };
        let event = RightsEvent { link: Some(primary), ..event };
        let done = self.conclude(permit, pair.primary, of_primary, event, first_leaf, now, gathered)?;
        self.conclude(permit, pair.secondary, of_secondary, other, first_leaf, now, gathered)?;
        Ok(done)
    }

    /// Takes the copies of a link out, and ends it. `event` is the primary's; of a link that a withdrawal ends, both sides'
    /// intent is that withdrawal.
    fn end_link(
        &mut self,
        permit: &Permit,
        link: Link,
        hidden: &Hidden,
        event: RightsEvent,
        first_leaf: u64,
        gathered: &mut Gathered,
    ) -> Result<Fulfilled, VaultError> {
        let (block, position) = place(link.primary);
        gathered.blocks.entry(block).or_default().uncopied(position, link.mark);
        let pair = Pair { number: self.number, primary: link.primary, secondary: link.secondary };
        let side = || LinkSide { link: link.leaf, other: None, to: None };
        self.conclude_both(permit, pair, hidden, event, [side(), side()], first_leaf, gathered)
    }

    /// Ends the links of a person who withdrew the consent to them.
    pub(super) fn end_links_of(
        &mut self,
        permit: &Permit,
        ordinal: u32,
        first_leaf: u64,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(), VaultError> {
        let of = |link: &Link| !link.ended && (link.primary == ordinal || link.secondary == ordinal);
        let links: Vec<Link> = self.consent.links().filter(of).collect();
        for link in links {
            let pair = Pair { number: self.number, primary: link.primary, secondary: link.secondary };
            let intent = first_leaf + gathered.leaves.len() as u64;
            let hidden = self.take_up_both(permit, pair, Right::Unlinking, now, gathered)?;
            let event = RightsEvent::new(Right::Unlinking, intent, now);
            self.end_link(permit, link, &hidden, event, first_leaf, gathered)?;
        }
        Ok(())
    }

    /// Applies a link, or its end, that is in the log.
    pub(super) fn apply_link(&mut self, ordinal: u32, event: &RightsEvent) {
        match (event.right, &event.link) {
            (Right::Linking, Some(LinkSide { link, to: Some((primary, mark)), .. })) => {
                let (primary, secondary, mark, leaf) = (*primary, ordinal, *mark, *link);
                self.consent.link(Link { primary, secondary, mark, leaf, ended: false });
            }
            (Right::Unlinking, Some(side)) => self.consent.end_link(ordinal, side.link),
            _ => {}
        }
    }
}
