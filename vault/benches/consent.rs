//! Times the consent state of a large dataset and measures its memory. Run with
//! `cargo bench -p vault --bench consent -- 10000000`; give the number of people.
//!
//! Everyone gave one consent, all at one instant or each at another. Prints medians.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
use policy::time::Timestamp;
use std::hint::black_box;
use std::time::Instant;
use vault::consent::ConsentBitmaps;

const PEOPLE: u32 = 1_000_000;
const REPEATS: u32 = 21;
/// Withdrawals between two questions.
const BETWEEN: u32 = 100;
const SCHEMA: &str = "version = 1\ndataset = \"shop\"\norganization = \"village\"\nsubject_key = \"customer\"\n\
    purposes = [\"marketing.portrait\", \"marketing.segmentation\", \"sharing.partner.acre\"]\ntime_zone = \"Etc/UTC\"\n\
    [[attributes]]\nname = \"customer\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 64\n";

fn event(act: ConsentAct, at: i64) -> ConsentEvent {
    let purpose = PurposeId::new("marketing").unwrap();
    let (basis, source) = (LawfulBasis::Consent, String::new());
    ConsentEvent {
        purpose,
        basis,
        act,
        at: Timestamp(at),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source,
    }
}

fn scattered(number: u32, people: u32) -> u32 {
    let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    u32::try_from(mixed % u64::from(people)).unwrap()
}

/// Returns the median of several runs in microseconds.
fn median(mut run: impl FnMut(u32)) -> f64 {
    let time = |number| {
        let start = Instant::now();
        run(number);
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<f64> = (0..REPEATS).map(time).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap()
}

/// Returns the memory of this process in bytes.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4_096.0
}

fn measure(name: &str, people: u32, instant: impl Fn(u32) -> i64) {
    let before = resident();
    let mut state = ConsentBitmaps::new(&policy::schema::parse(SCHEMA).unwrap());
    for ordinal in 0..people {
        state.apply(ordinal, &event(ConsentAct::Give, instant(ordinal))).unwrap();
    }
    println!("{name}: {:.1} bytes a person", (resident() - before) / f64::from(people));
    let purpose = PurposeId::new("marketing.portrait").unwrap();
    let ask = |state: &ConsentBitmaps| {
        black_box(state.allowed(&purpose, LawfulBasis::Consent, Timestamp(i64::MAX), people));
    };
    println!("  allowed               {:>9.0} us", median(|_| ask(&state)));
    let withdraw = |round: u32| {
        let pinned = state.clone();
        for number in 0..BETWEEN {
            let ordinal = scattered(round * BETWEEN + number, people);
            state.apply(ordinal, &event(ConsentAct::Withdraw, i64::MAX - 1)).unwrap();
        }
        drop(pinned);
    };
    println!("  withdraw, pinned      {:>9.1} us each", median(withdraw) / f64::from(BETWEEN));
    println!("  allowed afterwards    {:>9.0} us", median(|_| ask(&state)));
    println!("  erase one             {:>9.0} us", median(|round| state.erase(scattered(round, people))));
    let bytes = state.block_bytes(0);
    println!("  write a block         {:>9.0} us, {} bytes", median(|_| _ = state.block_bytes(0)), bytes.len());
    println!("  read a block          {:>9.0} us", median(|_| state.load_block(0, &bytes).unwrap()));
}

fn main() {
    let people = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(PEOPLE);
    measure("one instant", people, |_| 1);
    measure("one instant each", people, |ordinal| 1 + i64::from(scattered(ordinal, u32::MAX)));
}
