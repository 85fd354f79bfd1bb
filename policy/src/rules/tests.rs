use super::fixture::{AGE_BAND, CATEGORY, EMAIL, HEALTH, LOYALTY, ORDER};
use super::fixture::{defaults, everyone, partner, principal, purpose, schema};
use super::*;
use crate::id::FieldName;
use crate::schema::FieldClass;
use crate::treatment::Treatment::{Aggregate, Deny, Generalise, Mask, Pseudonymise};
use LawfulBasis::Consent;

const ALL_FIELDS: [FieldRef; 6] = [EMAIL, AGE_BAND, HEALTH, LOYALTY, ORDER, CATEGORY];

/// Treatments of email, age band, health, loyalty, order and order.category.
fn row(rules: &Rules, who: &Principal, what_for: &str) -> [Treatment; 6] {
    let table = rules.table(who, &purpose(what_for), Consent, &schema()).table;
    ALL_FIELDS.map(|field| *table.get(&field).unwrap())
}

fn parse(text: &str) -> Result<Rules, RulesError> {
    Rules::parse(&[("test", text)], 7)
}

#[test]
fn the_policies_that_ship_are_one_file() {
    let deployed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/policies/default.cedar"));
    assert_eq!(deployed.unwrap(), Rules::default_texts()[0].1);
    assert!(defaults().warnings().is_empty(), "{:?}", defaults().warnings());
}

#[test]
fn services_get_aggregates_for_marketing_only() {
    let rules = defaults();
    let service = principal(Role::Service);
    let aggregates = [Deny, Aggregate, Deny, Aggregate, Aggregate, Aggregate];
    assert_eq!(row(&rules, &service, "marketing.portrait"), aggregates);
    assert_eq!(row(&rules, &service, "marketing"), aggregates);
    assert_eq!(row(&rules, &service, "marketingx"), [Deny; 6]);
    assert_eq!(row(&rules, &service, "sharing.partner.acme"), [Deny; 6]);
    assert_eq!(rules.evaluation_errors(), 0);
}

#[test]
fn partners_get_coarse_values_for_their_own_purpose_only() {
    let rules = defaults();
    let coarse = [Deny, Generalise, Deny, Deny, Generalise, Generalise];
    assert_eq!(row(&rules, &partner("acme"), "sharing.partner.acme"), coarse);
    assert_eq!(row(&rules, &partner("acme"), "sharing.partner.acme.suppression"), coarse);
    for other in ["sharing.partner.acme2", "sharing.partner", "sharing", "marketing.portrait"] {
        assert_eq!(row(&rules, &partner("acme"), other), [Deny; 6], "{other}");
    }
}

#[test]
fn nobody_else_gets_a_field() {
    let rules = defaults();
    for who in everyone().iter().filter(|who| !matches!(who.role, Role::Service | Role::Partner(_))) {
        // The gateway draws the monthly synopsis of what services may have.
        let marketing =
            if who.role == Role::System { row(&rules, &principal(Role::Service), "marketing") } else { [Deny; 6] };
        assert_eq!(row(&rules, who, "marketing.portrait"), marketing, "{who:?}");
        assert_eq!(row(&rules, who, "sharing.partner.acme"), [Deny; 6], "{who:?}");
    }
}

