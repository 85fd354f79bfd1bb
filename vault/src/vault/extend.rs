//! Extending the lifetime's cap of a population, by a steward, signed by the log.
//!
//! Guarantees: an extension and its leaf are in one frame, so that neither is without the other; the leaf names who, why, by
//! how much, and what these people may have lost before and after, as rho and as (epsilon, delta). Nobody extends by accident:
//! the new epsilon has to be repeated, and so a second extension, which comes to another epsilon, is never a retry of the
//! first. A retry under the same request id is told what was done.
//!
//! A restore that lost the leaf of an extension writes it again: what the mirror knows of stands.
//!
//! Does not: say whether anybody should lose more.

use super::change::Change;
use super::commit::Outgoing;
use super::state::State;
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::budget::{Extended, Loss};
use crate::log::{Kind, Leaf, LeafError, Word};
use crate::release::epsilon_for;
use policy::decide::Reason;
use policy::id::PopulationId;
use policy::permit::{Permit, Verb};
use policy::privacy::{Caps, DEFAULT_DELTA, Epsilon, Extension, NanoRho};
use policy::time::Timestamp;

impl Vault {
    /// Says what an extension of the lifetime's cap of a dataset's population would come to. Changes nothing.
    pub fn plan_extension(&self, permit: &Permit, by: NanoRho) -> Result<Extended, VaultError> {
        require(permit, &[Verb::ExtendBudget])?;
        let mut state = self.lock()?;
        let (population, caps) = self.extended_of(&mut state, permit)?;
        let ledger = state.shared.ledgers.entry(population).or_default();
        ledger.check_extension(by, caps).map_err(VaultError::Refused)?;
        let cap = ledger.lifetime_cap(caps);
        extended(cap, by, ledger.lifetime_spent(), None)
    }

