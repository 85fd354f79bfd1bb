//! From a question to tables, sensitivity, noise and price. Uses the schema and public constants only.

use super::draw::Drawn;
use super::pilot;
use super::question::{Dimension, Kind, Question, Table, TableNoise};
use super::shape::{Shape, shapes};
use super::top::Top;
use super::{Answer, Cell};
use crate::scan::{self, TableSpec, Weights};
use policy::privacy::NanoRho;
use policy::schema::Schema;
use policy::segment::{Segment, WindowError};
use policy::time::Timestamp;

/// Most cells of one release, over all its tables.
pub const MAX_CELLS: usize = 65_536;

/// Most tables of a portrait.
pub const MAX_TABLES: usize = 64;

/// Most steps of a funnel.
pub const MAX_STEPS: usize = 8;

/// Most segments whose overlap is asked for: every one more doubles the cells.
pub const MAX_OVERLAP: usize = 4;

/// Most bands in a list: what released cut points are found among has the most.
pub const MAX_BANDS: usize = policy::segment::MAX_CANDIDATES + 1;

/// Most periods of a retention.
pub const MAX_COHORTS: usize = 32;

/// Most things that one table counts.
pub const MAX_MEASURES: usize = 4;

/// Most periods of a trend.
pub const MAX_PERIODS: usize = 400;

/// Most edges of bins.
pub const MAX_EDGES: usize = 1_024;
/// Most lengths of vectors in a histogram of them.
pub const MAX_NORMS: usize = 64;

/// Most values that are selected of a field.
pub const MAX_TOP: usize = 50;

/// Why a question has no plan. Names fields of the schema, so it is only for callers who may know of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not a field of this schema.
    #[error("a field is not in the schema")]
    UnknownField,
    /// An event type as such has no values to break down by.
    #[error("`{0}` is an event type; name one of its fields")]
    EventType(String),
    /// Names people.
    #[error("`{0}` is an identifier and is never counted by")]
    Identifier(String),
    /// Not a public, closed list of values.
    #[error("`{0}` has no closed list of values; break down by an enum or a bool")]
    OpenDomain(String),
    /// A breakdown needs one field, and not too many.
    #[error("a breakdown is by one field, by two or by three, not {0}")]
    FieldCount(usize),
    /// A portrait needs some fields, and not too many.
    #[error("a portrait has 1 to {MAX_TABLES} fields, not {0}")]
    TableCount(usize),
    /// The same field twice.
    #[error("`{0}` is named twice")]
    Repeated(String),
    /// What is crossed is of two types of events.
    #[error("fields and times of two types of events can't be crossed; ask about one type")]
    TwoEvents,
    /// No number of an event, or no number at all.
    #[error("`{0}` is no number that can be summed here")]
    NotSummed(String),
    /// Too few steps, or too many.
    #[error("a funnel has 1 to {MAX_STEPS} steps, not {0}")]
    Steps(usize),
    /// Too few segments, or too many.
    #[error("an overlap is of 1 to {MAX_OVERLAP} segments, not {0}")]
    Overlap(usize),
    /// Too few bands, or too many.
    #[error("a list has 1 to {MAX_BANDS} bands, not {0}")]
    Bands(usize),
    /// Nothing to count, or too much.
    #[error("a table counts 1 to {MAX_MEASURES} things, not {0}")]
    Measures(usize),
    /// People are counted in units of their own.
    #[error("people are counted in a table of their own; ask for events and sums together without them")]
    PeopleAlone,
    /// Days are no periods.
    #[error(
        "periods need ascending days, at least two; at most {MAX_PERIODS} periods, or {MAX_COHORTS} of a retention"
    )]
    Days,
    /// Edges are no bins.
    #[error("bins need 1 to {MAX_EDGES} ascending edges")]
    Edges,
    /// Lengths are no bins.
    #[error("lengths need 1 to {MAX_NORMS} ascending edges above 0")]
    Norms,
    /// Too few values, or too many.
    #[error("1 to {MAX_TOP} of a field's values can be selected, and no more than it has; not {0}")]
    Top(usize),
    /// Nothing, or more than can be added up.
    #[error("a bound is at least 1 and at most {} units of its field", scan::MAX_NORM)]
    Bound,
    /// Nothing to weigh.
    #[error("cells can be weighed in tables of events and sums by fields of events alone, with at least four cells")]
    NotWeighed,
    /// Too many cells.
    #[error("{0} cells are more than {MAX_CELLS}")]
    TooManyCells(usize),
    /// The price is outside what can be charged.
    #[error("a price is above 0 and at most 1,000,000 rho")]
    Price,
}

