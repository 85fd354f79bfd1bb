//! Times a decision: cached, and computed for the first time. Run with `cargo bench -p policy --bench decide`.
//!
//! Prints medians over batches, for a dataset of 20 attributes and 4 event types with 5 fields each, under the policies
//! that ship. The aim is at most 2 us for a cached decision that checks 8 fields.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use policy::consent::LawfulBasis;
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PurposeId};
use policy::permit::{Role, Verb};
use policy::rules::Rules;
use policy::schema::{FieldRef, Schema, parse};
use policy::treatment::Treatment;
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

const BATCHES: usize = 101;
const CACHED_PER_BATCH: u32 = 10_000;

fn schema() -> Schema {
    let mut text = String::from(
        "version = 1\ndataset = \"shop\"\norganization = \"village\"\npurposes = [\"marketing.portrait\"]\n\
         subject_key = \"customer\"\ntime_zone = \"Etc/UTC\"\n\
         [[attributes]]\nname = \"customer\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 64\n",
    );
    let field = |kind: &str, name: &str, class: &str| {
        format!("[[{kind}]]\nname = \"{name}\"\nclass = \"{class}\"\ntype = \"enum\"\ndomain = [\"a\", \"b\", \"c\"]\n")
    };
    for number in 0..19 {
        text += &field("attributes", &format!("attribute_{number}"), "quasi_identifier");
    }
    for event in 0..4 {
        write!(text, "[[events]]\nname = \"event_{event}\"\n").unwrap();
        for number in 0..5 {
            text += &field("events.fields", &format!("field_{number}"), "behavioral");
        }
    }
    parse(&text).unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let schema = schema();
    let purpose = PurposeId::new("marketing.portrait").unwrap();
    let principal = Principal {
        client: ClientId::new("bench").unwrap(),
        role: Role::Service,
        purposes: vec![PurposeId::new("marketing").unwrap()],
    };
    let fields: Vec<(FieldRef, Treatment)> =
        schema.references().into_iter().skip(1).take(8).map(|field| (field, Treatment::Aggregate)).collect();
    let request = Request {
        principal: &principal,
        verb: Verb::Release,
        dataset: Some(&schema),
        purpose: Some(&purpose),
        basis: Some(LawfulBasis::Consent),
        fields: &fields,
        request_id: "11111111-2222-4333-8444-555555555555",
    };
    let fresh = || Rules::parse(Rules::default_texts(), 1).unwrap();
    let ask = |rules: &Rules| assert!(matches!(black_box(decide(rules, black_box(&request))), Decision::Permit(_)));

    let rules = fresh();
    ask(&rules);
    let cached = (0..BATCHES).map(|_| {
        let start = Instant::now();
        (0..CACHED_PER_BATCH).for_each(|_| ask(&rules));
        start.elapsed() / CACHED_PER_BATCH
    });
    let cached = median(cached.collect());
    let first = (0..BATCHES).map(|_| {
        let rules = fresh();
        let start = Instant::now();
        ask(&rules);
        start.elapsed()
    });
    let first = median(first.collect());
    let compile = (0..BATCHES).map(|_| {
        let start = Instant::now();
        let _ = black_box(fresh());
        start.elapsed()
    });
    let compile = median(compile.collect());
    println!("cached decision, 8 of {} fields   {cached:?}", schema.references().len());
    println!("first decision of a row          {first:?}");
    println!("compile the policies that ship   {compile:?}");
}
