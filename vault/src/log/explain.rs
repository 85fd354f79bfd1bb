//! A leaf in one sentence of plain words, for an officer.

use super::leaf::{Decision, Kind, Leaf, quarter_text};
use policy::consent::LawfulBasis;
use std::fmt::Write;

/// Says what a leaf means, in one sentence.
pub fn explain(leaf: &Leaf) -> String {
    let mut out = format!("{}: {} {}", when(leaf), who(leaf), deed(leaf));
    // Writing to a string can't fail, here and below.
    if let Some(purpose) = &leaf.purpose {
        let _ = write!(out, " for {purpose}");
    }
    if let Some(basis) = leaf.basis {
        let _ = write!(out, " on {}", basis_text(basis));
    }
    if let Some(request) = &leaf.req {
        let _ = write!(out, " (request {request})");
    }
    for clause in clauses(leaf) {
        out.push_str("; ");
        out.push_str(&clause);
    }
    out.push('.');
    out
}

fn when(leaf: &Leaf) -> String {
    let t = jiff::Timestamp::from_microsecond(leaf.t.0).unwrap_or(jiff::Timestamp::MAX);
    t.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn who(leaf: &Leaf) -> String {
    match (&leaf.client, &leaf.partner) {
        (Some(client), Some(partner)) => format!("client `{client}` of partner `{partner}`"),
        (Some(client), None) => format!("client `{client}`"),
        (None, Some(partner)) => format!("partner `{partner}`"),
        (None, None) if leaf.kind == Kind::AnonymousRefusals => "callers without a valid token".into(),
        (None, None) => "the gateway".into(),
    }
}

fn deed(leaf: &Leaf) -> String {
    let what = leaf.what.as_ref().map_or("something", |what| what.as_str());
    let object = leaf.object.as_ref().map_or_else(String::new, |object| format!(" `{object}`"));
    let on = leaf.dataset.as_ref().map_or_else(String::new, |dataset| format!(" on dataset `{dataset}`"));
    let dataset = leaf.dataset.as_ref().map_or_else(|| "a dataset".into(), |dataset| format!("dataset `{dataset}`"));
    match leaf.kind {
        Kind::Intent | Kind::Refuse => format!("{}{on}", asked(what)),
        Kind::Outcome => format!("got {}{on}", one(what)),
        Kind::Consent => {
            let notice = leaf.object.as_ref().map_or_else(String::new, |notice| format!(", `{notice}` in use"));
            format!("recorded that one person chose to {what}{on}{notice}")
        }
        Kind::Erase => match what {
            "erase" => format!("began to erase one person{on}"),
            "erased" | "erased after a restart" => format!("erased people{on}"),
            "erased but for what is held" | "erased but for what is held after a restart" => {
                format!("erased people{on}, but for what is held by law")
            }
            looked => format!("looked for erased people{on} ({looked})"),
        },
        Kind::Hold if what == "hold" => format!("held some data of one person{on}, on the ground{object}"),
        Kind::Hold => format!("ended a hold on data of one person{on}, on the ground{object}"),
        Kind::Dataset => format!("changed {dataset} ({what})"),
        Kind::Record => format!("changed the record{object} ({what})"),
        Kind::TokenIssue => format!("was issued the token{object}"),
        Kind::TokenRevoke => format!("revoked the token{object}"),
        Kind::LogRead => format!("read the log ({what}){on}"),
        Kind::Epoch => format!("closed an epoch of {dataset}"),
        Kind::Fold => format!("folded what was written to {dataset}"),
        Kind::Audience => format!("was delivered an audience{on}"),
        Kind::Ingest => format!("wrote data{on}"),
        Kind::Key => match (what.strip_prefix("rotate "), what.strip_prefix("rotated ")) {
            (Some(keys), _) => format!("began to replace {keys}"),
            (_, Some(keys)) => format!("replaced {keys}"),
            _ if what.starts_with("announce ") => "announced the key that signs the log from here on".into(),
            _ => format!("changed the key{object} ({what})"),
        },
        Kind::AnonymousRefusals => "were refused".into(),
        Kind::Quota => format!("set the quota of{object}{on}"),
        Kind::Extension if what == "extend lifetime budget" => format!("extended the lifetime's budget{on}"),
        Kind::Extension => "had extended a lifetime's budget, whose entry a restore lost and writes again".into(),
        Kind::Start if what == "restored" => "was made again from a backup".into(),
        Kind::Start => "started".into(),
        Kind::Stop => "stopped".into(),
    }
}

fn asked(what: &str) -> String {
    if what.starts_with('/') { format!("called {what}") } else { format!("asked for {}", one(what)) }
}

/// Puts an article before a thing's name.
fn one(what: &str) -> String {
    let article = match what {
        "something" => return what.to_owned(),
        _ if what.starts_with(['a', 'e', 'i', 'o']) => "an",
        _ => "a",
    };
    format!("{article} {what}")
}

fn basis_text(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => "consent",
        LawfulBasis::Contract => "contract",
        LawfulBasis::LegitimateInterest => "legitimate interest",
    }
}

fn clauses(leaf: &Leaf) -> Vec<String> {
    let mut out = Vec::new();
    if !leaf.purposes.is_empty() {
        let names: Vec<_> = leaf.purposes.iter().map(|purpose| purpose.as_str()).collect();
        out.push(format!("purposes {}", names.join(", ")));
    }
    if !leaf.fields.is_empty() {
        let names: Vec<_> = leaf.fields.keys().map(|path| path.as_str()).collect();
        out.push(format!("fields {}", names.join(", ")));
    }
    if let Some(epoch) = leaf.epoch {
        out.push(format!("epoch {epoch}"));
    }
    let because = leaf.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    match leaf.decision {
        Some(Decision::Permit) => out.push(format!("permitted{because}")),
        Some(Decision::Refuse) => out.push(format!("refused{because}")),
        None => out.extend(leaf.reason.as_ref().map(ToString::to_string)),
    }
    out.extend(charge(leaf));
    if let Some(of) = leaf.of {
        out.push(format!("completes entry {of}"));
    }
    out.extend(leaf.counts.iter().map(|(name, count)| format!("{name} {count}")));
    out
}

fn charge(leaf: &Leaf) -> Option<String> {
    let rho = leaf.rho?;
    let verb = match leaf.kind {
        Kind::Quota => "rho",
        Kind::Extension => "added rho",
        _ => "charged rho",
    };
    let mut out = format!("{verb} {}", rho.rho());
    if let Some(population) = &leaf.population {
        let _ = write!(out, " to population `{population}`");
    }
    if let Some(quarter) = leaf.quarter {
        let _ = write!(out, " in {}", quarter_text(quarter));
    }
    Some(out)
}
