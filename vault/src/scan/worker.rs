//! One thread's share of a scan.

use super::BlockInput;
use super::condition::{Masks, Truth, and};
use super::count::{Counter, counters};
use super::derive::Codes;
use super::event_pass::{Outcomes, run_tests};
use super::event_tables::{Members, run_tables};
use super::partial::Partial;
use super::plan::{Plan, SamplePlan};
use super::rows::Pieces;
use super::sequence_pass::judge;
use super::view::{self, View};
use crate::blocks::{BLOCK_SUBJECTS, BlockError, Buffer, Piece};
use crate::pseudonym::sample_bucket;
use roaring::RoaringBitmap;
use zeroize::Zeroize;

/// One thread's buffers and sums.
pub(super) struct Worker<'p> {
    plan: &'p Plan,
    counters: Vec<Counter>,
    partial: Partial,
    collected: RoaringBitmap,
    buffers: Buffers,
}

/// Room that is used again from block to block.
#[derive(Default)]
struct Buffers {
    attributes: Buffer,
    events: Buffer,
    /// By event type of the plan: pieces that stay open from one pass to the next.
    kept: Vec<Vec<Buffer>>,
    masks: Masks,
    index: Vec<u16>,
    ordinals: Vec<u32>,
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            counters: counters(&plan.tables),
            partial: Partial::zero(plan.cells()),
            collected: RoaringBitmap::new(),
            buffers: Buffers::default(),
        }
    }

    /// Adds a block to the tables.
    pub(super) fn tally(&mut self, block: &BlockInput, allowed: &RoaringBitmap) -> Result<(), BlockError> {
        let Self { plan, counters, partial, buffers, .. } = self;
        let Buffers { attributes, events, kept, masks, index, ordinals } = buffers;
        let views = view::open(&block.attributes, &plan.columns, attributes)?;
        let pieces = pieces(plan, block, kept)?;
        let (mask, truths) = members(plan, (block, &views, &pieces), allowed, events, masks, ordinals)?;
        let derived = derive(plan, mask.len(), &views, &truths, masks);
        let views: Vec<View<'_>> = views.into_iter().chain(derived.iter().map(Codes::view)).collect();
        // Wrapping, though it never does: a checked sum does not use the processor's lanes.
        let count = mask.iter().fold(0_u32, |count, member| count.wrapping_add(u32::from(*member)));
        for counter in counters {
            counter.count(&views, &mask, count, index);
        }
        let members = Members { mask: &mask, views: &views };
        plan.values.iter().for_each(|table| table.run(&members, partial.cells_mut()));
        for (event, pieces) in plan.events.iter().zip(&pieces).filter(|(event, _)| event.has_tables()) {
            run_tables(event, pieces, &members, events, partial.cells_mut())?;
        }
        truths.into_iter().for_each(|truth| masks.give_truth(truth));
        masks.give(mask);
        Ok(())
    }

    /// Collects a block's members.
    pub(super) fn collect(&mut self, block: &BlockInput, allowed: &RoaringBitmap) -> Result<(), BlockError> {
        let Self { plan, collected, buffers, .. } = self;
        let Buffers { attributes, events, kept, masks, ordinals, .. } = buffers;
        let views = view::open(&block.attributes, &plan.columns, attributes)?;
        let pieces = pieces(plan, block, kept)?;
        let (mask, truths) = members(plan, (block, &views, &pieces), allowed, events, masks, ordinals)?;
        truths.into_iter().for_each(|truth| masks.give_truth(truth));
        let base = block.attributes.meta().block * BLOCK_SUBJECTS;
        collected.extend((base..).zip(&mask).filter(|(_, bit)| **bit == 1).map(|(ordinal, _)| ordinal));
        masks.give(mask);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Partial {
        self.counters.iter().for_each(|counter| counter.finish(self.partial.cells_mut()));
        self.partial
    }

    pub(super) fn into_collected(self) -> RoaringBitmap {
        self.collected
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.index.zeroize();
        self.ordinals.zeroize();
    }
}