/// A question's public side: what is counted, how much noise it gets, and what that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    shapes: Vec<Shape>,
    /// By event type: how many events of one subject count.
    limits: Vec<u32>,
    norm_squared: u128,
    rho: NanoRho,
    /// What of the price is for the noise.
    noise_rho: NanoRho,
    sigma: u64,
    top: Option<Top>,
    /// What is asked first, for what of the price is neither for the noise nor for a selection.
    pilot: Option<Box<Self>>,
}

/// Plans a question, or says why it can't be asked. Same schema and question, same plan.
pub fn plan(schema: &Schema, question: &Question) -> Result<Plan, PlanError> {
    let (shapes, norm_squared) = shape(schema, &question.kind)?;
    let rho = question.rho;
    let top = match question.kind {
        Kind::Top { k, .. } => Some(Top { k, selection: NanoRho(rho.0 / 2) }),
        _ => None,
    };
    let selection = top.map_or(NanoRho::ZERO, |top| top.selection);
    if top.is_some() && selection == NanoRho::ZERO {
        return Err(PlanError::Price);
    }
    let pilot = pilot_of(schema, question, &shapes)?.map(Box::new);
    if matches!(question.kind, Kind::Table { weighed: true, .. }) && pilot.is_none() {
        return Err(PlanError::NotWeighed);
    }
    let noise_rho =
        rho.saturating_sub(selection).saturating_sub(pilot.as_ref().map_or(NanoRho::ZERO, |pilot| pilot.rho));
    let sigma = sigma_for(norm_squared, noise_rho).ok_or(PlanError::Price)?;
    let limits = schema.events.iter().map(|event| event.max_per_subject).collect();
    Ok(Plan { shapes, limits, norm_squared, rho, noise_rho, sigma, top, pilot })
}

/// Plans the pilot of a question, if it has one and its tables can be weighed.
fn pilot_of(schema: &Schema, question: &Question, shapes: &[Shape]) -> Result<Option<Plan>, PlanError> {
    let Some(kind) = pilot::of(&question.kind, cells_of(shapes)) else { return Ok(None) };
    let rho = pilot::price_of(question.rho);
    if weighed(shapes, &Weights::new(&[Weights::ONE])).is_none() {
        return Ok(None);
    }
    if rho == NanoRho::ZERO {
        return Err(PlanError::Price);
    }
    // It has no pilot of its own.
    let (shapes, norm_squared) = shape(schema, &kind)?;
    let sigma = sigma_for(norm_squared, rho).ok_or(PlanError::Price)?;
    let limits = schema.events.iter().map(|event| event.max_per_subject).collect();
    Ok(Some(Plan { shapes, limits, norm_squared, rho, noise_rho: rho, sigma, top: None, pilot: None }))
}

/// Weighs every table; `None` if one of them can't be.
fn weighed(shapes: &[Shape], weights: &Weights) -> Option<Vec<Shape>> {
    let one = |shape: &Shape| Some(Shape { spec: shape.spec.weighed(weights)?, ..shape.clone() });
    shapes.iter().map(one).collect()
}

/// How many cells the first table has: all have as many where there is a pilot.
fn cells_of(shapes: &[Shape]) -> usize {
    shapes.first().map_or(0, |shape| shape.spec.cells())
}

fn norm_squared_of(shapes: &[Shape]) -> u128 {
    shapes.iter().map(|shape| shape.spec.norm_squared()).sum()
}

/// Returns the least price at which a question of this kind has a half-width of at most `half_width` (people, or what its
/// first table counts; 95 %, one cell, noise only).
pub fn price_for(schema: &Schema, kind: &Kind, half_width: u32) -> Result<NanoRho, PlanError> {
    let (shapes, norm_squared) = shape(schema, kind)?;
    let units = u128::from(half_width) * u128::from(shapes.first().map_or(1, |shape| shape.spec.per_one()));
    // The largest sigma whose half-width is still `units`, less the unit by which `sigma_for` rounds up.
    let sigma = (units * 100).saturating_sub(50) / 196;
    let sigma = sigma.checked_sub(1).filter(|sigma| *sigma > 0).ok_or(PlanError::Price)?;
    let noise = scaled(norm_squared).div_ceil(2 * sigma * sigma);
    let rho = match kind {
        Kind::Top { .. } => noise.saturating_mul(2),
        _ if pilot::of(kind, cells_of(&shapes)).is_some() => pilot::price_with(noise),
        _ => noise,
    };
    u64::try_from(rho).ok().filter(|rho| (1..=MAX_RHO.0).contains(rho)).map(NanoRho).ok_or(PlanError::Price)
}

