//! What officers and stewards read: the log, budgets, health; and the vault's periodic work.

use super::change::Change;
use super::commit::Outgoing;
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{LeafEntry, LogFilter, Tree, Vault, VaultError};
use crate::budget::Statement;
use crate::log::{Decision, Kind, Leaf, LogError, Sizes, Word};
use policy::decide::{Reason, Refusal};
use policy::id::{ClientId, DatasetId, PurposeId};
use policy::permit::{Permit, Role, SYSTEM, Verb};
use policy::privacy::{Month, NanoRho, Quarter};
use policy::time::Timestamp;
use std::collections::BTreeMap;

impl Vault {
    /// States a ledger: of the permit's dataset's population, and of `client` within it.
    pub fn budget(&self, permit: &Permit, client: &ClientId, now: Timestamp) -> Result<Statement, VaultError> {
        require(permit, &[Verb::ReadBudget, Verb::Release, Verb::Audience, Verb::Maintain, Verb::ExtendBudget])?;
        let mut state = self.lock()?;
        let population = dataset_of(&mut state, permit)?.schema.population.clone();
        let now = now.max(state.latest);
        let (month, quarter) = (Month::of(now), Quarter::of(now));
        let caps = self.caps(&state, &population);
        // The gateway itself is charged for nothing else.
        let synopsis = ClientId::new(SYSTEM).ok();
        let ledger = state.shared.ledgers.entry(population).or_default();
        Ok(Statement {
            quarter_spent: ledger.quarter_spent(quarter),
            quarter_cap: caps.quarter,
            month_spent: ledger.month_spent(month),
            month_cap: caps.month,
            lifetime_spent: ledger.lifetime_spent(),
            lifetime_cap: ledger.lifetime_cap(caps),
            extensions: ledger.extensions().to_vec(),
            quarter_rate: ledger.rate(now, caps),
            lifetime_ends: ledger.lifetime_ends(now, caps),
            synopsis_spent: synopsis.map_or(NanoRho::ZERO, |system| ledger.client_spent(&system, quarter)),
            client_spent: ledger.client_spent(client, quarter),
            client_quota: ledger.quota(client, caps),
        })
    }

    /// Sets a client's quota per quarter on the population of a dataset, at most half the cap.
    pub fn set_quota(
        &self,
        permit: &Permit,
        client: &ClientId,
        quota: NanoRho,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        require(permit, &[Verb::ManageClients])?;
        let mut state = self.lock()?;
        let population = dataset_of(&mut state, permit)?.schema.population.clone();
        let cap = self.caps(&state, &population).quarter;
        drop(state);
        if quota.0 > cap.0 / 2 {
            return refuse(Reason::PriceAboveCap, "a quota is at most half the quarter's cap", "choose a smaller one");
        }
        let leaf = Leaf {
            object: Word::new(&format!("clients/{client}")).ok(),
            population: Some(population.clone()),
            rho: Some(quota),
            ..leaf_of(permit, Kind::Quota, "set quota", now)
        };
        self.log_change(leaf, vec![Change::Quota { population, client: client.clone(), quota }])
    }

    /// Logs a refusal to an authenticated caller, durably, before it is told. `what` is a short public description of
    /// the call (RPC name). Refusals of those who write people's data, or act for them, are in the subject tree.
    #[expect(clippy::too_many_arguments, reason = "one value for each field of the leaf")]
    pub fn log_refusal(
        &self,
        (client, role): (&ClientId, &Role),
        what: &str,
        dataset: Option<&DatasetId>,
        purpose: Option<&str>,
        refusal: &Refusal,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let leaf = Leaf {
            req: (!request_id.is_empty()).then(|| Word::from_id(request_id)),
            client: Some(client.clone()),
            dataset: dataset.cloned(),
            // A purpose that is no purpose name is not repeated: it is the caller's text.
            purpose: purpose.and_then(|purpose| PurposeId::new(purpose).ok()),
            what: Word::new(what).ok(),
            decision: Some(Decision::Refuse),
            reason: Some(refusal.reason.into()),
            ..Leaf::new(Kind::Refuse, now)
        };
        self.log_in(tree_of(role), leaf, Vec::new())
    }

