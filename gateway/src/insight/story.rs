//! A whole portrait in sentences, from its released figures only: what is named stands out from all rows together at 95 %, so
//! that a page of a hundred rows names none by chance. What can't be read is not told.

use crate::wire::decimal;
use proto::v1;
use std::cmp::Ordering;
use vault::release::ratio::stands_out_of;

/// Most rows that a sentence names.
const MOST: usize = 4;

/// Two-sided 95 % point of the normal distribution.
const Z_95: f64 = 1.96;

/// Adds the sentences to a response.
pub fn told(response: v1::ProfileResponse) -> v1::ProfileResponse {
    if response.release.is_none() {
        return response;
    }
    let text = text(&response);
    v1::ProfileResponse { text, ..response }
}

fn text(response: &v1::ProfileResponse) -> Vec<String> {
    let v1::ProfileResponse { members, rest, panels, change, .. } = response;
    let readable: Vec<&v1::ProfilePanel> = panels.iter().filter(|panel| panel.advice.is_empty()).collect();
    let mut text: Vec<String> = members.iter().map(|members| size(members, rest.as_ref())).collect();
    if readable.is_empty() {
        text.push("Too few people to say more of them at this price.".to_owned());
        return text;
    }
    text.extend(standing_out(&readable));
    let groups: Vec<String> = readable.iter().filter_map(|panel| largest(panel)).take(2 * MOST).collect();
    text.extend((!groups.is_empty()).then(|| format!("Largest groups: {}.", groups.join("; "))));
    let told = |panel: &&v1::ProfilePanel| match panel.part.as_str() {
        "hours" => busiest(panel).map(|runs| format!("Busiest hours ({}): {runs}.", panel.display.to_lowercase())),
        "weekdays" => busiest(panel).map(|runs| format!("Busiest days ({}): {runs}.", panel.display.to_lowercase())),
        _ => None,
    };
    text.extend(readable.iter().filter_map(told));
    // Halves of a trend can be told apart where its periods can't.
    let trends = panels.iter().filter(|panel| panel.part == "trend");
    text.extend(trends.filter_map(|panel| trend(panel, change.as_ref()?)));
    text
}

fn size(members: &v1::Estimate, rest: Option<&v1::Estimate>) -> String {
    let v1::Estimate { value, low, high } = *members;
    if low <= 0.0 {
        return format!("Fewer than {} people.", grouped(high.max((high - low) / 2.0).ceil()));
    }
    let of = rest.filter(|rest| rest.low > 0.0).map_or_else(String::new, |rest| {
        format!(", {:.0} % of all who could be", 100.0 * value / (value + rest.value))
    });
    format!("About {} people, give or take {}{of}.", grouped(value.round()), grouped(((high - low) / 2.0).ceil()))
}

/// Which rows have a larger or smaller share than in everyone, the farthest first.
fn standing_out(panels: &[&v1::ProfilePanel]) -> Vec<String> {
    let rows = || panels.iter().flat_map(|panel| panel.rows.iter().map(move |row| (*panel, row)));
    let reach = stands_out_of(rows().filter(|(_, row)| row.index.is_some()).count());
    let stands_out = |(panel, row): (&v1::ProfilePanel, &v1::ProfileRow)| {
        let index = row.index.filter(|index| deviations(index) > reach && !is_unknown(row))?;
        Some((name(panel, row), index))
    };
    let mut standing: Vec<(String, v1::Estimate)> =
        rows().filter(|(panel, _)| panel.part != "trend").filter_map(stands_out).collect();
    standing.sort_by(|(_, a), (_, b)| by_distance(a, b));
    let named = |above: bool| {
        let side = standing.iter().filter(|(_, index)| (index.value > 100.0) == above).take(MOST);
        let words =
            side.map(|(name, index)| format!("{name} (index {:.0}, {:.0}-{:.0})", index.value, index.low, index.high));
        words.collect::<Vec<_>>().join("; ")
    };
    let sentences = [("Over-represented: ", named(true)), ("Under-represented: ", named(false))];
    let said: Vec<String> = sentences
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(words, names)| format!("{words}{names}."))
        .collect();
    let compared = rows().any(|(_, row)| row.index.is_some());
    if said.is_empty() && compared { vec!["No difference from everyone is shown.".to_owned()] } else { said }
}

/// By the ends of the intervals that are nearer to 100: what is farther away beyond doubt comes first.
fn by_distance(a: &v1::Estimate, b: &v1::Estimate) -> Ordering {
    let nearer = |index: &v1::Estimate| if index.value > 100.0 { index.low } else { index.high };
    let distance = |index: &v1::Estimate| (nearer(index).max(1.0) / 100.0).ln().abs();
    distance(b).total_cmp(&distance(a))
}

