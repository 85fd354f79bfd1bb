//! What is answered from a synopsis: which questions, with which numbers, and how often the stated intervals hold.

use super::super::synopsis::Synopsis;
use super::*;
use policy::consent::LawfulBasis;
use policy::id::{EpochId, PurposeId};
use policy::privacy::Month;
use policy::segment::Span;

const FIELDS: [&str; 3] = ["age_band", "newsletter", "order.category"];
const RHO: NanoRho = NanoRho(30_000_000);

fn window() -> Window {
    Window::Last(Span::Days(90))
}

fn asked(text: &str, kind: Kind) -> Question {
    let segment = policy::segment::parse(text, &schema(), &|_| true).unwrap();
    Question { dataset: DatasetId::new("coop").unwrap(), universe: Segment::everyone(), segment, kind, rho: NanoRho(1) }
}

/// A synopsis with these cells, one table after the other.
fn synopsis(cells: Vec<i64>) -> Synopsis {
    let kind = Kind::Portrait { fields: fields(&FIELDS), window: window() };
    let plan = plan(&schema(), &Question { rho: RHO, ..asked("true", kind) }).unwrap();
    let mut answer = Answer {
        version: 1,
        release: "ab".repeat(16),
        epoch: EpochId(3),
        as_of_seconds: 1_793_491_200,
        tables: Vec::new(),
        sigma_1024: 0,
        half_width_1024: 0,
        rho: RHO,
        not_private: false,
        leaf: 9,
        parts: Vec::new(),
    };
    plan.fill(&mut answer, &Drawn { cells, places: None });
    Synopsis {
        month: Month(2026 * 12 + 10),
        purpose: PurposeId::new("marketing.portrait").unwrap(),
        basis: LawfulBasis::Consent,
        fields: fields(&FIELDS),
        window: window(),
        answer,
    }
}

/// Synopses of nobody, whose cells are noise, and the sizes that each of them says there are in some segments.
fn sizes_of_nobody(synopses: u32, segments: &[&str], mut each: impl FnMut(&[Answer])) {
    let plan = planned(Kind::Portrait { fields: fields(&FIELDS), window: Window::Ever }, RHO.0).unwrap();
    let (schema, mut synopsis) = (schema(), synopsis(vec![0; plan.cells()]));
    let questions: Vec<Question> = segments.iter().map(|text| asked(text, Kind::Size)).collect();
    for _ in 0..synopses {
        synopsis.answer.tables = plan.lay_out(&draw(&plan, &Partial::zero(plan.cells())).unwrap());
        let sizes: Vec<Answer> = questions.iter().map(|of| synopsis.answer(&schema, of).unwrap()).collect();
        each(&sizes);
    }
}

fn size(synopsis: &Synopsis, text: &str) -> Option<Answer> {
    synopsis.answer(&schema(), &asked(text, Kind::Size))
}

fn value(answer: &Answer) -> i64 {
    answer.tables[0].cells[0].noised
}

#[test]
fn sums_are_of_the_cells_of_a_segment_moved_to_the_total_of_all_tables() {
    // Ages: missing, four bands; then newsletter: missing, no, yes; then categories.
    let synopsis = synopsis([vec![0, 1_000, 2_000, 3_000, 4_000], vec![1_000, 5_000, 7_000], vec![9; 5]].concat());
    // Sums of 10,000 in five cells and of 13,000 in three: weights 1/5 and 1/3, so 11,875.
    let total = size(&synopsis, "true").unwrap();
    assert_eq!(value(&total), 11_875);
    for (text, expected) in [
        // Each cell of an age is moved by a fifth of 1,875.
        ("age_band == \"18-24\"", 1_375),
        ("age_band in [\"25-34\", \"45+\"]", 6_750),
        ("age_band != \"45+\"", 7_125),
        ("!(age_band in [\"25-34\", \"45+\"])", 4_750),
        ("missing(age_band)", 375),
        ("known(age_band)", 11_500),
        ("missing(age_band) || age_band == \"18-24\"", 1_750),
        ("newsletter", 6_625),
        ("!newsletter", 4_625),
    ] {
        assert_eq!(size(&synopsis, text).as_ref().map(value), Some(expected), "{text}");
    }
    let whole = Answer { tables: Vec::new(), ..synopsis.answer.clone() };
    let one = size(&synopsis, "newsletter").unwrap();
    let same = Answer { sigma_1024: whole.sigma_1024, half_width_1024: whole.half_width_1024, ..one.clone() };
    assert_eq!(Answer { tables: Vec::new(), ..same }, whole, "all else is the synopsis's own");
    assert_eq!((one.tables.len(), one.tables[0].by.len(), one.tables[0].cells.len()), (1, 0, 1));
}

