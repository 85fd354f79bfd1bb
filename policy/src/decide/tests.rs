use super::*;
use crate::rules::fixture::{
    AGE_BAND, CATEGORY, EMAIL, HEALTH, LOYALTY, defaults, partner, principal, purpose, schema,
};
use crate::schema::ColumnId;
use LawfulBasis::Consent;

const NOWHERE: FieldRef = FieldRef::Attribute(ColumnId(999));

struct Call {
    who: Principal,
    verb: Verb,
    dataset: bool,
    purpose: Option<&'static str>,
    basis: Option<LawfulBasis>,
    fields: Vec<(FieldRef, Treatment)>,
}

fn portrait(fields: &[(FieldRef, Treatment)]) -> Call {
    Call {
        who: principal(Role::Service),
        verb: Verb::Release,
        dataset: true,
        purpose: Some("marketing.portrait"),
        basis: Some(Consent),
        fields: fields.to_vec(),
    }
}

fn ask(rules: &Rules, call: &Call) -> Result<Permit, Refusal> {
    match with(call, |request| decide(rules, request)) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(refusal),
    }
}

fn with<T>(call: &Call, work: impl FnOnce(&Request<'_>) -> T) -> T {
    let schema = schema();
    let what_for = call.purpose.map(purpose);
    let request = Request {
        principal: &call.who,
        verb: call.verb,
        dataset: call.dataset.then_some(&schema),
        purpose: what_for.as_ref(),
        basis: call.basis,
        fields: &call.fields,
        request_id: "11111111-2222-4333-8444-555555555555",
    };
    work(&request)
}

#[track_caller]
fn refused(call: &Call) -> Reason {
    ask(&defaults(), call).unwrap_err().reason
}

#[test]
fn a_granted_call_gets_a_permit_that_says_what_was_decided() {
    let call = portrait(&[(AGE_BAND, Treatment::Aggregate), (CATEGORY, Treatment::Aggregate)]);
    let permit = ask(&defaults(), &call).unwrap();
    assert_eq!(permit.verb(), Verb::Release);
    assert_eq!(permit.client(), &call.who.client);
    assert_eq!(permit.role(), &Role::Service);
    assert_eq!(permit.dataset().unwrap().as_str(), "shop");
    assert_eq!(permit.purpose().unwrap().as_str(), "marketing.portrait");
    assert_eq!(permit.basis(), Some(Consent));
    assert_eq!(permit.policy_epoch(), 1);
    assert_eq!(permit.request_id(), "11111111-2222-4333-8444-555555555555");
    assert_eq!(permit.treatment(AGE_BAND), Treatment::Aggregate);
    assert_eq!(permit.treatment(HEALTH), Treatment::Deny);
    assert_eq!(permit.treatment(NOWHERE), Treatment::Deny);
}

#[test]
fn unknown_and_ungranted_fields_are_refused_in_the_same_words() {
    let rules = defaults();
    let refusal = |field| ask(&rules, &portrait(&[(AGE_BAND, Treatment::Aggregate), (field, Treatment::Aggregate)]));
    let (unknown, ungranted) = (refusal(NOWHERE).unwrap_err(), refusal(HEALTH).unwrap_err());
    assert_eq!(unknown.reason, Reason::FieldUnavailable);
    assert_eq!(unknown, ungranted);
}

#[test]
fn more_than_the_granted_treatment_is_refused() {
    assert_eq!(refused(&portrait(&[(AGE_BAND, Treatment::Generalise)])), Reason::FieldUnavailable);
    assert_eq!(refused(&portrait(&[(AGE_BAND, Treatment::Deny)])), Reason::FieldUnavailable);
}

#[test]
fn an_identifier_is_pseudonymised_or_nothing() {
    let rules = Rules::parse(&[("all", "permit (principal, action, resource);")], 1).unwrap();
    for (need, granted) in [
        (Treatment::Aggregate, false),
        (Treatment::Pseudonymise, true),
        (Treatment::Generalise, false),
        (Treatment::Clear, false),
    ] {
        assert_eq!(ask(&rules, &portrait(&[(EMAIL, need)])).is_ok(), granted, "{need:?}");
    }
}

#[test]
fn only_a_permit_that_names_one_person_opens_values_and_only_theirs() {
    let rules = defaults();
    let call = |role| Call {
        verb: Verb::AccessSubject,
        who: principal(role),
        purpose: None,
        basis: None,
        ..portrait(&[(EMAIL, Treatment::Clear), (HEALTH, Treatment::Clear)])
    };
    let for_one = |call: &Call, subject: &[u8]| match with(call, |request| decide_for(&rules, request, subject)) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(refusal.reason),
    };
    let permit = for_one(&call(Role::Portal), b"member-1").unwrap();
    assert_eq!(permit.treatment(EMAIL), Treatment::Clear);
    assert_eq!(permit.treatment(NOWHERE), Treatment::Deny);
    assert!(permit.is_about(b"member-1") && !permit.is_about(b"member-2"));
    assert!(!format!("{permit:?}").contains("member"));
    assert_eq!(ask(&rules, &call(Role::Portal)).unwrap_err().reason, Reason::PurposeDenied, "it names nobody");
    for role in [Role::Service, Role::Officer, Role::Steward, Role::Producer, Role::System] {
        assert_eq!(for_one(&call(role), b"member-1").unwrap_err(), Reason::PurposeDenied);
    }
    let rectify = Call { verb: Verb::RectifySubject, ..call(Role::Portal) };
    assert_eq!(for_one(&rectify, b"member-1").unwrap_err(), Reason::FieldUnavailable, "writing opens nothing");
    let link = Call { verb: Verb::LinkSubject, fields: Vec::new(), ..call(Role::Portal) };
    assert_eq!(for_one(&link, b"member-1").unwrap_err(), Reason::PurposeDenied, "it names one person only");
    let for_two = |call: &Call| with(call, |request| decide_for_both(&rules, request, b"member-1", b"member-2"));
    let Decision::Permit(permit) = for_two(&link) else { panic!("a portal links") };
    assert!(permit.is_about_both(b"member-1", b"member-2") && !permit.is_about_both(b"member-2", b"member-1"));
    assert!(!permit.is_about(b"member-1"), "it opens nobody");
    for call in [call(Role::Portal), Call { who: principal(Role::Steward), ..link }] {
        assert!(matches!(for_two(&call), Decision::Refusal(_)));
    }
    let erase = Call { verb: Verb::EraseSubject, fields: Vec::new(), ..call(Role::Steward) };
    assert!(!ask(&rules, &erase).unwrap().is_about(b"member-1"));
}

