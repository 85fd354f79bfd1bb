//! Released cut points: found once by a charged release over public candidates, kept as versions that never change, and used as
//! bands by whoever may count what they cut.
//!
//! What is kept follows from released numbers alone, so it is as public as the release, for other purposes too. It stands when
//! people withdraw or are erased, as the release does; the next version is of those who are left.

use super::parts;
use super::question::{self, View};
use super::rfm;
use crate::pace;
use crate::pipeline::{Call, UsedFor};
use crate::records::{self, CutPointsBody, StoredCutPoints};
use crate::status::Failure;
use crate::wire::{cut_points, names, page};
use policy::decide::Reason;
use policy::id::{CutPointsId, DatasetId};
use policy::permit::Verb;
use policy::privacy::NanoRho;
use policy::segment::{Number, NumberKind, Segment};
use policy::treatment::Treatment;
use proto::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use vault::release::cuts::{Cuts, NoCuts, cuts, people_needed_1024};
use vault::release::ratio::Interval;
use vault::release::{Answer, Kind};

/// Into how many bands a number is cut.
const BANDS: std::ops::RangeInclusive<u32> = 2..=10;

/// Asks, finds and keeps cut points.
pub fn release(call: &mut Call, request: v1::ReleaseCutPointsRequest) -> Result<v1::ReleaseCutPointsResponse, Failure> {
    let v1::ReleaseCutPointsRequest { ask, cut_points_id, of, bands, from, to } = request;
    let id =
        CutPointsId::new(&cut_points_id).map_err(|problem| Failure::invalid("cut_points_id", problem.to_string()))?;
    if !BANDS.contains(&bands) {
        return Err(Failure::invalid("bands", "must be 2 to 10"));
    }
    let asked = parts::asked(ask);
    let (dataset, used, universe) = (asked.dataset.clone(), asked.used.clone(), asked.universe.clone());
    let mut found = None;
    let mut answered = question::answer(call, asked, pace::Kind::Table, |_, view, _| {
        let number = view.number(&of)?;
        let candidates = candidates(&number, &from, &to)?;
        let lists = vec![number.bands(&candidates, &view.schema)];
        found = Some((number, candidates));
        Ok(Kind::Bands { lists })
    })?;
    let (number, candidates) = found.ok_or(Failure::Defect("nothing was cut"))?;
    answered.plan.readable_from = readable_from(&answered.plan, candidates.len() + 1, bands);
    let (Some(answer), Some(release)) = (&answered.answer, &mut answered.release) else {
        let (plan, none) = (Some(answered.plan), String::new());
        return Ok(v1::ReleaseCutPointsResponse { plan, release: None, cut_points: None, advice: none });
    };
    label(release, &number, &candidates);
    let plan = Some(answered.plan);
    let (stored, advice) = match cuts(&cells(answer, &number), answer.sigma_1024, bands) {
        Ok(found) => {
            let view = View::open(call, &dataset, used, Verb::Release)?;
            let body = body(call, (&number, &candidates), &found, (&view.used_for, universe), release);
            (Some(keep(call, &view, &number, id, body)?), String::new())
        }
        Err(none) => (None, advice(none, bands, answer.rho)),
    };
    let shown = stored.map(|stored| cut_points::encode(&stored, self::stored_words(&number, &stored.body.cuts)));
    Ok(v1::ReleaseCutPointsResponse { plan, release: answered.release, cut_points: shown, advice })
}

/// How many people cutting takes, from the price alone.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a standard deviation that was an integer")]
fn readable_from(plan: &v1::Plan, cells: usize, bands: u32) -> u64 {
    people_needed_1024(cells, (plan.sigma * 1_024.0).round() as u64, bands).div_ceil(1_024)
}

fn candidates(number: &Number, from: &str, to: &str) -> Result<Vec<i64>, Failure> {
    let end = |part: &'static str, text: &str| match text {
        "" => Ok(None),
        text => number.units(text).map(Some).ok_or_else(|| {
            Failure::invalid(part, "must be a number as what is cut is written, or a day such as 2026-01-31")
        }),
    };
    let sizes = matches!(number.kind(), NumberKind::Times | NumberKind::Amount);
    let least = if sizes { ", and above 0" } else { "" };
    let range = number.candidates(end("from", from)?, end("to", to)?);
    range
        .ok_or_else(|| Failure::invalid("from", format!("must be below `to`{least}, with a round number between them")))
}

