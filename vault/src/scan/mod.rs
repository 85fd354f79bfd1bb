//! Exact answers over sealed blocks, which never leave the vault unnoised.
//!
//! A [`Plan`] is public: it says which subjects count and which cells they are counted in. A scan runs it over a list
//! of blocks and gives a [`Partial`]: un-noised sums that can be added, subtracted and stored, and that only
//! [`crate::release`] turns into numbers. A scan of a list of blocks is the sum of the scans of its parts, so a caller
//! whose consent state moved can take the old partial of a block out and put the new one in.
//!
//! Guarantees: a subject counts when it is allowed, in the universe and in the segment, unknown being outside. Its
//! contribution to each table is bounded as the plan says, whatever the data ([`TableSpec::norm_squared`]): one cell of
//! 1,024 for what a subject has one of, an L2 norm of at most `1,024 * sqrt(l0)` where events spread people over cells,
//! and the clip's norm for numbers of events and for sums, weighted or not ([`Weights`]). Every subject costs the same work, match or no match; how long
//! a scan takes depends on how many subjects and events there are, on whether a busy subject's values repeat, and on how many
//! vectors are longer than their bound.
//! Does not decide who is allowed and does not add noise.

mod axis;
mod clip;
mod condition;
mod count;
mod derive;
mod event_axes;
mod event_pass;
mod event_tables;
mod few;
mod measure;
mod partial;
mod plan;
mod rows;
mod sequence_pass;
mod tables;
mod view;
mod weights;
mod worker;

pub use axis::{Axis, AxisOf, Clip, Count, MAX_NORM, Norms, Parts, Squares, TableSpec};
pub use partial::Partial;
pub use plan::Plan;
pub use weights::Weights;

use crate::blocks::{BlockError, Piece};
use roaring::RoaringBitmap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use worker::Worker;

/// One person counts 1,024 in a [`Partial`].
pub const UNIT: i64 = 1_024;

/// Blocks a thread takes at a time: about 3 MiB of coded columns, so that threads end together.
const BATCH: usize = 4;

/// The pieces of one block, all of one epoch.
#[derive(Debug, Clone)]
pub struct BlockInput {
    /// The block's attributes.
    pub attributes: Arc<Piece>,
    /// By event type number: its event pieces in part order; none where nothing happened.
    pub events: Vec<Vec<Arc<Piece>>>,
}

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct ScanInput<'a> {
    /// The blocks, each once.
    pub blocks: &'a [BlockInput],
    /// Ordinals that may be used for the purpose: nobody else is looked at.
    pub allowed: &'a RoaringBitmap,
}

/// Threads that scan. One for the process.
#[derive(Debug)]
pub struct Scanner {
    pool: rayon::ThreadPool,
}

/// The operating system gave no threads.
#[derive(Debug, thiserror::Error)]
#[error("scan threads can't be started: {0}")]
pub struct NoThreads(#[from] rayon::ThreadPoolBuildError);

impl Scanner {
    /// Starts `threads` threads; 0 is one a core.
    pub fn new(threads: usize) -> Result<Self, NoThreads> {
        let name = |number| format!("scan-{number}");
        Ok(Self { pool: rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build()? })
    }

    /// Runs a plan over the blocks and adds everything up.
    pub fn scan(&self, plan: &Plan, input: &ScanInput<'_>) -> Result<Partial, BlockError> {
        let parts =
            self.spread(plan, input, |worker, block| worker.tally(block, input.allowed), |worker| worker.finish())?;
        let mut total = Partial::zero(plan.cells());
        parts.iter().for_each(|part| total.add(part));
        Ok(total)
    }

    /// Returns the ordinals a plan's tables would count. For deliveries that are not DP; never for a release.
    pub fn members(&self, plan: &Plan, input: &ScanInput<'_>) -> Result<RoaringBitmap, BlockError> {
        let members = |worker: &mut Worker<'_>, block: &BlockInput| worker.collect(block, input.allowed);
        let parts = self.spread(plan, input, members, |worker| worker.into_collected())?;
        Ok(parts.into_iter().fold(RoaringBitmap::new(), |all, part| all | part))
    }

    fn spread<T: Send>(
        &self,
        plan: &Plan,
        input: &ScanInput<'_>,
        each: impl Fn(&mut Worker<'_>, &BlockInput) -> Result<(), BlockError> + Sync,
        finish: impl Fn(Worker<'_>) -> T + Sync,
    ) -> Result<Vec<T>, BlockError> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let batches: Vec<&[BlockInput]> = input.blocks.chunks(BATCH).collect();
        let work = |_: rayon::BroadcastContext<'_>| {
            let mut worker = Worker::new(plan);
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                for block in *batch {
                    if failed.load(Ordering::Relaxed) {
                        return Ok(finish(worker));
                    }
                    each(&mut worker, block).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                }
            }
            Ok(finish(worker))
        };
        self.pool.broadcast(work).into_iter().collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub(crate) mod tests;
