//! From a request to a question the vault can answer: segments and fields resolved as far as the caller may know of them,
//! permitted, priced, asked, and shown.

use super::{plan, synopsis};
use crate::pace;
use crate::pipeline::{Call, UsedFor};
use crate::records::{self, CutPointsBody, StoredCutPoints, StoredSegment};
use crate::status::Failure;
use crate::wire::{self, names, release};
use policy::decide::{Reason, Refusal};
use policy::id::{CutPointsId, PurposeId, SegmentId};
use policy::permit::{Permit, Verb};
use policy::privacy::NanoRho;
use policy::purpose::covers;
use policy::schema::{FieldRef, Schema};
use policy::segment::{self, Number, Segment, SegmentError, SegmentErrorKind, Span, Stored, StoredCuts, Window};
use policy::treatment::Treatment;
use proto::v1;
use std::sync::Arc;
use vault::Vault;
use vault::release::{Answer, Kind, Question};

/// Longest expression in bytes.
const MAX_CEL: usize = 8 * 1024;

/// What every question says about itself.
#[derive(Debug)]
pub struct Asked {
    /// The dataset's name.
    pub dataset: String,
    /// Who.
    pub segment: Option<v1::SegmentSource>,
    /// Who could be in it: an expression, or empty.
    pub universe: String,
    /// For what.
    pub used: Option<v1::Use>,
    /// How much to spend.
    pub spend: Option<v1::Spend>,
    /// Whether only the plan is wanted.
    pub validate_only: bool,
    /// The caller's request id, or empty.
    pub request_id: String,
}

/// An answered question.
#[derive(Debug)]
pub struct Answered {
    /// Price and accuracy.
    pub plan: v1::Plan,
    /// The release, unless only the plan was wanted.
    pub release: Option<v1::Release>,
    /// One total for all attribute tables, in people.
    pub total: u64,
    /// The answer as the vault gave it, unless only the plan was wanted.
    pub answer: Option<Answer>,
    /// The dataset.
    pub schema: Arc<Schema>,
}

/// A dataset seen by one caller for one use.
#[derive(Debug)]
pub struct View {
    /// The dataset.
    pub schema: Arc<Schema>,
    /// The use.
    pub used_for: UsedFor,
    /// What the call does.
    verb: Verb,
    /// What fields of a segment need.
    need: Treatment,
    /// A permit over no field, for its table.
    table: Permit,
    /// What the caller's token is for.
    purposes: Vec<PurposeId>,
    /// Where stored segments are.
    vault: Arc<Vault>,
}

impl View {
    /// Opens a dataset for a use; refuses a purpose that the caller may not ask for.
    pub fn open(call: &mut Call, dataset: &str, used: Option<v1::Use>, verb: Verb) -> Result<Self, Failure> {
        let schema = call.schema(dataset)?;
        let used_for = call.used_for(&schema, used)?;
        let table = call.permit(verb, Some(&schema), Some(&used_for), &[])?;
        let need = if verb == Verb::Audience { Treatment::Generalise } else { Treatment::Aggregate };
        let (purposes, vault) = (call.principal.purposes.clone(), Arc::clone(&call.app.vault));
        Ok(Self { schema, used_for, verb, need, table, purposes, vault })
    }

    /// Returns the treatment of a field.
    pub fn treatment(&self, field: FieldRef) -> Treatment {
        self.table.treatment(field)
    }

    fn visible(&self, field: FieldRef) -> bool {
        self.treatment(field) > Treatment::Deny
    }

    fn record(&self, collection: &str, key: &str) -> Option<Arc<[u8]>> {
        self.vault.records(collection).into_iter().find(|(known, _)| known == key).map(|(_, bytes)| bytes)
    }

    /// Reads an expression; fields that are not granted are as unknown, and so are segments over them.
    pub fn parse(&self, cel: &str) -> Result<Segment, Failure> {
        if cel.len() > MAX_CEL {
            return Err(Failure::refused(
                Reason::ExpressionInvalid,
                "the expression is longer than 8 KiB",
                "split it into stored segments, or name fewer values",
            ));
        }
        let parsed = segment::parse_with(cel, &self.schema, &|field| self.visible(field), self);
        parsed.map_err(|problem| unparsed(&problem))
    }

    /// Reads a number that can be cut; fields that are not granted are as unknown.
    pub fn number(&self, text: &str) -> Result<Number, Failure> {
        Number::read(text, &self.schema, &|field| self.visible(field)).map_err(|problem| unparsed(&problem))
    }

    /// Says whether this caller may know of cut points: of what they cut, and of whom, for the purpose that those agreed to. They
    /// tell of those people.
    pub fn may_know_of(&self, body: &CutPointsBody) -> bool {
        let carried = self.purposes.iter().any(|own| covers(own, &body.purpose));
        let granted = body.fields.iter().all(|path| self.field(path).is_ok());
        carried && granted && self.number(&body.number).is_ok()
    }

    /// Finds a field by its written form.
    pub fn field(&self, path: &str) -> Result<FieldRef, Failure> {
        self.schema.resolve(path).filter(|field| self.visible(*field)).ok_or_else(unavailable)
    }