/// The draws of the bands between candidates, the lowest numbers first; whoever is in none is left out.
fn cells(answer: &Answer, number: &Number) -> Vec<i64> {
    let cells = answer.tables.first().map(|table| table.cells.iter().skip(1)).into_iter().flatten();
    let mut cells: Vec<i64> = cells.map(|cell| cell.noised).collect();
    if number.fewest_is_last() {
        cells.reverse();
    }
    cells
}

/// Gives the bands between candidates their words.
fn label(release: &mut v1::Release, number: &Number, candidates: &[i64]) {
    let words = words(number, candidates);
    for table in &mut release.tables {
        table.displays = vec![number.text().to_owned()];
        for cell in &mut table.cells {
            for (label, code) in cell.labels.iter_mut().zip(&cell.codes) {
                let band = (*code as usize).checked_sub(1).and_then(|place| words.get(place));
                *label = band.map_or_else(|| "(none)".to_owned(), String::clone);
            }
        }
    }
}

fn body(
    call: &Call,
    (number, candidates): (&Number, &[i64]),
    found: &Cuts,
    (used, universe): (&UsedFor, String),
    release: &v1::Release,
) -> CutPointsBody {
    // Cell 0 is below the first candidate. Days since the last event are cut after the last day of a band, and a candidate
    // is one, so that cells begin in the same places.
    let cut = |begin: &usize| candidates.get(begin.checked_sub(1)?).map(|cut| number.show(*cut));
    let mut shares: Vec<[u32; 3]> = found.shares.iter().map(hundredths).collect();
    if number.fewest_is_last() {
        shares.reverse();
    }
    CutPointsBody {
        version: records::version(),
        number: number.text().to_owned(),
        cuts: found.begins.iter().filter_map(cut).collect(),
        shares,
        segment: release.segment.clone(),
        universe,
        purpose: used.purpose.clone(),
        basis: used.basis,
        release: release.name.clone(),
        epoch: release.epoch,
        client: call.principal.client.clone(),
        created: call.now,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
fn hundredths(Interval { middle, low, high }: &Interval) -> [u32; 3] {
    [middle, low, high].map(|share| (share * 10_000.0).round() as u32)
}

/// Keeps a version, unless the newest one says the same.
fn keep(
    call: &Call,
    view: &View,
    number: &Number,
    id: CutPointsId,
    body: CutPointsBody,
) -> Result<StoredCutPoints, Failure> {
    let fields: Vec<_> = named(number, view).into_iter().map(|field| (field, Treatment::Aggregate)).collect();
    let everyone = Segment::everyone();
    let permit = view.permit(call, [&everyone, &everyone], &fields)?;
    let app = Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let of_this = stored(call, &view.schema.dataset)?.into_iter().filter(|known| known.id == id);
    let newest = of_this.max_by_key(|known| known.version);
    let is_same = |known: &&StoredCutPoints| {
        let (client, created) = (known.body.client.clone(), known.body.created);
        known.body == CutPointsBody { client, created, ..body.clone() }
    };
    if let Some(same) = newest.as_ref().filter(is_same) {
        return Ok(same.clone());
    }
    let version = newest.map_or(0, |known| known.version).saturating_add(1);
    let stored = StoredCutPoints { dataset: view.schema.dataset.clone(), id, version, body };
    let key = StoredCutPoints::key(&stored.dataset, &stored.id, version);
    call.app.vault.put_record(&permit, records::CUT_POINTS, &key, Some(&stored.encode()), call.now)?;
    Ok(stored)
}

/// Every field that a number names.
fn named(number: &Number, view: &View) -> Vec<policy::schema::FieldRef> {
    number.bands(&[], &view.schema).iter().flat_map(Segment::fields).collect()
}

/// What would be enough, in words, from released and public numbers.
fn advice(none: NoCuts, bands: u32, paid: NanoRho) -> String {
    match none {
        NoCuts::OneNumber => {
            "nearly everybody is between two candidates, so that there is nothing to cut: name another \
             range (from, to), or another number"
                .to_owned()
        }
        NoCuts::TooFew { enough_for, times_rho } => {
            let enough = dearer(paid, times_rho);
            let fewer =
                if enough_for >= 2 { format!("ask for {enough_for}") } else { "name a smaller range".to_owned() };
            format!("too few people for {bands} bands at this price: {fewer}, or pay about rho {enough}")
        }
    }
}

/// So many times a price, rounded up to two digits.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for display")]
fn dearer(paid: NanoRho, times: f64) -> NanoRho {
    let nano = (paid.0 as f64 * times).ceil() as u64;
    let step = 10_u64.pow(nano.max(1).ilog10().saturating_sub(1));
    NanoRho(nano.div_ceil(step).saturating_mul(step))
}

/// Returns released cut points; the newest version if the name has none.
pub fn get(call: &mut Call, request: v1::GetCutPointsRequest) -> Result<v1::GetCutPointsResponse, Failure> {
    let v1::GetCutPointsRequest { name, r#use } = request;
    let wanted = names::cut_points(&name)?;
    let view = View::open(call, &names::of_dataset(&wanted.dataset), r#use, Verb::Release)?;
    let all = stored(call, &wanted.dataset)?.into_iter().filter(|known| known.id == wanted.cut_points);
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
    for known in stored(call, &view.schema.dataset)? {
        // Records come in order of version, so the last one stays.
        newest.insert(known.id.clone(), known);
    }
    // Cut points of a field that is not granted are not there for this caller.
    let shown = newest.into_values().filter_map(|known| Some((known.id.to_string(), show(&view, &known).ok()?)));
    let (cut_points, next_page_token) = page::cut(shown.collect(), &bound, (page_size, &page_token))?;
    Ok(v1::ListCutPointsResponse { cut_points, next_page_token })
}

fn show(view: &View, stored: &StoredCutPoints) -> Result<v1::CutPoints, Failure> {
    let number = view.number(&stored.body.number).map_err(|_| none())?;
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
    let number = view.number(&found.body.number).map_err(|_| none())?;
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

fn stored(call: &Call, dataset: &DatasetId) -> Result<Vec<StoredCutPoints>, Failure> {
    let records = call.app.vault.records(records::CUT_POINTS);
    let read = records.iter().map(|(key, bytes)| StoredCutPoints::decode(key, bytes));
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|_| Failure::Defect("stored cut points can't be read"))?;
    Ok(all.into_iter().filter(|known| known.dataset == *dataset).collect())
}

fn stored_words(number: &Number, cuts: &[String]) -> Vec<String> {
    let units: Vec<i64> = cuts.iter().filter_map(|cut| number.units(cut)).collect();
    words(number, &units)
}

/// What the bands between cuts are called, number 1 first.
fn words(number: &Number, cuts: &[i64]) -> Vec<String> {
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

    #[test]
    fn ranges_that_are_none_are_refused_in_words() {
        let spent = number("order.sum(amount)");
        assert_eq!(candidates(&spent, "", "").unwrap().first(), Some(&100));
        for (from, to, part) in [("x", "", "from"), ("", "1.234", "to"), ("0", "10", "from"), ("10", "10", "from")] {
            let Err(failure) = candidates(&spent, from, to) else { unreachable!("{from} {to}") };
            assert!(failure.refusal().message.contains(part), "{}", failure.refusal().message);
        }
    }

    #[test]
    fn who_has_too_few_people_is_told_what_would_be_enough() {
        let paid = NanoRho(2_000_000);
        let few = advice(NoCuts::TooFew { enough_for: 3, times_rho: 2.6 }, 5, paid);
        assert_eq!(few, "too few people for 5 bands at this price: ask for 3, or pay about rho 0.0052");
        let fewer = advice(NoCuts::TooFew { enough_for: 1, times_rho: 40.0 }, 2, paid);
        assert_eq!(fewer, "too few people for 2 bands at this price: name a smaller range, or pay about rho 0.08");
    }
}
