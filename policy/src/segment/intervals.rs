//! Sets of whole numbers as sorted, disjoint, non-adjacent inclusive intervals: one form for each set.

/// A set of `i64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Intervals(Vec<(i64, i64)>);

impl Intervals {
    /// Builds the set of all numbers in any of the given inclusive bounds; `min > max` adds nothing.
    pub(super) fn new(bounds: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut bounds: Vec<_> = bounds.into_iter().filter(|(min, max)| min <= max).collect();
        bounds.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(bounds.len());
        for (min, max) in bounds {
            match merged.last_mut() {
                Some(last) if min <= last.1.saturating_add(1) => last.1 = last.1.max(max),
                _ => merged.push((min, max)),
            }
        }
        Self(merged)
    }

    pub(super) fn as_slice(&self) -> &[(i64, i64)] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, value: i64) -> bool {
        self.0.iter().any(|(min, max)| (*min..=*max).contains(&value))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&other.0).copied())
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let meet = |a: &(i64, i64), b: &(i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        Self::new(self.0.iter().flat_map(|a| other.0.iter().map(move |b| meet(a, b))))
    }

    /// Returns what of `low..=high` is not in the set.
    pub(super) fn complement(&self, low: i64, high: i64) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(low);
        for (min, max) in &self.0 {
            if let (Some(start), Some(end)) = (from, min.checked_sub(1)) {
                gaps.push((start, end.min(high)));
            }
            from = from.and_then(|start| Some(max.checked_add(1)?.max(start)));
        }
        gaps.extend(from.map(|start| (start, high)));
        Self::new(gaps)
    }

    /// Returns whether all of `self` is in `other`.
    pub(super) fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|(min, max)| other.0.iter().any(|(low, high)| low <= min && max <= high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_number_line_are_ordinary() {
        let all = Intervals::new([(i64::MIN, i64::MAX)]);
        assert!(all.complement(i64::MIN, i64::MAX).is_empty());
        let none = Intervals::new([]);
        assert_eq!(none.complement(i64::MIN, i64::MAX), all);
        let ends = Intervals::new([(i64::MAX, i64::MAX), (i64::MIN, i64::MIN)]);
        assert_eq!(ends.complement(i64::MIN, i64::MAX).as_slice(), [(i64::MIN + 1, i64::MAX - 1)]);
    }

    proptest! {
        #[test]
        fn set_algebra_holds_for_every_number(
            a in prop::collection::vec((0_i64..20, 0_i64..20), 0..5),
            b in prop::collection::vec((0_i64..20, 0_i64..20), 0..5),
        ) {
            let (a, b) = (Intervals::new(a), Intervals::new(b));
            for n in 0..20 {
                prop_assert_eq!(a.union(&b).contains(n), a.contains(n) || b.contains(n));
                prop_assert_eq!(a.intersection(&b).contains(n), a.contains(n) && b.contains(n));
                prop_assert_eq!(a.complement(0, 19).contains(n), !a.contains(n));
            }
            prop_assert_eq!(a.within(&b), (0..20).all(|n| !a.contains(n) || b.contains(n)));
            prop_assert_eq!(a.complement(0, 19).complement(0, 19), a.intersection(&Intervals::new([(0, 19)])));
        }
    }
}
