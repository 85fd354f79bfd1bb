//! A whole portrait as it is drawn. What noise would only dress as numbers is left out, and what to ask instead is said.

use super::{capitalized, estimate_json, figure_of, sheet};
use crate::cli::chart::{Contrasted, Figure, Of, Profile, ProfilePanel, ProfileRow, Unit};
use proto::v1;
use serde_json::{Value, json};

/// Most rows of a field of events: the most frequent.
const MOST: usize = 6;

/// A panel is left out if its half-width is more than this part of the average row: half of what is there might be noise.
const HOPELESS_PART: f64 = 2.0;

/// Builds the page. `base` says whom members are compared with.
pub fn profile(response: &v1::ProfileResponse, release: &v1::Release, title: &str, base: &str) -> Profile {
    let v1::ProfileResponse { plan: _, release: _, members, rest, panels, change: _, last_is_open, text } = response;
    let count = |estimate: &v1::Estimate| figure_of(estimate, Unit::Count);
    let (hopeless, shown): (Vec<_>, Vec<_>) = panels.iter().partition(|panel| is_hopeless(panel));
    let few = shown.iter().any(|panel| !panel.advice.is_empty());
    let unreadable = if shown.is_empty() && !hopeless.is_empty() {
        vec![format!(
            "Too few people for a whole portrait at this price. What helps: ask only how many they are, or for a few parts \
             (--parts bands), or about more people: everyone, a wider segment, a shared dataset of several shops{}.",
            readable_from(response)
        )]
    } else {
        advice(&hopeless, few)
    };
    Profile {
        sheet: sheet(release, title, Vec::new()),
        size: members.as_ref().map(count),
        rest: rest.as_ref().map(count),
        base: base.to_owned(),
        text: text.clone(),
        panels: shown.into_iter().map(panel).collect(),
        unreadable,
        last_is_open: *last_is_open,
    }
}

/// Says what is left out, and what would help there and where intervals are wide.
fn advice(hopeless: &[&v1::ProfilePanel], few: bool) -> Vec<String> {
    let names: Vec<String> =
        hopeless.iter().map(|panel| format!("{}{}", panel.display.to_lowercase(), suffix(panel))).collect();
    let left_out = match names.as_slice() {
        [] if !few => return Vec::new(),
        [] => "Few people make intervals wide.".to_owned(),
        names => format!("Too few people for {}.", names.join(", ")),
    };
    let helps = "What helps: fewer parts (--parts fields), a higher price (--rho), a wider segment.";
    vec![format!("{left_out} {helps}")]
}

fn suffix(panel: &v1::ProfilePanel) -> &'static str {
    match panel.part.as_str() {
        "hours" => " by hour of day",
        "weekdays" => " by weekday",
        "trend" => " over time",
        _ => "",
    }
}

fn readable_from(response: &v1::ProfileResponse) -> String {
    let from = response.plan.as_ref().map_or(0, |plan| plan.readable_from);
    if from == 0 {
        String::new()
    } else {
        format!(". All of it can be read of about {} people", crate::cli::chart::grouped(from))
    }
}

fn is_hopeless(panel: &v1::ProfilePanel) -> bool {
    let people = || panel.rows.iter().filter(|row| !is_unknown(row)).filter_map(|row| row.people);
    let sum: f64 = people().map(|people| people.low.midpoint(people.high)).sum();
    let half = people().map(|people| (people.high - people.low) / 2.0).fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let average = sum / people().count().max(1) as f64;
    !panel.advice.is_empty() && average < HOPELESS_PART * half
}

fn is_unknown(row: &v1::ProfileRow) -> bool {
    ["(missing)", "(none)"].contains(&row.label.as_str())
}

fn panel(panel: &v1::ProfilePanel) -> ProfilePanel {
    let v1::ProfilePanel { part, name, display, rows, counts_fully_in, advice } = panel;
    let of = match part.as_str() {
        "hours" => Of::Hours,
        "weekdays" => Of::Weekdays,
        "trend" => Of::Trend,
        "fields" if name.contains('.') => Of::Ranked,
        _ => Of::Values,
    };
    let (unknown, mut known): (Vec<ProfileRow>, Vec<ProfileRow>) =
        rows.iter().map(row).partition(|row| ["(missing)", "(none)"].contains(&row.compared.label.as_str()));
    if known.iter().map(|row| row.compared.label.as_str()).eq(["false", "true"]) {
        for (row, words) in known.iter_mut().zip(["no", "yes"]) {
            words.clone_into(&mut row.compared.label);
        }
    }
    let mut hidden = 0;
    if of == Of::Ranked {
        known.sort_by(|a, b| b.people.value.total_cmp(&a.people.value));
        hidden = known.len().saturating_sub(MOST);
        known.truncate(MOST);
    }
    let is_there = |row: &ProfileRow| row.people.low > 0.0;
    let words = if part == "bands" { "none of these" } else { "not known" };
    let named =
        |row: ProfileRow| ProfileRow { compared: Contrasted { label: words.to_owned(), ..row.compared }, ..row };
    known.extend(unknown.into_iter().filter(is_there).map(named));
    ProfilePanel {
        title: format!("{}{}", capitalized(display), suffix(panel)),
        of,
        rows: known,
        hidden,
        counts_fully_in: *counts_fully_in,
        is_uncertain: !advice.is_empty(),
    }
}

fn row(row: &v1::ProfileRow) -> ProfileRow {
    let v1::ProfileRow { label, people, share, share_of_rest, index, differs } = row;
    let percent = |share: &v1::Estimate| figure_of(share, Unit::Percent);
    ProfileRow {
        people: people.as_ref().map_or_else(Figure::default, |people| figure_of(people, Unit::Count)),
        compared: Contrasted {
            label: label.clone(),
            share: share.as_ref().map(percent),
            rest: share_of_rest.as_ref().map(percent),
            index: index.as_ref().map(|index| figure_of(index, Unit::Signed)),
            differs: *differs,
        },
    }
}

/// Writes what follows from a whole portrait for a program.
pub fn profile_json(response: &v1::ProfileResponse) -> Vec<(&'static str, Value)> {
    let v1::ProfileResponse { plan: _, release: _, members, rest, panels, change, last_is_open, text } = response;
    let estimate = |one: &Option<v1::Estimate>| json!(one.as_ref().map(estimate_json));
    let panels: Vec<Value> = panels.iter().map(panel_json).collect();
    vec![
        ("members", estimate(members)),
        ("rest", estimate(rest)),
        ("panels", json!(panels)),
        ("change", estimate(change)),
        ("last_is_open", json!(last_is_open)),
        ("text", json!(text)),
    ]
}

fn panel_json(panel: &v1::ProfilePanel) -> Value {
    let v1::ProfilePanel { part, name, display, rows, counts_fully_in, advice } = panel;
    let rows: Vec<Value> = rows.iter().map(row_json).collect();
    json!({
        "part": part, "name": name, "display": display, "rows": rows, "counts_fully_in": counts_fully_in,
        "advice": (!advice.is_empty()).then_some(advice),
    })
}

fn row_json(row: &v1::ProfileRow) -> Value {
    let v1::ProfileRow { label, people, share, share_of_rest, index, differs } = row;
    let [people, share, share_of_rest, index] =
        [people, share, share_of_rest, index].map(|one| one.as_ref().map(estimate_json));
    json!({
        "label": label, "people": people, "share": share, "share_of_rest": share_of_rest, "index": index,
        "differs": differs,
    })
}
