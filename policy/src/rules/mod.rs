//! Cedar policies, compiled against a fixed model and asked once for each row of the disclosure table.
//!
//! Guarantees: deny by default; a forbid beats every permit; the order and names of policies never matter; a policy
//! that fails while it is evaluated denies what it was asked about (Cedar itself would skip it, and a broken forbid
//! would open the door) and is counted in [`Rules::evaluation_errors`]. For a field, the table holds the largest
//! treatment all of whose predecessors are allowed too, so the strictest wins. Identifiers are only ever pseudonymised.
//! [`crate::treatment::Treatment::Clear`] is reached for no purpose at all: only [`Role::Portal`] can be
//! granted it, and only on one person's own data. What the portal does for a person nobody else can be allowed.
//!
//! Not here: consent, budgets and sizes. A rule says what a role may do for a purpose; people and the ledger say no
//! separately.

mod diff;
mod evaluate;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod fixture;
mod literals;
mod model;

pub use diff::{Change, VerbChange, disclosure_diff, verb_diff, widens};

use crate::consent::LawfulBasis;
use crate::decide::Principal;
use crate::id::{ClientId, DatasetId, PurposeId};
use crate::permit::{Role, Verb};
use crate::schema::{FieldRef, Schema};
use crate::treatment::Treatment;
use cedar_policy::{Authorizer, PolicyId, PolicySet, ValidationMode, Validator};
pub(crate) use evaluate::Row;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Longest policy text, in bytes: what a person can still review.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Most policies in a set: evaluation is linear in it.
pub const MAX_POLICIES: usize = 512;

/// Most cached rows. Far above clients x purposes x datasets of one gateway; a caller that invents child purposes to
/// fill the cache only empties it.
const MAX_ROWS: usize = 4096;

/// Why a set of policies was refused. Policies are public to stewards, so messages may quote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The text is not Cedar.
    #[error("policy text `{name}` can't be read: {problem}")]
    Unreadable {
        /// Which text.
        name: String,
        /// Where and why.
        problem: String,
    },
    /// The text is Cedar, but not about our model: a misspelt action, role, class or attribute.
    #[error("policy `{name}` doesn't fit the model: {problem}")]
    Invalid {
        /// Which policy.
        name: String,
        /// Why.
        problem: String,
    },
    /// Templates have no use here.
    #[error("policy text `{0}` holds a template; write the policy out")]
    Template(String),
    /// Two policies have one name.
    #[error("two policies are named `{0}`")]
    Duplicate(String),
    /// Too long, or too many.
    #[error("`{0}` is more than 64 KiB of text, or brings the set above 512 policies")]
    TooLarge(String),
}

/// What the rules disclose to one principal for one purpose on one basis: the row of the table, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// Every field of the dataset with its treatment, [`Treatment::Deny`] included.
    pub table: Arc<BTreeMap<FieldRef, Treatment>>,
    /// SHA-256 of the table in a fixed encoding; part of the key of stored answers.
    pub hash: [u8; 32],
}

/// A compiled policy set with its number and its cache of disclosure tables.
pub struct Rules {
    policies: PolicySet,
    authorizer: Authorizer,
    model: cedar_policy::Schema,
    epoch: u64,
    warnings: Vec<String>,
    errors: AtomicU64,
    rows: RwLock<HashMap<RowKey, Arc<Row>>>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("epoch", &self.epoch).field("policies", &self.policies.num_of_policies()).finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RowKey {
    client: ClientId,
    role: Role,
    dataset: Option<DatasetId>,
    used_for: Option<(PurposeId, LawfulBasis)>,
}

impl Rules {
    /// Compiles and validates policy texts. `epoch` numbers the set in permits and in the log.
    ///
    /// A text may hold many policies; each is named `text/id` by its `@id`, or `text/policy0` by its position.
    ///
    /// # Errors
    /// Fails on what is not Cedar, does not fit the model in strict mode, or is too large.
    pub fn parse(texts: &[(&str, &str)], epoch: u64) -> Result<Self, RulesError> {
        let mut policies = PolicySet::new();
        for (name, text) in texts {
            add_text(&mut policies, name, text)?;
        }
        let (model, _) = cedar_policy::Schema::from_cedarschema_str(&model::schema_text())
            .map_err(|problem| RulesError::Unreadable { name: "model".into(), problem: problem.to_string() })?;
        let report = Validator::new(model.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = report.validation_errors().next() {
            let name = error.policy_id().to_string();
            return Err(RulesError::Invalid { name, problem: error.to_string() });
        }
        for policy in policies.policies() {
            let name = policy.id().to_string();
            let problem = match policy.to_json() {
                Ok(json) => literals::misspelt(&json),
                Err(problem) => Some(problem.to_string()),
            };
            if let Some(problem) = problem {
                return Err(RulesError::Invalid { name, problem });
            }
        }
        Ok(Self {
            warnings: report.validation_warnings().map(ToString::to_string).collect(),
            policies,
            authorizer: Authorizer::new(),
            model,
            epoch,
            errors: AtomicU64::new(0),
            rows: RwLock::default(),
        })
    }

    /// Returns the policies that ship, as texts for [`Rules::parse`].
    pub fn default_texts() -> &'static [(&'static str, &'static str)] {
        &[("default", include_str!("default.cedar"))]
    }

