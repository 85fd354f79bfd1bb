//! Subjects that are one person, and how that narrows whom a use may count.
//!
//! A link joins a secondary to a primary. The secondary is counted by no use any more; the primary stands for both, and is
//! allowed only what every linked subject allows on its own, and only while all of them agree to being linked: on conflict
//! the least permissive wins, and silence is no. A link that was ended acts until the next close, since until then the
//! primary's rows hold the secondary's events.
//!
//! Kept with the block of the secondary, so that it is stored, restored and erased with it.

use super::bits::{Bits, WORDS, Words};
use super::block::Content;
use super::{ConsentBitmaps, by_block, place};
use crate::blocks::{BLOCK_SUBJECTS, block_of};
use policy::consent::LawfulBasis;
use policy::id::PurposeId;
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use std::sync::{Arc, LazyLock};

/// Most secondaries of a primary.
pub const MAX_SECONDARIES: usize = 8;

/// The purpose that both sides of a link agree to.
static LINKING: LazyLock<Option<PurposeId>> = LazyLock::new(|| PurposeId::new(policy::purpose::LINKING).ok());

/// A link, as the block of its secondary keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockLink {
    /// The secondary's position.
    pub position: u16,
    /// The primary's ordinal.
    pub primary: u32,
    /// What marks the secondary's events among the primary's, from 1.
    pub mark: u8,
    /// Index of the leaf in the subject tree that names the link.
    pub leaf: u64,
    /// Whether it was ended, and acts until the next close only.
    pub ended: bool,
}

/// A link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The ordinal of the one that stands for both.
    pub primary: u32,
    /// The ordinal of the other.
    pub secondary: u32,
    /// What marks the secondary's events among the primary's, from 1.
    pub mark: u8,
    /// Index of the leaf in the subject tree that names the link.
    pub leaf: u64,
    /// Whether it was ended, and acts until the next close only.
    pub ended: bool,
}

/// Who is allowed, a word a position, block after block.
struct Flat(Vec<Words>);

impl Flat {
    fn has(&self, ordinal: u32) -> bool {
        let (block, position) = block_of(ordinal);
        let word = self.0.get(block as usize).and_then(|words| words.get(position as usize / 64));
        word.is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    fn remove(&mut self, ordinal: u32) {
        let (block, position) = block_of(ordinal);
        let word = self.0.get_mut(block as usize).and_then(|words| words.get_mut(position as usize / 64));
        word.into_iter().for_each(|word| *word &= !(1 << (position % 64)));
    }
}

impl ConsentBitmaps {
    /// Records a link. The caller has checked that neither side is linked already, but as a primary to others.
    pub fn link(&mut self, link: Link) {
        let Link { primary, secondary, mark, leaf, ended } = link;
        let (block, position) = place(secondary);
        if let Some(block) = self.block_mut(block).filter(|block| !block.erased.contains(position)) {
            block.content = Content::fresh();
            block.links.retain(|link| link.leaf != leaf);
            block.links.push(BlockLink { position, primary, mark, leaf, ended });
            block.links.sort_unstable_by_key(|link| (link.position, link.leaf));
        }
    }

    /// Ends a link; it acts until [`Self::settle_links`].
    pub fn end_link(&mut self, secondary: u32, leaf: u64) {
        let (block, position) = place(secondary);
        let is_it = |link: &BlockLink| link.position == position && link.leaf == leaf && !link.ended;
        if self.blocks.get(block).is_some_and(|block| block.links.iter().any(is_it))
            && let Some(block) = self.block_mut(block)
        {
            block.content = Content::fresh();
            block.links.iter_mut().filter(|link| is_it(link)).for_each(|link| link.ended = true);
        }
    }

    /// Returns the link in which somebody is the secondary, if it was not ended.
    pub fn link_of(&self, secondary: u32) -> Option<Link> {
        let (number, position) = place(secondary);
        let block = self.blocks.get(number)?;
        let from = block.links.partition_point(|link| link.position < position);
        let here = block.links.iter().skip(from).take_while(|link| link.position == position);
        Some(here.filter(|link| !link.ended).last()?.of_block(number))
    }

    /// Returns some people and everyone who is linked to one of them, directly or through a primary.
    pub fn linked_to(&self, people: &RoaringBitmap) -> RoaringBitmap {
        let holding = || self.links().filter(|link| !link.ended);
        let primaries = holding().filter(|link| people.contains(link.secondary)).map(|link| link.primary);
        let all = people | primaries.collect::<RoaringBitmap>();
        let secondaries = holding().filter(|link| all.contains(link.primary)).map(|link| link.secondary);
        secondaries.collect::<RoaringBitmap>() | &all
    }

    /// Says whether events of one of some people are among those of another still, by a link that was ended.
    pub fn is_copied(&self, people: &RoaringBitmap) -> bool {
        let mut ended = self.links().filter(|link| link.ended);
        ended.any(|link| people.contains(link.secondary) && !people.contains(link.primary))
    }

    /// Lists all links that act, those that were ended since the last close too. Walks all blocks.
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let blocks = self.blocks.iter().enumerate();
        blocks.flat_map(|(number, block)| block.links.iter().map(move |link| link.of_block(number)))
    }