#[test]
fn what_a_sum_states_is_less_than_its_cells_alone_would_and_follows_the_formula() {
    let synopsis = synopsis(vec![0; 13]);
    let sigma = synopsis.answer.sigma_1024 as f64;
    let shared = 1.0 / (1.0 / 5.0 + 1.0 / 3.0);
    for (text, some, cells) in [
        ("age_band == \"18-24\"", 1.0_f64, 5.0_f64),
        ("age_band != \"18-24\"", 3.0, 5.0),
        ("known(age_band)", 4.0, 5.0),
        ("newsletter", 1.0, 3.0),
        ("known(newsletter)", 2.0, 3.0),
        ("true", 5.0, 5.0),
    ] {
        let stated = size(&synopsis, text).unwrap();
        let variance: f64 = some * (cells - some) / cells + shared * (some / cells).powi(2);
        let exact = sigma * variance.sqrt();
        let over = stated.sigma_1024 as f64 - exact;
        assert!((0.0..=4.0).contains(&over), "{text}: {} is stated and {exact} is so", stated.sigma_1024);
        assert!(stated.sigma_1024 as f64 <= sigma * some.sqrt() + 4.0, "{text}: never more than the bare sum");
        let half_width = 1.96 * stated.sigma_1024 as f64;
        assert!((half_width..half_width + 2.0).contains(&(stated.half_width_1024 as f64)), "{text}");
    }
}

