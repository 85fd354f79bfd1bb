//! The events that everybody is asked about, the truth about them, and the bounds that everybody is tuned over.

use harness::figures::data_folder;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use vault::rehearsal::{Record, Records};

/// Most of a row's amount, in cents.
pub(super) const CAP: i64 = 20_000;

/// Events and what is public about them.
pub(super) struct Data {
    pub(super) name: String,
    /// The values of every field, which are public.
    pub(super) keys: Vec<String>,
    pub(super) records: Records,
    pub(super) grid: Grid,
    /// Whether groups are known to be uneven, so that ours are asked to be weighed.
    pub(super) weighed: bool,
}

/// Bounds to try.
pub(super) struct Grid {
    /// Ours: events of one subject, L2 over the groups.
    pub(super) events: Vec<u64>,
    /// Ours: amounts of one subject, likewise, in whole units.
    pub(super) amounts: Vec<u64>,
    /// Peers: rows of one subject.
    pub(super) rows: Vec<u64>,
    /// Peers: groups of one subject, rows and amount in each.
    pub(super) groups: Vec<[u64; 3]>,
}

const SUBJECTS: u32 = 10_000;
const MEAN_EVENTS: f64 = 10.0;
const GROUPS: u8 = 20;
const FIELDS: u16 = 10;

impl Data {
    /// Returns 100,000 events or so of 10,000 subjects: a Poisson number of each, ten independent Zipf fields of 20 values,
    /// lognormal amounts. The same every time.
    pub(super) fn made_up() -> Self {
        let mut dice = Dice(8);
        let weights: Vec<f64> = (1..=GROUPS).map(|rank| 1.0 / f64::from(rank)).collect();
        let record =
            |dice: &mut Dice| Record { codes: (0..FIELDS).map(|_| dice.pick(&weights)).collect(), cents: dice.cents() };
        let subject = |_| (0..dice.poisson(MEAN_EVENTS)).map(|_| record(&mut dice)).collect();
        let subjects: Vec<Vec<Record>> = (0..SUBJECTS).map(subject).collect();
        let events: usize = subjects.iter().map(Vec::len).sum();
        Self {
            name: format!(
                "made up: {events} events of {SUBJECTS} subjects (Poisson), {GROUPS} groups (Zipf), amounts to 200.00"
            ),
            keys: (1..=GROUPS).map(|group| format!("v{group}")).collect(),
            records: Records { fields: FIELDS, values: GROUPS, subjects },
            grid: Grid {
                events: vec![4, 5, 6, 7, 8, 9, 10, 12, 14, 16],
                amounts: vec![250, 275, 300, 325, 350, 375, 400, 450, 500],
                rows: vec![16, 18, 20],
                groups: vec![[10, 5, 200], [12, 6, 300], [14, 6, 400]],
            },
            weighed: true,
        }
    }

    /// Returns what customers of a wholesaler bought, by month: every row with a customer, amounts of 0 to 200.00. Nothing
    /// where the data set is not at hand.
    pub(super) fn online_retail() -> Result<Option<Self>, Box<dyn Error>> {
        let Some(file) = data_folder().map(|folder| folder.join("online_retail/online_retail.csv")) else {
            return Ok(None);
        };
        if !file.is_file() {
            return Ok(None);
        }
        let mut rows = csv::Reader::from_path(&file)?;
        let names = rows.headers()?.clone();
        let mut people: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for row in rows.records() {
            let row = row?;
            let field =
                |name: &str| names.iter().position(|known| known == name).and_then(|at| row.get(at)).unwrap_or("");
            if !field("CustomerID").is_empty() {
                let amount = field("Quantity").parse::<f64>()? * field("UnitPrice").parse::<f64>()?;
                let month = field("InvoiceDate").get(..7).ok_or("no month")?.to_owned();
                people.entry(field("CustomerID").to_owned()).or_default().push((month, whole_cents(amount)));
            }
        }
        Ok(Some(Self::by_month(people)?))
    }

