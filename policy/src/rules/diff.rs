//! What a new policy set changes: who gains or loses what, before it is published.

use super::{Disclosure, Rules};
use crate::consent::LawfulBasis;
use crate::decide::Principal;
use crate::id::{ClientId, DatasetId, PurposeId};
use crate::permit::{Role, Verb};
use crate::purpose::{covers, own_purpose};
use crate::schema::{FieldRef, Schema};
use crate::treatment::Treatment;
use std::collections::BTreeSet;

/// One field's treatment that differs between two policy sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// For whom.
    pub who: ClientId,
    /// In which role.
    pub role: Role,
    /// For which purpose and basis; `None` where a portal shows a person their own data.
    pub used_for: Option<(PurposeId, LawfulBasis)>,
    /// In which dataset.
    pub dataset: DatasetId,
    /// Which field, in written form: `order.category`.
    pub field: String,
    /// Treatment under the old set.
    pub from: Treatment,
    /// Treatment under the new set.
    pub to: Treatment,
}

impl Change {
    /// Returns whether the new set discloses more.
    pub fn widens(&self) -> bool {
        self.to > self.from
    }
}

/// One verb that is allowed by one of two policy sets only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbChange {
    /// For whom.
    pub who: ClientId,
    /// In which role.
    pub role: Role,
    /// On which dataset; `None` is the gateway itself.
    pub dataset: Option<DatasetId>,
    /// For which purpose and basis, where the verb needs one.
    pub used_for: Option<(PurposeId, LawfulBasis)>,
    /// Which verb.
    pub verb: Verb,
    /// Whether it is allowed under the new set.
    pub gained: bool,
}

/// Returns whether any change discloses more.
pub fn widens(fields: &[Change], verbs: &[VerbChange]) -> bool {
    fields.iter().any(Change::widens) || verbs.iter().any(|change| change.gained)
}

/// Compares what two policy sets disclose to each principal, for every purpose it could ask for: those its token
/// carries, those of the schema, those either set names, and a partner's own; and what portals show people of their own data. Ordered by principal,
/// dataset, purpose, basis, field, people's own data last.
pub fn disclosure_diff(old: &Rules, new: &Rules, schemas: &[&Schema], principals: &[Principal]) -> Vec<Change> {
    let mut changes = Vec::new();
    for_each_use(old, new, schemas, principals, |principal, schema, purpose, basis| {
        let before = old.table(principal, purpose, basis, schema);
        let after = new.table(principal, purpose, basis, schema);
        changes.extend(compare(principal, schema, Some((purpose, basis)), &before, &after));
    });
    for principal in principals.iter().filter(|principal| principal.role == Role::Portal) {
        for schema in schemas {
            let own = |rules: &Rules| rules.row(principal, Some(schema), None).own.clone();
            changes.extend(compare(principal, schema, None, &own(old), &own(new)));
        }
    }
    changes
}

fn compare(
    principal: &Principal,
    schema: &Schema,
    used_for: Option<(&PurposeId, LawfulBasis)>,
    before: &Disclosure,
    after: &Disclosure,
) -> Vec<Change> {
    let change = |(reference, to): (&FieldRef, &Treatment)| {
        let from = before.table.get(reference).copied().unwrap_or(Treatment::Deny);
        (from != *to).then(|| Change {
            who: principal.client.clone(),
            role: principal.role.clone(),
            used_for: used_for.map(|(purpose, basis)| (purpose.clone(), basis)),
            dataset: schema.dataset.clone(),
            field: schema.path(*reference),
            from,
            to: *to,
        })
    };
    after.table.iter().filter_map(change).collect()
}

/// Compares which verbs two policy sets allow each principal, on the gateway and on each dataset.
pub fn verb_diff(old: &Rules, new: &Rules, schemas: &[&Schema], principals: &[Principal]) -> Vec<VerbChange> {
    let mut changes = Vec::new();
    let mut compare = |principal: &Principal, dataset: Option<&Schema>, used_for: Option<(&PurposeId, LawfulBasis)>| {
        for verb in Verb::ALL.into_iter().filter(|verb| verb.needs_purpose() == used_for.is_some()) {
            let gained = new.allows(principal, verb, dataset, used_for);
            if gained != old.allows(principal, verb, dataset, used_for) {
                changes.push(VerbChange {
                    who: principal.client.clone(),
                    role: principal.role.clone(),
                    dataset: dataset.map(|schema| schema.dataset.clone()),
                    used_for: used_for.map(|(purpose, basis)| (purpose.clone(), basis)),
                    verb,
                    gained,
                });
            }
        }
    };
    for principal in principals {
        compare(principal, None, None);
        for schema in schemas {
            compare(principal, Some(schema), None);
        }
    }
    for_each_use(old, new, schemas, principals, |principal, schema, purpose, basis| {
        compare(principal, Some(schema), Some((purpose, basis)));
    });
    changes
}

fn for_each_use(
    old: &Rules,
    new: &Rules,
    schemas: &[&Schema],
    principals: &[Principal],
    mut visit: impl FnMut(&Principal, &Schema, &PurposeId, LawfulBasis),
) {
    let mut named = old.named_purposes();
    named.extend(new.named_purposes());
    for principal in principals {
        let own = own_purpose(&principal.role);
        for schema in schemas {
            let candidates: BTreeSet<_> =
                principal.purposes.iter().chain(&schema.purposes).chain(&named).chain(&own).cloned().collect();
            for purpose in candidates.iter().filter(|purpose| may_ask(principal, schema, purpose)) {
                for basis in LawfulBasis::ALL {
                    visit(principal, schema, purpose, basis);
                }
            }
        }
    }
}

fn may_ask(principal: &Principal, schema: &Schema, purpose: &PurposeId) -> bool {
    let carried = principal.purposes.iter().any(|carried| covers(carried, purpose));
    carried && schema.purposes.iter().any(|known| covers(known, purpose))
}
