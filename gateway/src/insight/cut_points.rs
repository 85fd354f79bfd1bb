//! Cut points, released: found once by a charged release over public candidates, and kept as versions that never change.
//!
//! What is kept follows from released numbers alone. It stands when people withdraw or are erased, as the release does; the next
//! version is of those who are left. Whatever can be refused is refused before anything is paid.

use super::question::{self, View};
use super::{cut_bands, parts, plan};
use crate::pace;
use crate::pipeline::{Call, UsedFor};
use crate::records::{self, CutPointsBody, StoredCutPoints};
use crate::status::Failure;
use crate::wire::cut_points;
use policy::decide::Reason;
use policy::id::{CutPointsId, DatasetId};
use policy::permit::Permit;
use policy::privacy::NanoRho;
use policy::segment::{Number, NumberKind, Segment};
use policy::treatment::Treatment;
use proto::v1;
use std::sync::Arc;
use vault::release::cuts::{Cuts, NoCuts, cuts, people_needed_1024};
use vault::release::ratio::Interval;
use vault::release::{Answer, Kind};

/// Into how many bands a number is cut.
const BANDS: std::ops::RangeInclusive<u32> = 2..=10;

/// Most versions of cut points in a dataset: they are kept for good.
const MAX_KEPT: usize = 2_000;
/// Longest text of whom they are released of, in bytes, so that a record holds it.
const MAX_OF_WHOM: usize = 16 * 1024;

/// What is known before anything is paid.
struct Asked {
    number: Number,
    candidates: Vec<i64>,
    /// Who could be in it, in canonical form.
    universe: String,
    /// Every field that what is cut and of whom name, as written.
    fields: Vec<String>,
    used: UsedFor,
    dataset: DatasetId,
    /// To keep what is found.
    permit: Permit,
}

/// Asks, finds and keeps cut points.
pub fn release(call: &mut Call, request: v1::ReleaseCutPointsRequest) -> Result<v1::ReleaseCutPointsResponse, Failure> {
    let v1::ReleaseCutPointsRequest { ask, cut_points_id, of, bands, from, to } = request;
    let id =
        CutPointsId::new(&cut_points_id).map_err(|problem| Failure::invalid("cut_points_id", problem.to_string()))?;
    if !BANDS.contains(&bands) {
        return Err(Failure::invalid("bands", "must be 2 to 10"));
    }
    let question = parts::asked(ask);
    let (source, universe) = (question.segment.clone(), question.universe.clone());
    let mut known = None;
    let mut answered = question::answer(call, question, pace::Kind::Table, |call, view, _| {
        let number = view.number(&of)?;
        let candidates = candidates(&number, (&from, &to), bands)?;
        let lists = vec![number.bands(&candidates, &view.schema)];
        let of_whom = view.segments(call, source, &universe)?;
        known = Some(asked(call, view, &id, (number, candidates), of_whom)?);
        Ok(Kind::Bands { lists })
    })?;
    let asked = known.ok_or(Failure::Defect("nothing was cut"))?;
    answered.plan.readable_from = readable_from(&answered.plan, asked.candidates.len() + 1, bands);
    let (Some(answer), Some(release)) = (&answered.answer, &mut answered.release) else {
        let (plan, none) = (Some(answered.plan), String::new());
        return Ok(v1::ReleaseCutPointsResponse { plan, release: None, cut_points: None, advice: none });
    };
    label(release, &asked.number, &asked.candidates);
    let plan = Some(answered.plan);
    let (stored, advice) = match cuts(&cells(answer, &asked.number), answer.sigma_1024, bands) {
        Ok(found) => (Some(keep(call, id, &asked, body(call, &asked, &found, release))?), String::new()),
        Err(none) => (None, advice(none, bands, answer.rho)),
    };
    let words = |stored: &StoredCutPoints| cut_bands::stored_words(&asked.number, &stored.body.cuts);
    let shown = stored.map(|stored| cut_points::encode(&stored, words(&stored)));
    Ok(v1::ReleaseCutPointsResponse { plan, release: answered.release, cut_points: shown, advice })
}

