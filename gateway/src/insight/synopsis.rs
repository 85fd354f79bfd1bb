//! The monthly synopsis: drawn when it is due, offered to the questions that it answers, and described.
//!
//! Drawn under the gateway's own permit, for the purpose and the fields that the dataset's description names: what the policies
//! in force do not let the gateway count is not drawn. What hinders a draw is logged once in an epoch and kept for the status.

use crate::app::App;
use crate::pipeline::Call;
use crate::records::system;
use crate::status::Failure;
use crate::wire::{consent, release, synopsis};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{DatasetId, EpochId};
use policy::permit::{Permit, Verb};
use policy::privacy::NanoRho;
use policy::schema::{FieldRef, Schema, Synopsis};
use policy::segment::Segment;
use policy::treatment::Treatment;
use proto::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use vault::release::{Answer, Kind, Offer, Question, plan};

/// What was tried of the synopses that are due, by dataset.
#[derive(Debug, Default)]
pub struct Tried(BTreeMap<DatasetId, Attempt>);

/// An attempt that failed: under which circumstances, and why. Under the same it is not made again.
#[derive(Debug)]
struct Attempt {
    epoch: EpochId,
    policies: u64,
    schema: Arc<Schema>,
    problem: String,
}

impl Tried {
    /// Says why the synopsis of a dataset that is due is not drawn, if it was tried.
    pub fn problem(&self, dataset: &DatasetId) -> Option<&str> {
        self.0.get(dataset).map(|attempt| attempt.problem.as_str())
    }

    /// Lists why synopses that are due are not drawn.
    pub fn problems(&self) -> impl Iterator<Item = (&DatasetId, &str)> {
        self.0.iter().map(|(dataset, attempt)| (dataset, attempt.problem.as_str()))
    }
}

/// Draws the synopsis of a dataset if one is due. Blocks for as long as a scan takes; what hinders it hinders nothing else.
pub fn draw_due(app: &App, dataset: &DatasetId) {
    let schema = app.vault.schemas().get(dataset).cloned();
    let due = app.vault.synopsis_due(dataset);
    let (Some(schema), Some(month), Some(epoch)) = (schema, due, app.vault.epoch(dataset)) else {
        app.synopses.lock().0.remove(dataset);
        return;
    };
    let (epoch, policies) = (epoch.epoch, app.rules.load().epoch());
    let same =
        |tried: &Attempt| tried.epoch == epoch && tried.policies == policies && Arc::ptr_eq(&tried.schema, &schema);
    if app.synopses.lock().0.get(dataset).is_some_and(same) {
        return;
    }
    match draw(app, &schema) {
        Ok(_) => {
            app.synopses.lock().0.remove(dataset);
            tracing::info!(%dataset, %month, "drew the month's synopsis");
        }
        Err(failure) => {
            let words = failure.for_operators().unwrap_or_else(|| failure.refusal().message);
            tracing::error!(%dataset, %month, problem = words, "the month's synopsis can't be drawn");
            let problem = format!("the synopsis of {month} is not drawn: {words}");
            app.synopses.lock().0.insert(dataset.clone(), Attempt { epoch, policies, schema, problem });
        }
    }
}

fn draw(app: &App, schema: &Schema) -> Result<bool, Failure> {
    let declared = schema.synopsis.as_ref().ok_or(Failure::Defect("no synopsis is asked for"))?;
    let system = system().ok_or(Failure::Defect("the system has no name"))?;
    let principal = Principal { purposes: vec![declared.purpose.clone()], ..system };
    let request_id = uuid::Uuid::new_v4().to_string();
    let now = app.clock.now();
    let drawn = permit(app, &principal, schema, declared, &request_id)
        .and_then(|permit| app.vault.draw_synopsis(&permit, now).map_err(Failure::from));
    let Err(failure) = &drawn else { return drawn };
    let caller = (&principal.client, &principal.role);
    let purpose = Some(declared.purpose.as_str());
    let refusal = failure.refusal();
    app.vault.log_refusal(caller, "synopsis", Some(&schema.dataset), purpose, &refusal, &request_id, now)?;
    drawn
}

