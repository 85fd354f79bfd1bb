//! Checking the receipt of an erasure: that the log says it was taken up, done and confirmed, and that the log's words are
//! the receipt's.
//!
//! ```text
//! {"format": "silhouette.erasure-receipt", "version": 1,
//!  "receipt": {..},                   SHA-256 of its canonical JSON is `commit` of the outcome leaf. Version 1: numbers and
//!                                     texts; version 2 also `held`, a list of {fields, ground, hold, intent}: what was left, since
//!                                     a law says it must be kept
//!  "intents": [{index, leaf, proof}], one a person: the erasure was taken up
//!  "outcome": {index, leaf, proof},   it was done
//!  "confirmation": {index, leaf, proof},  and nothing was found afterwards, but for what is held
//!  "verifier_key": ".."}
//! ```

use super::document::{Leaf, Members};
use super::note::VerifierKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The name of the format.
pub const FORMAT: &str = "silhouette.erasure-receipt";

/// Members that the outcome leaf states too, with a space for `_`.
const COUNTED: [&str; 5] = ["people", "pieces", "bytes", "generation_before", "generation_after"];

/// What a confirmed erasure's leaves say: of the outcome, and of what was found.
const WHOLE: [&str; 2] = ["erased", "confirmed: nothing is found"];
/// The same where something is held by law.
const PARTLY: [&str; 2] = ["erased but for what is held", "confirmed: nothing but what is held is found"];

/// Checks a receipt; says what holds, or which member does not fit.
pub fn check(text: &str, key: &VerifierKey) -> Result<String, String> {
    let members = ["receipt", "intents", "outcome", "confirmation", "verifier_key"];
    let document = Members::document(text, FORMAT, &members)?;
    same_key(&document, key)?;
    let receipt = document.object("receipt")?;
    let held = held(&receipt)?;
    let [done, confirmed] = if held.is_empty() { WHOLE } else { PARTLY };
    let references = intents(&document, &receipt, key)?;
    let outcome = document.object("outcome")?.proven(key)?;
    check_outcome(&receipt, &outcome, done)?;
    let confirmation = document.object("confirmation")?.proven(key)?;
    says(&confirmation, &receipt)?;
    confirmation.says.same("of", &Value::from(outcome.index))?;
    let found = confirmation.says.text("what")?;
    if found != confirmed {
        return Err(format!("`confirmation.leaf`: the erasure is in the log, and afterwards it says: {found}"));
    }
    let number = |name: &str| receipt.number(name);
    let top = |name: &str| receipt.text(name).map(|top| top.get(..16).unwrap_or(top).to_owned());
    Ok(format!(
        "verified: {} erased from `{}` at {}{}\n  log {}: taken up as entry {}, done as entry {}, nothing{} found as entry {}\n  \
         key tree: generation {} ({}..) replaced by {} ({}..)\n  who: the log's reference {}",
        if number("people")? == 1 { "1 person".to_owned() } else { format!("{} people", number("people")?) },
        receipt.text("dataset")?,
        outcome.says.text("t")?,
        held.iter().map(|held| format!("\n  erased but for: {held}")).collect::<String>(),
        key.for_tree("subject").name,
        number("intent")?,
        outcome.index,
        if held.is_empty() { "" } else { " else" },
        confirmation.index,
        number("generation_before")?,
        top("top_before")?,
        number("generation_after")?,
        top("top_after")?,
        references.join(", "),
    ))
}

/// Reads what is held, by the version of the receipt: `order, order.amount (tax-act-147)`, of whom if there are several.
fn held(receipt: &Members) -> Result<Vec<String>, String> {
    let version = receipt.number("version")?;
    let held = match (version, receipt.member("held")) {
        (1, Value::Null) => Vec::new(),
        (1, _) => return Err(format!("`{}` is in no receipt of version 1", receipt.path("held"))),
        (2, Value::Array(list)) if !list.is_empty() => receipt.objects("held")?,
        (2, _) => {
            let (version, held) = (receipt.path("version"), receipt.path("held"));
            return Err(format!("`{version}` is 2, and `{held}` is no list of what is held"));
        }
        _ => return Err(format!("`{}` is {version}, later than this verifier knows", receipt.path("version"))),
    };
    let several = receipt.number("people")? > 1;
    held.iter().map(|held| said(held, several)).collect()
}

