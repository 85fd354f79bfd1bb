//! Properties over random trees and random subjects.

use super::eval::{EventRow, Row, eval, eval_expr};
use super::limits::{EXPANDED, WRITTEN};
use super::test_schema::schema;
use super::*;
use crate::id::SampleLabel;
use crate::schema::{ColumnId, EventTypeId, FieldType, Schema};
use crate::time::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_seconds(1_720_000_000);
const DAY: i64 = 86_400_000_000;

fn value_test(ty: &FieldType) -> BoxedStrategy<Test> {
    let span = match ty {
        FieldType::Enum { domain } => domain.len() as i64,
        FieldType::Bool => 2,
        _ => 0,
    };
    if span > 0 {
        let codes = prop::collection::btree_set(1..=(span as u16), 0..=(span as usize));
        return prop_oneof![
            5 => codes.prop_map(|codes| Test::Codes(codes.into_iter().collect())),
            1 => Just(Test::Missing),
        ]
        .boxed();
    }
    let (low, _) = ty.bounds().unwrap();
    prop_oneof![
        5 => (-2_i64..14, -2_i64..14).prop_map(move |(a, b)| Test::Range { min: low + a, max: low + b }),
        1 => Just(Test::Missing),
    ]
    .boxed()
}

fn filter() -> BoxedStrategy<EventFilter> {
    let fields = schema().events[0].fields.clone();
    let readable: Vec<_> = fields.into_iter().filter(|f| !matches!(f.ty, FieldType::Identifier { .. })).collect();
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(EventFilter::Const),
        8 => prop::sample::select(readable)
            .prop_flat_map(|f| value_test(&f.ty).prop_map(move |test| EventFilter::Field(f.column, test))),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| EventFilter::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 2..=3).prop_map(EventFilter::All),
            prop::collection::vec(inner, 2..=3).prop_map(EventFilter::Any),
        ]
    })
    .boxed()
}

fn window() -> impl Strategy<Value = Window> {
    // 2024-07-03 is the day of NOW.
    let today = 19_907;
    prop_oneof![
        3 => Just(Window::Ever),
        3 => (1_u32..9).prop_map(|days| Window::Last(Span::Days(days))),
        2 => (3_u32..9, 1_u32..3).prop_map(|(from, to)| Window::Between(Span::Days(from), Span::Days(to))),
        1 => (0_i32..9).prop_map(move |days| Window::Since(today - days)),
        1 => (0_i32..9, 1_i32..9).prop_map(move |(days, more)| Window::Dates(today - days, today - days + more)),
    ]
}

fn maybe_filter() -> impl Strategy<Value = EventFilter> {
    prop_oneof![Just(EventFilter::Const(true)), filter()]
}