fn permit(
    app: &App,
    principal: &Principal,
    schema: &Schema,
    declared: &Synopsis,
    request_id: &str,
) -> Result<Permit, Failure> {
    let fields: Vec<_> = needed(&declared.fields).map(|field| (field, Treatment::Aggregate)).collect();
    let ask = Request {
        principal,
        verb: Verb::Release,
        dataset: Some(schema),
        purpose: Some(&declared.purpose),
        basis: Some(declared.basis),
        fields: &fields,
        request_id,
    };
    match decide(&app.rules.load(), &ask) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(Failure::Refused(refusal)),
    }
}

/// Fields, and the event types that they are of.
fn needed(fields: &[FieldRef]) -> impl Iterator<Item = FieldRef> {
    fields.iter().flat_map(|field| match *field {
        FieldRef::EventField(event, _) => vec![*field, FieldRef::Event(event)],
        other => vec![other],
    })
}

/// Returns what the synopsis that stands offers to a question, if it is to be answered from it: the caller named no price, and
/// no accuracy that it does not reach; and nothing was paid in this epoch already that answers it as well or better.
pub fn offered(
    call: &Call,
    permit: &Permit,
    question: &Question,
    spend: Option<&v1::Spend>,
) -> Result<Option<Offer>, Failure> {
    use proto::v1::spend::Spend;
    let reaches = |offer: &Offer| match spend.and_then(|spend| spend.spend.as_ref()) {
        None => true,
        Some(Spend::HalfWidth(people)) => release::people_of_u64(offer.half_width_1024) <= *people,
        Some(Spend::Rho(_)) => false,
    };
    let offer = call.app.vault.synopsis_offer(permit, question)?.filter(reaches);
    match offer {
        Some(_) if call.app.vault.quote(permit, question)? == NanoRho::ZERO => Ok(None),
        offer => Ok(offer),
    }
}

/// Takes an offer.
pub fn take(call: &Call, permit: &Permit, question: &Question) -> Result<Option<(Answer, Offer)>, Failure> {
    Ok(call.app.vault.answer_from_synopsis(permit, question, call.now)?)
}

/// Describes a dataset's synopsis to a caller: all of it to who reads the catalog, and else what the caller may count of it.
pub fn describe(call: &mut Call, schema: &Schema, reads_catalog: bool) -> Result<v1::GetSynopsisResponse, Failure> {
    let Some(declared) = &schema.synopsis else { return Ok(v1::GetSynopsisResponse { synopsis: None }) };
    let used = v1::Use { purpose: declared.purpose.to_string(), basis: consent::of_basis(declared.basis).into() };
    let used_for = call.used_for(schema, Some(used))?;
    let granted = call.permit(Verb::Release, Some(schema), Some(&used_for), &[]);
    let granted = if reads_catalog { granted.ok() } else { Some(granted?) };
    let visible = |field: &FieldRef| {
        let counted = |permit: &Permit| permit.treatment(*field) >= Treatment::Aggregate;
        reads_catalog || granted.as_ref().is_some_and(counted)
    };
    let app = Arc::clone(&call.app);
    let standing = app.vault.synopsis(&schema.dataset);
    let problem = app.synopses.lock().problem(&schema.dataset).unwrap_or_default().to_owned();
    let mut described = match standing {
        Some(facts) => synopsis::standing(&facts, schema, &visible),
        None => synopsis::planned(declared, schema, half_width(declared, schema), &visible),
    };
    described.problem = problem;
    Ok(v1::GetSynopsisResponse { synopsis: Some(described) })
}

/// How accurate one cell of the next one will be; 0 if it can't be drawn.
fn half_width(declared: &Synopsis, schema: &Schema) -> u64 {
    let question = Question {
        dataset: schema.dataset.clone(),
        universe: Segment::everyone(),
        segment: Segment::everyone(),
        kind: Kind::Portrait { fields: declared.fields.clone(), window: declared.window },
        rho: declared.rho,
    };
    plan(schema, &question).map_or(0, |plan| plan.half_width_1024())
}
