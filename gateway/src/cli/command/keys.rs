//! `rotate`: lists keys and replaces them.

use crate::cli::args::RotateArgs;
use crate::cli::chart::grouped;
use crate::cli::error::CliError;
use crate::cli::out::{Out, Shown};
use crate::cli::session::Session;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::v1::key_count::Oldest;
use proto::v1::{
    KeyCount, KeyKind, KeyRotation, KeyState, ListKeysRequest, ListKeysResponse, RotateKeysRequest, RotateKeysResponse,
};
use serde_json::{Value, json};

/// Lists keys, or replaces those that were named, one kind after the other.
pub async fn rotate(args: RotateArgs, session: &Session, out: Out) -> Result<Shown, CliError> {
    let chosen = chosen(&args);
    if args.list || chosen.is_empty() {
        return list(session).await;
    }
    let (mut words, mut all) = (String::new(), Vec::new());
    for rotation in chosen {
        let done = replace(rotation, session, out).await?;
        words.push_str(&format!("{}\n", done_words(rotation, &done)));
        all.push(json!({
            "rotation": rotation_words(rotation), "keys": done.done, "bytes": done.bytes, "generation": done.generation,
        }));
    }
    Ok(Shown::new(words, json!({ "rotated": all })))
}

/// The root comes last: its generation is then newer than every other change.
fn chosen(args: &RotateArgs) -> Vec<KeyRotation> {
    let RotateArgs { pieces, journals, root, tokens, log, all, pseudonyms, .. } = args;
    let wanted = [
        (*pieces || *all, KeyRotation::Pieces),
        (*journals || *all, KeyRotation::Journals),
        (*pseudonyms, KeyRotation::Pseudonyms),
        (*tokens || *all, KeyRotation::Tokens),
        (*log || *all, KeyRotation::Log),
        (*root || *all, KeyRotation::Root),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, rotation)| rotation).collect()
}

async fn replace(rotation: KeyRotation, session: &Session, out: Out) -> Result<RotateKeysResponse, CliError> {
    let request = RotateKeysRequest {
        rotation: rotation.into(),
        // The flag says what it does.
        acknowledge_new_pseudonyms: rotation == KeyRotation::Pseudonyms,
        request_id: String::new(),
    };
    let mut steps = session.admin().rotate_keys(session.request(request).await?).await?.into_inner();
    let bar = bar(out);
    let mut last = None;
    while let Some(step) = steps.message().await? {
        bar.set_length(step.done.saturating_add(step.left));
        bar.set_position(step.done);
        last = Some(step);
    }
    bar.finish_and_clear();
    let unfinished = || CliError::failed("the gateway broke off").hint("ask again: it goes on where it was");
    last.filter(|step| step.ended).ok_or_else(unfinished)
}

fn bar(out: Out) -> ProgressBar {
    let target = if out.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("  {bar:32} {pos} of {len} keys");
    ProgressBar::with_draw_target(Some(0), target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn list(session: &Session) -> Result<Shown, CliError> {
    let found = session.admin().list_keys(session.request(ListKeysRequest {}).await?).await?.into_inner();
    let ListKeysResponse { keys, generation, locked } = found;
    let mut words = format!("Generation {} of the key tree.\n", grouped(generation));
    words.push_str(if locked {
        "The root is locked with a passphrase.\n"
    } else {
        "The root is as it is in its cell, without a passphrase.\n"
    });
    for key in &keys {
        let (kind, state) = (kind_words(key.kind()), state_words(key.state()));
        words.push_str(&format!("  {kind:<10} {state:<11} {:>12}", grouped(key.count)));
        words.push_str(&oldest_words(key));
        words.push('\n');
    }
    let keys: Vec<Value> = keys.iter().map(key_json).collect();
    Ok(Shown::new(words, json!({ "generation": generation, "locked": locked, "keys": keys })))
}

fn oldest_words(key: &KeyCount) -> String {
    match key.oldest {
        Some(Oldest::Generation(generation)) => format!("  oldest: generation {}", grouped(generation)),
        Some(Oldest::Epoch(epoch)) => format!("  oldest: epoch {epoch}"),
        Some(Oldest::Number(number)) => format!("  oldest: number {}", grouped(number)),
        None => String::new(),
    }
}

fn key_json(key: &KeyCount) -> Value {
    let oldest = key.oldest.map(|oldest| match oldest {
        Oldest::Generation(generation) => json!({ "generation": generation }),
        Oldest::Epoch(epoch) => json!({ "epoch": epoch }),
        Oldest::Number(number) => json!({ "number": number }),
    });
    json!({ "kind": kind_words(key.kind()), "state": state_words(key.state()), "count": key.count, "oldest": oldest })
}

fn kind_words(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Root => "root",
        KeyKind::Page => "page",
        KeyKind::Piece => "piece",
        KeyKind::Journal => "journal",
        KeyKind::Pseudonym => "pseudonym",
        KeyKind::Token => "token",
        KeyKind::Log => "log",
        KeyKind::Unspecified => "other",
    }
}

fn state_words(state: KeyState) -> &'static str {
    match state {
        KeyState::Spare => "spare",
        KeyState::Active => "active",
        KeyState::Superseded => "superseded",
        KeyState::Unspecified => "other",
    }
}

fn rotation_words(rotation: KeyRotation) -> &'static str {
    match rotation {
        KeyRotation::Pieces => "pieces",
        KeyRotation::Journals => "journals",
        KeyRotation::Root => "root",
        KeyRotation::Pseudonyms => "pseudonyms",
        KeyRotation::Tokens => "tokens",
        KeyRotation::Log => "log",
        KeyRotation::Unspecified => "nothing",
    }
}

fn done_words(rotation: KeyRotation, done: &RotateKeysResponse) -> String {
    let (keys, bytes, generation) = (grouped(done.done), grouped(done.bytes), grouped(done.generation));
    match rotation {
        KeyRotation::Pieces => format!("Replaced the keys of {keys} pieces; {bytes} bytes are sealed again."),
        KeyRotation::Journals => format!("Replaced {keys} keys of journals; {bytes} bytes are sealed again."),
        KeyRotation::Root => format!("Replaced the root and {keys} pages: generation {generation}."),
        KeyRotation::Pseudonyms => {
            format!("Destroyed {keys} keys of pseudonyms: partners get other ones with their next audience.")
        }
        KeyRotation::Tokens => {
            "The next key for tokens is published; it signs in five minutes, and tokens of the one before stay valid \
             until they expire."
                .to_owned()
        }
        KeyRotation::Log => {
            "The log is signed with a new key, which a leaf announces, signed with the one before. Keep the old verifier \
             key: what follows is checked from it."
                .to_owned()
        }
        KeyRotation::Unspecified => String::new(),
    }
}
