//! Cedar asked, and its answers kept as a row: verbs, and the treatment of every field.

use super::model::{self, ModelError};
use super::{Disclosure, Rules};
use crate::consent::LawfulBasis;
use crate::decide::Principal;
use crate::id::{FieldName, PurposeId};
use crate::permit::{Role, Verb};
use crate::purpose::partner_may_use;
use crate::schema::{FieldClass, FieldRef, Schema};
use crate::treatment::Treatment;
use cedar_policy::{Context, Decision, Entities, EntityUid, Request};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that the rules say to one principal for one purpose, basis and dataset.
#[derive(Debug)]
pub(crate) struct Row {
    shape: Vec<(FieldName, Option<FieldClass>, bool)>,
    verbs: [bool; Verb::ALL.len()],
    pub(crate) disclosure: Disclosure,
    /// What one person is shown of their own data.
    pub(crate) own: Disclosure,
}

impl Row {
    /// Asks Cedar every question whose answer the row holds.
    pub(super) fn compute(
        rules: &Rules,
        principal: &Principal,
        dataset: Option<&Schema>,
        used_for: Option<(&PurposeId, LawfulBasis)>,
    ) -> Self {
        let asked = Asked::new(rules, principal, dataset, used_for);
        if asked.is_err() {
            rules.count_error();
        }
        let asked = asked.ok();
        let table = |treatment: fn(&Asked<'_>, &Schema, FieldRef) -> Treatment| {
            let fields = dataset.into_iter().flat_map(|d| d.references().into_iter().map(move |r| (r, d)));
            let answer = |(reference, schema)| {
                (reference, asked.as_ref().map_or(Treatment::Deny, |asked| treatment(asked, schema, reference)))
            };
            Disclosure::of(fields.map(answer).collect())
        };
        Self {
            shape: dataset.into_iter().flat_map(shape).map(|(name, class, old)| (name.clone(), class, old)).collect(),
            verbs: Verb::ALL.map(|verb| asked.as_ref().is_some_and(|asked| asked.verb(verb))),
            disclosure: table(|asked, schema, reference| asked.treatment(schema, reference)),
            own: table(|asked, schema, reference| asked.own(schema, reference)),
        }
    }

    /// Returns whether the verb is allowed.
    pub(crate) fn allows(&self, verb: Verb) -> bool {
        Verb::ALL.iter().zip(self.verbs).any(|(candidate, allowed)| *candidate == verb && allowed)
    }

    /// Returns whether the row was computed for this very schema. Names are shared, so this mostly compares pointers.
    pub(super) fn fits(&self, dataset: Option<&Schema>) -> bool {
        let mut expected = self.shape.iter();
        let same = dataset.into_iter().flat_map(shape).all(|(name, class, deprecated)| {
            expected.next().is_some_and(|(seen, of, was)| seen == name && *of == class && *was == deprecated)
        });
        same && expected.next().is_none()
    }
}

/// Lists what of a schema the rules can see: organization aside (it never changes), names and classes in order, and what
/// is deprecated.
fn shape(schema: &Schema) -> impl Iterator<Item = (&FieldName, Option<FieldClass>, bool)> {
    let attributes = schema.attributes.iter().map(|field| (&field.name, Some(field.class), field.deprecated));
    let events = schema.events.iter().flat_map(|event| {
        let fields = event.fields.iter().map(|field| (&field.name, Some(field.class), field.deprecated));
        std::iter::once((&event.name, None, event.deprecated)).chain(fields)
    });
    attributes.chain(events)
}

/// One principal's questions about one dataset for one purpose.
struct Asked<'a> {
    rules: &'a Rules,
    principal: &'a Principal,
    client: EntityUid,
    resource: EntityUid,
    entities: Entities,
    use_context: Option<Context>,
    plain_context: Context,
}

impl<'a> Asked<'a> {
    fn new(
        rules: &'a Rules,
        principal: &'a Principal,
        dataset: Option<&Schema>,
        used_for: Option<(&PurposeId, LawfulBasis)>,
    ) -> Result<Self, ModelError> {
        // A partner's purpose names the partner. Another partner's is nobody else's business, whatever a policy says.
        let used_for = used_for.filter(|(purpose, _)| partner_may_use(&principal.role, purpose));
        Ok(Self {
            rules,
            principal,
            client: model::uid("Client", principal.client.as_str())?,
            resource: dataset.map_or_else(model::gateway, |schema| model::uid("Dataset", schema.dataset.as_str()))?,
            entities: model::entities(principal, dataset, used_for.map(|(purpose, _)| purpose), &rules.model)?,
            use_context: used_for.map(|used_for| model::context(principal, Some(used_for))).transpose()?,
            plain_context: model::context(principal, None)?,
        })
    }

