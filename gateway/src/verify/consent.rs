//! Checking consent receipts: that the log has each act of consent, and has it as the file says.
//!
//! ```text
//! {"format": "silhouette.consent-receipts", "version": 1, ..,
//!  "receipts": [{index, leaf, proof,  the leaf and its place in the log
//!                event,               {act, at, basis, expires, purpose, source}, times in microseconds since 1970; and
//!                                     where the source said so {language, method, notice}, the notice's version
//!                salt,                SHA-256(salt | canonical JSON of `event`) is `commit` of the leaf
//!                recipients}],        partners with whom the purpose shares data, if there are any
//!  "verifier_key": ".."}
//! ```
//! Entries come in the order of the log, each once. The leaf also says which version of the notice was in force. Who is
//! responsible, the notice, the list of what is kept and, beside the partner that a purpose names, the recipients are the
//! operator's words: they are in no log. Nothing proves that no entry was left out of the file.

use super::document::Members;
use super::erasure::same_key;
use super::note::VerifierKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The name of the format.
pub const FORMAT: &str = "silhouette.consent-receipts";

/// What a file states besides the acts, unproven.
const STATED: [&str; 8] =
    ["standard", "dataset", "organization", "controller", "notice", "personal_data", "receipts", "verifier_key"];

/// Checks receipts; says what holds, or which member does not fit.
pub fn check(text: &str, key: &VerifierKey) -> Result<String, String> {
    let document = Members::document(text, FORMAT, &STATED)?;
    same_key(&document, key)?;
    let dataset = document.text("dataset")?;
    let dataset = dataset.strip_prefix("datasets/").ok_or("`dataset` is not of the form datasets/{name}")?;
    let mut lines = Vec::new();
    let (mut reference, mut last): (Option<String>, Option<u64>) = (None, None);
    for receipt in document.objects("receipts")? {
        receipt.only(&["index", "leaf", "proof", "event", "salt", "recipients"])?;
        let leaf = receipt.proven(key)?;
        if last.is_some_and(|last| leaf.index <= last) {
            return Err(format!("`{}` does not come after the entry before it", receipt.path("index")));
        }
        last = Some(leaf.index);
        leaf.says.same("kind", &Value::from("consent"))?;
        leaf.says.same("dataset", &Value::from(dataset)).map_err(|problem| format!("`dataset`: {problem}"))?;
        let of = leaf.says.text("subject_ref")?;
        if *reference.get_or_insert_with(|| of.to_owned()) != of {
            return Err(format!("`{}` is about someone else than the first", receipt.path("leaf")));
        }
        let event = receipt.object("event")?;
        event.same("purpose", leaf.says.member("purpose"))?;
        event.same("basis", leaf.says.member("basis"))?;
        event.same("act", leaf.says.member("what"))?;
        let salt = hex(receipt.text("salt")?).ok_or_else(|| format!("`{}` is not hex", receipt.path("salt")))?;
        let hash = Sha256::new().chain_update(salt).chain_update(event.canonical()?).finalize();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if leaf.says.text("commit")? != hash {
            let (event, salt) = (receipt.path("event"), receipt.path("salt"));
            return Err(format!(
                "`{event}` (its times, its source or another member) or `{salt}`: not what the log commits to"
            ));
        }
        let in_force = leaf.says.member("object").as_str().map(|notice| format!("; {notice} in force"));
        let shared = recipients(&receipt, event.text("purpose")?)?;
        lines.push(format!("\n  entry {}: {}{}{shared}", leaf.index, words(&event)?, in_force.unwrap_or_default()));
    }
    let (count, tree) = (lines.len(), key.for_tree("subject").name);
    Ok(format!(
        "verified: {count} acts of consent of one person, as {tree} has them (not in the log, and not checked: who is \
         responsible, the notice, what is kept, other recipients; entries may have been left out of the file){}",
        lines.concat()
    ))
}

fn words(event: &Members) -> Result<String, String> {
    let time = |value: &Value| {
        let time = value.as_i64().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
        time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
    };
    let (purpose, at, source) = (event.text("purpose")?, time(event.member("at")), event.text("source")?);
    let asked = asked(event);
    if event.text("act")? == "withdraw" {
        return Ok(format!("withdrawn {purpose} at {at}, {source}{asked}"));
    }
    let until = match event.member("expires") {
        Value::Null => String::new(),
        expires => format!(" until {}", time(expires)),
    };
    Ok(format!("gave {purpose} on {} at {at}{until}, {source}{asked}", event.text("basis")?))
}

/// Says how someone was asked, as far as the event does.
fn asked(event: &Members) -> String {
    let said = |key: &str, words: &str| event.member(key).as_str().map(|text| format!("; {words} {text}"));
    let said = [said("method", "by"), said("language", "in language"), said("notice", "shown notice")];
    said.into_iter().flatten().collect()
}

/// Checks that the partner whom a purpose names is among the recipients, and says them.
fn recipients(receipt: &Members, purpose: &str) -> Result<String, String> {
    let named = purpose.strip_prefix("sharing.partner.").and_then(|named| named.split('.').next());
    let named: Vec<String> = named.into_iter().map(|named| format!("partners/{named}")).collect();
    let listed = match receipt.member("recipients") {
        Value::Null => Some(named.clone()),
        Value::Array(listed) => listed.iter().map(|partner| partner.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let listed = listed.ok_or_else(|| format!("`{}` is not a list of texts", receipt.path("recipients")))?;
    if !named.is_empty() && listed != named {
        return Err(format!("`{}[0]` is not the one that the purpose names", receipt.path("recipients")));
    }
    Ok(if listed.is_empty() { String::new() } else { format!("; shared with {}", listed.join(", ")) })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    // As it was written, and in no other way: no capitals, no sign.
    let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.as_bytes().iter().all(is_digit))?;
        u8::from_str_radix(pair, 16).ok()
    };
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}
