//! Where numbers may be cut: public, round, and never taken from data.

use super::NumberKind;

/// Most candidates of one number: with each there is a cell more, and noise with it.
pub const MAX_CANDIDATES: usize = 127;

/// Round numbers of a decade, from 1.0 to below 10, in tenths: 24, and every second, fourth and eighth of them. Neighbors of
/// the finest are about a tenth apart, so that a cut is never far from where it should be.
const DECADE: [i64; 24] =
    [10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90];

/// Bands up to which every second candidate is enough, which leaves more people for the noise of each cut.
const FEW_BANDS: u32 = 5;

/// Returns rising candidates from `from` to `to`, both in units of the number, at most [`MAX_CANDIDATES`], and as fine as so many
/// bands want them; `None` where `from` is above `to`, where sizes are to begin at 0 or below, and where no round number is
/// between them.
pub(super) fn candidates(kind: NumberKind, (from, to): (i64, i64), bands: u32) -> Option<Vec<i64>> {
    let list = match kind {
        NumberKind::Days => of_calendar(from, to),
        NumberKind::Times | NumberKind::Amount if from > 0 => round(from, to),
        NumberKind::Times | NumberKind::Amount => return None,
        NumberKind::Value => evenly(from, to),
    };
    let every = if bands <= FEW_BANDS && list.len() > FEW { 2 } else { 1 };
    let list: Vec<i64> = list.into_iter().step_by(every).collect();
    (!list.is_empty()).then_some(list)
}

/// So many are never too many.
const FEW: usize = 20;

/// Days for two weeks, weeks for half a year, and so on.
fn of_calendar(from: i64, to: i64) -> Vec<i64> {
    let spans = [(1, 14, 1), (21, 182, 7), (196, 364, 14), (395, 730, 30), (820, 1_825, 90), (2_190, 7_300, 365)];
    let days = spans.into_iter().flat_map(|(first, last, step)| (first..=last).step_by(step));
    days.filter(|day| (from..=to).contains(day)).collect()
}

/// Round numbers, as many in each decade as there is room for.
fn round(from: i64, to: i64) -> Vec<i64> {
    let of_every = |nth: usize| of_every(nth, from, to);
    [1, 2, 4].into_iter().map(of_every).find(|list| list.len() <= MAX_CANDIDATES).unwrap_or_else(|| of_every(8))
}

/// Every `nth` of the round numbers of each decade.
fn of_every(nth: usize, from: i64, to: i64) -> Vec<i64> {
    let decades = (0..=18_u32).map(|power| 10_i128.pow(power));
    let sizes = decades.flat_map(|ten| DECADE.iter().step_by(nth).map(move |tenths| i128::from(*tenths) * ten));
    let whole = sizes.filter(|tenths| tenths % 10 == 0).filter_map(|tenths| i64::try_from(tenths / 10).ok());
    whole.filter(|size| (from..=to).contains(size)).collect()
}

/// Returns round sizes from `from` to `to`, six a decade and five up to 10: 1, 2, 3, 5, 7, 10, 15, 22, 33, 50, 70. Rising; none
/// where `from` is above `to`.
pub fn round_sizes(from: u64, to: u64) -> Vec<u64> {
    const SMALL: [i64; 5] = [1, 2, 3, 5, 7];
    let [from, to] = [from, to].map(|end| i64::try_from(end).unwrap_or(i64::MAX));
    let sizes = SMALL.into_iter().chain(of_every(4, 10, i64::MAX));
    sizes.filter(|size| (from..=to).contains(size)).filter_map(|size| u64::try_from(size).ok()).collect()
}

/// Multiples of the least of 1, 2, 5, 10, 20, .. with which there are few enough.
fn evenly(from: i64, to: i64) -> Vec<i64> {
    let reach = (i128::from(to) - i128::from(from)).max(1);
    let mut steps = (0..=19_u32).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i128.pow(power)));
    let Some(step) = steps.find(|step| reach / step < MAX_CANDIDATES as i128) else { return Vec::new() };
    let first = (i128::from(from) + step - 1).div_euclid(step);
    let multiples = (first..).map(|nth| nth * step).take_while(|multiple| *multiple <= i128::from(to));
    multiples.take(MAX_CANDIDATES).filter_map(|multiple| i64::try_from(multiple).ok()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_round_rising_and_few() {
        let ranges = [(1, 2), (1, 10), (1, 10_000), (100, 10_000_000), (1, i64::MAX), (7, 8), (i64::MAX - 1, i64::MAX)];
        for kind in [NumberKind::Days, NumberKind::Times, NumberKind::Amount, NumberKind::Value] {
            for (from, to) in ranges {
                let Some(list) = candidates(kind, (from, to), 10) else {
                    assert!((kind, from) == (NumberKind::Days, i64::MAX - 1) || from > 1 << 60, "{kind:?} {from} {to}");
                    continue;
                };
                assert!(list.is_sorted_by(|a, b| a < b), "{kind:?} {from} {to}");
                assert!((1..=MAX_CANDIDATES).contains(&list.len()), "{kind:?} {from} {to}: {}", list.len());
                assert!(list.iter().all(|cut| (from..=to).contains(cut)), "{kind:?} {from} {to}");
            }
        }
        assert_eq!(
            candidates(NumberKind::Times, (2, 20), 10).unwrap(),
            [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 20]
        );
        assert_eq!(
            candidates(NumberKind::Amount, (100, 10_000_000), 10).unwrap().len(),
            121,
            "24 a decade, and the last"
        );
        assert_eq!(candidates(NumberKind::Value, (0, 120), 10).unwrap().len(), 121);
        assert_eq!(candidates(NumberKind::Value, (-500, 500), 10).unwrap().get(..3).unwrap(), [-500, -490, -480]);
        assert_eq!(candidates(NumberKind::Days, (10, 30), 10).unwrap(), [10, 11, 12, 13, 14, 21, 28]);
        let fewer = candidates(NumberKind::Amount, (100, 10_000_000), 5).unwrap();
        assert_eq!((fewer.len(), fewer.get(..4).unwrap()), (61, &[100, 120, 150, 180][..]));
        assert_eq!(candidates(NumberKind::Value, (1, 1), 2).unwrap(), [1], "of 0 or 1");
        for wrong in [(6, 5), (0, 5), (-3, 5), (14, 14)] {
            assert_eq!(candidates(NumberKind::Amount, wrong, 10), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_round_and_six_a_decade() {
        assert_eq!(round_sizes(1, 120), [1, 2, 3, 5, 7, 10, 15, 22, 33, 50, 70, 100]);
        assert_eq!(round_sizes(100, 10_000_000).len(), 31);
        assert_eq!(round_sizes(8, 9), [0; 0]);
        assert_eq!(round_sizes(9, 8), [0; 0]);
        let all = round_sizes(0, u64::MAX);
        assert!(all.is_sorted_by(|a, b| a < b) && all.len() > 100);
    }

    #[test]
    fn neighbors_of_the_finest_are_within_a_sixth() {
        let list = candidates(NumberKind::Amount, (1_000, 10_000_000), 10).unwrap();
        assert!(list.iter().zip(list.iter().skip(1)).all(|(low, high)| (high - low) * 6 <= *low), "{list:?}");
    }
}
