//! The events of one type of a block: pieces opened, and the rows of each subject that count.

use super::plan::EventPlan;
use super::view::View;
use crate::blocks::{BlockError, Buffer, ColumnKey, Piece, u32_rows};
use std::sync::Arc;

/// An opened event piece.
pub(super) struct Rows<'a> {
    /// In-block ordinal of the first subject.
    pub(super) first: usize,
    /// Row range of each subject, without the events that do not count.
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) times: &'a [[u8; 8]],
    /// The plan's field columns.
    pub(super) fields: Vec<View<'a>>,
}

/// Counts the rows of each subject, so that no more of them count than the schema says. A subject's rows are neighbours,
/// over piece ends too.
#[derive(Debug, Default)]
struct Quota {
    subject: usize,
    rows: usize,
}

impl Quota {
    /// Cuts the row ranges of the subjects from `first` on to what is left of `limit` for each.
    fn cut(&mut self, ranges: &mut [(usize, usize)], first: usize, limit: usize) {
        for (subject, (start, end)) in (first..).zip(ranges) {
            if subject != self.subject {
                *self = Self { subject, rows: 0 };
            }
            let rows = *end - *start;
            *end = *start + rows.min(limit.saturating_sub(self.rows));
            self.rows += rows;
        }
    }
}

/// Opens the columns of an event piece that a plan reads.
fn open_rows<'b>(
    piece: &Piece,
    plan: &EventPlan,
    quota: &mut Quota,
    buffer: &'b mut Buffer,
) -> Result<Rows<'b>, BlockError> {
    let mut keys = vec![ColumnKey::OFFSETS, ColumnKey::TIME];
    keys.extend(&plan.columns);
    let keys: Vec<ColumnKey> = keys.into_iter().filter(|key| piece.has(*key)).collect();
    let rows = piece.meta().rows as usize;
    let chunks = piece.read_columns(&keys, buffer)?;
    let find = |key: ColumnKey| chunks.iter().find(|chunk| chunk.key == key).copied();
    let offsets = find(ColumnKey::OFFSETS).ok_or_else(|| piece.damaged("row offsets are missing"))?;
    let times = find(ColumnKey::TIME).ok_or_else(|| piece.damaged("times are missing"))?;
    let fields = plan.columns.iter().map(|key| match find(*key) {
        Some(chunk) => View::of(&chunk, rows).ok_or_else(|| piece.damaged("a column is shorter than its rows")),
        None => Ok(View::Absent),
    });
    let fields = fields.collect::<Result<Vec<View<'b>>, BlockError>>()?;
    let starts = u32_rows(offsets.bytes).map(|offset| offset as usize);
    let mut ranges: Vec<(usize, usize)> = starts.clone().zip(starts.skip(1)).collect();
    if ranges.iter().any(|(start, end)| start > end || *end > rows) {
        return Err(piece.damaged("row offsets are out of order"));
    }
    let first = usize::from(piece.meta().first);
    quota.cut(&mut ranges, first, plan.limit);
    Ok(Rows { first, ranges, times: times.bytes.as_chunks().0, fields })
}

/// Most bytes of one type of a block that are kept open from one pass to the next: people of a block with some hundred events
/// each. Beyond, its pieces are opened once for each pass, so that memory stays bounded.
const KEPT_BYTES: u64 = 32 << 20;

/// The event pieces of one type of a block.
pub(super) struct Pieces<'a> {
    pieces: &'a [Arc<Piece>],
    /// All of them opened, if they are kept.
    open: Option<Vec<Rows<'a>>>,
}

impl<'a> Pieces<'a> {
    /// Opens them once for all passes where a plan has more than one and they fit, each in a buffer of its own.
    pub(super) fn new(
        pieces: &'a [Arc<Piece>],
        plan: &EventPlan,
        buffers: &'a mut Vec<Buffer>,
    ) -> Result<Self, BlockError> {
        // At eight bytes a value.
        let width = 8 * (plan.columns.len() as u64 + 1);
        let bytes = pieces.iter().map(|piece| u64::from(piece.meta().rows) * width).sum::<u64>();
        if !plan.has_conditions() || !plan.has_tables() || bytes > KEPT_BYTES {
            return Ok(Self { pieces, open: None });
        }
        buffers.resize_with(buffers.len().max(pieces.len()), Buffer::default);
        let mut quota = Quota::default();
        let each = pieces.iter().zip(buffers).map(|(piece, buffer)| open_rows(piece, plan, &mut quota, buffer));
        Ok(Self { pieces, open: Some(each.collect::<Result<_, _>>()?) })
    }

    /// Returns how many events there are.
    pub(super) fn rows(&self) -> usize {
        self.pieces.iter().map(|piece| piece.meta().rows as usize).sum()
    }

    /// Gives them to `take` in order, opened; in `buffer`, one after the other, if they are not open.
    pub(super) fn each(
        &self,
        plan: &EventPlan,
        buffer: &mut Buffer,
        mut take: impl FnMut(&Rows<'_>),
    ) -> Result<(), BlockError> {
        if let Some(open) = &self.open {
            open.iter().for_each(take);
            return Ok(());
        }
        let mut quota = Quota::default();
        for piece in self.pieces {
            take(&open_rows(piece, plan, &mut quota, buffer)?);
        }
        Ok(())
    }
}
