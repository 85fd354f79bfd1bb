//! Our answers: through sealed blocks, the scan, the plan and the draw of a release.

use super::data::Data;
use super::score::{Asked, Error};
use policy::privacy::NanoRho;
use policy::schema::FieldRef;
use policy::segment::{Window, round_sizes};
use std::path::Path;
use vault::rehearsal::{EVENT, Rehearsal, RehearsalError};
use vault::release::{By, Kind, Measure, Table, bounds};

/// Draws of each bound.
const DRAWS: u32 = 200;

/// How often bounds are asked for, and draws under each that was told.
const ASKED: u32 = 25;
const DRAWS_EACH: u32 = 8;

/// Sealed events, ready to be asked about.
pub(super) struct Ours {
    rehearsal: Rehearsal,
    fields: u16,
}

/// Bounds and their errors, as they are printed.
type Bound = (String, f64);

/// What tuning one bound gave.
pub(super) struct Curve {
    pub(super) grid: Vec<Bound>,
    pub(super) best: Bound,
    /// The best bound less and more a fifth of it.
    pub(super) off: Vec<Bound>,
}

/// What tuning gave.
pub(super) struct Tuned {
    pub(super) counts: Option<Curve>,
    pub(super) sums: Option<Curve>,
    /// Errors of counts and of sums with bounds that were released for a tenth of the price. Of one question.
    pub(super) earnest: Option<(f64, f64)>,
}

impl Ours {
    pub(super) fn new(data: &Data, folder: &Path, threads: usize) -> Result<Self, RehearsalError> {
        Ok(Self { rehearsal: Rehearsal::of_records(folder, &data.records, threads)?, fields: data.records.fields })
    }

    /// Tries every bound of the grid. What counts and sums lose to their bounds does not depend on each other's.
    pub(super) fn tuned(&mut self, data: &Data, asked: Asked, rho: NanoRho) -> Result<Tuned, RehearsalError> {
        let (events, amounts) = (&data.grid.events, &data.grid.amounts);
        let first = |list: &[u64]| list.first().copied().unwrap_or(1);
        let (any_events, any_amount) = (first(events), first(amounts));
        let counts = curve(events, "", |bound| Ok(self.errors(data, asked, rho, bound, any_amount)?.0))?;
        let sums =
            |ours: &mut Self| curve(amounts, ".00", |bound| Ok(ours.errors(data, asked, rho, any_events, bound)?.1));
        let sums = asked.sums().then(|| sums(self)).transpose()?;
        let earnest = (asked.fields() == 1).then(|| self.earnest(data, asked, rho)).transpose()?;
        Ok(Tuned { counts: Some(counts), sums, earnest })
    }

    /// Errors where nobody looks at the truth: bounds are asked for first, with a tenth of the price.
    fn earnest(&mut self, data: &Data, asked: Asked, rho: NanoRho) -> Result<(f64, f64), RehearsalError> {
        let (for_bounds, rest) = (NanoRho(rho.0 / 10), NanoRho(rho.0 - rho.0 / 10));
        let (mut counts, mut sums) = (Error::default(), Error::default());
        for _ in 0..ASKED {
            let (each, parts) = if asked.sums() { (NanoRho(for_bounds.0 / 2), 5) } else { (for_bounds, 2) };
            let part = |parts_of_it: u64| NanoRho(rest.0 / parts * parts_of_it);
            let events = self.suggested(data, FieldRef::Event(EVENT), round_sizes(1, 10_000), each, part(2))?;
            let amount = Rehearsal::amount(self.fields);
            let amounts = round_sizes(100, 10_000_000);
            let most = asked.sums().then(|| self.suggested(data, amount, amounts, each, part(3))).transpose()?;
            let (count, sum) = self.errors_under(data, asked, rest, (events, most.unwrap_or(1)), DRAWS_EACH)?;
            counts.merge(count);
            sums.merge(sum);
        }
        Ok((counts.root_mean_square(), sums.root_mean_square()))
    }

