//! Withdrawals beside scans: how long each takes to return, and how long a question takes meanwhile.

use crate::erase::{decide_for, name};
use crate::stopwatch::{Since, Times};
use harness::gate::START;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
use policy::permit::{Role, Verb};
use policy::privacy::NanoRho;
use policy::segment::Segment;
use policy::time::Timestamp;
use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use vault::Vault;
use vault::release::{Kind, Question};

/// Callers that wait for their withdrawal at the same time.
const CALLERS: u32 = 64;

/// Withdraws `subjects` people, each in a call of its own, while one caller asks one question after the other.
pub(crate) fn run(folder: &Path, subjects: u32, threads: usize) -> Result<(), Box<dyn Error>> {
    let config = crate::ingest::config(folder, threads).vault()?;
    let vault = Vault::open(&config, START)?;
    let (next, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let (waits, answers) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let start = Since::now();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| withdraw(&vault, subjects, &next, &waits))).collect();
        let asking = scope.spawn(|| ask(&vault, &done, &answers));
        let ended: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
        done.store(true, Ordering::SeqCst);
        let asked = asking.join();
        for ended in ended.into_iter().chain([asked]) {
            ended.map_err(|_| "a caller panicked")??;
        }
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    })
    .map_err(|error| error.to_string())?;
    let took = start.millis();
    let times = |list: Mutex<Vec<f64>>| Times::new(list.into_inner().unwrap_or_default());
    let (waits, answers) = (times(waits), times(answers));
    println!("withdraw: {subjects} people, {:.0} a second by {CALLERS} callers", f64::from(subjects) / took * 1_000.0);
    println!("  until it returned     {waits}, p99 {:.2} ms", waits.p99());
    println!("  answers meanwhile     {answers}, p99 {:.2} ms", answers.p99());
    Ok(vault.close(START)?)
}

type Failed = Box<dyn Error + Send + Sync>;

fn withdraw(vault: &Vault, subjects: u32, next: &AtomicU32, waits: &Mutex<Vec<f64>>) -> Result<(), Failed> {
    let permit = decide_for(vault, Role::Producer, Verb::RecordConsent, None).map_err(|error| error.to_string())?;
    let event = ConsentEvent {
        purpose: PurposeId::new(crate::ingest::PURPOSE)?,
        basis: LawfulBasis::Consent,
        act: ConsentAct::Withdraw,
        at: START,
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "portal".to_owned(),
    };
    let mut mine = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= subjects {
            waits.lock().map_err(|_| "a caller panicked")?.extend(mine);
            return Ok(());
        }
        let subject = name(number).map_err(|error| error.to_string())?;
        let start = Since::now();
        vault.record_consents(&permit, vec![(subject, event.clone())], START)?;
        mine.push(start.millis());
    }
}

fn ask(vault: &Vault, done: &AtomicBool, answers: &Mutex<Vec<f64>>) -> Result<(), Failed> {
    let purpose = Some(crate::ingest::PURPOSE);
    let permit = decide_for(vault, Role::Service, Verb::Release, purpose).map_err(|error| error.to_string())?;
    let schema = vault.schemas().values().next().cloned().ok_or("no dataset")?;
    // Each price is another question, so that none is answered from the store.
    for price in 1_000.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let question = Question {
            dataset: schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: Segment::everyone(),
            kind: Kind::Size,
            rho: NanoRho(price),
        };
        let start = Since::now();
        vault.release(&permit, &question, Timestamp(START.0))?;
        answers.lock().map_err(|_| "a caller panicked")?.push(start.millis());
    }
    Ok(())
}