/// Checks what is wanted, before anything is paid.
fn asked(
    call: &Call,
    view: &View,
    id: &CutPointsId,
    (number, candidates): (Number, Vec<i64>),
    (who, universe): (Segment, Segment),
) -> Result<Asked, Failure> {
    let all = cut_bands::stored(call, &view.schema.dataset)?;
    let same = |kept: &StoredCutPoints| view.may_know_of(&kept.body) && kept.body.number == number.text();
    if all.iter().any(|kept| kept.id == *id && !same(kept)) {
        return Err(Failure::invalid("cut_points_id", "is in use for something else; choose another"));
    }
    if all.len() >= MAX_KEPT {
        let problem = format!("the dataset has {MAX_KEPT} versions of cut points, which is all that are kept");
        return Err(Failure::refused(Reason::RequestInvalid, problem, "use the ones there are"));
    }
    if who.canonical().len() + universe.canonical().len() > MAX_OF_WHOM {
        return Err(Failure::invalid("ask.segment", "is too long, written out, for cut points; name fewer values"));
    }
    let bands = number.bands(&[], &view.schema);
    let mut fields: Vec<_> = bands.iter().chain([&who, &universe]).flat_map(Segment::fields).collect();
    fields.sort_unstable();
    fields.dedup();
    let needed: Vec<_> = fields.iter().map(|field| (*field, Treatment::Aggregate)).collect();
    Ok(Asked {
        number,
        candidates,
        universe: universe.canonical().to_owned(),
        fields: fields.into_iter().map(|field| view.schema.path(field)).collect(),
        used: view.used_for.clone(),
        dataset: view.schema.dataset.clone(),
        permit: view.permit(call, [&who, &universe], &needed)?,
    })
}

/// How many people cutting takes, from the price alone.
fn readable_from(plan: &v1::Plan, cells: usize, bands: u32) -> u64 {
    people_needed_1024(cells, plan::sigma_1024(plan), bands).div_ceil(1_024)
}

fn candidates(number: &Number, (from, to): (&str, &str), bands: u32) -> Result<Vec<i64>, Failure> {
    let end = |part: &'static str, text: &str| match text {
        "" => Ok(None),
        text => number.units(text).map(Some).ok_or_else(|| {
            Failure::invalid(part, "must be a number as what is cut is written, or a day such as 2026-01-31")
        }),
    };
    let sizes = matches!(number.kind(), NumberKind::Times | NumberKind::Amount);
    let least = if sizes { ", and above 0" } else { "" };
    let range = number.candidates(end("from", from)?, end("to", to)?, bands);
    let wrong = format!("and `to` must have a round number between them that can be there{least}");
    range.ok_or_else(|| Failure::invalid("from", wrong))
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
    let words = cut_bands::words(number, candidates);
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

fn body(call: &Call, asked: &Asked, found: &Cuts, release: &v1::Release) -> CutPointsBody {
    let Asked { number, candidates, universe, fields, used, .. } = asked;
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
        universe: universe.clone(),
        fields: fields.clone(),
        purpose: used.purpose.clone(),
        basis: used.basis,
        release: release.name.clone(),
        epoch: release.epoch,
        not_private: release.not_private,
        client: call.principal.client.clone(),
        created: call.now,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
fn hundredths(Interval { middle, low, high }: &Interval) -> [u32; 3] {
    [middle, low, high].map(|share| (share * 10_000.0).round() as u32)
}

/// Keeps a version, unless there is one of the same draw that says the same.
fn keep(call: &Call, id: CutPointsId, asked: &Asked, body: CutPointsBody) -> Result<StoredCutPoints, Failure> {
    let app = Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let versions = cut_bands::stored(call, &asked.dataset)?.into_iter().filter(|kept| kept.id == id);
    let versions: Vec<StoredCutPoints> = versions.collect();
    let says_the_same = |kept: &&StoredCutPoints| {
        let (client, created) = (kept.body.client.clone(), kept.body.created);
        kept.body == CutPointsBody { client, created, ..body.clone() }
    };
    if let Some(same) = versions.iter().rev().find(says_the_same) {
        return Ok(same.clone());
    }
    let version = versions.iter().map(|kept| kept.version).max().unwrap_or(0).saturating_add(1);
    let stored = StoredCutPoints { dataset: asked.dataset.clone(), id, version, body };
    let key = StoredCutPoints::key(&stored.dataset, &stored.id, version);
    call.app.vault.put_record(&asked.permit, records::CUT_POINTS, &key, Some(&stored.encode()), call.now)?;
    Ok(stored)
}

/// What would be enough, in words, from released and public numbers.
fn advice(none: NoCuts, bands: u32, paid: NanoRho) -> String {
    match none {
        NoCuts::OneNumber => {
            "nearly everybody is between two candidates or beyond them, so that there is nothing to cut: \
             name another range (from, to), or another number"
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
    fn ranges_that_are_none_are_refused_in_words() {
        let spent = number("order.sum(amount)");
        assert_eq!(candidates(&spent, ("", ""), 5).unwrap().first(), Some(&100));
        for (from, to, part) in [("x", "", "from"), ("", "1.234", "to"), ("0", "10", "from"), ("14", "14", "from")] {
            let failure = candidates(&spent, (from, to), 5).unwrap_err();
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
