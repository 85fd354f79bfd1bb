//! The way of every call: authenticate, then decode, decide, call the vault and encode as one piece of blocking work that
//! runs to its end even if the client has gone away. A refusal is in the log before it is told.

use crate::app::App;
use crate::authn::TokenProblem;
use crate::clock::Stopwatch;
use crate::pace;
use crate::records::Client;
use crate::status::{self, Failure};
use crate::wire;
use policy::consent::LawfulBasis;
use policy::decide::{Decision, Principal, Reason, Request as Ask, decide, decide_for, decide_for_both};
use policy::id::{DatasetId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::purpose::covers;
use policy::rules::Rules;
use policy::schema::{FieldRef, Schema};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use proto::v1;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use vault::ingest::SubjectKey;

/// For what personal data is used, and on which basis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFor {
    /// The purpose.
    pub purpose: PurposeId,
    /// The lawful basis.
    pub basis: LawfulBasis,
}

/// Who calls: put into a request's extensions by the outer layer, before anything of its body is read.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Principal);

/// A call of an authenticated client.
#[derive(Debug)]
pub struct Call {
    /// The gateway.
    pub app: Arc<App>,
    /// The method: `InsightService/Portrait`.
    pub rpc: &'static str,
    /// Who calls.
    pub principal: Principal,
    /// The caller's request id, or ours.
    pub request_id: String,
    /// When it arrived.
    pub now: Timestamp,
    dataset: Option<DatasetId>,
    purpose: Option<PurposeId>,
    paced: Option<(DatasetId, pace::Kind)>,
}

impl Call {
    /// Begins the call of whom the outer layer authenticated; without that layer nobody gets in.
    pub fn begin<Q>(app: &Arc<App>, request: &Request<Q>, rpc: &'static str) -> Result<Self, Status> {
        match request.extensions().get::<Authenticated>() {
            Some(Authenticated(principal)) => Ok(Self::of(app, principal.clone(), rpc)),
            None => Err(refuse_anonymous(app, rpc, TokenProblem::Missing)),
        }
    }

    /// Begins the call of someone who was authenticated otherwise.
    pub fn of(app: &Arc<App>, principal: Principal, rpc: &'static str) -> Self {
        Self {
            app: Arc::clone(app),
            rpc,
            principal,
            request_id: uuid::Uuid::new_v4().to_string(),
            now: app.clock.now(),
            dataset: None,
            purpose: None,
            paced: None,
        }
    }

    /// Takes the caller's request id over; it must be a UUID, or empty for one of ours.
    pub fn take_request_id(&mut self, id: &str) -> Result<(), Failure> {
        if id.is_empty() {
            return Ok(());
        }
        let id = uuid::Uuid::parse_str(id).map_err(|_| Failure::invalid("request_id", "must be a UUID"))?;
        self.request_id = id.to_string();
        Ok(())
    }

    /// Finds a dataset by its resource name. One that does not exist looks as one that is not available.
    pub fn schema(&mut self, name: &str) -> Result<Arc<Schema>, Failure> {
        let id = wire::names::dataset(name)?;
        let schema = self.app.vault.schemas().get(&id).cloned();
        if schema.is_some() {
            self.dataset = Some(id);
        }
        schema.ok_or_else(|| {
            Failure::refused(
                Reason::PurposeDenied,
                "this dataset isn't available to this client, or doesn't exist",
                "list the datasets that this client can use",
            )
        })
    }

    /// Reads purpose and basis.
    pub fn used_for(&mut self, schema: &Schema, used: Option<v1::Use>) -> Result<UsedFor, Failure> {
        let Some(v1::Use { purpose, basis }) = used else {
            return Err(Failure::invalid("use", "is required: a purpose and a lawful basis"));
        };
        let purpose =
            PurposeId::new(&purpose).map_err(|_| Failure::invalid("use.purpose", "must be a purpose's name"))?;
        let basis = wire::consent::basis(basis).ok_or_else(|| Failure::invalid("use.basis", "must be given"))?;
        // A name that is nobody's purpose stays out of the log: it might be anything.
        let known = schema.purposes.iter().chain(&self.principal.purposes);
        if known.into_iter().any(|known| *known == purpose) {
            self.purpose = Some(purpose.clone());
        }
        Ok(UsedFor { purpose, basis })
    }

