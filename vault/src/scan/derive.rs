//! Codes of subjects that no column holds: how far somebody came, which band somebody is in.
//!
//! Each subject gets exactly one code, from its own stream alone, so a table over derived codes moves by one cell for one
//! person. What is unknown is as not true. Codes are wiped.

use super::condition::{Masks, Node, Truth};
use super::plan::Slot;
use super::view::View;
use zeroize::Zeroize;

/// How codes come about.
#[derive(Debug, Clone)]
pub(super) enum Derived {
    /// From conditions.
    Of(Rule, Vec<Node>),
    /// From a number column and ascending edges.
    Bins(Slot, Vec<i64>),
    /// From the codes of several columns, row-major.
    Cross(Vec<(Slot, u32)>),
}

/// What a list of truths becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// How many are true before the first that is not.
    Steps,
    /// Each is a bit.
    Flags,
    /// The place of the first that is true, from 1.
    Bands,
}

/// Codes of all subjects of a block.
#[derive(Debug, Default)]
pub(super) struct Codes(Vec<[u8; 2]>);

impl Codes {
    pub(super) fn view(&self) -> View<'_> {
        View::Code16(&self.0)
    }
}

impl Drop for Codes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Derived {
    /// Computes the codes of `rows` subjects. `views` are the columns and what was derived before.
    pub(super) fn codes(&self, rows: usize, views: &[View<'_>], truths: &[Truth], masks: &mut Masks) -> Codes {
        let mut codes = vec![0_u16; rows];
        match self {
            Self::Of(rule, nodes) => {
                let mut going = masks.take(rows, 1);
                for (place, node) in (0..).zip(nodes) {
                    let truth = node.evaluate(rows, views, truths, masks);
                    rule.add(place, &truth.yes, &mut going, &mut codes);
                    masks.give_truth(truth);
                }
                masks.give(going);
            }
            Self::Bins(slot, edges) => {
                let view = views.get(*slot).copied().unwrap_or(View::Absent);
                for (row, code) in codes.iter_mut().enumerate() {
                    let bin = |value| edges.iter().fold(1, |bin, edge| bin + u16::from(i128::from(*edge) <= value));
                    *code = view.value(row).map_or(0, bin);
                }
            }
            Self::Cross(axes) => {
                for (slot, cells) in axes {
                    let view = views.get(*slot).copied().unwrap_or(View::Absent);
                    let stride = u16::try_from(*cells).unwrap_or(u16::MAX);
                    for (row, code) in codes.iter_mut().enumerate() {
                        let digit = u16::try_from(view.code(row, *cells)).unwrap_or(0);
                        *code = code.wrapping_mul(stride).wrapping_add(digit);
                    }
                }
            }
        }
        let bytes = Codes(codes.iter().map(|code| code.to_le_bytes()).collect());
        codes.zeroize();
        bytes
    }
}

impl Rule {
    /// Takes in the truth of the condition at a place; `going` is 1 for whom it still matters.
    fn add(self, place: u16, yes: &[u8], going: &mut [u8], codes: &mut [u16]) {
        let rows = codes.iter_mut().zip(going).zip(yes);
        match self {
            Self::Steps => rows.for_each(|((code, going), yes)| {
                *going &= yes;
                *code += u16::from(*going);
            }),
            Self::Flags => {
                rows.for_each(|((code, _), yes)| *code |= u16::from(*yes).checked_shl(place.into()).unwrap_or(0))
            }
            Self::Bands => rows.for_each(|((code, going), yes)| {
                *code += (place + 1) * u16::from(*going & yes);
                *going &= yes ^ 1;
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_truths_from_the_first_on() {
        let truths: [[u8; 4]; 3] = [[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]];
        for (rule, expected) in [(Rule::Steps, [2, 0, 1, 3]), (Rule::Flags, [3, 6, 5, 7]), (Rule::Bands, [1, 2, 1, 1])]
        {
            let (mut going, mut codes) = (vec![1; 4], vec![0; 4]);
            for (place, yes) in (0..).zip(&truths) {
                rule.add(place, yes, &mut going, &mut codes);
            }
            assert_eq!(codes, expected, "{rule:?}");
        }
    }
}