    /// Returns the number of this policy set.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns what Cedar finds odd but valid: a policy that can never apply, say.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns how many evaluations failed, and were answered with a denial, since this set was compiled. More than
    /// zero is a defect in a policy and worth an alarm. A failure is counted once for each row it is cached in.
    pub fn evaluation_errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Returns the disclosure table of a principal for a purpose on a basis.
    ///
    /// Cost: a map look-up when cached; otherwise a Cedar evaluation for each field and treatment, milliseconds.
    pub fn table(
        &self,
        principal: &Principal,
        purpose: &PurposeId,
        basis: LawfulBasis,
        dataset: &Schema,
    ) -> Disclosure {
        self.row(principal, Some(dataset), Some((purpose, basis))).disclosure.clone()
    }

    /// Returns whether a verb is allowed; `Release` and `Audience` never are without a purpose and a dataset.
    pub fn allows(
        &self,
        principal: &Principal,
        verb: Verb,
        dataset: Option<&Schema>,
        used_for: Option<(&PurposeId, LawfulBasis)>,
    ) -> bool {
        self.row(principal, dataset, used_for).allows(verb)
    }

    /// Returns the cached row, computing it first where needed.
    pub(crate) fn row(
        &self,
        principal: &Principal,
        dataset: Option<&Schema>,
        used_for: Option<(&PurposeId, LawfulBasis)>,
    ) -> Arc<Row> {
        let key = RowKey {
            client: principal.client.clone(),
            role: principal.role.clone(),
            dataset: dataset.map(|schema| schema.dataset.clone()),
            used_for: used_for.map(|(purpose, basis)| (purpose.clone(), basis)),
        };
        // A poisoned lock is harmless: a row is inserted whole or not at all.
        let cached = self.rows.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone);
        if let Some(row) = cached.filter(|row| row.fits(dataset)) {
            return row;
        }
        let row = Arc::new(Row::compute(self, principal, dataset, used_for));
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= MAX_ROWS {
            rows.clear();
        }
        rows.insert(key, Arc::clone(&row));
        row
    }

    fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the purposes the policies name, so that a comparison of two sets looks at all of them.
    fn named_purposes(&self) -> BTreeSet<PurposeId> {
        let literals = self.policies.policies().flat_map(cedar_policy::Policy::entity_literals);
        let purposes = literals.filter(|uid| uid.type_name().to_string() == "Purpose");
        purposes.filter_map(|uid| PurposeId::new(uid.id().unescaped()).ok()).collect()
    }
}

fn add_text(policies: &mut PolicySet, name: &str, text: &str) -> Result<(), RulesError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(RulesError::TooLarge(name.into()));
    }
    let parsed = PolicySet::from_str(text)
        .map_err(|problem| RulesError::Unreadable { name: name.into(), problem: problem.to_string() })?;
    if parsed.num_of_templates() > 0 {
        return Err(RulesError::Template(name.into()));
    }
    if policies.num_of_policies() + parsed.num_of_policies() > MAX_POLICIES {
        return Err(RulesError::TooLarge(name.into()));
    }
    for policy in parsed.policies() {
        let id = policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned);
        let id = format!("{name}/{id}");
        policies.add(policy.new_id(PolicyId::new(&id))).map_err(|_| RulesError::Duplicate(id))?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod laws;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod samples;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
