//! Erasing people of a dataset that an ingest left: one by one, and many at once.

use crate::stopwatch::{Since, Times, memory};
use harness::gate::START;
use policy::consent::LawfulBasis;
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, DatasetId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::rules::Rules;
use std::error::Error;
use std::path::Path;
use vault::Vault;
use vault::ingest::SubjectKey;

/// People of the batch that is erased at once.
const BATCH: u32 = 1_000;
const STRIDE: u32 = 768_143;

/// Erases `runs` people one by one, then [`BATCH`] at once, and prints times and bytes.
pub(crate) fn run(folder: &Path, subjects: u32, threads: usize, runs: usize) -> Result<(), Box<dyn Error>> {
    let config = crate::ingest::config(folder, threads).vault()?;
    let start = Since::now();
    let vault = Vault::open(&config, START)?;
    let (resident, _) = memory();
    println!("erase: opened in {:.0} ms, {resident} MiB resident", start.millis());
    let permit = decide_for(&vault, Role::Steward, Verb::EraseSubject, None)?;
    // Spread over all blocks; nobody comes twice, since the stride is a prime.
    let mut number = 0_u32;
    let mut next = || {
        number = number.wrapping_add(STRIDE);
        name(number % subjects)
    };
    let (mut times, mut bytes) = (Vec::new(), 0);
    while times.len() < runs {
        let subject = next()?;
        let start = Since::now();
        let receipt = vault.erase(&permit, &[subject], START)?;
        times.push(start.millis());
        bytes += receipt.bytes;
    }
    let times = Times::new(times);
    println!("  one person            {times}, p99 {:.2} ms", times.p99());
    println!("  written for each      {} KiB", bytes / 1_024 / u64::try_from(runs.max(1))?);
    let batch: Vec<_> = (0..BATCH).map(|_| next()).collect::<Result<_, _>>()?;
    let start = Since::now();
    let receipt = vault.erase(&permit, &batch, START)?;
    let took = start.millis();
    let rate = f64::from(BATCH) / took * 1_000.0;
    println!("  {BATCH} people at once   {took:.0} ms, {rate:.0} people/s, {} MiB written", receipt.bytes >> 20);
    Ok(vault.close(START)?)
}

/// Returns a subject's key.
pub(crate) fn name(n: u32) -> Result<SubjectKey, Box<dyn Error>> {
    Ok(SubjectKey::new(&crate::ingest::name(n)).ok_or("a name has no bytes")?)
}

/// Returns a permit under the policies that ship, on the dataset of `bench ingest`.
pub(crate) fn decide_for(
    vault: &Vault,
    role: Role,
    verb: Verb,
    purpose: Option<&str>,
) -> Result<Permit, Box<dyn Error>> {
    let schemas = vault.schemas();
    let schema = schemas.get(&DatasetId::new("shop")?).ok_or("the folder has no dataset of `bench ingest`")?;
    let rules = Rules::parse(Rules::default_texts(), 1)?;
    let purpose = purpose.map(PurposeId::new).transpose()?;
    let purposes = purpose.clone().into_iter().collect();
    let principal = Principal { client: ClientId::new("bench")?, role, purposes };
    let request = Request {
        principal: &principal,
        verb,
        dataset: Some(schema),
        purpose: purpose.as_ref(),
        basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
        fields: &[],
        request_id: "",
    };
    match decide(&rules, &request) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(refusal.message.into()),
    }
}
