//! Lists of bands by the public cut points of a description's `[rfm]`, in the words of people.

use crate::status::Failure;
use policy::schema::{CutPoints, Field, Rfm, Schema};
use proto::v1;

/// Builds the bands of `recency`, `frequency` or `monetary`, the most valuable first. Where the description has no cut points
/// the only band is one that no caller can ask about, so that it is refused as any other expression over them is.
pub fn bands(schema: &Schema, measure: &str) -> Result<v1::BandList, Failure> {
    let cuts = schema.rfm.as_ref().map(|rfm| Cuts { rfm, schema });
    let cuts = cuts.as_ref();
    let (title, words) = match measure {
        "recency" => ("recency", cuts.map(Cuts::recency)),
        "frequency" => ("frequency", cuts.map(Cuts::frequency)),
        "monetary" => ("value", cuts.map(Cuts::monetary)),
        _ => return Err(Failure::invalid("rfm", "must be `recency`, `frequency` or `monetary`")),
    };
    let words = words.unwrap_or_else(|| vec![String::new()]);
    let band = |(number, words): (usize, &String)| v1::Named {
        name: format!("{number}: {words}"),
        segment: Some(v1::SegmentSource {
            source: Some(v1::segment_source::Source::Cel(format!("rfm.{measure} == {number}"))),
        }),
    };
    let mut bands: Vec<v1::Named> = (1_usize..).zip(&words).map(band).collect();
    bands.reverse();
    Ok(v1::BandList { name: title.to_owned(), bands })
}

/// What bands of days since something are called, from number 1, the longest ago, on: days are cut after the last one of a band.
pub(super) fn days_ago(cuts: &[i64]) -> Vec<String> {
    let within = |(place, last): (usize, &i64)| match place.checked_sub(1).and_then(|before| cuts.get(before)) {
        None => format!("within {last} days"),
        Some(before) => format!("{}-{last} days ago", before + 1),
    };
    let over = cuts.last().map(|last| format!("over {last} days ago"));
    let mut words: Vec<String> = cuts.iter().enumerate().map(within).chain(over).collect();
    words.reverse();
    words
}

/// What bands are called, from number 1 on.
struct Cuts<'a> {
    rfm: &'a Rfm,
    schema: &'a Schema,
}

impl Cuts<'_> {
    fn recency(&self) -> Vec<String> {
        let CutPoints::Public(cuts) = &self.rfm.cuts;
        days_ago(&cuts.recency)
    }

    fn frequency(&self) -> Vec<String> {
        let CutPoints::Public(cuts) = &self.rfm.cuts;
        let times = |low: i64, high: Option<&i64>| match high.map(|high| high - 1) {
            None => format!("{low} and more times"),
            Some(1) => "once".to_owned(),
            Some(high) if high == low => format!("{low} times"),
            Some(high) => format!("{low}-{high} times"),
        };
        let lows = std::iter::once(1).chain(cuts.frequency.iter().copied());
        lows.enumerate().map(|(place, low)| times(low, cuts.frequency.get(place))).collect()
    }

    fn monetary(&self) -> Vec<String> {
        let CutPoints::Public(cuts) = &self.rfm.cuts;
        let event = self.schema.events.iter().find(|event| event.id == self.rfm.event);
        let amount = event.and_then(|event| event.fields.iter().find(|field| field.column == self.rfm.amount));
        let show = |units: &i64| amount.map_or_else(|| units.to_string(), |field: &Field| field.ty.show(*units));
        let below =
            |(place, cut): (usize, &i64)| match place.checked_sub(1).and_then(|before| cuts.monetary.get(before)) {
                None => format!("below {}", show(cut)),
                Some(low) => format!("{} to below {}", show(low), show(cut)),
            };
        let more = cuts.monetary.last().map(|cut| format!("{} and more", show(cut)));
        cuts.monetary.iter().enumerate().map(below).chain(more).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::schema::parse;

    #[test]
    fn bands_are_named_by_their_cut_points_the_most_valuable_first() {
        let schema = parse(include_str!("../../../deploy/datasets/coop/schema.toml")).unwrap();
        let named = |measure: &str| {
            let list = bands(&schema, measure).unwrap();
            list.bands.into_iter().map(|band| band.name).collect::<Vec<_>>()
        };
        let days = ["5: within 30 days", "4: 31-60 days ago", "3: 61-120 days ago", "2: 121-240 days ago"];
        assert_eq!(named("recency"), [&days[..], &["1: over 240 days ago"]].concat());
        let times = ["5: 16 and more times", "4: 8-15 times", "3: 4-7 times", "2: 2-3 times", "1: once"];
        assert_eq!(named("frequency"), times);
        let sums = named("monetary");
        assert_eq!(sums.first().map(String::as_str), Some("5: 1000.00 and more"));
        assert_eq!(sums.last().map(String::as_str), Some("1: below 50.00"));
        assert_eq!(sums.get(1).map(String::as_str), Some("4: 400.00 to below 1000.00"));
        assert!(bands(&schema, "money").is_err());
        // Each is the band of its number, which the language checks.
        for band in ["recency", "frequency", "monetary"].iter().flat_map(|one| bands(&schema, one).unwrap().bands) {
            let Some(v1::segment_source::Source::Cel(cel)) = band.segment.and_then(|segment| segment.source) else {
                unreachable!("an expression")
            };
            policy::segment::parse(&cel, &schema, &|_| true).unwrap();
            assert!(band.name.starts_with(cel.rsplit(' ').next().unwrap()), "{cel}: {}", band.name);
        }
    }
}