#[test]
fn verbs_go_to_the_roles_that_need_them() {
    let rules = defaults();
    let schema = schema();
    let verbs = |who: &Principal, dataset, used_for| -> Vec<Verb> {
        Verb::ALL.into_iter().filter(|verb| rules.allows(who, *verb, dataset, used_for)).collect()
    };
    let marketing = purpose("marketing.portrait");
    let sharing = purpose("sharing.partner.acme");
    let (steward, service) = (principal(Role::Steward), principal(Role::Service));
    assert_eq!(verbs(&service, Some(&schema), None), [Verb::ReadBudget]);
    assert_eq!(verbs(&service, Some(&schema), Some((&marketing, Consent))), [Verb::Release, Verb::ReadBudget]);
    assert_eq!(verbs(&service, None, Some((&marketing, Consent))), []);
    assert_eq!(verbs(&partner("acme"), Some(&schema), Some((&sharing, Consent))), [Verb::Release, Verb::Audience]);
    assert_eq!(verbs(&partner("other"), Some(&schema), Some((&sharing, Consent))), []);
    assert_eq!(verbs(&principal(Role::Officer), Some(&schema), None), [Verb::ReadLog, Verb::ReadBudget]);
    assert_eq!(verbs(&principal(Role::Producer), Some(&schema), None), [Verb::Ingest, Verb::RecordConsent]);
    assert_eq!(verbs(&principal(Role::System), None, None), [Verb::Maintain, Verb::IssueToken]);
    let of_one_person = [Verb::RecordConsent, Verb::AccessSubject, Verb::RectifySubject, Verb::RestrictSubject];
    assert_eq!(
        verbs(&principal(Role::Portal), Some(&schema), None),
        [&of_one_person[..], &[Verb::EraseSubject, Verb::LinkSubject]].concat()
    );
    assert_eq!(verbs(&principal(Role::Portal), Some(&schema), Some((&marketing, Consent))).len(), 6);
    assert_eq!(verbs(&principal(Role::Portal), None, None), []);
    let stewards = [
        Verb::ManageDataset,
        Verb::ReadBudget,
        Verb::Maintain,
        Verb::ManageClients,
        Verb::ManagePolicies,
        Verb::IssueToken,
    ];
    assert_eq!(verbs(&steward, None, None), stewards);
    assert_eq!(
        verbs(&steward, Some(&schema), None),
        [&stewards[..], &[Verb::EraseSubject, Verb::HoldSubject, Verb::ExtendBudget]].concat()
    );
    assert_eq!(
        verbs(&principal(Role::System), Some(&schema), None),
        [Verb::Maintain, Verb::IssueToken, Verb::EraseSubject]
    );
    assert_eq!(
        verbs(&principal(Role::System), Some(&schema), Some((&marketing, Consent))),
        [Verb::Release, Verb::Maintain, Verb::IssueToken, Verb::EraseSubject]
    );
}

#[test]
fn a_generous_policy_still_ends_below_clear_and_keeps_identifiers_pseudonymous() {
    let rules = parse("permit (principal, action, resource);").unwrap();
    for who in everyone() {
        let expect = [Pseudonymise, Mask, Mask, Mask, Mask, Mask];
        assert_eq!(row(&rules, &who, "sharing.partner.acme"), expect, "{who:?}");
        for verb in [Verb::AccessSubject, Verb::RectifySubject, Verb::RestrictSubject] {
            assert_eq!(rules.allows(&who, verb, Some(&schema()), None), who.role == Role::Portal, "{verb:?} {who:?}");
        }
        let erases = matches!(who.role, Role::Portal | Role::Steward | Role::System);
        assert_eq!(rules.allows(&who, Verb::EraseSubject, Some(&schema()), None), erases, "{who:?}");
        let holds = rules.allows(&who, Verb::HoldSubject, Some(&schema()), None);
        assert_eq!(holds, who.role == Role::Steward, "{who:?}");
        let extends = rules.allows(&who, Verb::ExtendBudget, Some(&schema()), None);
        assert_eq!(extends, who.role == Role::Steward, "{who:?}");
        let reads = rules.allows(&who, Verb::ReadLog, Some(&schema()), None);
        assert_eq!(reads, who.role != Role::Portal, "a portal acts for people and does nothing else");
    }
    assert_eq!(row(&rules, &partner("other"), "sharing.partner.acme"), [Deny; 6]);
}