/// How many standard deviations an index is from 100. Its interval is around its logarithm.
fn deviations(index: &v1::Estimate) -> f64 {
    let deviation = (index.high / index.value).ln() / Z_95;
    if deviation > 0.0 { (index.value / 100.0).ln().abs() / deviation } else { 0.0 }
}

/// Names the largest group of a panel, if it is larger than the next by more than noise explains.
fn largest(panel: &v1::ProfilePanel) -> Option<String> {
    if !["fields", "bands"].contains(&panel.part.as_str()) {
        return None;
    }
    let mut known: Vec<(&v1::ProfileRow, v1::Estimate)> =
        panel.rows.iter().filter(|row| !is_unknown(row)).filter_map(|row| Some((row, row.people?))).collect();
    known.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
    let [(first, a), (_, b), ..] = known.as_slice() else { return None };
    let gap = stands_out_of(known.len()) * half(a).hypot(half(b)) / Z_95;
    let share = first.share.map_or_else(String::new, |share| format!(" ({:.0} %)", share.value));
    (a.value - b.value > gap && a.low > 0.0)
        .then(|| format!("{} {}{share}", panel.display.to_lowercase(), words(&first.label)))
}

fn half(estimate: &v1::Estimate) -> f64 {
    (estimate.high - estimate.low) / 2.0
}

/// Names the times that are above the average of all by more than noise explains, and near the busiest one; neighbors
/// together. None if there is none, or if nearly all are.
fn busiest(panel: &v1::ProfilePanel) -> Option<String> {
    let people: Vec<v1::Estimate> = panel.rows.iter().filter_map(|row| row.people).collect();
    let middle = |estimate: &v1::Estimate| estimate.low.midpoint(estimate.high);
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let average = people.iter().map(middle).sum::<f64>() / people.len().max(1) as f64;
    let most = people.iter().map(middle).fold(0.0, f64::max);
    let reach = stands_out_of(people.len());
    let is_busy = |estimate: &v1::Estimate| {
        let above = middle(estimate) - average;
        above > reach * half(estimate) / Z_95 && middle(estimate) > average.midpoint(most)
    };
    let busy: Vec<bool> = people.iter().map(is_busy).collect();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for place in busy.iter().enumerate().filter(|(_, busy)| **busy).map(|(place, _)| place) {
        match runs.last_mut() {
            Some((_, end)) if *end == place => *end = place + 1,
            _ => runs.push((place, place + 1)),
        }
    }
    let label = |place: usize| panel.rows.get(place).map_or("", |row| row.label.as_str());
    let run = |(from, to): &(usize, usize)| match (panel.part.as_str(), to - from) {
        ("hours", _) => format!("{from}-{to} h"),
        (_, 1) => label(*from).to_owned(),
        _ => format!("{} to {}", label(*from), label(to - 1)),
    };
    (!runs.is_empty()).then(|| runs.iter().map(run).collect::<Vec<_>>().join(", "))
}

fn trend(panel: &v1::ProfilePanel, change: &v1::Estimate) -> Option<String> {
    let days: Vec<&str> = panel.rows.iter().map(|row| row.label.as_str()).collect();
    let (title, from) = (capitalized(&panel.display), days.first()?);
    let v1::Estimate { value, low, high } = change;
    if *low <= 0.0 && *high >= 0.0 {
        return Some(format!("{title} since {from}: no change shown between the first half and the second."));
    }
    let direction = if *value > 0.0 { "rising" } else { "falling" };
    Some(format!(
        "{title} since {from}: {direction}, {value:+.0} % ({low:+.0} to {high:+.0}) from the first half to the second."
    ))
}

fn name(panel: &v1::ProfilePanel, row: &v1::ProfileRow) -> String {
    let time = if panel.part == "hours" { " h" } else { "" };
    format!("{} {}{time}", panel.display.to_lowercase(), words(&row.label))
}

fn words(label: &str) -> &str {
    match label {
        "true" => "yes",
        "false" => "no",
        label => label,
    }
}

fn is_unknown(row: &v1::ProfileRow) -> bool {
    ["(missing)", "(none)"].contains(&row.label.as_str())
}

fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Writes a number rounded to a whole one, not below 0.
fn grouped(number: f64) -> String {
    decimal::grouped(&format!("{:.0}", number.max(0.0)))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests;