fn said(held: &Members, several: bool) -> Result<String, String> {
    held.only(&["fields", "ground", "hold", "intent"])?;
    held.number("hold")?;
    let fields = held.member("fields").as_array().into_iter().flatten();
    let fields: Vec<&str> = fields.filter_map(Value::as_str).collect();
    let of = if several { format!(", of the one taken up as entry {}", held.number("intent")?) } else { String::new() };
    Ok(format!("{} ({}){of}", fields.join(", "), held.text("ground")?))
}

/// The key in a file is for convenience and must not be taken for the one that is trusted.
pub fn same_key(document: &Members, key: &VerifierKey) -> Result<(), String> {
    let stated = VerifierKey::parse(document.text("verifier_key")?);
    let stated = stated.map_err(|problem| format!("`verifier_key`: {problem}"))?;
    let same = stated.for_tree("subject") == key.for_tree("subject");
    let other =
        "`verifier_key` is another key than the one given; a receipt takes the key that the log had when it was made";
    if same { Ok(()) } else { Err(other.to_owned()) }
}

/// Checks that a leaf is of an erasure, and of this receipt's dataset.
fn says(leaf: &Leaf, receipt: &Members) -> Result<(), String> {
    leaf.says.same("kind", &Value::from("erase"))?;
    receipt.same("dataset", leaf.says.member("dataset"))
}

/// Checks that there is one intent a person, side by side; returns the people's references.
fn intents(document: &Members, receipt: &Members, key: &VerifierKey) -> Result<Vec<String>, String> {
    let entries = document.objects("intents")?;
    receipt.same("people", &Value::from(entries.len()))?;
    let first = receipt.number("intent")?;
    let mut references = Vec::with_capacity(entries.len());
    for (at, entry) in (0_u64..).zip(&entries) {
        let (leaf, index) = (entry.proven(key)?, first.saturating_add(at));
        if leaf.index != index {
            let path = entry.path("index");
            return Err(format!("`{path}` is {}, by `receipt.intent` it must be {index}", leaf.index));
        }
        says(&leaf, receipt)?;
        leaf.says.same("what", &Value::from("erase"))?;
        let reference = leaf.says.text("subject_ref")?.to_owned();
        if references.contains(&reference) {
            return Err(format!("`{}` is about someone who was named before", entry.path("leaf")));
        }
        references.push(reference);
    }
    Ok(references)
}

/// Says whether a member of a receipt is checked on its own.
fn known(key: &str) -> bool {
    COUNTED.contains(&key) || ["version", "dataset", "intent", "outcome", "at"].contains(&key)
}

fn check_outcome(receipt: &Members, outcome: &Leaf, done: &str) -> Result<(), String> {
    says(outcome, receipt)?;
    outcome.says.same("what", &Value::from(done))?;
    receipt.same("outcome", &Value::from(outcome.index))?;
    // Each on its own first, so that what was changed is named; then the whole.
    receipt.same("intent", outcome.says.member("of"))?;
    receipt.same("at", &Value::from(outcome.says.micros("t")?))?;
    let counts = outcome.says.object("counts")?;
    for name in COUNTED {
        receipt.same(name, counts.member(&name.replace('_', " ")))?;
    }
    let hash = Sha256::digest(receipt.canonical()?);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if outcome.says.text("commit")? != hash {
        let told: Vec<String> =
            receipt.keys().filter(|key| !known(key)).map(|key| format!("`receipt.{key}`")).collect();
        return Err(format!("{}: not what the log commits to", told.join(" or ")));
    }
    Ok(())
}
