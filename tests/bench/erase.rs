//! Erasing people of a dataset that an ingest left: one by one, and many at once.

use crate::stopwatch::{Since, Times, memory, processor, written};
use gateway::config::Config;
use harness::gate::{Gate, START};
use policy::consent::LawfulBasis;
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, DatasetId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::rules::Rules;
use proto::v1;
use proto::v1::subject_service_client::SubjectServiceClient;
use std::error::Error;
use std::path::Path;
use vault::Vault;
use vault::ingest::SubjectKey;

/// Most people of one erasure.
const MOST: u32 = 10_000;
/// People of the batches that are erased at once.
const BATCHES: [u32; 2] = [1_000, MOST];
const STRIDE: u32 = 768_143;

/// People of a dataset, spread over all its blocks; nobody comes twice, since the stride is a prime.
struct Spread {
    number: u32,
    subjects: u32,
}

impl Spread {
    fn next(&mut self) -> u32 {
        self.number = self.number.wrapping_add(STRIDE) % self.subjects;
        self.number
    }
}

/// Erases `runs` people one by one, then each of [`BATCHES`] at once, and prints times and bytes: first with the data
/// folder alone, then as a steward does it over gRPC, then with a mirror and a backup in other folders of the same disk.
pub(crate) fn run(folder: &Path, subjects: u32, threads: usize, runs: usize) -> Result<(), Box<dyn Error>> {
    let config = crate::ingest::config(folder, threads);
    let mut spread = Spread { number: 0, subjects };
    println!("erase: of {subjects} people, scattered, neither mirror nor backup");
    measure(&config, &mut spread, runs)?;
    over_grpc(&config, &mut spread)?;
    let (mirror, backup) = (Some(folder.join("mirror")), Some(folder.join("backup")));
    println!("erase: the same with a mirror and a backup in other folders of the same disk");
    measure(&Config { mirror, backup, ..config }, &mut spread, runs)
}

fn measure(config: &Config, spread: &mut Spread, runs: usize) -> Result<(), Box<dyn Error>> {
    let start = Since::now();
    let vault = Vault::open(&config.vault()?, START)?;
    let (resident, _) = memory();
    println!("  opened in             {:.0} ms, {resident} MiB resident", start.millis());
    if config.backup.is_some() {
        let start = Since::now();
        vault.backup_now(&decide_for(&vault, Role::System, Verb::Maintain, None)?, START)?;
        println!("  backup caught up in   {:.0} ms", start.millis());
    }
    let permit = decide_for(&vault, Role::Steward, Verb::EraseSubject, None)?;
    let (mut times, mut bytes, before) = (Vec::new(), 0, written());
    while times.len() < runs {
        let subject = name(spread.next())?;
        let start = Since::now();
        bytes += vault.erase(&permit, &[subject], START)?.bytes;
        times.push(start.millis());
    }
    let (times, each) = (Times::new(times), u64::try_from(runs.max(1))?);
    println!("  one person            {times}, p99 {:.2} ms", times.p99());
    let all = (written() - before) / each;
    println!("  written for each      {} KiB of pieces, {} KiB in all", bytes / 1_024 / each, all >> 10);
    for people in BATCHES {
        let batch: Vec<_> = (0..people).map(|_| name(spread.next())).collect::<Result<_, _>>()?;
        let (before, used, start) = (written(), processor(), Since::now());
        let receipt = vault.erase(&permit, &batch, START)?;
        let (took, used) = (start.millis(), processor() - used);
        let rate = f64::from(people) / took * 1_000.0;
        let (pieces, all) = (receipt.bytes, written() - before);
        println!(
            "  {people:5} people at once  {took:.0} ms, {rate:.0} people/s; {} pieces, {} MiB of them, {} MiB written in \
             all, {} KiB a person; {used} ms of processor time",
            receipt.pieces,
            pieces >> 20,
            all >> 20,
            (all >> 10) / u64::from(people)
        );
    }
    Ok(vault.close(START)?)
}

/// Erases the largest batch in one call, with proofs of all its leaves and a look-up afterwards.
fn over_grpc(config: &Config, spread: &mut Spread) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let people = MOST;
    runtime.block_on(async {
        let gate = Gate::open(config.clone()).await;
        let steward = gate.steward().await;
        let mut client = SubjectServiceClient::new(steward.line()).max_decoding_message_size(64 << 20);
        let subjects = (0..people).map(|_| crate::ingest::name(spread.next())).collect();
        let dataset = "datasets/shop".into();
        let request = v1::EraseSubjectsRequest { dataset, subjects, ..Default::default() };
        let start = Since::now();
        let answer = client.erase_subjects(request).await?.into_inner();
        let took = start.millis();
        let intents = answer.receipt.as_ref().map_or(0, |receipt| receipt.intents.len());
        let (rate, bytes) = (f64::from(people) / took * 1_000.0, prost::Message::encoded_len(&answer));
        println!(
            "  {people:5} over gRPC       {took:.0} ms, {rate:.0} people/s, looked up again; {intents} proofs, {} MiB",
            bytes >> 20
        );
        gate.stop().await;
        Ok(())
    })
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
