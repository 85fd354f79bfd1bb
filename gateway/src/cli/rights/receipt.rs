//! Receipts as files that `silhouette-verify` checks offline; its modules document the formats.

use super::package::{Column, Controller, Notice};
use crate::cli::error::CliError;
use crate::cli::verifier::{self, VerifierKey};
use proto::v1::{ConsentReceipt, ErasureReceipt, GetConsentReceiptsResponse, ProvenLeaf};
use serde_json::{Value, json};

/// Writes the receipt of an erasure and checks it, by the log's verifier key if one is given, else by the one in it.
/// Returns the text and what was found to hold; a receipt that does not hold is returned with what is wrong.
pub fn erasure_receipt(
    receipt: ErasureReceipt,
    trusted: Option<&str>,
) -> Result<(String, Result<String, CliError>), CliError> {
    let ErasureReceipt { json: fields, leaf, leaf_json, proof, intents, confirmation, verifier_key } = receipt;
    let fields: Value = parsed(&fields)?;
    let document = json!({
        "format": verifier::ERASURE_RECEIPT, "version": 1, "receipt": fields,
        "intents": intents.iter().map(proven).collect::<Vec<_>>(),
        "outcome": { "index": leaf, "leaf": leaf_json, "proof": proof },
        "confirmation": confirmation.as_ref().map(proven), "verifier_key": verifier_key,
    });
    let text = written(&document)?;
    let verdict = verdict(&text, trusted.unwrap_or(&verifier_key), verifier::erasure_receipt);
    Ok((text, verdict))
}

/// Writes consent receipts and checks them likewise.
pub fn consent_receipts(
    dataset: &str,
    found: GetConsentReceiptsResponse,
    trusted: Option<&str>,
) -> Result<(String, Result<String, CliError>), CliError> {
    let GetConsentReceiptsResponse { receipts, verifier_key, controller, notice, organization, fields } = found;
    let receipts: Vec<Value> = receipts.iter().map(act).collect::<Result<_, _>>()?;
    let document = json!({
        "format": verifier::CONSENT_RECEIPTS, "version": 1, "standard": "ISO/IEC TS 27560:2023", "dataset": dataset,
        "organization": organization, "controller": controller.map(Controller::of), "notice": notice.map(Notice::of),
        "personal_data": fields.into_iter().map(Column::of).collect::<Vec<_>>(), "receipts": receipts,
        "verifier_key": verifier_key,
    });
    let text = written(&document)?;
    let verdict = verdict(&text, trusted.unwrap_or(&verifier_key), verifier::consent_receipts);
    Ok((text, verdict))
}

fn verdict(
    text: &str,
    key: &str,
    check: impl Fn(&str, &VerifierKey) -> Result<String, String>,
) -> Result<String, CliError> {
    VerifierKey::parse(key.trim()).and_then(|key| check(text, &key)).map_err(CliError::not_verified)
}

fn written(document: &Value) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|_| CliError::failed("the receipt can't be written as JSON"))
}

fn parsed(json: &str) -> Result<Value, CliError> {
    serde_json::from_str(json).map_err(|_| CliError::failed("the gateway sent a receipt that is not JSON"))
}

fn proven(leaf: &ProvenLeaf) -> Value {
    let ProvenLeaf { index, json, proof } = leaf;
    json!({ "index": index, "leaf": json, "proof": proof })
}

fn act(receipt: &ConsentReceipt) -> Result<Value, CliError> {
    let ConsentReceipt { leaf, leaf_json, proof, committed_json, salt, recipients, .. } = receipt;
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    let event = parsed(committed_json)?;
    let mut act = json!({ "index": leaf, "leaf": leaf_json, "proof": proof, "event": event, "salt": salt });
    if let Some(members) = act.as_object_mut().filter(|_| !recipients.is_empty()) {
        members.insert("recipients".to_owned(), json!(recipients));
    }
    Ok(act)
}
