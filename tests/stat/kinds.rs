//! The kinds of releases that are audited; those whose cells are weighed after a pilot are in `weighed`. A new kind is an entry of [`CASES`]: a name, a question, and the pairs of
//! datasets between which it is told apart, one of which must come to the declared bound.

use crate::twins::{ALONE, Asked, EDGE, HEAVY, PLAIN, Pair, TODAY};
use policy::schema::{EventTypeId, FieldRef, Schema};
use policy::segment::{Segment, Span, Window};
use vault::release::{By, Kind, Measure, Times};

/// One kind of release and the neighbors it is tried on.
pub(crate) struct Case {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// The question.
    pub(crate) asked: Asked,
    /// Neighbors. Of the first pair the difference is as large as the plan allows.
    pub(crate) pairs: &'static [Pair],
}

fn fields(schema: &Schema, paths: &[&str]) -> Vec<FieldRef> {
    paths.iter().map(|path| schema.resolve(path).unwrap()).collect()
}

fn breakdown(schema: &Schema, paths: &[&str]) -> Kind {
    Kind::Breakdown { by: fields(schema, paths), window: Window::Ever }
}

fn segments(schema: &Schema, texts: &[&str]) -> Vec<Segment> {
    texts.iter().map(|text| policy::segment::parse(text, schema, &|_| true).unwrap()).collect()
}

const ORDER: EventTypeId = EventTypeId(0);

/// Three weeks up to the end of the epoch.
fn weeks() -> Vec<i32> {
    [20, 13, 6, -1].map(|before| TODAY - before).to_vec()
}

pub(crate) fn events(bound: u64) -> Measure {
    Measure::Events { event: ORDER, bound }
}

/// A sum of amounts, of which one person counts for 500.00 at most.
fn amounts(schema: &Schema) -> Measure {
    Measure::Sum { field: fields(schema, &["order.amount"])[0], bound: 50_000 }
}

fn table(measures: Vec<Measure>, by: Vec<By>) -> Kind {
    Kind::Table { measures, by, window: Window::Ever, weighed: false }
}

pub(crate) fn by_field(schema: &Schema, path: &str) -> Vec<By> {
    fields(schema, &[path]).into_iter().map(By::Field).collect()
}

/// Every kind of release.
pub(crate) const CASES: &[Case] = &[
    Case { name: "size", asked: Asked { segment: "true", kind: |_| Kind::Size }, pairs: &[HEAVY, ALONE] },
    Case {
        name: "size of who ordered much",
        asked: Asked { segment: "order.sum(amount) > 100.00 && age_band == \"old\"", kind: |_| Kind::Size },
        pairs: &[HEAVY],
    },
    Case {
        name: "breakdown by an attribute",
        asked: Asked { segment: "true", kind: |schema| breakdown(schema, &["age_band"]) },
        pairs: &[PLAIN],
    },
    Case {
        name: "breakdown by two attributes",
        asked: Asked { segment: "true", kind: |schema| breakdown(schema, &["age_band", "newsletter"]) },
        pairs: &[HEAVY],
    },
    Case {
        name: "breakdown by an event field, l0 = 3 of 6",
        asked: Asked { segment: "true", kind: |schema| breakdown(schema, &["order.category"]) },
        pairs: &[HEAVY, EDGE, PLAIN, ALONE],
    },
    Case {
        name: "breakdown by an event field, l0 = 1 of 3",
        asked: Asked { segment: "order.any()", kind: |schema| breakdown(schema, &["order.channel"]) },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "attribute crossed with an event field",
        asked: Asked { segment: "true", kind: |schema| breakdown(schema, &["age_band", "order.category"]) },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "portrait of the last 30 days",
        asked: Asked {
            segment: "true",
            kind: |schema| {
                let fields = fields(schema, &["age_band", "newsletter", "order.category", "order.channel"]);
                Kind::Portrait { fields, window: Window::Last(Span::Days(30)) }
            },
        },
        pairs: &[HEAVY, EDGE, ALONE],
    },
    Case {
        name: "contrast of who ordered with who did not",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Contrast {
                of: segments(schema, &["order.any()"]).remove(0),
                fields: fields(schema, &["age_band", "order.category"]),
                window: Window::Ever,
            },
        },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "whole portrait of who ordered",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Profile {
                of: Some(segments(schema, &["order.any()"]).remove(0)),
                fields: fields(schema, &["age_band", "order.category"]),
                bands: vec![segments(schema, &["order.count() < 2", "order.count() < 20"])],
                times: Some(Times { event: ORDER, hours: true, weekdays: true, days: weeks() }),
                window: Window::Ever,
            },
        },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "funnel of three steps",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Funnel {
                steps: segments(schema, &["known(age_band)", "order.any()", "order.count() >= 10"]),
            },
        },
        pairs: &[HEAVY, PLAIN],
    },
    Case {
        name: "overlap of two segments",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Overlap { others: segments(schema, &["order.any()", "age_band == \"old\""]) },
        },
        pairs: &[HEAVY],
    },
    Case {
        name: "bands of two numbers, crossed",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Bands {
                lists: [["children < 5", "children < 15"], ["order.count() < 2", "order.count() < 20"]]
                    .map(|texts| segments(schema, &texts))
                    .to_vec(),
            },
        },
        pairs: &[HEAVY, PLAIN],
    },
    Case {
        name: "people by week",
        asked: Asked {
            segment: "true",
            kind: |_| table(vec![Measure::People], vec![By::Periods { event: ORDER, days: weeks() }]),
        },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "people by hour, l0 = 8 of 24",
        asked: Asked { segment: "true", kind: |_| table(vec![Measure::People], vec![By::Hours(ORDER)]) },
        pairs: &[HEAVY],
    },
    Case {
        name: "events by category, 12 a person",
        asked: Asked { segment: "true", kind: |schema| table(vec![events(12)], by_field(schema, "order.category")) },
        pairs: &[HEAVY, EDGE, PLAIN, ALONE],
    },
    Case {
        name: "sums by channel, 500.00 a person",
        asked: Asked {
            segment: "true",
            kind: |schema| table(vec![amounts(schema)], by_field(schema, "order.channel")),
        },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "events and sums by age",
        asked: Asked {
            segment: "true",
            kind: |schema| table(vec![events(3), amounts(schema)], by_field(schema, "age_band")),
        },
        pairs: &[HEAVY, PLAIN],
    },
    Case {
        name: "norms of sums by channel",
        asked: Asked {
            segment: "true",
            kind: |schema| Kind::Norms {
                of: fields(schema, &["order.amount"])[0],
                by: by_field(schema, "order.channel"),
                window: Window::Ever,
                edges: vec![1_000, 10_000, 100_000],
            },
        },
        pairs: &[HEAVY, EDGE],
    },
    Case {
        name: "retention over three weeks",
        asked: Asked { segment: "true", kind: |_| Kind::Retention { event: ORDER, days: weeks() } },
        pairs: &[HEAVY],
    },
    Case {
        name: "mean of a number",
        asked: Asked { segment: "true", kind: |schema| Kind::Mean { field: fields(schema, &["children"])[0] } },
        pairs: &[HEAVY, PLAIN],
    },
    Case {
        name: "mean and deviation of a number",
        asked: Asked { segment: "true", kind: |schema| Kind::Spread { field: fields(schema, &["children"])[0] } },
        pairs: &[HEAVY, PLAIN],
    },
];