    /// Finds a field with a closed domain by its written form.
    pub fn closed_field(&self, part: &'static str, path: &str) -> Result<FieldRef, Failure> {
        let field = self.field(path)?;
        let closed = self.schema.field(field).is_some_and(|field| field.ty.cardinality().is_some());
        let problem = "names a field without a public list of values";
        if closed { Ok(field) } else { Err(Failure::invalid(part, problem)) }
    }

    /// Resolves segment and universe.
    pub fn segments(
        &self,
        call: &Call,
        source: Option<v1::SegmentSource>,
        universe: &str,
    ) -> Result<(Segment, Segment), Failure> {
        use proto::v1::segment_source::Source;
        let (cel, own_universe) = match source.and_then(|source| source.source) {
            None => (String::new(), String::new()),
            Some(Source::Cel(cel)) => (cel, String::new()),
            Some(Source::Name(name)) => {
                let stored = find(call, &name, &self.schema)?;
                if stored.body.archived {
                    return Err(archived());
                }
                (stored.body.cel, stored.body.universe)
            }
        };
        let universe = if universe.is_empty() { &own_universe } else { universe };
        let read = |cel: &str| if cel.is_empty() { Ok(Segment::everyone()) } else { self.parse(cel) };
        Ok((read(&cel)?, read(universe)?))
    }

    /// Asks for the permit over all that a question names: its segments' fields, and others with what they need.
    pub fn permit(
        &self,
        call: &Call,
        segments: [&Segment; 2],
        others: &[(FieldRef, Treatment)],
    ) -> Result<Permit, Failure> {
        let named = segments.into_iter().flat_map(Segment::fields).map(|field| (field, self.need));
        let fields: Vec<_> = named.chain(others.iter().copied()).collect();
        call.permit(self.verb, Some(&self.schema), Some(&self.used_for), &fields)
    }
}

/// What an expression of this caller may refer to.
impl segment::Find for View {
    fn segment(&self, id: &SegmentId, version: u32) -> Option<Stored> {
        let key = StoredSegment::key(&self.schema.dataset, id, version);
        let StoredSegment { body, .. } = StoredSegment::decode(&key, &self.record(records::SEGMENTS, &key)?).ok()?;
        Some(Stored { cel: body.cel, universe: body.universe })
    }

    fn cut_points(&self, id: &CutPointsId, version: u32) -> Option<StoredCuts> {
        let key = StoredCutPoints::key(&self.schema.dataset, id, version);
        let record = self.record(records::CUT_POINTS, &key)?;
        let StoredCutPoints { body, .. } = StoredCutPoints::decode(&key, &record).ok()?;
        self.may_know_of(&body).then_some(StoredCuts { number: body.number, cuts: body.cuts })
    }
}

fn unparsed(problem: &SegmentError) -> Failure {
    let (reason, next_step) = match problem.kind() {
        SegmentErrorKind::ExpressionInvalid => (Reason::ExpressionInvalid, "correct the expression at that place"),
        SegmentErrorKind::FieldUnavailable => (Reason::FieldUnavailable, LOOK_UP),
    };
    let refusal = Refusal::new(reason, problem.to_string(), next_step);
    Failure::Expression { line: problem.line(), column: problem.column(), refusal }
}

const LOOK_UP: &str = "look up the fields this client can use for this purpose, or ask a steward to grant it";

fn unavailable() -> Failure {
    Failure::refused(
        Reason::FieldUnavailable,
        "a field of this call doesn't exist or isn't available to this client for this purpose",
        LOOK_UP,
    )
}

/// Refuses a segment that does not exist, or names what the caller was not granted.
pub fn no_segment() -> Failure {
    Failure::refused(
        Reason::FieldUnavailable,
        "this segment isn't available to this client, or doesn't exist",
        "list the segments of the dataset",
    )
}

fn archived() -> Failure {
    Failure::refused(
        Reason::ExpressionInvalid,
        "this segment was archived",
        "store it again to ask about it, or ask about another",
    )
}

/// Finds a stored segment of a dataset; the newest version if the name has none.
pub fn find(call: &Call, name: &str, schema: &Schema) -> Result<StoredSegment, Failure> {
    let wanted = names::segment(name)?;
    if wanted.dataset != schema.dataset {
        return Err(no_segment());
    }
    let stored = stored(call)?;
    let versions = stored.into_iter().filter(|s| s.dataset == wanted.dataset && s.id == wanted.segment);
    let fits = |s: &StoredSegment| wanted.version.is_none_or(|version| version == s.version);
    versions.filter(fits).max_by_key(|s| s.version).ok_or_else(no_segment)
}

/// Reads all stored segments.
pub fn stored(call: &Call) -> Result<Vec<StoredSegment>, Failure> {
    let records = call.app.vault.records(records::SEGMENTS);
    let read: Result<Vec<_>, _> = records.iter().map(|(key, bytes)| StoredSegment::decode(key, bytes)).collect();
    read.map_err(|_| Failure::Defect("a stored segment can't be read"))
}

