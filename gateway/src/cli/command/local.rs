//! Commands on this machine's own folders: `init`, `serve`, `fsck`, and `rotate` with a passphrase.

use crate::authn::ClientKey;
use crate::cli::args::{FsckArgs, InitArgs, RotateArgs, ServeArgs};
use crate::cli::chart::grouped;
use crate::cli::error::{CliError, Exit};
use crate::cli::keyfile::KeyFile;
use crate::cli::out::{Out, Shown};
use crate::clock::Clock;
use crate::config::{Config, Typed};
use crate::passphrase;
use crate::server::{self, Bound, ServeError};
use crate::telemetry;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vault::fsck::{self, Class, FileMap, Repair, Repaired, Source, Span};
use vault::keys::SecondLock;
use zeroize::Zeroizing;

/// Reads the settings, or takes the defaults.
pub(super) fn settings(file: Option<&Path>) -> Result<Config, CliError> {
    let config = file.map_or_else(|| Ok(Config::default()), Config::load);
    config.map_err(|problem| CliError::failed(problem.to_string()))
}

/// Reads the settings for folders that exist, and asks for the passphrase at the terminal if the root is locked with one and
/// it is nowhere else.
pub(super) fn unlocked(file: Option<&Path>, passphrase_file: Option<&Path>) -> Result<Config, CliError> {
    let mut config = settings(file)?;
    if let Some(file) = passphrase_file {
        config.passphrase_file = Some(file.to_owned());
    }
    let root = config.root.clone();
    unlock(&mut config, &root)?;
    Ok(config)
}

/// Asks for the passphrase at the terminal if a root or a mirror of it is locked with one and it is nowhere else.
pub(super) fn unlock(config: &mut Config, root: &Path) -> Result<(), CliError> {
    let given = !matches!(config.lock().map_err(|problem| CliError::failed(problem.to_string()))?, SecondLock::None);
    if !given && vault::keys::is_locked(root) {
        let typed = passphrase::ask("Passphrase of the root: ");
        config.typed = Typed(Some(typed.map_err(|problem| CliError::failed(problem.to_string()))?));
    }
    Ok(())
}

fn failed(problem: ServeError) -> CliError {
    CliError::failed(problem.to_string())
}

/// Makes the folders and the first steward's key.
pub fn init(args: &InitArgs) -> Result<Shown, CliError> {
    let mut config = settings(args.config.as_deref())?;
    config.passphrase_file = args.passphrase_file.clone().or(config.passphrase_file);
    create(&config, &args.out)?;
    let (data, root, key) = (config.data.display(), config.root.display(), args.out.display());
    let mut words = format!(
        "Made {data}, for the data, sealed, and {root}, for the key that opens it. Keep the second on another disk, and \
         back neither up together with the other.\nThe steward's key is in {key}.\n"
    );
    if config.passphrase_file.is_some() {
        words.push_str("The root is locked with a passphrase: without it nobody opens the data again, us included.\n");
    }
    words.push_str("Next: silhouette serve\n");
    Ok(Shown::new(words, json!({ "data": config.data, "root": config.root, "key_file": args.out })))
}

/// Makes the folders of a gateway and the key file of its first steward.
pub fn create(config: &Config, key_file: &Path) -> Result<(), CliError> {
    if key_file.exists() {
        return Err(CliError::failed(format!("`{}` is there already", key_file.display())).hint("give another --out"));
    }
    let pem_file = server::init(config, &Clock::system()).map_err(failed)?;
    let pem = std::fs::read_to_string(&pem_file).map_err(|problem| CliError::file(&pem_file, &problem))?;
    let key = ClientKey::from_pem(&Zeroizing::new(pem)).map_err(|problem| CliError::failed(problem.to_string()))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let file = KeyFile {
        client: server::FIRST_STEWARD.to_owned(),
        gateway: format!("{scheme}://{}", config.grpc),
        audience: config.audience.clone(),
        ca: config.tls.as_ref().map(|tls| tls.certificate.clone()),
        key,
    };
    file.write(key_file)?;
    // One copy is enough to lose.
    std::fs::remove_file(&pem_file).map_err(|problem| CliError::file(&pem_file, &problem))
}