fn event_test() -> impl Strategy<Value = Expr> {
    let due = schema().events[0].fields[5].ty.bounds().unwrap().0;
    let measure = prop_oneof![
        Just((Measure::Count, 0)),
        Just((Measure::Days, 0)),
        Just((Measure::Sum(ColumnId(1)), 0)),
        Just((Measure::Sum(ColumnId(2)), 0)),
        Just((Measure::Distinct(ColumnId(0)), 0)),
        Just((Measure::Distinct(ColumnId(3)), 0)),
        Just((Measure::Min(ColumnId(2)), 0)),
        Just((Measure::Max(ColumnId(1)), -50_000)),
        Just((Measure::Max(ColumnId(5)), due)),
        Just((Measure::DaysSinceLast, 0)),
        Just((Measure::DaysSinceFirst, 0)),
    ];
    let end = prop_oneof![-2_i64..6, Just(i64::MAX), Just(i64::MIN), Just(0)];
    (window(), maybe_filter(), measure, any::<bool>(), end.clone(), end).prop_map(
        |(window, filter, (measure, base), if_any, min, max)| {
            let (min, max) = (min.saturating_add(base), max.saturating_add(base));
            Expr::Event(EventTest { event: EventTypeId(0), window, filter, measure, if_any, min, max })
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let (order, view) = (EventTypeId(0), EventTypeId(1));
    prop_oneof![
        2 => maybe_filter().prop_map(move |filter| Step { event: order, filter }),
        1 => prop::bool::weighted(0.9).prop_map(move |yes| Step { event: view, filter: EventFilter::Const(yes) }),
    ]
}

fn sequence() -> impl Strategy<Value = Expr> {
    let hours = || prop::option::of(prop::sample::select(vec![1_u32, 23, 24, 48, 72, 100]));
    let (steps, without) = (prop::collection::vec(step(), 1..4), prop::collection::vec(step(), 0..3));
    (steps, without, hours(), hours(), window())
        .prop_filter("one step needs something that does not happen, and has no gap", |(steps, without, gap, _, _)| {
            steps.len() > 1 || (!without.is_empty() && gap.is_none())
        })
        .prop_map(|(steps, without, gap_hours, within_hours, window)| {
            Expr::Sequence(Sequence { steps, without, gap_hours, within_hours, window })
        })
}

fn label(name: &str) -> SampleLabel {
    SampleLabel::new(name).unwrap()
}

fn sample() -> impl Strategy<Value = Expr> {
    let label = prop::sample::select(vec![label("spring"), label("autumn")]);
    (label, 0_u16..9_000, 1_u16..=1_000)
        .prop_map(|(label, from, buckets)| Expr::Sample(Sample { label, from, until: from + buckets }))
}

fn score(inner: impl Strategy<Value = Expr>) -> impl Strategy<Value = Expr> {
    let points = prop::sample::select(vec![-1_000_i64, -6, -1, 0, 2, 3, 6, 1_000]);
    let end = || prop_oneof![-9_i64..12, Just(i64::MIN), Just(i64::MAX)];
    (prop::collection::vec((inner, points), 1..5), end(), end())
        .prop_map(|(parts, min, max)| Expr::Score(Score { parts, min, max }))
}

fn tree() -> impl Strategy<Value = Expr> {
    let readable: Vec<_> = schema().attributes.split_off(1);
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Expr::Const),
        8 => prop::sample::select(readable)
            .prop_flat_map(|f| value_test(&f.ty).prop_map(move |test| Expr::Attribute(f.column, test))),
        5 => event_test(),
        2 => sequence(),
        1 => sample(),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            3 => inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            3 => prop::collection::vec(inner.clone(), 2..=4).prop_map(Expr::All),
            3 => prop::collection::vec(inner.clone(), 2..=4).prop_map(Expr::Any),
            1 => score(inner),
        ]
    })
}

/// Trees over two fields and one measure, so that the same thing is tested many times over.
fn crowded_tree() -> impl Strategy<Value = Expr> {
    let codes = |column: u16, span: u16| {
        prop::collection::btree_set(1..=span, 0..=usize::from(span))
            .prop_map(move |codes| Expr::Attribute(ColumnId(column), Test::Codes(codes.into_iter().collect())))
    };
    let count = (0_i64..3, prop_oneof![0_i64..3, Just(i64::MAX)]).prop_map(|(min, max)| {
        let (event, window, filter) = (EventTypeId(0), Window::Ever, EventFilter::Const(true));
        Expr::Event(EventTest { event, window, filter, measure: Measure::Count, if_any: false, min, max })
    });
    let last = (any::<bool>(), 0_i64..3, prop_oneof![0_i64..3, Just(i64::MAX)]).prop_map(|(if_any, min, max)| {
        let (event, window, filter) = (EventTypeId(0), Window::Ever, EventFilter::Const(true));
        Expr::Event(EventTest { event, window, filter, measure: Measure::DaysSinceLast, if_any, min, max })
    });
    let share = (0_u16..4, 1_u16..4).prop_map(|(from, more)| {
        Expr::Sample(Sample { label: label("spring"), from: from * 2_500, until: (from + more).min(4) * 2_500 })
    });
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Expr::Const),
        3 => (1_u16..=2).prop_map(|column| Expr::Attribute(ColumnId(column), Test::Missing)),
        3 => codes(1, 4),
        3 => codes(2, 3),
        2 => count,
        2 => last,
        1 => share,
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            3 => inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            3 => prop::collection::vec(inner.clone(), 2..=4).prop_map(Expr::All),
            3 => prop::collection::vec(inner.clone(), 2..=4).prop_map(Expr::Any),
            1 => score(inner),
        ]
    })
}

