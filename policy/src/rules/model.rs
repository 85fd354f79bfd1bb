//! The Cedar model: the schema every policy is validated against, and the entities a question is made of.
//!
//! The model is fixed. It names roles, field classes, treatments and verbs, never a dataset, so one policy set serves
//! all datasets and a policy stays valid when a schema changes. Roles and classes are enumerated entities: a misspelt
//! one is a validation error, not a policy that never applies.

use crate::consent::LawfulBasis;
use crate::decide::Principal;
use crate::id::PurposeId;
use crate::permit::{Role, Verb};
use crate::schema::{FieldClass, FieldRef, Schema};
use crate::treatment::Treatment;
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::str::FromStr;

/// The model could not be built; a defect of ours, answered with a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModelError;

/// Returns the Cedar schema text of the model.
pub(super) fn schema_text() -> String {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let classes = FieldClass::ALL.map(FieldClass::as_str);
    let treatments: Vec<_> = Treatment::RELEASING.iter().filter_map(|treatment| treatment.action()).collect();
    let (uses, rest): (Vec<_>, Vec<_>) = Verb::ALL.into_iter().partition(|verb| verb.needs_purpose());
    let actions = |verbs: Vec<Verb>| verbs.into_iter().map(Verb::action).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "entity Role enum [{roles}];\n\
         entity FieldClass enum [{classes}];\n\
         entity Organization;\n\
         entity Gateway;\n\
         entity Dataset in [Organization];\n\
         entity Purpose in [Purpose];\n\
         entity Client in [Role];\n\
         entity Field in [FieldClass, Dataset] {{ class: String, name: String, dataset: String }};\n\
         type Use = {{ purpose: Purpose, basis: String, partner: String }};\n\
         action {treatments} appliesTo {{ principal: Client, resource: Field, context: Use }};\n\
         action {clear} appliesTo {{ principal: Client, resource: Field, context: {{ partner: String }} }};\n\
         action {uses} appliesTo {{ principal: Client, resource: Dataset, context: Use }};\n\
         action {rest} appliesTo {{ principal: Client, resource: [Dataset, Gateway], context: {{ partner: String }} }};\n",
        roles = quoted(&Role::NAMES),
        classes = quoted(&classes),
        treatments = treatments.join(", "),
        clear = Treatment::Clear.action().unwrap_or_default(),
        uses = actions(uses),
        rest = actions(rest),
    );
    text
}

/// Names an entity.
pub(super) fn uid(kind: &str, id: &str) -> Result<EntityUid, ModelError> {
    let kind = EntityTypeName::from_str(kind).map_err(|_| ModelError)?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// Names the field a reference stands for: `shop/age_band`, `shop/order.category`, and `shop/event:order` for an event as
/// such, since an attribute may have an event's name.
pub(super) fn field_uid(schema: &Schema, reference: FieldRef) -> Result<EntityUid, ModelError> {
    let kind = if matches!(reference, FieldRef::Event(_)) { "event:" } else { "" };
    uid("Field", &format!("{}/{kind}{}", schema.dataset, schema.path(reference)))
}

/// Returns a purpose and its ancestors, the purpose first: `a.b.c`, `a.b`, `a`.
fn chain(purpose: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(purpose), |text| text.rsplit_once('.').map(|(parent, _)| parent))
}

/// Collects the entities of everything one principal can ask of one dataset for one purpose.
pub(super) fn entities(
    principal: &Principal,
    dataset: Option<&Schema>,
    purpose: Option<&PurposeId>,
    schema: &cedar_policy::Schema,
) -> Result<Entities, ModelError> {
    let plain = |uid, parents: Vec<EntityUid>| Entity::new_no_attrs(uid, HashSet::from_iter(parents));
    let role = uid("Role", principal.role.name())?;
    let mut all = vec![plain(uid("Client", principal.client.as_str())?, vec![role]), plain(gateway()?, vec![])];
    for text in purpose.map(PurposeId::as_str).into_iter().flat_map(chain) {
        let parent = text.rsplit_once('.').map(|(parent, _)| uid("Purpose", parent)).transpose()?;
        all.push(plain(uid("Purpose", text)?, parent.into_iter().collect()));
    }
    if let Some(dataset) = dataset {
        let organization = uid("Organization", dataset.organization.as_str())?;
        all.push(plain(uid("Dataset", dataset.dataset.as_str())?, vec![organization.clone()]));
        all.push(plain(organization, vec![]));
        for reference in dataset.references() {
            all.push(field(dataset, reference)?);
        }
    }
    Entities::from_entities(all, Some(schema)).map_err(|_| ModelError)
}

fn field(dataset: &Schema, reference: FieldRef) -> Result<Entity, ModelError> {
    let class = dataset.class(reference).as_str();
    let text = |value: String| RestrictedExpression::new_string(value);
    let attributes = HashMap::from([
        ("class".to_owned(), text(class.to_owned())),
        ("name".to_owned(), text(dataset.path(reference))),
        ("dataset".to_owned(), text(dataset.dataset.to_string())),
    ]);
    let parents = HashSet::from([uid("FieldClass", class)?, uid("Dataset", dataset.dataset.as_str())?]);
    Entity::new(field_uid(dataset, reference)?, attributes, parents).map_err(|_| ModelError)
}

/// Names the gateway itself.
pub(super) fn gateway() -> Result<EntityUid, ModelError> {
    uid("Gateway", "gateway")
}

/// Builds the context of a use of people's data, or of management when there is no purpose.
pub(super) fn context(
    principal: &Principal,
    purpose: Option<(&PurposeId, LawfulBasis)>,
) -> Result<Context, ModelError> {
    let partner = principal.role.partner().map_or("", |partner| partner.as_str());
    let mut pairs = vec![("partner".to_owned(), RestrictedExpression::new_string(partner.to_owned()))];
    if let Some((purpose, basis)) = purpose {
        let purpose = uid("Purpose", purpose.as_str())?;
        pairs.push(("purpose".to_owned(), RestrictedExpression::new_entity_uid(purpose)));
        pairs.push(("basis".to_owned(), RestrictedExpression::new_string(basis.as_str().to_owned())));
    }
    Context::from_pairs(pairs).map_err(|_| ModelError)
}