    /// Asks for a bound at a price, for a part of a table at another; the largest candidate where noise is all there is.
    fn suggested(
        &mut self,
        data: &Data,
        of: FieldRef,
        edges: Vec<u64>,
        price: NanoRho,
        rho: NanoRho,
    ) -> Result<u64, RehearsalError> {
        let by = vec![By::Field(Rehearsal::category(0))];
        self.rehearsal.ask(Kind::Norms { of, by, window: Window::Ever, edges: edges.clone() }, price)?;
        let partial = self.rehearsal.scan()?;
        let tables = self.rehearsal.draw(&partial)?;
        let cells: Vec<i64> = tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect();
        // One person is in one cell.
        let sigma = (1_024.0 / (2.0 * price.rho()).sqrt()).ceil() as u64;
        let asked = bounds::Asked { rho, cells: data.keys.len() + 1 };
        let found = bounds::bound(&cells, sigma, &edges, asked).and_then(|found| edges.get(found.edge).copied());
        let bound = found.or(edges.last().copied()).unwrap_or(1);
        // As the manual says of tables that are weighed.
        Ok(if data.weighed { (bound * 2).div_ceil(3) } else { bound })
    }

    /// Errors of counts and of sums, under bounds on events and whole amounts.
    fn errors(
        &mut self,
        data: &Data,
        asked: Asked,
        rho: NanoRho,
        events: u64,
        amount: u64,
    ) -> Result<(f64, f64), RehearsalError> {
        let (counts, sums) = self.errors_under(data, asked, rho, (events, amount * 100), DRAWS)?;
        Ok((counts.root_mean_square(), sums.root_mean_square()))
    }

    /// Errors under bounds on events and cents. Each of several questions gets its share of the total.
    fn errors_under(
        &mut self,
        data: &Data,
        asked: Asked,
        rho: NanoRho,
        (events, cents): (u64, u64),
        draws: u32,
    ) -> Result<(Error, Error), RehearsalError> {
        let (counts, sums) = data.truth(asked.fields());
        let keys = data.keys.len();
        let (mut count_error, mut sum_error) = (Error::default(), Error::default());
        for field in 0..asked.fields() {
            let mut measures = vec![Measure::Events { event: EVENT, bound: events }];
            if asked.sums() {
                measures.push(Measure::Sum { field: Rehearsal::amount(self.fields), bound: cents });
            }
            let by = vec![By::Field(Rehearsal::category(field))];
            let share = NanoRho(rho.0 / u64::from(asked.fields()));
            self.rehearsal.ask(Kind::Table { measures, by, window: Window::Ever, weighed: data.weighed }, share)?;
            let truth =
                |list: &[f64]| list.iter().copied().skip(usize::from(field) * keys).take(keys).collect::<Vec<_>>();
            let (counts, sums) = (truth(&counts), truth(&sums));
            for _ in 0..draws {
                // Anew each time: what a pilot draws is part of the chance.
                self.rehearsal.weigh()?;
                let partial = self.rehearsal.scan()?;
                let tables = self.rehearsal.draw(&partial)?;
                let mut tables = tables.iter();
                tables.by_ref().take(1).for_each(|table| count_error.add(answers(table, 1.0), &counts));
                tables.for_each(|table| sum_error.add(answers(table, 100.0), &sums));
            }
        }
        Ok((count_error, sum_error))
    }
}

/// The cells of a table, without the first, of events that lack the field, in units of so many of what is counted.
fn answers(table: &Table, one: f64) -> impl Iterator<Item = f64> {
    table.cells.iter().skip(1).map(move |cell| cell.noised as f64 / 1_024.0 / one)
}

fn curve(
    bounds: &[u64],
    unit: &str,
    mut error: impl FnMut(u64) -> Result<f64, RehearsalError>,
) -> Result<Curve, RehearsalError> {
    let mut tried = Vec::new();
    for bound in bounds {
        tried.push((*bound, error(*bound)?));
    }
    let (best, least) = tried.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((1, f64::NAN));
    let shown = |(bound, error): (u64, f64)| (format!("{bound}{unit}"), error);
    let mut off = Vec::new();
    for bound in [best * 4 / 5, (best * 6).div_ceil(5)] {
        off.push(shown((bound, error(bound.max(1))?)));
    }
    Ok(Curve { grid: tried.into_iter().map(shown).collect(), best: shown((best, least)), off })
}