/// Serves until told to stop.
pub async fn serve(args: ServeArgs, out: Out) -> Result<Exit, CliError> {
    let config = unlocked(args.config.as_deref(), args.passphrase_file.as_deref())?;
    if !config.root.exists() {
        return Err(
            CliError::failed(format!("there is no `{}`", config.root.display())).hint("run `silhouette init` first")
        );
    }
    telemetry::init(out.is_json());
    if config.mirror.is_none() {
        tracing::warn!(
            "there is no mirror: if the disk of the root folder dies, everything is lost; name a folder on another disk \
             or host as `mirror` in the settings"
        );
    }
    if config.backup.is_none() {
        tracing::warn!(
            "there is no backup: if the disk of the data folder dies, the data is lost; name a folder on another disk or \
             host as `backup` in the settings"
        );
    }
    let (ready, bound) = oneshot::channel();
    let announced = async {
        if let Ok(bound) = bound.await {
            let Bound { grpc, http, admin } = bound;
            let words =
                format!("Silhouette serves: gRPC {grpc}, HTTP {http}, health and metrics {admin}. Ctrl-C stops it.\n");
            out.show(&Shown::new(words, json!({ "grpc": grpc, "http": http, "admin": admin })))?;
        }
        Ok::<(), CliError>(())
    };
    let (served, announced) = tokio::join!(server::serve(config, ready), announced);
    served.map_err(failed)?;
    announced.map(|()| Exit::Done)
}

