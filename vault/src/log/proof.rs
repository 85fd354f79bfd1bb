//! Inclusion and consistency proofs (RFC 6962 section 2.1), and the offline text of one (C2SP tlog-proof).

use super::LogError;
use super::merkle::Hash;
use super::tree::{TreeLog, split};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::ops::Range;

impl TreeLog {
    /// Returns the path from leaf `index` to the root of the first `size` leaves, the leaf's sibling first.
    pub(super) fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        if index >= size || size > self.size() {
            return Err(LogError::OutOfRange { index, size: size.min(self.size()) });
        }
        let mut path = Vec::new();
        self.path(index, 0..size, &mut path)?;
        Ok(path)
    }

    fn path(&self, index: u64, range: Range<u64>, out: &mut Vec<Hash>) -> Result<(), LogError> {
        let len = range.end.saturating_sub(range.start);
        if len <= 1 {
            return Ok(());
        }
        let middle = range.start.saturating_add(split(len));
        let (inside, beside) = if index < middle {
            (range.start..middle, middle..range.end)
        } else {
            (middle..range.end, range.start..middle)
        };
        self.path(index, inside, out)?;
        out.push(self.subtree(beside)?);
        Ok(())
    }

    /// Returns the proof that the first `old` leaves are a prefix of the first `new`; empty when `old` is 0 or `new`.
    pub(super) fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        if old > new || new > self.size() {
            return Err(LogError::OutOfRange { index: old.max(new), size: self.size() });
        }
        let mut proof = Vec::new();
        if old > 0 {
            self.subproof(old, 0..new, true, &mut proof)?;
        }
        Ok(proof)
    }

    fn subproof(&self, old: u64, range: Range<u64>, whole: bool, out: &mut Vec<Hash>) -> Result<(), LogError> {
        if old == range.end {
            if !whole {
                out.push(self.subtree(range)?);
            }
            return Ok(());
        }
        let middle = range.start.saturating_add(split(range.end.saturating_sub(range.start)));
        let beside = if old <= middle {
            self.subproof(old, range.start..middle, whole, out)?;
            middle..range.end
        } else {
            self.subproof(old, middle..range.end, false, out)?;
            range.start..middle
        };
        out.push(self.subtree(beside)?);
        Ok(())
    }

    /// Writes the proof of leaf `index` under the last signed checkpoint.
    pub(super) fn tlog_proof(&self, index: u64) -> Result<String, LogError> {
        let (head, note) = self.signed();
        let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
        for hash in self.inclusion(index, head.size)? {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}", STANDARD.encode(hash));
        }
        text.push('\n');
        text.push_str(&note);
        Ok(text)
    }
}
