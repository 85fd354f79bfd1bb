//! Checking consent receipts: that the log has each act of consent, and has it as the file says.
//!
//! ```text
//! {"format": "silhouette.consent-receipts", "version": 1, ..,
//!  "receipts": [{index, leaf, proof,  the leaf and its place in the log
//!                event,               {act, at, basis, expires, purpose, source}, times in microseconds since 1970
//!                salt}],              SHA-256(salt | canonical JSON of `event`) is `commit` of the leaf
//!  "verifier_key": ".."}
//! ```
//! The leaf also says which version of the notice was in use. Who is responsible, the notice and the list of what is kept are the operator's words: they are in no log.

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
    let mut reference: Option<String> = None;
    for receipt in document.objects("receipts")? {
        receipt.only(&["index", "leaf", "proof", "event", "salt"])?;
        let leaf = receipt.proven(key)?;
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
        let notice = leaf.says.member("object").as_str().map(|notice| format!("; {notice} in use"));
        lines.push(format!("\n  entry {}: {}{}", leaf.index, words(&event)?, notice.unwrap_or_default()));
    }
    let (count, tree) = (lines.len(), key.for_tree("subject").name);
    Ok(format!(
        "verified: {count} acts of consent of one person, as {tree} has them (not in the log, and not checked: who is \
         responsible, the notice, what is kept){}",
        lines.concat()
    ))
}

fn words(event: &Members) -> Result<String, String> {
    let time = |value: &Value| {
        let time = value.as_i64().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
        time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
    };
    let (purpose, at, source) = (event.text("purpose")?, time(event.member("at")), event.text("source")?);
    if event.text("act")? == "withdraw" {
        return Ok(format!("withdrawn {purpose} at {at}, {source}"));
    }
    let until = match event.member("expires") {
        Value::Null => String::new(),
        expires => format!(" until {}", time(expires)),
    };
    Ok(format!("gave {purpose} on {} at {at}{until}, {source}", event.text("basis")?))
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