#[test]
fn a_hole_in_the_ladder_ends_it() {
    let rules = parse(
        "permit (principal, action, resource);
         forbid (principal, action == Action::\"release_pseudonymise\", resource);",
    );
    let expect = [Deny, Aggregate, Aggregate, Aggregate, Aggregate, Aggregate];
    assert_eq!(row(&rules.unwrap(), &principal(Role::Service), "marketing"), expect);
}

#[test]
fn a_forbid_that_fails_denies_and_is_counted() {
    // Cedar skips it and would allow; the literal overflows only when it is evaluated.
    let broken = "permit (principal, action, resource);
        forbid (principal, action == Action::\"release_generalise\", resource)
            when { 9223372036854775807 + 1 > 0 };
        forbid (principal, action == Action::\"ingest\", resource) when { 9223372036854775807 + 1 > 0 };";
    let rules = parse(broken).unwrap();
    let service = principal(Role::Service);
    assert_eq!(row(&rules, &service, "marketing")[1], Pseudonymise);
    assert!(!rules.allows(&service, Verb::Ingest, Some(&schema()), None));
    assert!(rules.allows(&service, Verb::Maintain, Some(&schema()), None));
    assert!(rules.evaluation_errors() > 0);
}

#[test]
fn a_permit_that_fails_denies_even_beside_one_that_holds() {
    let rules = parse(
        "permit (principal, action, resource);
         permit (principal, action == Action::\"release_aggregate\", resource) when { 9223372036854775807 + 1 > 0 };",
    );
    assert_eq!(row(&rules.unwrap(), &principal(Role::Service), "marketing")[1], Deny);
}

#[test]
fn no_policies_is_no() {
    let rules = parse("").unwrap();
    for who in everyone() {
        assert_eq!(row(&rules, &who, "marketing"), [Deny; 6]);
        assert!(Verb::ALL.iter().all(|verb| !rules.allows(&who, *verb, Some(&schema()), None)));
    }
}

#[test]
fn misspelt_policies_are_refused() {
    for text in [
        "permit (principal in Role::\"servise\", action, resource);",
        "permit (principal, action == Action::\"release_agregate\", resource);",
        "permit (principal, action == Action::\"release\", resource) when { context.porpose in Purpose::\"a\" };",
        "permit (principal, action == Action::\"release_mask\", resource in FieldClass::\"behavioural\");",
        "permit (principal, action == Action::\"release_mask\", resource) when { resource.klass == \"x\" };",
        "permit (principal == Person::\"x\", action, resource);",
    ] {
        assert!(matches!(parse(text), Err(RulesError::Invalid { .. })), "{text}: {:?}", parse(text));
    }
    assert!(matches!(parse("permit everything;"), Err(RulesError::Unreadable { .. })));
    assert!(matches!(parse("permit (principal == ?principal, action, resource);"), Err(RulesError::Template(_))));
    assert!(matches!(parse(&" ".repeat(MAX_TEXT_BYTES + 1)), Err(RulesError::TooLarge(_))));
    let many = "permit (principal, action, resource);".repeat(MAX_POLICIES + 1);
    assert!(matches!(parse(&many), Err(RulesError::TooLarge(_))));
}

#[test]
fn words_that_an_attribute_never_holds_are_refused() {
    let with = |condition: &str| {
        parse(&format!("forbid (principal, action == Action::\"release_mask\", resource) when {{ {condition} }};"))
    };
    for wrong in [
        "context.basis == \"consnt\"",
        "\"consnt\" != context.basis",
        "[\"consent\", \"contact\"].contains(context.basis)",
        "!(context.purpose in Purpose::\"a\" && resource.class == \"behavioural\")",
    ] {
        assert!(matches!(with(wrong), Err(RulesError::Invalid { .. })), "{wrong}: {:?}", with(wrong));
    }
    for right in [
        "context.basis == \"legitimate_interest\" || resource.class != \"non_personal\"",
        "[\"consent\", \"contract\"].contains(context.basis)",
        "context.partner == \"consnt\" && resource.name == \"behavioural\"",
    ] {
        assert!(with(right).is_ok(), "{right}: {:?}", with(right));
    }
    let message = with("context.basis == \"consnt\"").unwrap_err().to_string();
    assert!(message.contains("`context.basis` is never `consnt`; it is one of consent, contract"), "{message}");
}

#[test]
fn names_must_differ_only_within_the_set() {
    let named = "@id(\"x\") permit (principal, action, resource);";
    assert!(Rules::parse(&[("a", named), ("b", named)], 1).is_ok());
    assert!(matches!(Rules::parse(&[("a", named), ("a", named)], 1), Err(RulesError::Duplicate(id)) if id == "a/x"));
}

#[test]
fn the_rules_see_names_classes_datasets_bases_partners_and_organizations() {
    let rules = parse(
        "permit (principal, action == Action::\"release_aggregate\", resource in Dataset::\"shop\")
            when { resource.name == \"order.category\" && resource.class == \"behavioral\" };
         permit (principal, action == Action::\"release_aggregate\", resource)
            when { resource.name == \"age_band\" && context.basis == \"consent\" && context.partner == \"acme\" };
         permit (principal, action == Action::\"release_aggregate\", resource in Organization::\"village\")
            when { resource.name == \"loyalty\" };
         permit (principal == Client::\"the-service\", action == Action::\"release_aggregate\", resource)
            when { resource.name == \"order\" };",
    )
    .unwrap();
    assert_eq!(row(&rules, &partner("acme"), "marketing"), [Deny, Aggregate, Deny, Aggregate, Deny, Aggregate]);
    assert_eq!(row(&rules, &partner("other"), "marketing"), [Deny, Deny, Deny, Aggregate, Deny, Aggregate]);
    assert_eq!(
        row(&rules, &principal(Role::Service), "marketing"),
        [Deny, Deny, Deny, Aggregate, Aggregate, Aggregate]
    );
    let on_contract = rules.table(&partner("acme"), &purpose("marketing"), LawfulBasis::Contract, &schema());
    assert_eq!(on_contract.table[&AGE_BAND], Deny);
}

#[test]
fn a_changed_schema_is_not_served_the_old_row() {
    let rules = defaults();
    let service = principal(Role::Service);
    assert_eq!(row(&rules, &service, "marketing")[1], Aggregate);
    let mut changed = schema();
    changed.attributes[1].class = FieldClass::Sensitive;
    let table = rules.table(&service, &purpose("marketing"), Consent, &changed);
    assert_eq!(table.table[&AGE_BAND], Deny);
    assert_ne!(table.hash, rules.table(&service, &purpose("marketing"), Consent, &schema()).hash);
    changed.attributes.pop();
    assert!(!rules.table(&service, &purpose("marketing"), Consent, &changed).table.contains_key(&LOYALTY));
}

#[test]
fn an_attribute_may_share_its_name_with_an_event() {
    let mut schema = schema();
    schema.attributes[2].name = FieldName::new("order").unwrap();
    let table = defaults().table(&principal(Role::Service), &purpose("marketing"), Consent, &schema).table;
    assert_eq!((table[&HEALTH], table[&ORDER]), (Deny, Aggregate));
}

#[test]
fn equal_tables_have_equal_hashes_whoever_asks() {
    let (one, two) = (defaults(), parse(Rules::default_texts()[0].1).unwrap());
    let mut other = principal(Role::Service);
    let here = one.table(&other, &purpose("marketing"), Consent, &schema());
    other.client = ClientId::new("other").unwrap();
    let there = two.table(&other, &purpose("marketing.portrait"), Consent, &schema());
    assert_eq!(here, there);
    let hex: String = here.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "94855b78439e3740ab100ed0b18a069afeca174bbe0bc46124c7699d1e438786");
}

#[test]
fn the_cache_is_bounded() {
    let rules = parse("").unwrap();
    let schema = Schema { attributes: Vec::new(), events: Vec::new(), ..schema() };
    for number in 0..=MAX_ROWS {
        let invented = purpose(&format!("marketing.p{number}"));
        let _ = rules.table(&principal(Role::Service), &invented, Consent, &schema);
    }
    assert!(rules.rows.read().unwrap().len() <= MAX_ROWS);
}

#[test]
fn a_new_set_is_compared_field_by_field() {
    let schema = schema();
    let wider =
        "@id(\"extra\") permit (principal in Role::\"service\", action == Action::\"release_pseudonymise\", resource)
        when { context.purpose in Purpose::\"marketing.portrait.deep\" };
        @id(\"log\") permit (principal in Role::\"service\", action == Action::\"read_log\", resource);";
    let new = Rules::parse(&[Rules::default_texts()[0], ("wider", wider)], 2).unwrap();
    let fields = disclosure_diff(&defaults(), &new, &[&schema], &everyone());
    assert!(fields.iter().all(|change| change.widens() && change.role == Role::Service));
    let deep = purpose("marketing.portrait.deep");
    assert!(fields.iter().all(|change| change.used_for.as_ref().is_some_and(|(purpose, _)| *purpose == deep)));
    let on_consent: Vec<_> = fields
        .iter()
        .filter(|c| c.used_for == Some((deep.clone(), Consent)))
        .map(|c| (c.field.as_str(), c.from, c.to))
        .collect();
    let expect = [
        ("email", Deny, Pseudonymise),
        ("age_band", Aggregate, Pseudonymise),
        ("loyalty", Aggregate, Pseudonymise),
        ("order.category", Aggregate, Pseudonymise),
        ("order", Aggregate, Pseudonymise),
    ];
    assert_eq!(on_consent, expect);
    let verbs = verb_diff(&defaults(), &new, &[&schema], &everyone());
    assert_eq!(verbs.len(), 2);
    assert!(verbs.iter().all(|change| change.verb == Verb::ReadLog && change.gained));
    assert!(widens(&fields, &verbs) && widens(&[], &verbs) && !widens(&[], &[]));
    let narrower = disclosure_diff(&new, &defaults(), &[&schema], &everyone());
    assert!(!narrower.is_empty() && !widens(&narrower, &[]));
    assert!(disclosure_diff(&new, &new, &[&schema], &everyone()).is_empty());
}

#[test]
fn what_people_are_shown_of_their_own_data_is_compared_too() {
    let text =
        "forbid (principal, action == Action::\"release_clear\", resource) when { resource.name == \"health\" };";
    let narrower = Rules::parse(&[Rules::default_texts()[0], ("kept", text)], 2).unwrap();
    let lost = disclosure_diff(&defaults(), &narrower, &[&schema()], &everyone());
    let [change] = lost.as_slice() else { unreachable!("{lost:?}") };
    assert_eq!((&change.role, &change.used_for, change.field.as_str()), (&Role::Portal, &None, "health"));
    assert!(!change.widens() && widens(&disclosure_diff(&narrower, &defaults(), &[&schema()], &everyone()), &[]));
}