    /// Asks Cedar one question. Anything but a clean yes is no.
    fn allowed(&self, action: &str, resource: &EntityUid, context: &Context) -> bool {
        let Ok(request) = self.request(action, resource, context) else {
            self.rules.count_error();
            return false;
        };
        let response = self.rules.authorizer.is_authorized(&request, &self.rules.policies, &self.entities);
        if response.diagnostics().errors().next().is_some() {
            self.rules.count_error();
            return false;
        }
        response.decision() == Decision::Allow
    }

    fn request(&self, action: &str, resource: &EntityUid, context: &Context) -> Result<Request, ModelError> {
        let action = model::uid("Action", action)?;
        let (client, resource) = (self.client.clone(), resource.clone());
        Request::new(client, action, resource, context.clone(), Some(&self.rules.model)).map_err(|_| ModelError)
    }

    fn verb(&self, verb: Verb) -> bool {
        if !verb.open_to(&self.principal.role) {
            return false;
        }
        let context = if verb.needs_purpose() { self.use_context.as_ref() } else { Some(&self.plain_context) };
        let about_dataset = self.resource.type_name().to_string() == "Dataset";
        context
            .filter(|_| about_dataset || !verb.needs_purpose())
            .is_some_and(|context| self.allowed(verb.action(), &self.resource, context))
    }

    /// Climbs the ladder of treatments until the first that is not allowed.
    fn treatment(&self, schema: &Schema, reference: FieldRef) -> Treatment {
        // Nobody but its person is shown what is kept of a deprecated field.
        let Some(context) = self.use_context.as_ref().filter(|_| !schema.is_deprecated(reference)) else {
            return Treatment::Deny;
        };
        let Ok(field) = model::field_uid(schema, reference) else { return Treatment::Deny };
        let mut reached = Treatment::Deny;
        for step in ladder(schema.class(reference)) {
            let Some(action) = step.action() else { break };
            if !self.allowed(action, &field, context) {
                break;
            }
            reached = *step;
        }
        reached
    }

    /// Says whether a person is shown this of their own data: all or nothing, and through a portal only.
    fn own(&self, schema: &Schema, reference: FieldRef) -> Treatment {
        let clear = Treatment::Clear.action().zip(model::field_uid(schema, reference).ok());
        let shown = |(action, field): (&str, EntityUid)| self.allowed(action, &field, &self.plain_context);
        let portal = self.principal.role == Role::Portal;
        if portal && clear.is_some_and(shown) { Treatment::Clear } else { Treatment::Deny }
    }
}

impl Disclosure {
    fn of(table: BTreeMap<FieldRef, Treatment>) -> Self {
        let hash = hash(&table);
        Self { table: Arc::new(table), hash }
    }
}

/// Returns the treatments that a use for a purpose can reach on a class of fields, strictest first.
fn ladder(class: FieldClass) -> &'static [Treatment] {
    match class {
        // A count of e-mail addresses per e-mail address is not a statistic.
        FieldClass::Identifier => &[Treatment::Pseudonymise],
        _ => &Treatment::RELEASING,
    }
}

/// Hashes a table in a fixed encoding. Changing it changes the key of every stored answer.
fn hash(table: &BTreeMap<FieldRef, Treatment>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"silhouette disclosure table v1\n");
    for (reference, treatment) in table {
        let (kind, event, column) = match reference {
            FieldRef::Attribute(column) => (0_u8, 0, column.0),
            FieldRef::EventField(event, column) => (1, event.0, column.0),
            FieldRef::Event(event) => (2, event.0, 0),
        };
        let level = match treatment {
            Treatment::Deny => 0_u8,
            Treatment::Aggregate => 1,
            Treatment::Pseudonymise => 2,
            Treatment::Generalise => 3,
            Treatment::Mask => 4,
            Treatment::Clear => 5,
        };
        hasher.update([kind]);
        hasher.update(event.to_le_bytes());
        hasher.update(column.to_le_bytes());
        hasher.update([level]);
    }
    hasher.finalize().into()
}
