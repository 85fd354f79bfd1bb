//! What a gateway takes: memory of its process and bytes of its folders.

use super::world::{Amiss, Done, World};
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of the parts of a data folder.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folder {
    /// Pieces.
    pub blocks: u64,
    /// The log of leaves, which stays for ever.
    pub log: u64,
    /// The write-ahead log.
    pub wal: u64,
    /// Databases of what is not folded.
    pub store: u64,
    /// All of it.
    pub all: u64,
}

impl Folder {
    /// Measures a folder. A file that goes meanwhile counts for nothing.
    pub fn of(data: &Path) -> Self {
        let part = |name: &str| bytes(&data.join(name));
        Self { blocks: part("blocks"), log: part("log"), wal: part("wal"), store: part("store"), all: bytes(data) }
    }
}

/// Adds up the lengths of all files in a folder.
pub fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// Returns the resident memory of a process, in bytes.
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// One look.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Since the beginning.
    pub seconds: u64,
    /// Whether all people had come.
    pub full: bool,
    /// Resident memory, bytes.
    pub resident: u64,
    /// The data folder.
    pub data: Folder,
    /// Bytes that nothing can do without: the pieces right after the last quiet close, which is what the key tree names
    /// then, and the log.
    pub live: u64,
    /// Bytes of the backup target.
    pub backup: u64,
}

impl Sample {
    /// Returns how many times the live data the folder takes.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn ratio(&self) -> f64 {
        self.data.all as f64 / self.live.max(1) as f64
    }

    /// Says it in a line.
    pub fn line(&self, world: &World, seconds: u64) -> String {
        let Done { counts, millis } = world.take_done();
        let count = |what: &str| counts.get(what).copied().unwrap_or(0);
        let rate = |what: &str| count(what) / seconds.max(1);
        let people = world.people().len();
        let amiss = world.amiss();
        let Folder { blocks, log, wal, store, all } = self.data;
        format!(
            "{:2}:{:02}  memory {:4}  data {:4} (blocks {} log {} wal {} store {})  live {:4} x{:.2}  backup {:4}  people \
             {people}  rows {}/s  asks {} {}  withdrawals {} {}  erased {} {}  closes {} rotations {}  {}",
            self.seconds / 60,
            self.seconds % 60,
            mib(self.resident),
            mib(all),
            mib(blocks),
            mib(log),
            mib(wal),
            mib(store),
            mib(self.live),
            self.ratio(),
            mib(self.backup),
            rate("rows"),
            count("ask"),
            times(&millis, "ask"),
            count("withdrawal"),
            times(&millis, "withdrawal"),
            count("erased"),
            times(&millis, "erasure"),
            count("close"),
            count("rotation"),
            refused(&amiss),
        )
    }
}

/// Says what was refused and what went wrong.
pub fn refused(amiss: &Amiss) -> String {
    let refused: Vec<_> = amiss.refused.iter().map(|(what, count)| format!("{what} {count}")).collect();
    format!("refused so far [{}]  errors {}", refused.join(", "), amiss.errors)
}

fn times(millis: &BTreeMap<&'static str, Vec<f64>>, what: &str) -> String {
    let mut all = millis.get(what).cloned().unwrap_or_default();
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1)));
    match (at(50), at(99)) {
        (Some(half), Some(most)) => format!("p50 {half:.0} p99 {most:.0} ms"),
        _ => "-".to_owned(),
    }
}

/// Returns whole MiB.
pub fn mib(bytes: u64) -> u64 {
    bytes >> 20
}