/// More than any cap that protects: test datasets, which promise nothing, may spend this much on one answer.
const MAX_RHO: NanoRho = NanoRho(1_000_000_000_000_000);

impl Plan {
    /// Returns how many cells are answered, of all tables.
    pub fn cells(&self) -> usize {
        self.top.map_or_else(|| self.scanned_cells(), |top| top.k as usize)
    }

    /// Returns how many cells are counted, of all tables.
    pub(super) fn scanned_cells(&self) -> usize {
        self.shapes.iter().map(|shape| shape.spec.cells()).sum()
    }

    /// Returns what of the charge is for the noise.
    pub(super) fn noise_rho(&self) -> NanoRho {
        self.noise_rho
    }

    /// Says whether cells will differ in their half-widths, so that what is stated before is the root of the mean of their squares.
    pub fn half_widths_differ(&self) -> bool {
        self.pilot.is_some()
    }

    /// Returns what is asked first, if anything is: its draw gives the weights of this.
    pub(crate) fn pilot(&self) -> Option<&Self> {
        self.pilot.as_deref()
    }

    /// Weighs cells after a pilot.
    pub(crate) fn weighed(&self, weights: &Weights) -> Option<Self> {
        let shapes = weighed(&self.shapes, weights)?;
        let norm_squared = norm_squared_of(&shapes);
        let sigma = sigma_for(norm_squared, self.noise_rho)?;
        Some(Self { shapes, norm_squared, sigma, pilot: None, ..self.clone() })
    }

    /// Plans to add to an answer for a price: at its weights, without another pilot.
    pub(crate) fn adding_to(&self, answer: &Answer, rho: NanoRho) -> Option<Self> {
        let weights = Weights::new(&answer.tables.first()?.weights);
        let plan = if weights == Weights::EVEN { self.clone() } else { self.weighed(&weights)? };
        let sigma = sigma_for(plan.norm_squared, rho)?;
        Some(Self { rho, noise_rho: rho, sigma, pilot: None, ..plan })
    }

    /// Returns what is to be selected.
    pub(super) fn top(&self) -> Option<Top> {
        self.top
    }

    /// Returns the number of cells of the largest table, or of its half of members, if all count people and are answered whole.
    pub fn most_people_cells(&self) -> Option<usize> {
        if self.top.is_some() {
            return None;
        }
        let halves = |shape: &Shape| if shape.by.first() == Some(&Dimension::Member) { 2 } else { 1 };
        let cells =
            |shape: &Shape| (shape.spec.count == scan::Count::People).then(|| shape.spec.cells() / halves(shape));
        self.shapes.iter().map(cells).try_fold(0, |most, cells| Some(most.max(cells?)))
    }

    /// Returns the charge.
    pub fn rho(&self) -> NanoRho {
        self.rho
    }

    /// Returns the squared L2 norm that nobody's contribution exceeds, in the units of the cells.
    pub fn norm_squared(&self) -> u128 {
        self.norm_squared
    }

    /// Returns the standard deviation of the noise in one cell, in the units of the cells.
    pub(super) fn sigma(&self) -> u64 {
        self.sigma
    }

    /// Returns the standard deviation of the noise in one cell of the first table, in 1/1024 of a person, or of what else
    /// it counts, rounded up.
    pub fn sigma_1024(&self) -> u64 {
        self.noise().sigma_1024
    }

    /// Returns the half-width that holds for one cell of the first table with probability 0.95, noise only, in 1/1024 of a
    /// person, or of what else it counts.
    pub fn half_width_1024(&self) -> u64 {
        self.noise().half_width_1024
    }

    fn noise(&self) -> TableNoise {
        let per_one = self.shapes.first().map_or(1, |shape| shape.spec.per_one());
        self.noise_at(per_one)
    }

    fn noise_at(&self, per_one: u64) -> TableNoise {
        let half_width = (u128::from(self.sigma) * 196 + 50).div_ceil(100);
        let in_1024 = |units: u128| u64::try_from((units * 1_024).div_ceil(per_one.max(1).into())).unwrap_or(u64::MAX);
        TableNoise { sigma_1024: in_1024(self.sigma.into()), half_width_1024: in_1024(half_width) }
    }