    /// Returns this call again, to note what it is about without holding the first.
    pub fn again(&self) -> Self {
        Self {
            app: Arc::clone(&self.app),
            rpc: self.rpc,
            principal: self.principal.clone(),
            request_id: self.request_id.clone(),
            now: self.now,
            dataset: self.dataset.clone(),
            purpose: self.purpose.clone(),
            paced: None,
        }
    }

    /// Asks for a permit.
    pub fn permit(
        &self,
        verb: Verb,
        dataset: Option<&Schema>,
        used_for: Option<&UsedFor>,
        fields: &[(FieldRef, Treatment)],
    ) -> Result<Permit, Failure> {
        self.permit_as(&self.principal, verb, dataset, used_for, fields)
    }

    /// Asks for a permit to act for one person, named by the key that the dataset knows them by; of whom none could be read,
    /// for nobody.
    pub fn permit_about(&self, verb: Verb, dataset: &Schema, subject: Option<&SubjectKey>) -> Result<Permit, Failure> {
        let decided = |rules: &Rules, ask: &Ask<'_>| decide_for(rules, ask, named(subject));
        self.permit_for(verb, dataset, decided)
    }

    /// Asks for a permit to act about two people who are one.
    pub fn permit_about_both(
        &self,
        verb: Verb,
        dataset: &Schema,
        (first, second): (Option<&SubjectKey>, Option<&SubjectKey>),
    ) -> Result<Permit, Failure> {
        let decided = |rules: &Rules, ask: &Ask<'_>| decide_for_both(rules, ask, named(first), named(second));
        self.permit_for(verb, dataset, decided)
    }

    fn permit_for(
        &self,
        verb: Verb,
        dataset: &Schema,
        decided: impl Fn(&Rules, &Ask<'_>) -> Decision,
    ) -> Result<Permit, Failure> {
        let ask = Ask {
            principal: &self.principal,
            verb,
            dataset: Some(dataset),
            purpose: None,
            basis: None,
            fields: &[],
            request_id: &self.request_id,
        };
        match decided(&self.app.rules.load(), &ask) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Refusal(refusal) => Err(Failure::Refused(refusal)),
        }
    }

    /// Asks for a permit for what the gateway itself does on this caller's behalf: issuing its token.
    pub fn system_permit(&self, verb: Verb) -> Result<Permit, Failure> {
        let system = Principal { client: self.principal.client.clone(), role: Role::System, purposes: Vec::new() };
        self.permit_as(&system, verb, None, None, &[])
    }

    fn permit_as(
        &self,
        principal: &Principal,
        verb: Verb,
        dataset: Option<&Schema>,
        used_for: Option<&UsedFor>,
        fields: &[(FieldRef, Treatment)],
    ) -> Result<Permit, Failure> {
        let ask = Ask {
            principal,
            verb,
            dataset,
            purpose: used_for.map(|used| &used.purpose),
            basis: used_for.map(|used| used.basis),
            fields,
            request_id: &self.request_id,
        };
        match decide(&self.app.rules.load(), &ask) {
            Decision::Permit(permit) => Ok(permit),
            // A purpose that is nobody's might be anything, and is not said back.
            Decision::Refusal(refusal)
                if refusal.reason == Reason::PurposeDenied && used_for.is_some() && self.purpose.is_none() =>
            {
                Err(Failure::refused(
                    Reason::PurposeDenied,
                    "this purpose isn't available to this client in this dataset",
                    "ask for one of the dataset's purposes that this client is registered for",
                ))
            }
            Decision::Refusal(refusal) => Err(Failure::Refused(refusal)),
        }
    }

    /// Marks that from here on the time taken depends on data: whatever comes leaves at the class's deadline.
    pub fn pace(&mut self, dataset: &DatasetId, kind: pace::Kind) {
        self.paced = Some((dataset.clone(), kind));
    }

    /// Says whether the client may still call: it may have been revoked since it began.
    pub fn still_welcome(&self) -> Result<(), Failure> {
        match self.app.clients.load().get(&self.principal.client) {
            Some(client) if !client.revoked => Ok(()),
            _ => Err(Failure::Refused(TokenProblem::Invalid.refusal())),
        }
    }

    /// Logs a failure and turns it into what the caller gets.
    pub fn refuse(&self, failure: &Failure) -> Status {
        self.refuse_as(self.rpc, failure)
    }