    /// Extends the lifetime's cap of a dataset's population by at most four quarters' caps, durably. `because` is in the log;
    /// `acknowledged` is the new epsilon as [`Vault::plan_extension`] shows it, to two places.
    pub fn extend_budget(
        &self,
        permit: &Permit,
        by: NanoRho,
        because: &str,
        acknowledged: &str,
        now: Timestamp,
    ) -> Result<Extended, VaultError> {
        require(permit, &[Verb::ExtendBudget])?;
        let why = reason(because)?;
        let mut state = self.lock()?;
        let (population, caps) = self.extended_of(&mut state, permit)?;
        let at = now.max(state.latest);
        let ledger = state.shared.ledgers.entry(population.clone()).or_default();
        let spent = ledger.lifetime_spent();
        if let Some((cap, done)) = ledger.extension_of(permit.client(), permit.request_id(), caps) {
            if done.by != by || done.because != because {
                let next = "use a new request id for another extension";
                return refuse(Reason::RequestIdReused, "this request id was used for another extension", next);
            }
            return extended(cap, by, spent, Some(done.leaf));
        }
        ledger.check_extension(by, caps).map_err(VaultError::Refused)?;
        let leaf = self.next_leaf(Tree::Access);
        let done = extended(ledger.lifetime_cap(caps), by, spent, Some(leaf))?;
        acknowledge(acknowledged, done.after.epsilon)?;
        let (client, request) = (permit.client().clone(), permit.request_id().to_owned());
        let extension = Extension { by, at, client, request, because: because.to_owned(), leaf };
        let leaf = Leaf {
            population: Some(population.clone()),
            rho: Some(by),
            reason: Some(why),
            ..leaf_of(permit, Kind::Extension, "extend lifetime budget", now)
        };
        let leaves = vec![(Tree::Access, in_figures(leaf, &done)?.to_json().into_bytes())];
        let changes = vec![Change::Extend { population, extension }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        // If the machine dies now, the mirror knows of it; what it could not be told, the next tick tells it.
        self.note(now).ok();
        Ok(done)
    }

    fn extended_of(&self, state: &mut State, permit: &Permit) -> Result<(PopulationId, Caps), VaultError> {
        let population = dataset_of(state, permit)?.schema.population.clone();
        let caps = self.caps(state, &population);
        Ok((population, caps))
    }

    /// Raises balances to those that the mirror knows of, under a leaf that says why. Extensions whose leaves were lost get
    /// leaves again, after it.
    pub(super) fn raise_balances(&self, leaf: &Leaf, now: Timestamp) -> Result<(), VaultError> {
        let mut changes = self.unpaid();
        let mut state = self.lock()?;
        let mut leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        for change in &mut changes {
            let Change::Spent { population, spent } = change else { continue };
            let known = state.shared.ledgers.get(population).map_or(0, |ledger| ledger.extensions().len());
            let first = self.next_leaf(Tree::Access).saturating_add(leaves.len() as u64);
            for extension in spent.extensions().iter().skip(known) {
                leaves.push((Tree::Access, kept(population, extension, now).to_json().into_bytes()));
            }
            spent.logged_again(known, first);
        }
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }
}

/// The leaf of an extension that a restore found in the mirror, and not in the log.
fn kept(population: &PopulationId, extension: &Extension, now: Timestamp) -> Leaf {
    Leaf {
        client: Some(extension.client.clone()),
        req: (!extension.request.is_empty()).then(|| Word::from_id(&extension.request)),
        what: Word::new("extension kept after a loss").ok(),
        population: Some(population.clone()),
        rho: Some(extension.by),
        reason: Word::new(&extension.because).ok(),
        ..Leaf::new(Kind::Extension, now)
    }
}

fn reason(because: &str) -> Result<Word, VaultError> {
    let spoken = because.chars().any(|c| c.is_ascii_alphabetic());
    Word::new(because).ok().filter(|_| spoken).map_or_else(
        || {
            let message =
                "a reason is 1 to 120 letters, digits, spaces and `._-:/,()=%#`, with at most 6 digits in a row";
            refuse(Reason::RequestInvalid, message, "say in such words why more may be lost; they are in the log")
        },
        Ok,
    )
}

fn acknowledge(acknowledged: &str, epsilon: Epsilon) -> Result<(), VaultError> {
    let (epsilon, delta) = (epsilon.to_string(), DEFAULT_DELTA);
    if acknowledged == epsilon {
        return Ok(());
    }
    let message =
        format!("with this extension the people of the dataset may have lost epsilon {epsilon} at delta {delta}");
    refuse(Reason::RequestInvalid, message, &format!("if that is meant, acknowledge epsilon {epsilon}"))
}

fn extended(cap: NanoRho, by: NanoRho, spent: NanoRho, leaf: Option<u64>) -> Result<Extended, VaultError> {
    Ok(Extended { before: loss(cap)?, after: loss(cap.saturating_add(by))?, spent: loss(spent)?, leaf })
}

fn loss(rho: NanoRho) -> Result<Loss, VaultError> {
    // The tight conversion ends where test datasets begin, whose losses protect nobody: there the textbook's bound stands in,
    // Bun and Steinke 2016, Proposition 1.3.
    let loose = || rho.rho() + 2.0 * (rho.rho() * (1.0 / DEFAULT_DELTA.value()).ln()).sqrt().next_up();
    let epsilon = epsilon_for(rho, DEFAULT_DELTA.value()).unwrap_or_else(|_| loose());
    let epsilon = Epsilon::new(epsilon).ok_or_else(|| VaultError::damaged("loss", "it has no epsilon"))?;
    Ok(Loss { rho, epsilon })
}

/// Writes an extension's losses into its leaf, in whole numbers, epsilons as hundredths and as they are shown.
fn in_figures(leaf: Leaf, done: &Extended) -> Result<Leaf, LeafError> {
    let named = [("before", done.before), ("after", done.after), ("spent so far", done.spent)];
    named
        .into_iter()
        .try_fold(leaf, |leaf, (what, Loss { rho, epsilon })| {
            leaf.count(&format!("lifetime nano-rho {what}"), rho.0)?
                .count(&format!("lifetime epsilon hundredths {what}"), hundredths(epsilon))
        })?
        .count("delta in 1e-18", DEFAULT_DELTA.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and an epsilon is not negative"
)]
fn hundredths(epsilon: Epsilon) -> u64 {
    (epsilon.value() * 100.0).ceil() as u64
}