/// A gateway that runs in this process.
#[derive(Debug)]
pub struct Running {
    bound: Bound,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

/// Starts a gateway in this process; returns once it listens.
pub async fn start(config: Config, clock: Clock) -> Result<Running, CliError> {
    let (ready, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let told = async {
        // A sender that is gone is also an order to stop.
        let _ = stopped.await;
    };
    let task = tokio::spawn(server::serve_until(config, clock, ready, told));
    match bound.await {
        Ok(bound) => Ok(Running { bound, stop, task }),
        Err(_) => Err(match task.await {
            Ok(Err(problem)) => failed(problem),
            Ok(Ok(())) | Err(_) => CliError::failed("the gateway stopped before it served"),
        }),
    }
}

impl Running {
    /// Returns where gRPC listens.
    pub fn grpc(&self) -> SocketAddr {
        self.bound.grpc
    }

    /// Stops it and waits until it has closed its vault.
    pub async fn stop(self) -> Result<(), CliError> {
        let _it_may_have_stopped_by_itself = self.stop.send(());
        match self.task.await {
            Ok(served) => served.map_err(failed),
            Err(_) => Err(CliError::failed("the gateway broke off")),
        }
    }
}

/// Gives the root another passphrase, or takes it away.
pub fn relock(args: &RotateArgs) -> Result<Shown, CliError> {
    let wrong = |problem: passphrase::PassphraseError| CliError::failed(problem.to_string());
    let lock = match &args.passphrase_file {
        Some(file) => SecondLock::Passphrase(passphrase::of_file(file).map_err(wrong)?),
        None => SecondLock::None,
    };
    let config = unlocked(args.config.as_deref(), None)?;
    server::relock(config, &lock, &Clock::system()).map_err(failed)?;
    let locked = matches!(lock, SecondLock::Passphrase(_));
    let words = if locked {
        "The root is locked with the new passphrase, and no other opens it. Without it nobody opens the data again, us \
         included.\nNext: name its file as `passphrase_file` in the settings, and silhouette serve\n"
    } else {
        "The root has no passphrase any more.\nNext: take `passphrase_file` out of the settings, and silhouette serve\n"
    };
    Ok(Shown::new(words, json!({ "locked": locked })))
}

/// Checks the files of a data folder; with `--map` says what every byte is.
pub fn fsck(args: &FsckArgs, out: Out) -> Result<Exit, CliError> {
    let config = unlocked(args.config.as_deref(), None)?;
    let lock = config.lock().map_err(|problem| CliError::failed(problem.to_string()))?;
    let mut words = String::new();
    let mut repaired = Vec::new();
    if args.repair {
        let mut repair = Repair::of(&config.data, &config.root, &lock);
        (repair.mirror, repair.backup) = (config.mirror.as_deref(), config.backup.as_deref());
        repaired = repair.run().map_err(|problem| CliError::failed(problem.to_string()))?;
        repaired.iter().for_each(|part| words.push_str(&repaired_words(part)));
    }
    let files =
        fsck::map(&config.data, &config.root, &lock).map_err(|problem| CliError::failed(problem.to_string()))?;
    let mut totals: BTreeMap<Class, u64> = BTreeMap::new();
    for file in &files {
        file.spans.iter().for_each(|span| *totals.entry(span.class).or_default() += span.bytes);
        if args.map || file.problem.is_some() {
            words.push_str(&file_words(file, args.map));
        }
    }
    let problems = files.iter().filter(|file| file.problem.is_some()).count();
    let sum = |class| grouped(totals.get(&class).copied().unwrap_or(0));
    words.push_str(&format!(
        "{} files: {} bytes sealed, {} of documented headers, {} of log leaves, {} free.\n",
        grouped(u64::try_from(files.len()).unwrap_or(u64::MAX)),
        sum(Class::Sealed),
        sum(Class::Header),
        sum(Class::Leaf),
        sum(Class::Free)
    ));
    let json = json!({
        "repaired": repaired.iter().map(repaired_json).collect::<Vec<_>>(),
        "files": files.iter().map(|file| file_json(file, args.map)).collect::<Vec<_>>(),
        "problems": problems,
    });
    out.show(&Shown::new(words, json))?;
    Ok(if problems == 0 { Exit::Done } else { Exit::NotVerified })
}

fn source_words(source: Source) -> &'static str {
    match source {
        Source::Mirror => "the mirror",
        Source::Backup => "the backup",
    }
}

fn repaired_words(part: &Repaired) -> String {
    let Repaired { path, from, problem } = part;
    match from {
        Some(source) => format!("{}  put back from {}; it was: {problem}\n", path.display(), source_words(*source)),
        None => format!("{}  stays damaged, neither mirror nor backup has it: {problem}\n", path.display()),
    }
}

fn repaired_json(part: &Repaired) -> serde_json::Value {
    let Repaired { path, from, problem } = part;
    json!({ "path": path, "from": from.map(source_words), "problem": problem })
}

fn class_words(class: Class) -> &'static str {
    match class {
        Class::Header => "header",
        Class::Leaf => "leaf",
        Class::Sealed => "sealed",
        Class::Free => "free",
    }
}

fn file_words(file: &FileMap, map: bool) -> String {
    let mut words = format!("{}  {} bytes", file.path.display(), grouped(file.bytes));
    if let Some(problem) = file.problem {
        words.push_str(&format!("  PROBLEM: {problem}"));
    }
    words.push('\n');
    for span in file.spans.iter().filter(|_| map) {
        let (from, until) = (span.start, span.start.saturating_add(span.bytes));
        words.push_str(&format!("  {from:>12} .. {until:<12} {:<7} {}\n", class_words(span.class), span.field));
    }
    words
}

fn file_json(file: &FileMap, map: bool) -> serde_json::Value {
    let FileMap { path, bytes, spans, problem } = file;
    let span = |span: &Span| {
        let Span { start, bytes, class, field } = span;
        json!({ "start": start, "bytes": bytes, "class": class_words(*class), "field": field })
    };
    let spans: Vec<_> = spans.iter().filter(|_| map).map(span).collect();
    json!({ "path": path, "bytes": bytes, "problem": problem, "spans": spans })
}
