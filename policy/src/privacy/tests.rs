use super::*;
use crate::time::Timestamp;

#[test]
fn decimals_are_read_and_written_exactly() {
    for (text, nano) in [
        ("0.01", 10_000_000),
        ("0.001", 1_000_000),
        ("0.000000001", 1),
        ("0.2", 200_000_000),
        ("1", 1_000_000_000),
        ("12.5", 12_500_000_000),
        ("0", 0),
        ("18446744073.709551615", u64::MAX),
    ] {
        let rho: NanoRho = text.parse().unwrap();
        assert_eq!(rho, NanoRho(nano));
        assert_eq!(rho.to_string(), text);
    }
    assert_eq!("0.200".parse::<NanoRho>().unwrap().to_string(), "0.2");
    assert_eq!("007".parse::<NanoRho>().unwrap(), NanoRho(7_000_000_000));
}

#[test]
fn what_is_not_a_plain_decimal_is_refused() {
    let texts = [
        "",
        ".",
        ".5",
        "1.",
        "-1",
        "+1",
        "1e-3",
        "0x1",
        "1,5",
        " 1",
        "0.0000000001",
        "18446744073.709551616",
        "1.2.3",
        "٣",
        "1.+5",
    ];
    for text in texts {
        assert!(text.parse::<NanoRho>().is_err(), "{text:?}");
    }
}

#[test]
fn ten_tenths_are_one() {
    let tenth: NanoRho = "0.1".parse().unwrap();
    let sum = (0..10).try_fold(NanoRho::ZERO, |sum, _| sum.checked_add(tenth)).unwrap();
    assert_eq!(sum.to_string(), "1");
    assert_eq!(NanoRho(u64::MAX).checked_add(NanoRho(1)), None);
}

#[test]
fn quarters_follow_the_calendar() {
    // Seconds from `date -u -d ... +%s`.
    for (seconds, text) in [
        (0, "1970-Q1"),
        (-1, "1969-Q4"),
        (951_782_400, "2000-Q1"),
        (954_547_199, "2000-Q1"),
        (954_547_200, "2000-Q2"),
        (1_719_791_999, "2024-Q2"),
        (1_719_792_000, "2024-Q3"),
        (1_790_812_799, "2026-Q3"),
        (1_790_812_800, "2026-Q4"),
        (1_798_761_599, "2026-Q4"),
        (1_798_761_600, "2027-Q1"),
        (4_107_542_400, "2100-Q1"),
    ] {
        assert_eq!(Quarter::of(Timestamp::from_seconds(seconds)).to_string(), text, "{seconds}");
    }
    let last = Quarter::of(Timestamp::from_seconds(1_798_761_599));
    assert_eq!(last.first_day(), "2026-10-01");
    assert_eq!(last.next().first_day(), "2027-01-01");
    assert_eq!(last, Quarter(2026 * 4 + 3));
    assert_eq!(last.next().start(), Timestamp::from_seconds(1_798_761_600));
    for number in [0, 1, 4 * 1970, 4 * 1999 + 3, 4 * 2000, 4 * 2000 + 1, 4 * 2100 + 1, 4 * 9_999] {
        let quarter = Quarter(number);
        let before = Timestamp(quarter.start().0 - 1);
        assert_eq!(Quarter::of(quarter.start()), quarter);
        assert_eq!(Quarter::of(before), Quarter(number.saturating_sub(1)), "{quarter}");
    }
    let december = Month::of(Timestamp::from_seconds(1_798_761_599));
    assert_eq!((december.first_day().as_str(), december.next().first_day().as_str()), ("2026-12-01", "2027-01-01"));
    assert_eq!((december.quarter(), Month::from(last)), (last, december));
    assert_eq!(Quarter::of(Timestamp(i64::MIN)), Quarter(0));
    assert!(Quarter::of(Timestamp(i64::MAX)) > last);
}