#[test]
fn half_widths_of_sums_hold_as_often_as_they_say() {
    // N = 4,000 synopses of nobody; 4.9 standard errors of a share of 0.95 are alpha = 1e-6 a segment, two-sided.
    const N: u32 = 4_000;
    let segments = ["true", "age_band == \"45+\"", "age_band != \"45+\"", "known(age_band)", "!newsletter"];
    let (mut held, mut squares) = ([0_u32; 5], [0_f64; 5]);
    sizes_of_nobody(N, &segments, |sizes| {
        for ((size, held), squares) in sizes.iter().zip(&mut held).zip(&mut squares) {
            *held += u32::from(value(size).unsigned_abs() <= size.half_width_1024);
            *squares += (value(size) as f64 / size.sigma_1024 as f64).powi(2);
        }
    });
    for ((held, squares), text) in held.iter().zip(squares).zip(segments) {
        let n = f64::from(N);
        let off = (f64::from(*held) / n - 0.95) / (0.95 * 0.05 / n).sqrt();
        assert!(off.abs() < 4.9, "{text}: {held} of {N} held, {off} standard errors");
        let off = (squares / n - 1.0) / (2.0 / n).sqrt();
        assert!(off.abs() < 4.9, "{text}: the variance is {off} standard errors off");
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let ages = ["true", "age_band == \"18-24\"", "age_band != \"18-24\"", "missing(age_band)"];
    let letters = ["true", "newsletter", "!newsletter", "missing(newsletter)"];
    for segments in [ages, letters] {
        sizes_of_nobody(20, &segments, |sizes| {
            let sum: i64 = sizes[1..].iter().map(value).sum();
            assert!(sum.abs_diff(value(&sizes[0])) <= 2, "{segments:?}: {sizes:?}");
        });
    }
}

#[test]
fn only_questions_about_one_field_of_everyone_are_answered() {
    let synopsis = synopsis((0..13).collect());
    let answer = |text: &str, kind| synopsis.answer(&schema(), &asked(text, kind));
    let windowed = |paths: &[&str], window| Kind::Portrait { fields: fields(paths), window };
    let by_age = answer("true", breakdown(&["age_band"])).unwrap();
    assert_eq!(by_age.tables[..], synopsis.answer.tables[..1]);
    assert_eq!((by_age.sigma_1024, by_age.leaf), (synopsis.answer.sigma_1024, 9));
    let turned = answer("true", windowed(&["order.category", "age_band"], window())).unwrap();
    assert_eq!(turned.tables, [synopsis.answer.tables[2].clone(), synopsis.answer.tables[0].clone()]);
    for (text, kind) in [
        ("true", windowed(&["order.category", "age_band"], Window::Ever)),
        ("true", breakdown(&["order.category"])),
        ("true", breakdown(&["age_band", "newsletter"])),
        ("true", portrait(&["age_band", "order.channel"])),
        ("true", portrait(&[])),
        ("newsletter", breakdown(&["age_band"])),
        ("newsletter", portrait(&["age_band"])),
        ("newsletter && age_band == \"45+\"", Kind::Size),
        ("household > 2", Kind::Size),
        ("order.any()", Kind::Size),
        ("order.where(category == \"wool\").any()", Kind::Size),
        ("newsletter && !newsletter", Kind::Size),
        ("true", Kind::Top { field: fields(&["age_band"])[0], k: 1, window: Window::Ever }),
    ] {
        assert_eq!(answer(text, kind.clone()), None, "{text} {kind:?}");
    }
    let of_some = Question { universe: asked("newsletter", Kind::Size).segment, ..asked("true", Kind::Size) };
    assert_eq!(synopsis.answer(&schema(), &of_some), None);
    // A field that got another value has no cell for it.
    let longer = parse(&SCHEMA.replace("\"45+\"]", "\"45-54\", \"55+\"]")).unwrap();
    assert_eq!(synopsis.answer(&longer, &asked("true", breakdown(&["age_band"]))), None);
    assert!(synopsis.answer(&longer, &asked("true", breakdown(&["newsletter"]))).is_some());
    // Without a field that counts everyone there is no total.
    let mut of_events = synopsis.clone();
    of_events.fields = fields(&["order.category"]);
    of_events.answer.tables.drain(..2);
    assert_eq!(size(&of_events, "true"), None);
    assert_eq!(of_events.facts().everyone, None);
}

#[test]
fn the_ends_of_the_range_overflow_nothing() {
    let mut synopsis = synopsis(vec![i64::MAX; 13]);
    assert_eq!(size(&synopsis, "known(age_band)"), None);
    synopsis.answer.tables.iter_mut().flat_map(|table| &mut table.cells).for_each(|cell| cell.noised = i64::MIN / 8);
    assert!(size(&synopsis, "known(age_band)").is_some());
}

#[test]
fn a_stored_synopsis_of_version_1_stays_readable() {
    let mut synopsis = synopsis(vec![7; 13]);
    synopsis.answer.tables.truncate(1);
    synopsis.answer.tables[0].cells.truncate(2);
    let golden = r#"{"month":24322,"purpose":"marketing.portrait","basis":"consent","fields":[{"Attribute":1},{"Attribute":2},{"EventField":[0,0]}],"window":{"Last":{"Days":90}},"answer":{"version":1,"release":"abababababababababababababababab","epoch":3,"as_of_seconds":1793491200,"tables":[{"by":[{"Attribute":1}],"cells":[{"codes":[0],"noised":7},{"codes":[1],"noised":7}]}],"sigma_1024":9349,"half_width_1024":18325,"rho":30000000,"not_private":false,"leaf":9}}"#;
    assert_eq!(serde_json::to_string(&synopsis).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Synopsis>(golden).unwrap(), synopsis);
}
