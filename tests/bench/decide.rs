//! Decisions: a permit when the row of (principal, purpose, basis, dataset) is in the cache, beside the first, for which every
//! field is put to Cedar.

use crate::Options;
use crate::stopwatch::{Since, Times, time};
use policy::consent::LawfulBasis;
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PurposeId};
use policy::permit::{Role, Verb};
use policy::rules::Rules;
use policy::schema::{FieldRef, Schema};
use policy::treatment::Treatment;
use std::error::Error;

/// Fields of a question: those of a portrait.
const FIELDS: usize = 8;

/// Decides `calls` times about a portrait of eight fields and prints what one takes.
pub(crate) fn run(options: &Options, calls: u32) -> Result<(), Box<dyn Error>> {
    let schema = schema(options)?;
    let rules = Rules::parse(Rules::default_texts(), 1)?;
    let purpose = PurposeId::new(crate::ingest::PURPOSE)?;
    let principal = Principal {
        client: ClientId::new("insights")?,
        role: Role::Service,
        purposes: vec![PurposeId::new("marketing")?],
    };
    let fields = schema.references().into_iter().filter(|field| *field != FieldRef::Attribute(schema.subject_key));
    let fields: Vec<_> = fields.take(FIELDS).map(|field| (field, Treatment::Aggregate)).collect();
    let ask = Request {
        principal: &principal,
        verb: Verb::Release,
        dataset: Some(&schema),
        purpose: Some(&purpose),
        basis: Some(LawfulBasis::Consent),
        fields: &fields,
        request_id: "7f5a2d3e-0c7b-4a51-9f1e-0d3f1b2c4d5e",
    };
    let permitted = || match decide(&rules, &ask) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(refusal.message),
    };
    let (first, took) = time(permitted);
    first?;
    let mut times = Vec::with_capacity(usize::try_from(calls)?);
    for _ in 0..calls {
        let (permit, took) = time(permitted);
        std::hint::black_box(permit?);
        times.push(took);
    }
    let clock = Times::new((0..calls).map(|_| time(|| ()).1).collect());
    let start = Since::now();
    for _ in 0..calls {
        std::hint::black_box(permitted()?);
    }
    let each = start.millis() / f64::from(calls);
    let times = Times::new(times);
    let micros = |millis: f64| millis * 1_000.0;
    println!("decide: {FIELDS} fields of {} in a dataset, {calls} calls", schema.references().len());
    println!("  the first, uncached   {:8.2} us", micros(took));
    println!("  cached, one by one    median {:.2} us, p99 {:.2} us", micros(times.median()), micros(times.p99()));
    println!("  of which the clock    median {:.2} us", micros(clock.median()));
    println!("  cached, in a row      {:8.2} us each", micros(each));
    Ok(())
}

fn schema(options: &Options) -> Result<Schema, Box<dyn Error>> {
    Ok(policy::schema::parse(&crate::ingest::description(options))?)
}
