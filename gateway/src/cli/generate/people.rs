//! The consumers: who they are, what they like, and what they agreed to.
//!
//! The structure that a portrait should find: ceramics lovers are older and live by the lakes and the coast; families buy
//! vegetables, fruit and bread; the young in towns buy wine and cheese by app; wool goes to the hills.

use super::catalogue::CATEGORIES;
use super::random::Random;

pub(super) const AGE_BANDS: [&str; 6] = ["18-24", "25-34", "35-44", "45-54", "55-64", "65+"];
pub(super) const REGIONS: [&str; 8] = ["highlands", "lakes", "moors", "dales", "fens", "downs", "marches", "coast"];
pub(super) const SETTLEMENTS: [&str; 3] = ["village", "town", "city"];
pub(super) const HOUSEHOLDS: [&str; 4] = ["single", "couple", "family", "shared"];
pub(super) const TIERS: [&str; 4] = ["none", "bronze", "silver", "gold"];
pub(super) const CHANNELS: [&str; 4] = ["web", "app", "phone", "market stall"];
pub(super) const DIETS: [&str; 6] = ["none", "vegetarian", "vegan", "gluten-free", "halal", "kosher"];
pub(super) const PURPOSES: [&str; 4] =
    ["marketing.segmentation", "marketing.portrait", "marketing.measurement", "sharing.partner.greenbox"];

const FIRST_NAMES: [&str; 16] = [
    "ada", "ben", "cora", "dan", "elsie", "finn", "grace", "hugh", "iris", "jack", "kit", "lily", "max", "nell",
    "owen", "ruth",
];
const LAST_NAMES: [&str; 16] = [
    "archer", "baker", "carter", "dyer", "fisher", "gardner", "hayward", "mason", "miller", "naylor", "potter",
    "shepherd", "smith", "thatcher", "turner", "weaver",
];

const SECONDS_PER_DAY: i64 = 86_400;
/// The longest membership.
const MAX_MEMBER_DAYS: u64 = 4_000;

/// A consumer. Lists are given by position.
#[derive(Debug, Clone)]
pub(super) struct Consumer {
    pub number: u64,
    pub member_no: String,
    pub email: String,
    pub age: usize,
    pub region: usize,
    pub settlement: usize,
    pub household: usize,
    pub household_size: i64,
    pub tier: usize,
    pub channel: usize,
    pub diet: usize,
    pub newsletter: bool,
    /// Days since 1970-01-01.
    pub member_since: i64,
    /// How much this consumer does, 1 is usual.
    pub activity: f64,
}

/// An act of consent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    /// Position in [`PURPOSES`].
    pub purpose: usize,
    pub give: bool,
    /// Seconds since 1970-01-01.
    pub at: i64,
    pub expires: Option<i64>,
}

