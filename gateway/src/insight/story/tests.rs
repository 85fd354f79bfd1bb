use super::*;

fn estimate(value: f64, half: f64) -> v1::Estimate {
    v1::Estimate { value, low: value - half, high: value + half }
}

/// An index with its interval around the logarithm.
fn index(value: f64, factor: f64) -> v1::Estimate {
    v1::Estimate { value, low: value / factor, high: value * factor }
}

fn row(label: &str, people: f64, index: Option<v1::Estimate>) -> v1::ProfileRow {
    let share = Some(estimate(people / 10.0, 4.9));
    v1::ProfileRow { label: label.into(), people: Some(estimate(people, 49.0)), share, index, ..Default::default() }
}

fn panel(part: &str, display: &str, rows: Vec<v1::ProfileRow>) -> v1::ProfilePanel {
    v1::ProfilePanel { part: part.into(), display: display.into(), rows, ..Default::default() }
}

fn response(panels: Vec<v1::ProfilePanel>) -> v1::ProfileResponse {
    let (members, rest) = (Some(estimate(1_000.0, 30.0)), Some(estimate(3_000.0, 30.0)));
    v1::ProfileResponse { members, rest, panels, ..Default::default() }
}

#[test]
fn only_what_stands_out_from_the_whole_page_is_named() {
    let sex = panel(
        "fields",
        "Sex",
        vec![row("female", 700.0, Some(index(132.0, 1.08))), row("male", 300.0, Some(index(68.0, 1.1)))],
    );
    // Of twenty rows one looks different by chance: this one is 2.4 deviations away.
    let region =
        (0..20).map(|nth| row(&format!("r{nth}"), 50.0, Some(index(if nth == 3 { 112.0 } else { 101.0 }, 1.096))));
    let told = text(&response(vec![sex, panel("fields", "Region", region.collect())]));
    let expected = [
        "About 1,000 people, give or take 30, 25 % of all who could be.",
        "Over-represented: sex female (index 132, 122-143).",
        "Under-represented: sex male (index 68, 62-75).",
        "Largest groups: sex female (70 %).",
    ];
    assert_eq!(told, expected);
    let rows = vec![row("wide", 60.0, Some(index(500.0, 2.2))), row("narrow", 60.0, Some(index(300.0, 1.1)))];
    let told = text(&response(vec![panel("fields", "Sex", rows)]));
    assert!(told[1].starts_with("Over-represented: sex narrow"), "what is sure comes first: {told:?}");
    let same = panel("fields", "Sex", vec![row("female", 500.0, Some(index(100.0, 1.1))), row("male", 490.0, None)]);
    assert_eq!(text(&response(vec![same])).get(1).map(String::as_str), Some("No difference from everyone is shown."));
}

#[test]
fn times_are_named_where_they_are_above_the_average_beyond_doubt() {
    let hours = |busy: &[usize]| {
        let people = |hour| if busy.contains(&hour) { 600.0 } else { 200.0 };
        panel("hours", "Orders", (0..24).map(|hour| row(&format!("{hour:02}"), people(hour), None)).collect())
    };
    let told = |panel: v1::ProfilePanel| text(&response(vec![panel]));
    assert!(told(hours(&[18, 19, 21])).contains(&"Busiest hours (orders): 18-20 h, 21-22 h.".to_owned()));
    assert_eq!(told(hours(&[])).len(), 1, "no hour is busier than others");
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let people = |day: &&str| if day.starts_with('S') { 900.0 } else { 300.0 };
    let days = panel("weekdays", "Orders", days.iter().map(|day| row(day, people(day), None)).collect());
    assert!(told(days).contains(&"Busiest days (orders): Saturday to Sunday.".to_owned()));
}

#[test]
fn a_trend_says_its_direction_or_that_none_is_shown() {
    let told = |change| {
        let rows = vec![row("2026-01-05", 300.0, None), row("2026-01-12", 400.0, None)];
        let mut response = response(vec![panel("trend", "Orders", rows)]);
        response.change = change;
        text(&response).into_iter().nth(1)
    };
    let rising = told(Some(estimate(12.0, 8.0)));
    assert_eq!(
        rising.as_deref(),
        Some("Orders since 2026-01-05: rising, +12 % (+4 to +20) from the first half to the second.")
    );
    assert!(told(Some(estimate(-30.0, 8.0))).is_some_and(|told| told.contains("falling, -30 % (-38 to -22)")));
    assert!(told(Some(estimate(5.0, 8.0))).is_some_and(|told| told.contains("no change shown")));
    assert_eq!(told(None), None);
}

#[test]
fn too_few_people_are_not_described() {
    let mut sex = panel("fields", "Sex", vec![row("female", 70.0, None), row("male", 10.0, None)]);
    sex.advice = "Too few people".into();
    let mut few = response(vec![sex]);
    few.members = Some(estimate(20.0, 48.0));
    assert_eq!(text(&few), ["Fewer than 68 people.", "Too few people to say more of them at this price."]);
    assert_eq!(told(few).text, Vec::<String>::new(), "nothing is told of what was not released");
}