/// How often and on how many days, in windows within windows.
fn counts() -> impl Strategy<Value = Expr> {
    let measure = prop::sample::select(vec![Measure::Count, Measure::Days, Measure::Distinct(ColumnId(0))]);
    let end = || prop_oneof![0_i64..3, Just(i64::MAX)];
    let test = (window(), measure, any::<bool>(), end(), end()).prop_map(|(window, measure, if_any, min, max)| {
        let (event, filter) = (EventTypeId(0), EventFilter::Const(true));
        Expr::Event(EventTest { event, window, filter, measure, if_any, min, max })
    });
    test.prop_recursive(2, 5, 3, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            1 => prop::collection::vec(inner.clone(), 2..=3).prop_map(Expr::All),
            1 => prop::collection::vec(inner, 2..=3).prop_map(Expr::Any),
        ]
    })
}

fn either_tree() -> impl Strategy<Value = Expr> {
    prop_oneof![tree(), crowded_tree()]
}

fn stored(ty: &FieldType) -> BoxedStrategy<Option<i64>> {
    match ty.cardinality() {
        Some(n) => prop::option::of(1..=(n as i64)).boxed(),
        None => {
            let (low, high) = ty.bounds().unwrap_or((0, 3));
            prop::option::of(low..=high.min(low + 13)).boxed()
        }
    }
}

fn row(schema: &Schema) -> impl Strategy<Value = Row> {
    let attributes: Vec<_> = schema.attributes.iter().map(|field| stored(&field.ty)).collect();
    let fields: Vec<_> = schema.events[0].fields.iter().map(|field| stored(&field.ty)).collect();
    let when = (-10_i64..2, prop::sample::select(vec![0, 1, 3_600_000_000, DAY / 2]));
    let order = (when.clone(), fields).prop_map(|((days, more), fields)| EventRow {
        event: EventTypeId(0),
        at: Timestamp(NOW.0 + days * DAY + more),
        fields,
    });
    let view = when.prop_map(|(days, more)| EventRow {
        event: EventTypeId(1),
        at: Timestamp(NOW.0 + days * DAY + more),
        fields: Vec::new(),
    });
    let events = (prop::collection::vec(order, 0..5), prop::collection::vec(view, 0..4));
    (attributes, events, 0_u16..10_000, 0_u16..10_000).prop_map(|(attributes, (orders, views), spring, autumn)| Row {
        attributes,
        events: orders.into_iter().chain(views).collect(),
        buckets: [(label("spring"), spring), (label("autumn"), autumn)].into(),
    })
}