impl Consumer {
    /// Makes the consumer with this number; `as_of` is in seconds.
    pub fn new(seed: u64, number: u64, as_of: i64) -> Self {
        let mut random = Random::new(seed, number.wrapping_mul(3));
        let age = random.pick(&[8.0, 15.0, 18.0, 20.0, 21.0, 18.0]);
        let region = random.pick(&[7.0, 9.0, 11.0, 15.0, 14.0, 18.0, 12.0, 14.0]);
        let settlement = random.pick(&[35.0, 45.0, if age <= 1 { 45.0 } else { 20.0 }]);
        let household = match age {
            0 => random.pick(&[30.0, 20.0, 5.0, 45.0]),
            1 => random.pick(&[30.0, 35.0, 20.0, 15.0]),
            2 | 3 => random.pick(&[18.0, 25.0, 54.0, 3.0]),
            _ => random.pick(&[32.0, 58.0, 9.0, 1.0]),
        };
        let household_size = match household {
            0 => 1,
            1 => 2,
            2 => 3 + random.pick(&[50.0, 35.0, 12.0, 3.0]) as i64,
            _ => 2 + random.pick(&[40.0, 35.0, 25.0]) as i64,
        };
        let z = random.normal();
        let tier = [-0.4, 0.5, 1.4].iter().filter(|threshold| z > **threshold).count();
        let channel = if age <= 1 {
            random.pick(&[35.0, 55.0, 2.0, 8.0])
        } else if age >= 4 {
            random.pick(&[40.0, 10.0, 20.0, 30.0])
        } else {
            random.pick(&[50.0, 30.0, 5.0, 15.0])
        };
        let days = (random.unit().powf(1.6) * MAX_MEMBER_DAYS as f64) as i64 + 1;
        let name =
            |list: &[&str], at: u64| list.get(at as usize % list.len().max(1)).copied().unwrap_or_default().to_owned();
        let (first, last) = (name(&FIRST_NAMES, random.below(16)), name(&LAST_NAMES, random.below(16)));
        Self {
            number,
            member_no: format!("m{:07}", number + 1),
            email: format!("{first}.{last}{}@example.org", number + 1),
            age,
            region,
            settlement,
            household,
            household_size,
            tier,
            channel,
            diet: random.pick(&[70.0, 14.0, 5.0, 6.0, 3.0, 2.0]),
            newsletter: random.chance(0.35 + 0.1 * tier as f64),
            member_since: as_of.div_euclid(SECONDS_PER_DAY) - days,
            activity: (0.9 * z).exp(),
        }
    }

    /// Returns how much this consumer likes each category.
    pub fn tastes(&self) -> [f64; CATEGORIES.len()] {
        let yes = |condition: bool, factor: f64| if condition { factor } else { 1.0 };
        let (young, older) = (self.age <= 1, self.age >= 4);
        let (family, village) = (self.household == 2, self.settlement == 0);
        let by_water = self.region == 1 || self.region == 7;
        let hills = self.region == 0 || self.region == 3;
        let no_meat = self.diet == 1 || self.diet == 2;
        [
            1.6 * yes(family, 1.9) * yes(no_meat, 1.6),
            1.3 * yes(family, 1.8),
            1.5 * yes(family, 1.4) * yes(self.diet == 3, 0.2),
            1.1 * yes(young, 1.4) * yes(self.diet == 2, 0.05),
            1.0 * yes(no_meat, 0.03) * yes(village, 1.3),
            0.6 * yes(self.region == 2, 2.2) * yes(older, 1.3),
            0.8 * yes(young, 1.8) * yes(self.settlement == 2, 1.5) * yes(self.diet == 4, 0.05),
            0.6 * yes(village, 1.5) * yes(older, 1.4),
            0.35 * yes(hills, 2.6) * yes(older, 1.2),
            0.3 * yes(older, 2.2) * yes(by_water, 2.0) * yes(older && by_water, 2.2),
        ]
    }

    /// Returns what this consumer agreed to, in order. About 30 in 100 agree to no marketing.
    pub fn agreements(&self, seed: u64, as_of: i64) -> Vec<Agreement> {
        let mut random = Random::new(seed, self.number.wrapping_mul(3) + 1);
        let joined = self.member_since * SECONDS_PER_DAY + 36_000;
        let mut agreements = Vec::new();
        if !random.chance(0.70) {
            return agreements;
        }
        let chances = [1.0, 0.96, 0.92, if self.age <= 1 { 0.45 } else { 0.30 }];
        for (purpose, chance) in chances.into_iter().enumerate() {
            if !random.chance(chance) {
                continue;
            }
            let lapses = random.chance(0.02);
            let expires = lapses.then(|| joined + (as_of - joined) / 2);
            agreements.push(Agreement { purpose, give: true, at: joined, expires });
            if random.chance(0.03) {
                let at = joined + ((as_of - joined) as f64 * random.unit()) as i64;
                agreements.push(Agreement { purpose, give: false, at, expires: None });
            }
        }
        agreements
    }
}
