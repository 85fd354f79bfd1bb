//! The sample policies that are deployed: each compiles beside the defaults and does what its first lines say.

use super::fixture::{partner, principal, purpose, schema};
use super::*;
use std::fs;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/policies");

fn beside_the_defaults(name: &str) -> Rules {
    let text = fs::read_to_string(format!("{FOLDER}/{name}.cedar")).unwrap();
    let rules = Rules::parse(&[Rules::default_texts()[0], (name, &text)], 2).unwrap();
    assert!(rules.warnings().is_empty(), "{name}: {:?}", rules.warnings());
    rules
}

fn defaults() -> Rules {
    Rules::parse(Rules::default_texts(), 1).unwrap()
}

/// The fields that change for these principals, as written, and whether anything widens.
fn fields(name: &str, schema: &Schema, principals: &[Principal]) -> (BTreeSet<String>, bool) {
    let (old, new) = (defaults(), beside_the_defaults(name));
    let changes = disclosure_diff(&old, &new, &[schema], principals);
    let verbs = verb_diff(&old, &new, &[schema], principals);
    let wider = widens(&changes, &verbs);
    assert_eq!(new.evaluation_errors(), 0);
    (changes.into_iter().map(|change| change.field).collect(), wider)
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_sample_is_tested_here() {
    let mut found: Vec<_> =
        fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let known = ["consent-only", "default", "partner-without-orders", "pricing-service"];
    assert_eq!(found, known.map(|name| format!("{name}.cedar")));
}

#[test]
fn consent_only_closes_the_other_bases_and_leaves_consent_alone() {
    let (changed, wider) = fields("consent-only", &schema(), &[principal(Role::Service), partner("acme")]);
    assert_eq!(changed, names(&["age_band", "loyalty", "order", "order.category"]));
    assert!(!wider);
    let rules = beside_the_defaults("consent-only");
    let (service, marketing) = (principal(Role::Service), purpose("marketing.portrait"));
    let table = |rules: &Rules, basis| rules.table(&service, &marketing, basis, &schema());
    assert_eq!(table(&rules, LawfulBasis::Consent), table(&defaults(), LawfulBasis::Consent));
    for basis in [LawfulBasis::Contract, LawfulBasis::LegitimateInterest] {
        assert!(table(&rules, basis).table.values().all(|treatment| *treatment == Treatment::Deny));
        assert!(!rules.allows(&service, Verb::Release, Some(&schema()), Some((&marketing, basis))));
    }
}

#[test]
fn partner_without_orders_is_about_that_partner_and_orders() {
    let (changed, wider) = fields("partner-without-orders", &schema(), &[partner("crmco")]);
    assert_eq!(changed, names(&["order", "order.category"]));
    assert!(!wider);
    let (changed, _) = fields("partner-without-orders", &schema(), &[partner("acme"), principal(Role::Service)]);
    assert_eq!(changed, names(&[]));
}

#[test]
fn pricing_service_widens_for_its_own_purpose() {
    let mut schema = schema();
    schema.purposes.push(purpose("pricing"));
    let mut pricing = principal(Role::Service);
    pricing.purposes.push(purpose("pricing"));
    assert_eq!(fields("pricing-service", &schema, std::slice::from_ref(&pricing)), (names(&[]), false));
    pricing.client = ClientId::new("pricing").unwrap();
    let (changed, wider) = fields("pricing-service", &schema, &[pricing]);
    assert_eq!(changed, names(&["loyalty", "order", "order.category"]));
    assert!(wider);
}
