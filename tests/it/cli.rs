//! The command line as a person meets it: processes, files, exit codes, words.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub(super) const DONE: i32 = 0;
pub(super) const FAILED: i32 = 1;
const USAGE: i32 = 2;
const REFUSED: i32 = 3;
const UNAVAILABLE: i32 = 4;

/// A folder to work in, and the command line in it.
pub(super) struct Desk {
    folder: TempDir,
    gateway: Option<String>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), gateway: None }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_silhouette-under-test"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        for variable in ["SILHOUETTE_KEY", "SILHOUETTE_GATEWAY", "SILHOUETTE_CA", "SILHOUETTE_DATASET"] {
            command.env_remove(variable);
        }
        if let Some(gateway) = &self.gateway {
            command.env("SILHOUETTE_GATEWAY", gateway);
        }
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs and checks the exit code; returns both outputs.
    pub(super) fn ends(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let Output { status, stdout, stderr } = self.run(arguments);
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        (out, err)
    }

    /// Runs with `--json` and returns the value.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let (out, _) = self.ends(DONE, &[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap()
    }
}

/// A gateway in a process of its own; stopped when dropped.
pub(super) struct Served(Child);

impl Served {
    pub(super) fn start(desk: &mut Desk, config: &Path) -> Self {
        let mut command = desk.command(&["serve", "--json", "--config", config.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut text = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            text.push_str(&line.unwrap());
            if text.ends_with('}') {
                break;
            }
        }
        let bound: Value = serde_json::from_str(&text).unwrap();
        desk.gateway = Some(format!("http://{}", bound["grpc"].as_str().unwrap()));
        Self(child)
    }

    /// Tells it to stop, as a service manager does, and waits for it.
    pub(super) fn stop(mut self) -> i32 {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _stopped_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

#[test]
fn help_is_as_it_was_written_down() {
    let (help, _) = Desk::new().ends(DONE, &["--help"]);
    assert_eq!(help, include_str!("../golden/help.txt"));
    let (help, _) = Desk::new().ends(DONE, &["subject", "--help"]);
    assert_eq!(help, include_str!("../golden/help_subject.txt"));
    let (help, _) = Desk::new().ends(DONE, &["subject", "erase", "--help"]);
    assert_eq!(help, include_str!("../golden/help_subject_erase.txt"));
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let desk = Desk::new();
    desk.ends(USAGE, &["portray"]);
    desk.ends(USAGE, &["size", "-d", "coop", "--rho", "0.1", "--within", "50"]);
    let (_, words) = desk.ends(FAILED, &["status"]);
    assert!(words.contains("silhouette init"), "{words}");
    let (_, words) = desk.ends(FAILED, &["serve"]);
    assert!(words.contains("silhouette init"), "{words}");
    desk.ends(DONE, &["init"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, words) = desk.ends(UNAVAILABLE, &["status", "--gateway", &format!("http://{free}")]);
    assert!(words.contains("silhouette serve"), "{words}");
    let (_, words) = desk.ends(USAGE, &["status", "--gateway", "http://192.0.2.1:7443"]);
    assert!(words.contains("--ca"), "plain text never leaves the machine: {words}");
}

#[test]
fn init_makes_two_folders_and_a_private_key_and_never_again() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.ends(DONE, &["init"]);
    let key = desk.path("silhouette-key.toml");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(desk.path("silhouette-data").is_dir() && desk.path("silhouette-root").is_dir());
    let before = std::fs::read(&key).unwrap();
    desk.ends(FAILED, &["init"]);
    desk.ends(FAILED, &["init", "--out", "second.toml"]);
    assert_eq!(std::fs::read(&key).unwrap(), before);
    assert!(!desk.path("second.toml").exists());
}

#[test]
fn a_small_seller_gets_from_nothing_to_a_portrait() {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    let served = Served::start(&mut desk, &config);
    desk.ends(DONE, &["client", "create", "--name", "shop", "--role", "producer"]);
    let marketing = ["client", "create", "--name", "ads", "--role", "service", "--purpose", "marketing"];
    desk.ends(DONE, &marketing);
    desk.ends(DONE, &["client", "create", "--name", "audit", "--role", "officer"]);
    let (clients, _) = desk.ends(DONE, &["client", "list"]);
    assert!(["ads", "shop", "audit", "steward"].iter().all(|name| clients.contains(name)), "{clients}");

    // Files, as a seller has them.
    desk.ends(DONE, &["generate", "--consumers", "400", "--events", "4000", "--out", "files"]);
    let import = ["import", "--mapping", "files/mapping.toml", "--source", "files", "--key", "shop-key.toml"];
    let checked = desk.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(checked["sent"], Value::Null);
    let (_, words) = desk.ends(REFUSED, &import);
    assert!(words.contains("--create-as"), "{words}");
    let create = ["--create-as", "silhouette-key.toml"];
    let sent = desk.json(&[&import[..], &create[..]].concat());
    assert_eq!((&sent["sent"]["profiles"], &sent["sent"]["events"]), (&400.into(), &4000.into()));
    desk.ends(DONE, &import);

    let ask = ["--key", "ads-key.toml", "-d", "coop"];
    let (_, words) = desk.ends(REFUSED, &[&["size"], &ask[..]].concat());
    assert!(words.contains("EPOCH_NOT_CLOSED"), "{words}");
    desk.ends(DONE, &["epoch", "close", "-d", "coop"]);
    let plan = desk.json(&[&["size", "--preview"], &ask[..]].concat());
    assert_eq!(plan.get("release"), None);
    let size = desk.json(&[&["size"], &ask[..]].concat());
    let cell = &size["release"]["tables"][0]["cells"][0];
    assert!(cell["low"].as_f64().unwrap() < 400.0 && cell["high"].as_f64().unwrap() > 0.0, "{cell}");
    let (portrait, _) =
        desk.ends(DONE, &[&["portrait", "--svg", "us.svg", "--title", "Us & <them>"], &ask[..]].concat());
    assert!(portrait.contains("Region") && portrait.contains("lakes"), "{portrait}");
    let svg = std::fs::read_to_string(desk.path("us.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Us &amp; &lt;them&gt;"));
    let (by_region, _) = desk.ends(DONE, &[&["breakdown", "--by", "region"], &ask[..]].concat());
    assert!(by_region.contains("coast"), "{by_region}");

    let (_, words) = desk.ends(REFUSED, &[&["size", "--purpose", "sharing.partner.x"], &ask[..]].concat());
    assert!(words.contains("PURPOSE_DENIED") && words.contains("what now:"), "{words}");
    let (_, words) = desk.ends(REFUSED, &[&["size", "age_bnd == \"65+\""], &ask[..]].concat());
    assert!(words.contains("FIELD_UNAVAILABLE") && words.contains("column 1"), "{words}");
    desk.ends(DONE, &[&["segment", "create", "old", "age_band == \"65+\""], &ask[..]].concat());
    desk.ends(DONE, &[&["size", "--segment", "old"], &ask[..]].concat());
    desk.ends(DONE, &[&["segment", "archive", "old"], &ask[..]].concat());
    let (_, words) = desk.ends(REFUSED, &[&["size", "--segment", "old"], &ask[..]].concat());
    assert!(words.contains("archived") && words.contains("store it again"), "{words}");
    let listed = |all: &[&str]| desk.json(&[&["segment", "list"], all, &ask[..]].concat())["segments"].clone();
    assert_eq!(
        (listed(&[]).as_array().map(Vec::len), listed(&["--all"])[0]["archived"].as_bool()),
        (Some(0), Some(true))
    );
    let (words, _) = desk.ends(DONE, &[&["segment", "create", "old", "age_band == \"65+\""], &ask[..]].concat());
    assert!(words.contains("old@2"), "{words}");
    desk.ends(DONE, &[&["size", "--segment", "old@2"], &ask[..]].concat());
    let budget = desk.json(&[&["budget"], &ask[..]].concat());
    assert_ne!(budget["client_spent"], "0");

    let audit = ["--key", "audit-key.toml"];
    let refused = desk.json(&[&["audit", "search", "--decision", "refuse"], &audit[..]].concat());
    assert!(refused["events"].as_array().unwrap().len() >= 3, "{refused}");
    let verified = desk.json(&[&["audit", "verify"], &audit[..]].concat());
    assert_eq!(verified["verified"], true);
    desk.ends(DONE, &[&["audit", "proof", "1"], &audit[..]].concat());

    // A stop and a start change no answer, and the files account for every byte.
    assert_eq!(served.stop(), DONE);
    desk.ends(DONE, &["fsck", "--config", "settings.toml"]);
    let _served = Served::start(&mut desk, &config);
    let again = desk.json(&[&["size"], &ask[..]].concat());
    assert_eq!(again["release"]["tables"], size["release"]["tables"]);
    assert_eq!(again["release"]["charged"], false);

    // A new version of the description; files that fit the one before are still taken.
    let old = std::fs::read_to_string(desk.path("files/schema.toml")).unwrap();
    std::fs::write(desk.path("wider.toml"), format!("{old}\n[[events]]\nname = \"visit\"\n")).unwrap();
    let (words, _) = desk.ends(DONE, &["schema", "apply", "wider.toml", "--dry-run"]);
    assert!(words.contains("would be version 2") && words.contains("`visit` is a new type of event"), "{words}");
    desk.ends(DONE, &["schema", "apply", "wider.toml"]);
    let (words, _) = desk.ends(DONE, &["schema", "apply", "wider.toml"]);
    assert!(words.contains("Nothing changes"), "{words}");
    let (_, words) = desk.ends(REFUSED, &["schema", "apply", "files/schema.toml"]);
    assert!(words.contains("`visit`: was removed"), "{words}");
    desk.ends(DONE, &import);
}

#[test]
fn the_demo_shows_everything_and_ends_well() {
    let desk = Desk::new();
    let (told, _) = desk.ends(DONE, &["demo", "--consumers", "8000"]);
    let shown = [
        "Ceramics lovers",
        "PURPOSE_DENIED",
        "pseudonyms",
        "this quarter, everyone",
        "nothing was changed",
        "1 person erased",
    ];
    for text in shown {
        assert!(told.contains(text), "`{text}` is not in\n{told}");
    }
    assert!(std::fs::read_to_string(desk.path("silhouette-portrait.svg")).unwrap().contains("Ceramics lovers"));
    let left: Vec<_> = std::fs::read_dir(desk.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the picture stays");
}