    /// Resolves the plan for the epoch that ended at `as_of`.
    pub fn scan(
        &self,
        universe: &Segment,
        segment: &Segment,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<scan::Plan, WindowError> {
        let tables: Vec<TableSpec> = self.shapes.iter().map(|shape| shape.spec.clone()).collect();
        scan::Plan::new(universe.root(), segment.root(), &tables, &self.limits, as_of, zone)
    }

    /// Lays drawn cells out in tables, in code order (selected ones best first) and in 1/1024 of what is counted. Missing draws, of which there are
    /// none, would be left out.
    pub fn lay_out(&self, drawn: &Drawn) -> Vec<Table> {
        let mut rest = drawn.cells.as_slice();
        let mut tables = Vec::with_capacity(self.shapes.len());
        for Shape { spec, by, counted } in &self.shapes {
            let (head, tail) = rest.split_at(spec.cells().min(rest.len()));
            rest = tail;
            let place = |drawn_at: usize| match &drawn.places {
                Some(places) => places.get(drawn_at).copied().unwrap_or(0),
                None => drawn_at,
            };
            let cell = |(at, noised): (usize, &i64)| Cell {
                codes: codes(spec, place(at)),
                noised: in_1024(*noised, spec.per_one_at(place(at))),
            };
            let noise = (spec.count != scan::Count::People).then(|| self.noise_at(spec.per_one()));
            let (cells, weights) = (head.iter().enumerate().map(cell).collect(), spec.weights.as_slice().to_vec());
            tables.push(Table { by: by.clone(), cells, counted: *counted, noise, weights });
        }
        tables
    }

    /// Fills the numbers of an answer that follow from the plan and its draw; the caller sets the rest.
    pub fn fill(&self, answer: &mut Answer, drawn: &Drawn) {
        answer.tables = self.lay_out(drawn);
        answer.version = answer.version.max(super::question::version_of(&answer.tables));
        answer.sigma_1024 = self.sigma_1024();
        answer.half_width_1024 = self.half_width_1024();
        answer.rho = self.rho;
    }
}

/// Codes of the cell at a place of a table, row-major.
fn codes(spec: &TableSpec, mut place: usize) -> Vec<u16> {
    let mut codes = Vec::with_capacity(spec.axes.len());
    for axis in spec.axes.iter().rev() {
        let cells = (axis.cells as usize).max(1);
        codes.push(u16::try_from(place % cells).unwrap_or(u16::MAX));
        place /= cells;
    }
    codes.reverse();
    codes
}

/// A draw in 1/1024 of what is counted, to the nearest: nothing changes where a unit of the cell is just that.
fn in_1024(noised: i64, per_one: u64) -> i64 {
    let per_one = i128::from(per_one.max(1));
    let rounded = (i128::from(noised) * 2_048 + per_one).div_euclid(2 * per_one);
    i64::try_from(rounded).unwrap_or(if noised < 0 { i64::MIN } else { i64::MAX })
}

fn shape(schema: &Schema, kind: &Kind) -> Result<(Vec<Shape>, u128), PlanError> {
    let shapes = shapes(schema, kind)?;
    let cells = shapes.iter().map(|shape| shape.spec.cells()).fold(0, usize::saturating_add);
    if cells > MAX_CELLS {
        return Err(PlanError::TooManyCells(cells));
    }
    let norm_squared = match kind {
        // One subject may have all of the selected values.
        Kind::Top { k, .. } => u128::from(*k) * u128::from(scan::UNIT.unsigned_abs()).pow(2),
        _ => norm_squared_of(&shapes),
    };
    Ok((shapes, norm_squared))
}

/// A squared norm, times 1e9: what `2 sigma^2` nano-rho are compared with. 64 tables of [`scan::MAX_NORM`] are far from the
/// end of 128 bits.
fn scaled(norm_squared: u128) -> u128 {
    norm_squared.saturating_mul(1_000_000_000)
}

/// The integer standard deviation at which a vector of this norm costs at most `rho`: the least, plus one unit so that
/// rounding in the privacy map never exceeds the charge.
fn sigma_for(norm_squared: u128, rho: NanoRho) -> Option<u64> {
    if rho == NanoRho::ZERO || rho > MAX_RHO {
        return None;
    }
    let square = scaled(norm_squared).div_ceil(2 * u128::from(rho.0));
    let root = square.isqrt();
    let root = if root * root < square { root + 1 } else { root };
    u64::try_from(root + 1).ok()
}