    /// Does so under the name of a method.
    pub fn refuse_as(&self, method: &str, failure: &Failure) -> Status {
        let refusal = failure.refusal();
        if let Some(problem) = failure.for_operators() {
            tracing::error!(rpc = self.rpc, request_id = self.request_id, problem, "a call failed");
        }
        self.app.count(self.rpc, refusal.reason.as_str());
        let logged = self.app.vault.log_refusal(
            (&self.principal.client, &self.principal.role),
            method,
            self.dataset.as_ref(),
            self.purpose.as_ref().map(PurposeId::as_str),
            &refusal,
            &self.request_id,
            self.now,
        );
        match logged {
            Ok(()) => status::of_failure(failure, &self.request_id),
            Err(problem) => {
                tracing::error!(rpc = self.rpc, %problem, "a refusal can't be logged");
                status::of_refusal(&status::log_unavailable(), &self.request_id)
            }
        }
    }
}

/// Returns the bytes that a permit names a person by; no key is empty.
fn named(subject: Option<&SubjectKey>) -> &[u8] {
    subject.map(SubjectKey::expose).unwrap_or_default()
}

/// Runs a call that answers once.
pub async fn unary<Q, R>(
    app: &Arc<App>,
    request: Request<Q>,
    rpc: &'static str,
    work: impl FnOnce(&mut Call, Q) -> Result<R, Failure> + Send + 'static,
) -> Result<Response<R>, Status>
where
    Q: Send + 'static,
    R: Send + 'static,
{
    let since = Stopwatch::start();
    let mut call = Call::begin(app, &request, rpc)?;
    let message = request.into_inner();
    let after = call.again();
    let done = blocking(app, rpc, move || {
        let outcome = work(&mut call, message);
        let outcome = outcome.map_err(|failure| call.refuse(&failure));
        if outcome.is_ok() {
            call.app.count(rpc, "OK");
        }
        (outcome, call.paced)
    });
    let (outcome, paced) = match done.await {
        Ok(done) => done,
        // It panicked, or the gateway is closing: the log keeps that too.
        Err(_) => return Err(refuse_fault(app, rpc, after).await),
    };
    if let Some((dataset, kind)) = paced {
        app.pace.leave(&dataset, kind, since).await;
    }
    outcome.map(Response::new)
}

async fn refuse_fault(app: &Arc<App>, rpc: &'static str, call: Call) -> Status {
    let work = move || call.refuse(&Failure::Defect("a call did not end"));
    blocking(app, rpc, work).await.unwrap_or_else(|status| status)
}

/// Runs blocking work, a bounded number at once, to its end whatever becomes of the caller.
pub async fn blocking<R: Send + 'static>(
    app: &Arc<App>,
    rpc: &'static str,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Status> {
    let defect = |problem: &'static str| {
        tracing::error!(rpc, problem, "a call failed");
        app.count(rpc, Reason::Internal.as_str());
        status::of_refusal(&Failure::Defect(problem).refusal(), "")
    };
    let Ok(slot) = Arc::clone(&app.calls).acquire_owned().await else {
        return Err(defect("the gateway is closing"));
    };
    let work = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        work()
    });
    work.await.map_err(|_| defect("a call panicked"))
}

/// Counts a refusal of someone unknown and says it.
pub fn refuse_anonymous(app: &App, rpc: &'static str, problem: TokenProblem) -> Status {
    let refusal = problem.refusal();
    app.count_anonymous(refusal.reason.as_str());
    app.count(rpc, refusal.reason.as_str());
    status::of_refusal(&refusal, "")
}

/// Authenticates a caller by the token in its headers.
pub fn authenticate(app: &App, headers: &http::HeaderMap) -> Result<Principal, TokenProblem> {
    let header = headers.get(http::header::AUTHORIZATION).ok_or(TokenProblem::Missing)?;
    let header = header.to_str().map_err(|_| TokenProblem::Invalid)?;
    let token = header.strip_prefix("Bearer ").ok_or(TokenProblem::Invalid)?;
    let claims = app.authority.check(token.trim(), app.clock.now())?;
    let clients = app.clients.load();
    let client = clients.get(&claims.sub).filter(|client| !client.revoked).ok_or(TokenProblem::Invalid)?;
    if client.role.name() != claims.scope {
        return Err(TokenProblem::Invalid);
    }
    Ok(client.principal(still_granted(client, claims.purposes)))
}

/// Keeps those of a token's purposes that the client's registration still covers.
fn still_granted(client: &Client, purposes: Vec<PurposeId>) -> Vec<PurposeId> {
    let covered = |purpose: &PurposeId| client.purposes.iter().any(|granted| covers(granted, purpose));
    purposes.into_iter().filter(covered).collect()
}