    fn by_month(people: BTreeMap<String, Vec<(String, i64)>>) -> Result<Self, Box<dyn Error>> {
        let mut keys: Vec<String> = people.values().flatten().map(|(month, _)| month.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let code =
            |month: &String| keys.binary_search(month).ok().and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0);
        let record = |(month, cents): &(String, i64)| Record { codes: vec![code(month)], cents: *cents };
        let subjects: Vec<Vec<Record>> = people.values().map(|rows| rows.iter().map(record).collect()).collect();
        let rows: usize = subjects.iter().map(Vec::len).sum();
        Ok(Self {
            name: format!(
                "online_retail: {rows} rows of {} customers, {} months, amounts of 0 to 200.00",
                subjects.len(),
                keys.len()
            ),
            records: Records { fields: 1, values: u8::try_from(keys.len())?, subjects },
            keys,
            grid: Grid {
                events: vec![20, 40, 60, 80, 100, 120, 160, 200, 250, 300],
                amounts: vec![500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000],
                rows: vec![150, 250, 400, 600, 900],
                groups: vec![[8, 40, 1_000], [10, 60, 1_500], [13, 80, 2_000], [13, 120, 3_000]],
            },
            weighed: false,
        })
    }

    /// Writes subject, amount and the fields, a row an event.
    pub(super) fn write_csv(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        let mut out = BufWriter::new(File::create(file)?);
        write!(out, "subject,amount")?;
        (0..self.records.fields).try_for_each(|field| write!(out, ",c{field}"))?;
        for (subject, records) in self.records.subjects.iter().enumerate() {
            for Record { codes, cents } in records {
                write!(out, "\n{subject},{}.{:02}", cents / 100, cents % 100)?;
                for code in codes {
                    write!(out, ",{}", self.keys.get(usize::from(*code) - 1).ok_or("a code without a key")?)?;
                }
            }
        }
        writeln!(out)?;
        Ok(out.flush()?)
    }

    /// Returns the number and the amount in whole units of the events with each value, of the first so many fields.
    pub(super) fn truth(&self, fields: u16) -> (Vec<f64>, Vec<f64>) {
        let cells = usize::from(fields) * self.keys.len();
        let (mut counts, mut sums) = (vec![0_i64; cells], vec![0_i64; cells]);
        for Record { codes, cents } in self.records.subjects.iter().flatten() {
            for (field, code) in codes.iter().take(usize::from(fields)).enumerate() {
                let cell = field * self.keys.len() + usize::from(*code) - 1;
                if let Some((count, sum)) = counts.get_mut(cell).zip(sums.get_mut(cell)) {
                    *count += 1;
                    *sum += cents;
                }
            }
        }
        let float = |list: Vec<i64>, one: f64| list.into_iter().map(|cell| cell as f64 / one).collect();
        (float(counts, 1.0), float(sums, 100.0))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "limited to the cap")]
fn whole_cents(amount: f64) -> i64 {
    (amount * 100.0).round().clamp(0.0, CAP as f64) as i64
}

/// Pseudo-random numbers (splitmix64), the same every time.
struct Dice(u64);

impl Dice {
    /// Between 0 and 1, never 0.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (end, mut product, mut events) = ((-mean).exp(), self.unit(), 0);
        while product > end {
            product *= self.unit();
            events += 1;
        }
        events
    }

    /// A place from 1, by weight.
    fn pick(&mut self, weights: &[f64]) -> u8 {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        let before = weights.iter().take_while(|weight| {
            left -= *weight;
            left > 0.0
        });
        u8::try_from(before.count().min(weights.len() - 1)).unwrap_or(0) + 1
    }

    /// An amount of 36.77 on average once it is cut off at the cap.
    fn cents(&mut self) -> i64 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        whole_cents((3.224 + 0.9 * normal).exp())
    }
}