#[test]
fn a_policy_can_keep_a_field_from_the_people_it_is_about() {
    let text =
        "forbid (principal, action == Action::\"release_clear\", resource) when { resource.name == \"loyalty\" };";
    let texts = [Rules::default_texts(), &[("kept", text)]].concat();
    let rules = Rules::parse(&texts, 1).unwrap();
    let call =
        Call { verb: Verb::AccessSubject, who: principal(Role::Portal), purpose: None, basis: None, ..portrait(&[]) };
    let Decision::Permit(permit) = with(&call, |request| decide_for(&rules, request, b"member-1")) else {
        unreachable!("a portal may read what is held of one person")
    };
    assert_eq!((permit.treatment(LOYALTY), permit.treatment(EMAIL)), (Treatment::Deny, Treatment::Clear));
}

#[test]
fn a_use_names_its_dataset_purpose_and_basis() {
    assert_eq!(refused(&Call { purpose: None, ..portrait(&[]) }), Reason::PurposeDenied);
    assert_eq!(refused(&Call { basis: None, ..portrait(&[]) }), Reason::PurposeDenied);
    assert_eq!(refused(&Call { dataset: false, ..portrait(&[]) }), Reason::PurposeDenied);
}

#[test]
fn a_token_bounds_the_purposes_on_dot_boundaries() {
    let mut who = principal(Role::Service);
    who.purposes = vec![purpose("marketing.portrait")];
    let ask_for = |text| ask(&defaults(), &Call { who: who.clone(), purpose: Some(text), ..portrait(&[]) });
    assert!(ask_for("marketing.portrait").is_ok());
    assert!(ask_for("marketing.portrait.region").is_ok());
    for text in ["marketing", "marketing.portraits", "marketing.measurement"] {
        assert_eq!(ask_for(text).unwrap_err().reason, Reason::PurposeDenied, "{text}");
    }
    who.purposes.clear();
    assert_eq!(refused(&Call { who, ..portrait(&[]) }), Reason::PurposeDenied);
}

#[test]
fn a_purpose_wider_than_the_consent_asked_for_is_refused() {
    // The token and the policies cover `marketing`; the dataset's people were only asked about parts of it.
    assert_eq!(refused(&Call { purpose: Some("marketing"), ..portrait(&[]) }), Reason::PurposeDenied);
    assert_eq!(refused(&Call { purpose: Some("marketing.other"), ..portrait(&[]) }), Reason::PurposeDenied);
}

#[test]
fn a_partner_asks_under_its_own_name() {
    let needs = [(AGE_BAND, Treatment::Generalise)];
    let shared = |who, text| Call { who, verb: Verb::Audience, purpose: Some(text), ..portrait(&needs) };
    assert!(ask(&defaults(), &shared(partner("acme"), "sharing.partner.acme")).is_ok());
    assert_eq!(refused(&shared(partner("acme"), "sharing.partner.other")), Reason::PurposeDenied);
    assert_eq!(refused(&shared(partner("acme"), "sharing.partner")), Reason::PurposeDenied);
    assert_eq!(refused(&shared(principal(Role::Service), "sharing.partner.acme")), Reason::PurposeDenied);
}

#[test]
fn management_needs_no_purpose_and_its_permit_opens_no_field() {
    let call = Call { verb: Verb::Maintain, who: principal(Role::System), ..portrait(&[]) };
    let permit = ask(&defaults(), &Call { purpose: None, basis: None, ..call }).unwrap();
    assert_eq!(permit.purpose(), None);
    assert_eq!(permit.basis(), None);
    assert_eq!(permit.treatment(AGE_BAND), Treatment::Deny);
    let with_fields =
        Call { verb: Verb::Maintain, who: principal(Role::System), ..portrait(&[(AGE_BAND, Treatment::Aggregate)]) };
    assert_eq!(refused(&with_fields), Reason::FieldUnavailable);
}

#[test]
fn a_policy_that_fails_refuses_in_plain_words_and_raises_the_alarm() {
    let text = "permit (principal, action, resource);
        forbid (principal, action == Action::\"release\", resource) when { 9223372036854775807 + 1 > 0 };";
    let rules = Rules::parse(&[("broken", text)], 1).unwrap();
    let refusal = ask(&rules, &portrait(&[])).unwrap_err();
    assert_eq!(refusal.reason, Reason::PurposeDenied);
    assert!(rules.evaluation_errors() > 0);
}
