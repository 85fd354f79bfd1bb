//! What the people of one block decided. Positions are those of the block.

use super::bits::{Bits, WORDS, Words};
use super::links::BlockLink;
use super::times::Times;
use super::tree::PurposeTree;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn basis_index(basis: LawfulBasis) -> usize {
    match basis {
        LawfulBasis::Consent => 0,
        LawfulBasis::Contract => 1,
        LawfulBasis::LegitimateInterest => 2,
    }
}

/// Decisions on one purpose and one basis. INVARIANT: nobody is both in `held` and in `withdrawn`, and everyone else in
/// here is in `held`.
#[derive(Clone, Default)]
pub(super) struct Mark {
    /// To whom it was given.
    pub held: Bits,
    /// Who of them held it only until before every instant that is still asked about.
    pub expired: Bits,
    /// Who withdrew. A later give lifts a withdrawal for its own basis only.
    pub withdrawn: Bits,
    /// First instant at which it holds; only those that a question may still be asked before, see [`Mark::prune`].
    pub starts: Times,
    /// First instant at which it no longer holds.
    pub ends: Times,
}

impl Mark {
    fn give(&mut self, position: u16, starts: i64, ends: Option<i64>) {
        self.expired.remove(position);
        self.withdrawn.remove(position);
        self.held.insert(position);
        self.starts.set(position, starts);
        match ends {
            Some(ends) => self.ends.set(position, ends),
            None => self.ends.remove(position),
        }
    }

    /// Ends what was given.
    fn clear(&mut self, position: u16) {
        if self.held.contains(position) {
            self.held.remove(position);
            self.expired.remove(position);
            self.starts.remove(position);
            self.ends.remove(position);
        }
    }

    fn withdraw(&mut self, position: u16) {
        self.clear(position);
        self.withdrawn.insert(position);
    }

    fn erase(&mut self, people: &Bits) {
        for set in [&mut self.held, &mut self.expired, &mut self.withdrawn] {
            set.remove_all(people);
        }
        self.starts.remove_all(people);
        self.ends.remove_all(people);
    }

    fn is_prunable(&self, now: i64) -> bool {
        self.starts.any_until(now) || self.ends.any_until(now)
    }

    fn prune(&mut self, now: i64) {
        self.starts.forget_until(now);
        self.expired.insert_all(&self.ends.forget_until(now));
    }

    /// Decides on the undecided who have a mark: those whose mark allows go to `yes`, all of them are decided.
    fn decide(&self, undecided: &mut Words, yes: &mut Words, now: i64) {
        if let Some(held) = self.held.words() {
            let mut live = *undecided;
            live.iter_mut().zip(held).for_each(|(live, held)| *live &= held);
            self.expired.clear_in(&mut live);
            self.starts.clear_after(&mut live, now);
            self.ends.clear_until(&mut live, now);
            yes.iter_mut().zip(&live).for_each(|(yes, live)| *yes |= live);
            self.held.clear_in(undecided);
        }
        self.withdrawn.clear_in(undecided);
    }

    /// Checks the invariant.
    pub fn is_sound(&self) -> bool {
        let held = [&self.expired, &self.starts.present(), &self.ends.present()];
        held.iter().all(|some| some.is_within(&self.held)) && self.held.is_apart_from(&self.withdrawn)
    }
}

/// Decisions on one purpose.
#[derive(Clone, Default)]
pub(super) struct NodeConsent {
    /// By basis.
    pub marks: [Mark; 3],
    /// Time of the newest event applied to this purpose.
    pub newest: Times,
    /// Time of the newest withdrawal applied to this purpose.
    pub newest_withdrawal: Times,
}

impl NodeConsent {
    fn give(&mut self, position: u16, event: &ConsentEvent) {
        self.newest.set(position, event.at.0);
        if let Some(mark) = self.marks.get_mut(basis_index(event.basis)) {
            mark.give(position, event.at.0, event.expires.map(|at| at.0));
        }
    }

    fn withdraw(&mut self, position: u16, at: i64) {
        self.newest.set(position, at);
        self.newest_withdrawal.set(position, at);
        self.marks.iter_mut().for_each(|mark| mark.withdraw(position));
    }

    fn erase(&mut self, people: &Bits) {
        self.marks.iter_mut().for_each(|mark| mark.erase(people));
        self.newest.remove_all(people);
        self.newest_withdrawal.remove_all(people);
    }

    /// Checks what every sequence of events leaves true.
    pub fn is_sound(&self) -> bool {
        let (newest, withdrawal) = (self.newest.present(), self.newest_withdrawal.present());
        let known = |mark: &Mark| mark.held.is_within(&newest) && mark.withdrawn.is_within(&withdrawal);
        withdrawal.is_within(&newest) && self.marks.iter().all(|mark| mark.is_sound() && known(mark))
    }
}

/// Names what a block holds: every change draws a name that no block of this process had, so equal names are equal content,
/// whichever way two states went from the one they come from. The other way round it need not be so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content(u64);