    /// Forgets the links that were ended: at a close, of the state that is pinned for it. Returns them.
    pub fn settle_links(&mut self) -> Vec<Link> {
        let ended: Vec<Link> = self.links().filter(|link| link.ended).collect();
        self.forget_links(&ended);
        ended
    }

    /// Forgets links that a close has settled.
    pub fn forget_links(&mut self, settled: &[Link]) {
        for settled in settled {
            let (block, position) = place(settled.secondary);
            if let Some(block) = self.block_mut(block) {
                block.content = Content::fresh();
                block.links.retain(|link| link.position != position || link.leaf != settled.leaf);
            }
        }
    }

    /// Who is allowed what the links leave; `undecided` is asked of every block.
    pub(super) fn allowed_with_links(
        &self,
        purpose: &PurposeId,
        basis: LawfulBasis,
        now: Timestamp,
    ) -> impl Iterator<Item = Words> {
        let mut allowed = self.flat(purpose, basis, now);
        let agreed = LINKING.as_ref().map_or(Flat(Vec::new()), |linking| self.flat(linking, LawfulBasis::Consent, now));
        // Nobody who acts as a primary is asked here as a secondary: the primaries can go before the others are asked.
        let blocked = |allowed: &Flat, link: &Link| {
            !(allowed.has(link.secondary) && agreed.has(link.secondary) && agreed.has(link.primary))
        };
        let gone: Vec<u32> = self.links().filter(|link| blocked(&allowed, link)).map(|link| link.primary).collect();
        gone.into_iter().for_each(|primary| allowed.remove(primary));
        self.links().for_each(|link| allowed.remove(link.secondary));
        allowed.0.into_iter()
    }

    fn flat(&self, purpose: &PurposeId, basis: LawfulBasis, now: Timestamp) -> Flat {
        let deciding = self.tree.deciding(purpose);
        let of = |block: &Arc<super::block::BlockConsent>| match block.decides(&deciding) {
            true => block.allowed([u64::MAX; WORDS], &deciding, basis, now.0),
            false => [0; WORDS],
        };
        Flat(self.blocks.iter().map(of).collect())
    }

    /// Narrows who of some people is allowed to what their links leave.
    pub(super) fn narrow(&self, allowed: &mut RoaringBitmap, purpose: &PurposeId, basis: LawfulBasis, now: Timestamp) {
        let concerned: Vec<Link> =
            self.links().filter(|link| allowed.contains(link.primary) || allowed.contains(link.secondary)).collect();
        let secondaries: RoaringBitmap = concerned.iter().map(|link| link.secondary).collect();
        let everyone = &secondaries | concerned.iter().map(|link| link.primary).collect::<RoaringBitmap>();
        let agree = |people: &RoaringBitmap, purpose: Option<&PurposeId>, basis| {
            purpose.map(|purpose| self.allowed_alone(people, purpose, basis, now)).unwrap_or_default()
        };
        let agreed = agree(&everyone, LINKING.as_ref(), LawfulBasis::Consent);
        let may = agree(&secondaries, Some(purpose), basis);
        for link in concerned {
            if !(may.contains(link.secondary) && agreed.contains(link.secondary) && agreed.contains(link.primary)) {
                allowed.remove(link.primary);
            }
        }
        *allowed -= secondaries;
    }

    /// Returns those of some people who are allowed for themselves, links aside.
    pub(super) fn allowed_alone(
        &self,
        people: impl IntoIterator<Item = u32>,
        purpose: &PurposeId,
        basis: LawfulBasis,
        now: Timestamp,
    ) -> RoaringBitmap {
        let deciding = self.tree.deciding(purpose);
        let mut yes = RoaringBitmap::new();
        for (number, people) in by_block(people) {
            if let (Some(block), Some(undecided)) = (self.blocks.get(number as usize), people.words()) {
                let words = block.allowed(*undecided, &deciding, basis, now.0);
                let found = super::positions(&words);
                yes.extend(found.map(|position| number * BLOCK_SUBJECTS + u32::from(position)));
            }
        }
        yes
    }

    /// Says whether all of some people agree to being linked.
    pub fn agree_to_links(&self, people: &[u32], now: Timestamp) -> bool {
        let linking = LINKING.as_ref();
        let agreed =
            linking.map(|linking| self.allowed_alone(people.iter().copied(), linking, LawfulBasis::Consent, now));
        agreed.is_some_and(|agreed| people.iter().all(|ordinal| agreed.contains(*ordinal)))
    }
}

impl BlockLink {
    fn of_block(self, block: usize) -> Link {
        let Self { position, primary, mark, leaf, ended } = self;
        let first = u32::try_from(block).unwrap_or(u32::MAX).saturating_mul(BLOCK_SUBJECTS);
        Link { primary, secondary: first.saturating_add(position.into()), mark, leaf, ended }
    }

    /// Says whether it is of one of some people.
    pub fn is_of(&self, people: &Bits) -> bool {
        people.contains(self.position)
    }
}