/// `missing` beside tests of the same columns, said twice through a nested join. It is unknown for a subject who lacks
/// both and so never a member, under negation neither.
#[test]
fn a_repeated_missing_stays_unknown() {
    let schema = schema();
    let region = ColumnId(2);
    let none = |column| Expr::Attribute(column, Test::Codes(Vec::new()));
    let missing = || Expr::Attribute(region, Test::Missing);
    let inner = Expr::All(vec![none(ColumnId(1)), missing()]);
    let tree = Expr::All(vec![inner, missing(), Expr::All(vec![Expr::Const(true), none(region)])]);
    let segment = Segment::from_expr(tree.clone(), &schema);
    assert_eq!(segment.canonical(), "age_band in [] && region in []");
    let negated = Segment::from_expr(Expr::Not(Box::new(tree)), &schema);
    assert_eq!(Segment::from_expr(Expr::Not(Box::new(negated.root().clone())), &schema), segment);
    let row = Row { attributes: vec![None; schema.attributes.len()], events: Vec::new(), buckets: [].into() };
    for segment in [segment, negated] {
        assert_eq!(eval(&segment, &row, NOW, "Europe/London"), Ok(None), "{}", segment.canonical());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn canonical_form_means_the_same_for_everyone(tree in either_tree(), rows in prop::collection::vec(row(&schema()), 12)) {
        let segment = Segment::from_expr(tree.clone(), &schema());
        for row in rows {
            let plain = eval_expr(&tree, &row, NOW, "Europe/London").unwrap();
            let folded = eval(&segment, &row, NOW, "Europe/London").unwrap();
            prop_assert_eq!(plain, folded, "{} for {:?}", segment.canonical(), row);
        }
    }

    #[test]
    fn canonical_form_is_a_fixed_point(tree in either_tree()) {
        let schema = schema();
        let segment = Segment::from_expr(tree, &schema);
        prop_assert_eq!(&Segment::from_expr(segment.root().clone(), &schema), &segment);
    }

    #[test]
    fn what_is_said_to_follow_holds_for_everyone(
        (a, b) in prop_oneof![(crowded_tree(), crowded_tree()), (counts(), counts()), (tree(), tree())],
        rows in prop::collection::vec(row(&schema()), 12)
    ) {
        let schema = schema();
        let (a, b) = (Segment::from_expr(a, &schema), Segment::from_expr(b, &schema));
        let both = Segment::all_of([&a, &b], &schema);
        let (within, nobody) = (a.is_within(&b, &schema), both.has_nobody(&schema));
        prop_assert!(a.is_within(&a, &schema), "{}", a.canonical());
        for row in rows {
            let is_in = |segment: &Segment| eval(segment, &row, NOW, "Europe/London").unwrap() == Some(true);
            prop_assert!(!within || !is_in(&a) || is_in(&b), "{} in {} of {:?}", a.canonical(), b.canonical(), row);
            prop_assert!(!nobody || !is_in(&both), "{} of {:?}", both.canonical(), row);
        }
    }

    #[test]
    fn negating_twice_changes_nothing(tree in either_tree()) {
        let schema = schema();
        let negated = Expr::Not(Box::new(tree.clone()));
        let folded = Segment::from_expr(negated, &schema).root().clone();
        let back = Segment::from_expr(Expr::Not(Box::new(folded)), &schema);
        prop_assert_eq!(back, Segment::from_expr(tree, &schema));
    }

    #[test]
    fn the_canonical_form_is_never_larger(tree in either_tree()) {
        if limits::check(&tree, WRITTEN).is_ok() {
            let segment = Segment::from_expr(tree, &schema());
            prop_assert_eq!(limits::check(segment.root(), WRITTEN), Ok(()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn canonical_text_parses_to_the_same_segment(tree in tree()) {
        let schema = schema();
        prop_assume!(limits::check(&tree, WRITTEN).is_ok());
        let segment = Segment::from_expr(tree, &schema);
        let again = parse(segment.canonical(), &schema, &|_| true);
        prop_assert_eq!(again.as_ref(), Ok(&segment), "{}", segment.canonical());
        prop_assert_eq!(limits::check(segment.root(), EXPANDED), Ok(()));
    }

    #[test]
    fn no_text_breaks_the_reader(
        text in prop::collection::vec(prop::sample::select(vec![
            "order", ".", "last", "(", ")", "\"30d\"", "where", "category", "==", "\"", "'", "&&", "||", "!", "in",
            "[", "]", "1", "2.5", "-", "newsletter", " ", "\n", "é", "\\", "{", "}", "?", ":", ",", "any()", "e5",
            "0x", "u", "b\"", "r'", "/", "//", "`", "%", "null", "\u{0}", "has(", "all(", "household", ">",
            "sequence(", "without(", "within(", "sample(", "score(", "rfm.recency", "segment(\"segments/a@1\")", "since(",
        ]), 0..14)
    ) {
        let text = text.concat();
        if let Err(error) = parse(&text, &schema(), &|_| true) {
            prop_assert!(error.line() >= 1 && error.column() >= 1);
            prop_assert!(error.line() as usize <= text.split('\n').count() + 1);
        }
    }
}
