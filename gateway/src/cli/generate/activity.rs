//! What a consumer does: sessions around one product, from views to a cart to an order.

use super::catalogue::{CATEGORIES, PER_CATEGORY, PRODUCTS, SEASONS};
use super::people::Consumer;
use super::random::Random;
use jiff::civil::Date;

/// Days before `as_of` in which things happen.
const SPAN_DAYS: i64 = 730;
const SECONDS_PER_DAY: i64 = 86_400;
/// How busy each hour of the day is.
const HOURS: [f64; 24] = [
    1.0, 0.5, 0.3, 0.2, 0.3, 0.8, 2.0, 4.0, 6.0, 7.0, 7.0, 6.0, 7.0, 6.0, 5.0, 5.0, 6.0, 8.0, 10.0, 12.0, 12.0, 9.0,
    5.0, 2.0,
];
/// How well the six products of a category sell.
const POPULARITY: [f64; PER_CATEGORY] = [6.0, 4.0, 3.0, 2.0, 1.5, 1.0];

/// A step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    View,
    Cart,
    Order,
}

/// One thing that a consumer did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    pub kind: Kind,
    /// Seconds since 1970-01-01, before `as_of`.
    pub at: i64,
    /// Position in the catalogue.
    pub product: usize,
    pub channel: usize,
    pub quantity: i64,
    /// Hundredths.
    pub amount: i64,
    /// Set for orders.
    pub order_no: i64,
}

/// The months of the days before `as_of`.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    as_of: i64,
    /// Month, 0-11, of each day, the last day first.
    months: Vec<usize>,
}

impl Calendar {
    /// Lays out the calendar; `as_of` is in seconds.
    pub fn new(as_of: i64) -> Self {
        let month = |days_ago: i64| {
            let day = as_of.div_euclid(SECONDS_PER_DAY) - days_ago;
            let date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).unwrap_or_default());
            date.map_or(0, |date| usize::from(date.month().unsigned_abs()) - 1)
        };
        Self { as_of, months: (0..=SPAN_DAYS + 1).map(month).collect() }
    }

    fn month(&self, at: i64) -> usize {
        let ago = self.as_of.div_euclid(SECONDS_PER_DAY) - at.div_euclid(SECONDS_PER_DAY);
        usize::try_from(ago).ok().and_then(|ago| self.months.get(ago)).copied().unwrap_or(0)
    }
}

/// Returns exactly `count` acts of a consumer, session by session.
pub(super) fn acts(seed: u64, consumer: &Consumer, count: u64, calendar: &Calendar) -> Vec<Act> {
    let mut random = Random::new(seed, consumer.number.wrapping_mul(3) + 2);
    let tastes = consumer.tastes();
    let mut acts = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut orders = 0;
    while (acts.len() as u64) < count {
        let start = session_start(&mut random, consumer, calendar);
        let mut weights = tastes;
        for (weight, season) in weights.iter_mut().zip(&SEASONS) {
            *weight *= season.get(calendar.month(start)).copied().unwrap_or(1.0);
        }
        let category = random.pick(&weights).min(CATEGORIES.len() - 1);
        let product = category * PER_CATEGORY + random.pick(&POPULARITY);
        session(&mut random, consumer, product, start, &mut orders, &mut acts);
    }
    acts.truncate(usize::try_from(count).unwrap_or(0));
    for act in &mut acts {
        act.at = act.at.min(calendar.as_of - 1);
    }
    acts
}

fn session_start(random: &mut Random, consumer: &Consumer, calendar: &Calendar) -> i64 {
    let today = calendar.as_of.div_euclid(SECONDS_PER_DAY);
    let first = consumer.member_since.max(today - SPAN_DAYS);
    // More in recent times: the co-operative grows.
    let day = first + ((today - first) as f64 * random.unit().powf(0.75)) as i64;
    let hour = random.pick(&HOURS) as i64;
    (day * SECONDS_PER_DAY + hour * 3_600 + random.below(3_600) as i64).min(calendar.as_of - 1)
}

fn session(
    random: &mut Random,
    consumer: &Consumer,
    product: usize,
    start: i64,
    orders: &mut i64,
    acts: &mut Vec<Act>,
) {
    let price = PRODUCTS.get(product).map_or(0, |product| product.price);
    let channel = if random.chance(0.8) { consumer.channel } else { random.below(4) as usize };
    let mut at = start;
    let act =
        |kind, at, quantity, order_no| Act { kind, at, product, channel, quantity, amount: price * quantity, order_no };
    for _ in 0..1 + random.pick(&[50.0, 30.0, 15.0, 5.0]) {
        acts.push(act(Kind::View, at, 1, 0));
        at += 20 + random.below(400) as i64;
    }
    let eagerness = 1.0 + 0.15 * consumer.tier as f64;
    if !random.chance(0.30 * eagerness) {
        return;
    }
    let quantity = 1 + random.pick(&[70.0, 20.0, 7.0, 3.0]) as i64;
    acts.push(act(Kind::Cart, at, quantity, 0));
    if random.chance(0.50 * eagerness) {
        at += 60 + random.below(3_000) as i64;
        *orders += 1;
        acts.push(act(Kind::Order, at, quantity, consumer.number as i64 * 10_000 + *orders));
    }
}
