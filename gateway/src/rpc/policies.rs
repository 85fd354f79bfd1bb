//! Publishing policies: checked, compared with the set in force, and refused while they widen unseen.

use crate::app;
use crate::pipeline::Call;
use crate::records::{self, PolicySet};
use crate::status::Failure;
use policy::decide::{Principal, Reason};
use policy::permit::Verb;
use policy::rules::{Change, Rules, VerbChange, disclosure_diff, verb_diff, widens};
use policy::schema::Schema;
use policy::treatment::Treatment;
use proto::v1;
use std::sync::Arc;

/// Publishes a set, or says what it would change.
pub(super) fn publish(
    call: &mut Call,
    request: v1::PublishPoliciesRequest,
) -> Result<v1::PublishPoliciesResponse, Failure> {
    let v1::PublishPoliciesRequest { cedar, validate_only, acknowledge_widening, request_id } = request;
    call.take_request_id(&request_id)?;
    let permit = call.permit(Verb::ManagePolicies, None, None, &[])?;
    let app = Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let old = app.rules.load_full();
    let epoch = old.epoch().saturating_add(1);
    let new = Rules::parse(&[("published", &cedar)], epoch)
        .map_err(|problem| Failure::refused(Reason::ExpressionInvalid, problem.to_string(), "correct the policies"))?;
    let (changes, wider) = difference(call, &old, &new);
    let answer = |policy_epoch| v1::PublishPoliciesResponse { changes: changes.clone(), widens: wider, policy_epoch };
    if validate_only {
        return Ok(answer(old.epoch()));
    }
    if wider && !acknowledge_widening {
        return Err(Failure::invalid(
            "acknowledge_widening",
            "must be set, since these policies disclose more than those in force; `validate_only` shows what",
        ));
    }
    let set = PolicySet::new(epoch, cedar);
    app.vault.put_record(&permit, records::POLICIES, &set.key(), Some(&set.encode()), call.now)?;
    app.rules.store(Arc::new(new));
    Ok(answer(epoch))
}

/// Returns the set in force.
pub(super) fn current(call: &mut Call, _: v1::GetPoliciesRequest) -> Result<v1::GetPoliciesResponse, Failure> {
    call.permit(Verb::ManagePolicies, None, None, &[])?;
    let cedar = app::policy_text(&call.app.vault).map_err(|_| Failure::Defect("the stored policies can't be read"))?;
    Ok(v1::GetPoliciesResponse { cedar, policy_epoch: call.app.rules.load().epoch() })
}

fn difference(call: &Call, old: &Rules, new: &Rules) -> (Vec<String>, bool) {
    let clients = call.app.clients.load();
    let active = clients.values().filter(|client| !client.revoked);
    let principals: Vec<Principal> = active.map(|client| client.principal(client.purposes.clone())).collect();
    let schemas = call.app.vault.schemas();
    let schemas: Vec<&Schema> = schemas.values().map(AsRef::as_ref).collect();
    let fields = disclosure_diff(old, new, &schemas, &principals);
    let verbs = verb_diff(old, new, &schemas, &principals);
    let wider = widens(&fields, &verbs);
    (verbs.iter().map(say_verb).chain(fields.iter().map(say_field)).collect(), wider)
}

fn say_verb(change: &VerbChange) -> String {
    let VerbChange { who, role, dataset, used_for, verb, gained } = change;
    let what = if *gained { "may now" } else { "may no longer" };
    let place = dataset.as_ref().map(|dataset| format!(" on {dataset}")).unwrap_or_default();
    let purpose = used_for.as_ref().map(|(purpose, basis)| format!(" for {purpose} ({})", basis.as_str()));
    format!("{who} ({}) {what} {}{place}{}", role.name(), verb.action(), purpose.unwrap_or_default())
}

fn say_field(change: &Change) -> String {
    let Change { who, role, used_for, dataset, field, from, to } = change;
    let (from, to) = (say(*from), say(*to));
    let what_for = match used_for {
        Some((purpose, basis)) => format!("for {purpose} ({})", basis.as_str()),
        None => "of a person's own data".to_owned(),
    };
    format!("{who} ({}) {what_for} on {dataset}: {field} from {from} to {to}", role.name())
}

fn say(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Deny => "deny",
        Treatment::Aggregate => "aggregate",
        Treatment::Pseudonymise => "pseudonymise",
        Treatment::Generalise => "generalise",
        Treatment::Mask => "mask",
        Treatment::Clear => "clear",
    }
}