/// Reads a window of time.
pub fn window(window: Option<v1::Window>) -> Result<Window, Failure> {
    let v1::Window { last, until } = window.unwrap_or_default();
    match (last.as_str(), until.as_str()) {
        ("", "") => Ok(Window::Ever),
        (last, "") => Ok(Window::Last(span(last)?)),
        (last, until) => match (span(last)?, span(until)?) {
            (from, to) if longer(from, to) => Ok(Window::Between(from, to)),
            _ => Err(Failure::invalid("window.last", "must be longer than `window.until`")),
        },
    }
}

fn longer(a: Span, b: Span) -> bool {
    let hours = |span| match span {
        Span::Days(days) => u64::from(days) * 24,
        Span::Hours(hours) => u64::from(hours),
    };
    hours(a) > hours(b)
}

fn span(text: &str) -> Result<Span, Failure> {
    let wrong = || Failure::invalid("window", "must be spans such as `30d`, `12h` or `4w`, at most 100 years");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let span = match unit {
        "h" if number <= 87_600 => Span::Hours(number),
        "d" if number <= 36_500 => Span::Days(number),
        "w" if number <= 5_200 => Span::Days(number.saturating_mul(7)),
        _ => return Err(wrong()),
    };
    if number == 0 { Err(wrong()) } else { Ok(span) }
}

/// Answers a question of a kind that `kind` builds from the caller's view and the segment, which it may take for itself.
pub fn answer(
    call: &mut Call,
    asked: Asked,
    pace: pace::Kind,
    kind: impl FnOnce(&Call, &View, &mut Segment) -> Result<Kind, Failure>,
) -> Result<Answered, Failure> {
    let Asked { dataset, segment, universe, used, spend, validate_only, request_id } = asked;
    call.take_request_id(&request_id)?;
    let view = View::open(call, &dataset, used, Verb::Release)?;
    let (mut segment, universe) = view.segments(call, segment, &universe)?;
    let canonical = segment.canonical().to_owned();
    let kind = kind(call, &view, &mut segment)?;
    let fields: Vec<_> = kind.fields().iter().map(|field| (*field, Treatment::Aggregate)).collect();
    let permit = view.permit(call, [&segment, &universe], &fields)?;
    let dataset = view.schema.dataset.clone();
    let mut question = Question { dataset: dataset.clone(), universe, segment, kind, rho: NanoRho::ZERO };
    let planned = plan::price(&view.schema, &mut question, spend.clone())?;
    if let Some(offer) = synopsis::offered(call, &permit, &question, spend.as_ref())? {
        if validate_only {
            let plan = wire::synopsis::plan(&offer);
            return Ok(Answered { plan, release: None, total: 0, answer: None, schema: view.schema });
        }
        // It is gone only if its month ended just now.
        if let Some((answer, offer)) = synopsis::take(call, &permit, &question)? {
            let (plan, synopsis) = (wire::synopsis::plan(&offer), Some(wire::synopsis::from(&offer)));
            return shown(call, view, &permit, (plan, answer, synopsis), &canonical);
        }
    }
    let mut plan = plan::encode(&planned, &view.schema, call.app.pace.deadline_millis(&dataset, pace));
    if validate_only {
        plan.charge = call.app.vault.quote(&permit, &question)?.to_string();
        return Ok(Answered { plan, release: None, total: 0, answer: None, schema: view.schema });
    }
    call.pace(&dataset, pace);
    let (answer, charged) = call.app.vault.release_or_top_up(&permit, &question, call.now)?;
    plan.charge = if charged { answer.last_charge() } else { NanoRho::ZERO }.to_string();
    shown(call, view, &permit, (plan, answer, None), &canonical)
}

/// Writes an answer; one from no synopsis was charged if its plan says so.
fn shown(
    call: &Call,
    view: View,
    permit: &Permit,
    (plan, answer, synopsis): (v1::Plan, Answer, Option<v1::FromSynopsis>),
    segment: &str,
) -> Result<Answered, Failure> {
    let charged = plan.charge != NanoRho::ZERO.to_string();
    let (release, total) = release::encode(
        &answer,
        &release::Context {
            schema: &view.schema,
            client: &call.principal.client,
            used_for: &view.used_for,
            segment,
            charged,
            statement: Some(call.app.vault.budget(permit, &call.principal.client, call.now)?),
            synopsis,
        },
    );
    Ok(Answered { plan, release: Some(release), total, answer: Some(answer), schema: view.schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_checked() {
        let read = |last: &str, until: &str| window(Some(v1::Window { last: last.into(), until: until.into() }));
        assert!(matches!(window(None), Ok(Window::Ever)));
        assert!(matches!(read("4w", ""), Ok(Window::Last(Span::Days(28)))));
        assert!(matches!(read("90d", "12h"), Ok(Window::Between(Span::Days(90), Span::Hours(12)))));
        for (last, until) in [("", "30d"), ("30d", "90d"), ("0d", ""), ("30", ""), ("3x", ""), ("99999999d", "")] {
            assert!(read(last, until).is_err(), "{last} {until}");
        }
    }
}