#[test]
fn a_month_is_that_of_the_calendar_on_the_wall() {
    let local = |seconds, zone| Month::local(Timestamp::from_seconds(seconds), zone).map(|month| month.to_string());
    // 2026-09-30T23:00:00Z is midnight in London, a day later in Tokyo, and still the day before in New York.
    let midnight = 1_790_809_200;
    for (zone, month) in [("Europe/London", "2026-10"), ("Asia/Tokyo", "2026-10"), ("America/New_York", "2026-09")] {
        assert_eq!(local(midnight, zone).as_deref(), Some(month), "{zone}");
    }
    assert_eq!(local(midnight - 1, "Europe/London").as_deref(), Some("2026-09"));
    assert_eq!(local(midnight, "UTC"), Some(Month::of(Timestamp::from_seconds(midnight)).to_string()));
    assert_eq!((local(midnight, "Nowhere/At_All"), local(i64::MAX, "UTC")), (None, None));
}

#[test]
fn epsilons_round_up_and_deltas_are_exact() {
    assert_eq!(Epsilon::new(3.891).unwrap().to_string(), "3.90");
    assert_eq!(Epsilon::new(f64::NAN), None);
    assert_eq!(Epsilon::new(-0.1), None);
    assert_eq!(Epsilon::new(f64::INFINITY), None);
    assert_eq!(DEFAULT_DELTA.to_string(), "1e-9");
    assert_eq!(DEFAULT_DELTA.checked_add(DEFAULT_DELTA).unwrap().to_string(), "2e-9");
}

#[test]
fn the_defaults_give_the_accuracy_that_is_promised() {
    assert_eq!(half_width_95(sigma_of_count(DEFAULT_SIZE_RHO)).floor() as u64, 44);
    assert_eq!(half_width_95(sigma(8, DEFAULT_PORTRAIT_RHO)).floor() as u64, 39);
    assert_eq!(DEFAULT_CAP_LIFETIME.0, 4 * DEFAULT_CAP_QUARTER.0);
    assert_eq!(basis_points_of_cap(DEFAULT_SIZE_RHO, DEFAULT_CAP_QUARTER), Some(50));
}

#[test]
fn a_share_of_a_cap_rounds_up() {
    assert_eq!(basis_points_of_cap(NanoRho(1), NanoRho(200_000_000)), Some(1));
    assert_eq!(basis_points_of_cap(NanoRho::ZERO, NanoRho(1)), Some(0));
    assert_eq!(basis_points_of_cap(NanoRho(1), NanoRho::ZERO), None);
    assert_eq!(basis_points_of_cap(NanoRho(u64::MAX), NanoRho(1)), Some(u64::MAX));
}

#[test]
fn the_price_of_an_accuracy_is_enough_and_not_more() {
    for sensitivity_squared in [1, 3, 8, 1_000, 1_048_576] {
        for half_width in [0.6, 1.0, 5.0, 44.3, 50.0, 1_000.0, 1e6] {
            let Some(rho) = rho_for_half_width(half_width, sensitivity_squared) else {
                panic!("{half_width} {sensitivity_squared}")
            };
            assert!(half_width_95(sigma(sensitivity_squared, rho)) <= half_width, "{half_width} {sensitivity_squared}");
            let cheaper = rho.saturating_sub(NanoRho(2 + (rho.0 >> 46)));
            assert!(rho.0 < 4 || half_width_95(sigma(sensitivity_squared, cheaper)) > half_width);
        }
    }
    for impossible in [0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(rho_for_half_width(impossible, 1), None);
    }
}

#[test]
fn advice_names_people_and_price_only_where_the_answer_would_be_coarse() {
    assert_eq!(advise(1_000_000, 16, 8, DEFAULT_PORTRAIT_RHO), None);
    let advice = advise(1_000, 16, 8, DEFAULT_PORTRAIT_RHO).unwrap();
    // 16 cells of at least 4 * 39.7 people are 2,541; 1,541 are missing, in two digits 1,600.
    assert_eq!(advice.more_people, 1_600);
    assert_eq!(advise(1_000 + advice.more_people, 16, 8, DEFAULT_PORTRAIT_RHO), None);
    assert_eq!(advise(1_000, 16, 8, advice.rho.unwrap()), None);
    assert!(advice.to_string().starts_with("this needs about 1600 more people: "));
    assert_eq!(advise(0, 16, 8, DEFAULT_PORTRAIT_RHO).unwrap().rho, None);
    assert!(advise(u64::MAX, 0, u64::MAX, NanoRho::ZERO).is_some());
}