    /// Logs refusals of the unauthenticated, aggregated by the caller per second and reason.
    pub fn log_anonymous_refusals(
        &self,
        counts: &BTreeMap<&'static str, u64>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        if counts.is_empty() {
            return Ok(());
        }
        let mut leaf = Leaf { decision: Some(Decision::Refuse), ..Leaf::new(Kind::AnonymousRefusals, now) };
        for (reason, count) in counts {
            leaf = leaf.count(reason, *count)?;
        }
        self.log_change(leaf, Vec::new())
    }

    /// Logs that a token was issued to someone of a role; in the tree that refusals of the role are in.
    pub fn log_token(
        &self,
        permit: &Permit,
        role: &Role,
        token_id: &str,
        purposes: &[String],
        now: Timestamp,
    ) -> Result<(), VaultError> {
        require(permit, &[Verb::IssueToken])?;
        let leaf = Leaf {
            object: Some(Word::from_id(token_id)),
            purposes: purposes.iter().filter_map(|purpose| PurposeId::new(purpose).ok()).collect(),
            ..leaf_of(permit, Kind::TokenIssue, "issue token", now)
        };
        self.log_in(tree_of(role), leaf, Vec::new())
    }

    /// Searches the log; the read itself is logged first. Returns at most `limit` leaves from `start`, and where to go on.
    pub fn search_log(
        &self,
        permit: &Permit,
        tree: Tree,
        filter: &LogFilter,
        start: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<LeafEntry>, Option<u64>), VaultError> {
        require(permit, &[Verb::ReadLog])?;
        let wanted = self.subject_of(filter)?;
        let what = if filter.subject.is_some() { "search of one subject" } else { "search" };
        self.log_change(leaf_of(permit, Kind::LogRead, what, now), Vec::new())?;
        let mut found = Vec::new();
        // No leaf is shown that a crash could take back.
        let end = self.durable_sizes()?.of(tree);
        for entry in self.log.scan(tree, start, end) {
            let (index, bytes) = entry?;
            let leaf = Leaf::parse(&bytes)?;
            if matches(filter, wanted, &leaf) {
                if found.len() == limit {
                    return Ok((found, Some(index)));
                }
                found.push(LeafEntry { index, json: String::from_utf8_lossy(&bytes).into_owned() });
            }
        }
        Ok((found, None))
    }

    /// Returns the reference of the subject a search is about.
    fn subject_of(&self, filter: &LogFilter) -> Result<Option<[u8; 16]>, VaultError> {
        let Some(subject) = &filter.subject else { return Ok(None) };
        let state = self.lock()?;
        let number = filter.dataset.as_ref().and_then(|name| state.numbers.get(name));
        let dataset = number.and_then(|number| state.datasets.get(number));
        if let Some((part, problem)) = dataset.and_then(|dataset| dataset.damage.as_ref()) {
            return Err(VaultError::damaged(part, problem));
        }
        let found = dataset.and_then(|d| d.index.find(d.index.tag(subject.expose())).map(|ordinal| (d, ordinal)));
        match found {
            Some((dataset, ordinal)) => Ok(Some(crate::pseudonym::subject_reference(&dataset.hidden(ordinal)?))),
            None => refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key"),
        }
    }

    /// Explains a leaf in one sentence of plain words.
    pub fn explain_leaf(&self, permit: &Permit, tree: Tree, index: u64, now: Timestamp) -> Result<String, VaultError> {
        require(permit, &[Verb::ReadLog])?;
        self.log_change(leaf_of(permit, Kind::LogRead, "explain", now), Vec::new())?;
        let size = self.durable_sizes()?.of(tree);
        if index >= size {
            return Err(LogError::OutOfRange { index, size }.into());
        }
        Ok(crate::log::explain(&Leaf::parse(&self.log.leaf(tree, index)?)?))
    }

    /// Returns the newest signed checkpoint of a tree, covering every leaf that is durable when it is called.
    pub fn checkpoint(&self, permit: &Permit, tree: Tree, now: Timestamp) -> Result<String, VaultError> {
        require(permit, &[Verb::ReadLog])?;
        self.log_change(leaf_of(permit, Kind::LogRead, "checkpoint", now), Vec::new())?;
        self.persist_log()?;
        Ok(self.log.checkpoint_text(tree))
    }

    /// Returns a C2SP tlog-proof of one leaf under the newest checkpoint.
    pub fn proof(&self, permit: &Permit, tree: Tree, index: u64, now: Timestamp) -> Result<String, VaultError> {
        require(permit, &[Verb::ReadLog])?;
        self.log_change(leaf_of(permit, Kind::LogRead, "proof", now), Vec::new())?;
        self.persist_log()?;
        Ok(self.log.tlog_proof(tree, index)?)
    }

    /// Returns a tree's verifier key (C2SP signed-note vkey).
    pub fn log_vkey(&self, tree: Tree) -> String {
        self.log.vkey(tree)
    }

    pub(super) fn persist_log(&self) -> Result<(), VaultError> {
        Ok(self.log.persist(self.durable_sizes()?)?)
    }

    /// Returns the sizes of the trees, once every leaf below them is durable.
    pub(super) fn durable_sizes(&self) -> Result<Sizes, VaultError> {
        let sizes = {
            let _state = self.lock()?;
            self.log.sizes()
        };
        self.wal.sync()?;
        Ok(sizes)
    }

    /// Does periodic work: checkpoints, holds whose time has come, erasures that could not be ended, and what the backup target lacks. Call about once a second.
    pub fn tick(&self, now: Timestamp) -> Result<(), VaultError> {
        self.lock()?.latest_at_least(now);
        // What keeps an erasure from its end keeps nothing else from being done, and is told last. What commits to the key tree
        // waits for the mirror: not here.
        let resume = || if self.mirror_problem().is_none() { self.resume_erasures(now) } else { Ok(()) };
        let erased = self.end_holds(now).and_then(|()| resume());
        self.step(now)?;
        erased
    }

    /// Does what every tick has to do, and what an opening has to.
    pub(super) fn step(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.mirror_problem().is_none() {
            self.step_tokens(now)?;
            self.stock_journal_keys()?;
        }
        self.persist_log()?;
        self.follow()?;
        self.note_and_wait(now)
    }

    /// Stops: the last leaf, a checkpoint, a barrier in each database, and what the backup target lacks.
    pub fn close(&self, now: Timestamp) -> Result<(), VaultError> {
        let leaf = Leaf { what: Word::new("close").ok(), ..Leaf::new(Kind::Stop, now) };
        let mut state = self.lock()?;
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        for dataset in state.datasets.values_mut() {
            // A database that is not durable is made again from the log at the next opening.
            dataset.journal.barrier().ok();
        }
        drop(state);
        ticket.wait()?;
        self.persist_log()?;
        self.follow()?;
        self.note_and_wait(now)
    }
}

/// In which tree it is logged that a caller got in, or was refused. How often producers and portals call depends on what people
/// do, and an index of the access tree, which whoever asks is shown, must not count that.
fn tree_of(role: &Role) -> Tree {
    match role {
        Role::Producer | Role::Portal => Tree::Subject,
        Role::Service | Role::Partner(_) | Role::Officer | Role::Steward | Role::System => Tree::Access,
    }
}

fn matches(filter: &LogFilter, subject: Option<[u8; 16]>, leaf: &Leaf) -> bool {
    fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| found == Some(wanted))
    }
    is(filter.client.as_ref(), leaf.client.as_ref())
        && is(filter.dataset.as_ref(), leaf.dataset.as_ref())
        && is(subject.as_ref(), leaf.subject_ref.as_ref())
        && filter.purpose.as_ref().is_none_or(|wanted| leaf.purpose.as_ref().is_some_and(|p| p.as_str() == wanted))
        && filter.decision.as_ref().is_none_or(|wanted| leaf.decision.is_some_and(|d| d.as_str() == wanted))
        && filter.from.is_none_or(|from| leaf.t >= from)
        && filter.until.is_none_or(|until| leaf.t < until)
}