impl Content {
    /// Draws a name. The default one is that of nothing.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The consent state of one block. Clones share their purposes, so that a change copies one purpose of one block.
#[derive(Clone, Default)]
pub(super) struct BlockConsent {
    /// What it holds; forgetting what nobody asks about changes nothing.
    pub content: Content,
    /// By number of the purpose; none where nobody decided anything.
    pub nodes: Vec<Option<Arc<NodeConsent>>>,
    /// People who may not be used for now, whatever they decided.
    pub restricted: Bits,
    /// People who were erased: never used, and later events change nothing.
    pub erased: Bits,
    /// Links whose secondaries are here, sorted by position.
    pub links: Vec<BlockLink>,
}

impl BlockConsent {
    fn node(&self, number: usize) -> Option<&NodeConsent> {
        self.nodes.get(number)?.as_deref()
    }

    pub fn node_mut(&mut self, number: usize) -> Option<&mut NodeConsent> {
        if self.nodes.len() <= number {
            self.nodes.resize(number + 1, None);
        }
        self.nodes.get_mut(number).map(|node| Arc::make_mut(node.get_or_insert_default()))
    }

    /// Says whether an event changes something: it may be too late.
    pub fn counts(&self, tree: &PurposeTree, number: usize, position: u16, event: &ConsentEvent) -> bool {
        if self.erased.contains(position) {
            return false;
        }
        let at = event.at.0;
        let late = self.node(number).and_then(|node| node.newest.get(position)).is_some_and(|newest| at < newest);
        let withdrawn = |node: &NodeConsent| node.newest_withdrawal.get(position).is_some_and(|newest| at <= newest);
        let overruled = || tree.lineage(number).filter_map(|above| self.node(above)).any(withdrawn);
        !late && (event.act == ConsentAct::Withdraw || !overruled())
    }

    /// Applies an event that counts.
    pub fn apply(&mut self, tree: &PurposeTree, number: usize, position: u16, event: &ConsentEvent) {
        self.content = Content::fresh();
        if event.act == ConsentAct::Withdraw {
            for under in tree.under(number) {
                // A purpose under which nothing was given stays shared.
                let given = |node: &NodeConsent| node.marks.iter().any(|mark| mark.held.contains(position));
                if self.node(under).is_some_and(given) {
                    let node = self.node_mut(under);
                    node.into_iter().flat_map(|node| &mut node.marks).for_each(|mark| mark.clear(position));
                }
            }
        }
        match (event.act, self.node_mut(number)) {
            (ConsentAct::Give, Some(node)) => node.give(position, event),
            (ConsentAct::Withdraw, Some(node)) => node.withdraw(position, event.at.0),
            (_, None) => {}
        }
    }

    /// Removes every trace of people but the mark that there was someone.
    pub fn erase(&mut self, people: &Bits) {
        self.content = Content::fresh();
        self.restricted.remove_all(people);
        self.links.retain(|link| !link.is_of(people));
        self.erased.insert_all(people);
        for node in self.nodes.iter_mut().flatten() {
            if people.positions().any(|position| node.newest.get(position).is_some()) {
                Arc::make_mut(node).erase(people);
            }
        }
    }

    pub fn set_restricted(&mut self, position: u16, restricted: bool) {
        self.content = Content::fresh();
        if restricted {
            self.restricted.insert(position);
        } else {
            self.restricted.remove(position);
        }
    }

    /// Returns whether there is something to forget.
    pub fn is_prunable(&self, now: i64) -> bool {
        self.nodes.iter().flatten().flat_map(|node| &node.marks).any(|mark| mark.is_prunable(now))
    }

    pub fn prune(&mut self, now: i64) {
        for node in self.nodes.iter_mut().flatten() {
            if node.marks.iter().any(|mark| mark.is_prunable(now)) {
                Arc::make_mut(node).marks.iter_mut().for_each(|mark| mark.prune(now));
            }
        }
    }

    /// Returns those of `undecided` who are allowed; `deciding` are the nodes that decide, the nearest first.
    pub fn allowed(&self, mut undecided: Words, deciding: &[usize], basis: LawfulBasis, now: i64) -> Words {
        let mut yes = [0; WORDS];
        for mark in self.marks(deciding, basis) {
            mark.decide(&mut undecided, &mut yes, now);
        }
        self.restricted.clear_in(&mut yes);
        self.erased.clear_in(&mut yes);
        yes
    }

    fn marks(&self, deciding: &[usize], basis: LawfulBasis) -> impl Iterator<Item = &Mark> {
        deciding.iter().filter_map(move |number| self.node(*number)?.marks.get(basis_index(basis)))
    }

    /// Returns whether anyone decided on these nodes.
    pub fn decides(&self, deciding: &[usize]) -> bool {
        deciding.iter().any(|number| self.node(*number).is_some())
    }
}
