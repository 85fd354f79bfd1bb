//! Cut points, used: by whoever may count what they cut and of whom, for purposes that their tokens carry.

use super::question::View;
use super::rfm;
use crate::pipeline::Call;
use crate::records::{self, CutPointsBody, StoredCutPoints};
use crate::status::Failure;
use crate::wire::{cut_points, names, page};
use policy::decide::Reason;
use policy::id::DatasetId;
use policy::permit::Verb;
use policy::segment::{Number, NumberKind};
use proto::v1;
use std::collections::BTreeMap;

/// Returns released cut points; the newest version if the name has none.
pub fn get(call: &mut Call, request: v1::GetCutPointsRequest) -> Result<v1::GetCutPointsResponse, Failure> {
    let v1::GetCutPointsRequest { name, r#use } = request;
    let wanted = names::cut_points(&name)?;
    let view = View::open(call, &names::of_dataset(&wanted.dataset), r#use, Verb::Release)?;
    let all = stored(call, &wanted.dataset)?.into_iter().filter(|known| known.id == wanted.cut_points);
    let all = all.filter(|kept| view.may_know_of(&kept.body));
    let fits = |known: &StoredCutPoints| wanted.version.is_none_or(|version| version == known.version);
    let found = all.filter(fits).max_by_key(|known| known.version).ok_or_else(none)?;
    Ok(v1::GetCutPointsResponse { cut_points: Some(show(&view, &found)?) })
}

/// Lists the newest versions.
pub fn list(call: &mut Call, request: v1::ListCutPointsRequest) -> Result<v1::ListCutPointsResponse, Failure> {
    let v1::ListCutPointsRequest { dataset, page_size, page_token, r#use } = request;
    let bound = format!("cut points {dataset} {:?}", r#use);
    let view = View::open(call, &dataset, r#use, Verb::Release)?;
    let mut newest = BTreeMap::new();
    // What this caller may not know of is not there, not even as a newer version.
    for known in stored(call, &view.schema.dataset)?.into_iter().filter(|kept| view.may_know_of(&kept.body)) {
        // Records come in order of version, so the last one stays.
        newest.insert(known.id.clone(), known);
    }
    let shown = newest.into_values().filter_map(|known| Some((known.id.to_string(), show(&view, &known).ok()?)));
    let (cut_points, next_page_token) = page::cut(shown.collect(), &bound, (page_size, &page_token))?;
    Ok(v1::ListCutPointsResponse { cut_points, next_page_token })
}

fn show(view: &View, stored: &StoredCutPoints) -> Result<v1::CutPoints, Failure> {
    let number = known(view, &stored.body)?;
    Ok(cut_points::encode(stored, stored_words(&number, &stored.body.cuts)))
}

/// Returns the bands of a measure of the description, or of `cutPoints/name@1`, the most valuable or the highest first.
pub fn bands(call: &Call, view: &View, measure: &str) -> Result<v1::BandList, Failure> {
    let Some(short) = measure.strip_prefix("cutPoints/") else { return rfm::bands(&view.schema, measure) };
    let name = format!("{}/{measure}", names::of_dataset(&view.schema.dataset));
    let wanted = names::cut_points(&name).map_err(|_| unnamed())?;
    let version = wanted.version.ok_or_else(unnamed)?;
    let all = stored(call, &wanted.dataset)?;
    let found = all.into_iter().find(|known| known.id == wanted.cut_points && known.version == version);
    let found = found.ok_or_else(none)?;
    let number = known(view, &found.body)?;
    let band = |(place, words): (usize, &String)| v1::Named {
        name: format!("{place}: {words}"),
        segment: Some(v1::SegmentSource {
            source: Some(v1::segment_source::Source::Cel(format!("band(\"{measure}\") == {place}"))),
        }),
    };
    let mut bands: Vec<v1::Named> = (1..).zip(&stored_words(&number, &found.body.cuts)).map(band).collect();
    bands.reverse();
    Ok(v1::BandList { name: short.to_owned(), bands })
}

/// What cut points cut, if the caller may know of them.
fn known(view: &View, body: &CutPointsBody) -> Result<Number, Failure> {
    if view.may_know_of(body) { view.number(&body.number) } else { Err(none()) }
}

fn unnamed() -> Failure {
    Failure::invalid("rfm", "must name a version of cut points, such as `cutPoints/spend@1`")
}

fn none() -> Failure {
    Failure::refused(
        Reason::FieldUnavailable,
        "these cut points aren't available to this client, or don't exist",
        "list the cut points of the dataset, or release some",
    )
}

pub(super) fn stored(call: &Call, dataset: &DatasetId) -> Result<Vec<StoredCutPoints>, Failure> {
    let records = call.app.vault.records(records::CUT_POINTS);
    let read = records.iter().map(|(key, bytes)| StoredCutPoints::decode(key, bytes));
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|_| Failure::Defect("stored cut points can't be read"))?;
    Ok(all.into_iter().filter(|known| known.dataset == *dataset).collect())
}

pub(super) fn stored_words(number: &Number, cuts: &[String]) -> Vec<String> {
    let units: Vec<i64> = cuts.iter().filter_map(|cut| number.units(cut)).collect();
    words(number, &units)
}

/// What the bands between cuts are called, number 1 first.
pub(super) fn words(number: &Number, cuts: &[i64]) -> Vec<String> {
    if number.fewest_is_last() {
        return rfm::days_ago(cuts);
    }
    let whole = matches!(number.kind(), NumberKind::Times | NumberKind::Days);
    let between = |low: i64, high: i64| match (whole, high - 1 == low) {
        (true, true) => number.show(low),
        (true, false) => format!("{}-{}", number.show(low), number.show(high - 1)),
        (false, _) => format!("{} to below {}", number.show(low), number.show(high)),
    };
    let first = cuts.first().map(|cut| format!("below {}", number.show(*cut)));
    let middle = cuts.iter().zip(cuts.iter().skip(1)).map(|(low, high)| between(*low, *high));
    let last = cuts.last().map(|cut| format!("{} and more", number.show(*cut)));
    first.into_iter().chain(middle).chain(last).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::schema::parse;

    fn number(text: &str) -> Number {
        let schema = parse(include_str!("../../../deploy/datasets/coop/schema.toml")).unwrap();
        Number::read(text, &schema, &|_| true).unwrap()
    }

    #[test]
    fn bands_are_named_in_order_of_their_numbers() {
        let spent = number("order.last(\"90d\").sum(amount)");
        assert_eq!(words(&spent, &[5_000, 12_000]), ["below 50.00", "50.00 to below 120.00", "120.00 and more"]);
        assert_eq!(words(&number("order.count()"), &[2, 3, 6]), ["below 2", "2", "3-5", "6 and more"]);
        assert_eq!(words(&number("rfm.recency"), &[30, 90]), ["over 90 days ago", "31-90 days ago", "within 30 days"]);
        let first = number("order.days_since_first()");
        assert_eq!(words(&first, &[30, 90]), ["below 30", "30-89", "90 and more"]);
    }
}