/// The pieces of a block, by event type of the plan.
fn pieces<'a>(
    plan: &'a Plan,
    block: &'a BlockInput,
    kept: &'a mut Vec<Vec<Buffer>>,
) -> Result<Vec<Pieces<'a>>, BlockError> {
    kept.resize_with(plan.events.len(), Vec::new);
    let of = |event: u16| block.events.get(usize::from(event)).map_or(&[][..], Vec::as_slice);
    plan.events.iter().zip(kept).map(|(event, buffers)| Pieces::new(of(event.event.0), event, buffers)).collect()
}

/// Computes the derived codes of all subjects of a block, one after the other: a later one may read an earlier one.
fn derive(plan: &Plan, rows: usize, views: &[View<'_>], truths: &[Truth], masks: &mut Masks) -> Vec<Codes> {
    let mut derived: Vec<Codes> = Vec::with_capacity(plan.derived.len());
    for next in &plan.derived {
        let so_far: Vec<View<'_>> = views.iter().copied().chain(derived.iter().map(Codes::view)).collect();
        let codes = next.codes(rows, &so_far, truths, masks);
        derived.push(codes);
    }
    derived
}

/// Computes which subjects of a block count: allowed, and the condition true. Also gives the outcomes of its tests.
fn members(
    plan: &Plan,
    (block, views, pieces): (&BlockInput, &[View<'_>], &[Pieces<'_>]),
    allowed: &RoaringBitmap,
    buffer: &mut Buffer,
    masks: &mut Masks,
    ordinals: &mut Vec<u32>,
) -> Result<(Vec<u8>, Vec<Truth>), BlockError> {
    let meta = block.attributes.meta();
    let subjects = meta.subjects as usize;
    let mut outcomes = Outcomes {
        truths: (0..plan.outcomes).map(|_| masks.unknown(subjects)).collect(),
        tracks: plan.sequences.iter().map(|_| Vec::new()).collect(),
    };
    for (event, pieces) in plan.events.iter().zip(pieces).filter(|(event, _)| event.has_conditions()) {
        run_tests(event, pieces, subjects, buffer, masks, &mut outcomes)?;
    }
    let Outcomes { mut truths, tracks } = outcomes;
    for (sequence, tracks) in plan.sequences.iter().zip(&tracks) {
        if let Some(outcome) = truths.get_mut(sequence.number) {
            judge(sequence, tracks, outcome);
        }
    }
    draw_samples(&plan.samples, &block.attributes, &mut truths)?;
    let truth = plan.condition.evaluate(subjects, views, &truths, masks);
    let mut mask = masks.take(subjects, 0);
    allow(meta.block, allowed, &mut mask, ordinals);
    and(&mut mask, &truth.yes);
    masks.give(truth.yes);
    masks.give(truth.no);
    Ok((mask, truths))
}

/// Decides samples for every subject of a block. The hidden column is read only if there is one.
fn draw_samples(samples: &[SamplePlan], attributes: &Piece, truths: &mut [Truth]) -> Result<(), BlockError> {
    if samples.is_empty() {
        return Ok(());
    }
    let subjects = u16::try_from(attributes.meta().subjects).unwrap_or(u16::MAX);
    let hidden = attributes.hidden_of(&(0..subjects).collect::<Vec<u16>>())?;
    for SamplePlan { number, label, from, until } in samples {
        let Some(Truth { yes, no }) = truths.get_mut(*number) else { continue };
        for ((yes, no), hidden) in yes.iter_mut().zip(no).zip(hidden.iter()) {
            *yes = u8::from((*from..*until).contains(&sample_bucket(hidden, label)));
            *no = *yes ^ 1;
        }
    }
    Ok(())
}

/// Sets the allowed subjects of a block.
fn allow(block: u32, allowed: &RoaringBitmap, mask: &mut [u8], ordinals: &mut Vec<u32>) {
    let base = block.saturating_mul(BLOCK_SUBJECTS);
    ordinals.resize(BLOCK_SUBJECTS as usize, 0);
    let mut range = allowed.range(base..base.saturating_add(BLOCK_SUBJECTS));
    for ordinal in range.next_many(ordinals).iter() {
        if let Some(bit) = mask.get_mut((ordinal - base) as usize) {
            *bit = 1;
        }
    }
}
