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
    // Of 8 values, or of 9 where the noise of those whose region is not known stands out.
    let advised = by_region.contains("Too few people for ") && by_region.contains(" values of region: ask");
    assert!(advised, "under 400 people: {by_region}");
    let (preview, _) = desk.ends(DONE, &[&["breakdown", "--by", "region", "--preview"], &ask[..]].concat());
    assert!(preview.contains("Readable for segments of about ") && preview.contains("Nothing was spent"), "{preview}");
    every_question_of_marketing(&desk, &ask, &day_before(&size["release"], 60));

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

    let dearer = [&["size", "--rho", "0.003"], &ask[..]].concat();
    let (words, _) = desk.ends(DONE, &[&dearer[..], &["--preview"]].concat());
    assert!(words.contains("answered before for less: the difference, rho 0.002, would be charged"), "{words}");
    let better = desk.json(&dearer);
    assert_eq!((&better["plan"]["charge"], &better["release"]["rho"]), (&"0.002".into(), &"0.003".into()));
    assert_eq!(better["release"]["draws"].as_array().map(Vec::len), Some(2), "{better}");
    let (words, _) = desk.ends(DONE, &[&["size", "--rho", "0.002", "--preview"], &ask[..]].concat());
    assert!(words.contains("answered before in this epoch, and is free"), "{words}");
    a_lifetimes_budget_is_extended(&desk, &ask);

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

/// By a steward alone, who repeats what it comes to.
fn a_lifetimes_budget_is_extended(desk: &Desk, ask: &[&str]) {
    let extend = ["budget", "extend", "coop", "--by", "0.4", "--because", "a second year, minutes of 2026-11"];
    let planned = desk.json(&[&extend[..], &["--dry-run"]].concat());
    assert_eq!((&planned["before"]["rho"], &planned["after"]["rho"]), (&"0.8".into(), &"1.2".into()));
    let epsilon = planned["after"]["epsilon"].as_str().unwrap();
    let (words, _) = desk.ends(DONE, &[&extend[..], &["--dry-run"]].concat());
    assert!(
        words.contains(&format!("Nothing was changed. To extend it, add --acknowledge-epsilon {epsilon}.")),
        "{words}"
    );
    desk.ends(USAGE, &extend);
    let (_, words) = desk.ends(REFUSED, &[&extend[..], &["--acknowledge-epsilon", "8.40"]].concat());
    assert!(words.contains(&format!("may have lost epsilon {epsilon} at delta 1e-9")), "{words}");
    let acknowledged = [&extend[..], &["--acknowledge-epsilon", epsilon]].concat();
    let (_, words) = desk.ends(REFUSED, &[&acknowledged[..], &ask[..2]].concat());
    assert!(words.contains("PURPOSE_DENIED"), "{words}");
    let done = desk.json(&acknowledged);
    let (words, _) = desk.ends(DONE, &[&["budget"], ask].concat());
    assert!(words.contains("of 1.2") && words.contains("Extended by 0.4 on "), "{words}");
    let shown = desk.json(&[&["budget"], ask].concat());
    assert_eq!((&shown["lifetime_extended"], &shown["extensions"][0]["leaf"]), (&"0.4".into(), &done["leaf"]));
    let leaf = done["leaf"].to_string();
    let (told, _) = desk.ends(DONE, &["audit", "explain", &leaf, "--key", "audit-key.toml"]);
    assert!(told.contains("a second year, minutes of 2026-11") && told.contains("added rho 0.4"), "{told}");
}

/// The day so long before the end of the epoch of a release.
fn day_before(release: &Value, days: i32) -> String {
    let day = policy::time::parse_day(&release["as_of"].as_str().unwrap()[..10]).unwrap();
    policy::time::format_day(day - days).unwrap()
}

/// Funnels, trends and the like of a few hundred people: what is shown is words, or figures that hold.
fn every_question_of_marketing(desk: &Desk, ask: &[&str], from: &str) {
    let words = |arguments: &[&str]| desk.ends(DONE, &[arguments, ask].concat()).0;
    let picture = |name: &str| std::fs::read_to_string(desk.path(name)).unwrap();
    let steps = ["--step", "viewed=view.any()", "--step", "put in the cart=cart.any()", "--step", "bought=order.any()"];
    let funnel = words(&[&["funnel", "--svg", "f.svg", "--title", "A funnel & <more>"], &steps[..]].concat());
    assert!(
        ["start", "put in the cart", "bought", "price", "epoch"].iter().all(|word| funnel.contains(word)),
        "{funnel}"
    );
    assert!(picture("f.svg").contains("A funnel &amp; &lt;more&gt;") && picture("f.svg").contains("put in the cart"));
    let json = desk.json(&[&["funnel"], &steps[..], ask].concat());
    assert_eq!(json["release"]["charged"], false, "asked before");
    let people: Vec<u64> =
        json["steps"].as_array().unwrap().iter().map(|step| step["people"].as_u64().unwrap()).collect();
    assert!(people.len() == 4 && people.is_sorted_by(|a, b| a >= b), "{people:?}");

    let trend =
        ["trend", "order", "--by-week", "--from", from, "--count", "order:12", "--count", "order.amount:300.00"];
    let shown = words(&[&trend[..], &["--svg", "t.svg"]].concat());
    assert!(shown.contains("each person's up to 12") && shown.contains("order.amount per order"), "{shown}");
    assert!(picture("t.svg").contains("Sum of order.amount, each person&#39;s up to 300"));
    let json = desk.json(&[&trend[..], ask].concat());
    let weeks = json["release"]["tables"][0]["cells"].as_array().unwrap().len();
    assert!((9..=10).contains(&weeks) && json["means"].as_array().unwrap().len() == weeks, "{json}");
    assert_eq!(json["release"]["tables"][1]["bound"], 300.0);

    let compared = words(&["compare", "order.any()", "--fields", "age_band,region", "--svg", "c.svg"]);
    let said = ["no difference shown", "too few to tell", "more", "less"];
    assert!(compared.contains("OF THE REST") && said.iter().any(|word| compared.contains(word)), "{compared}");
    let json = desk.json(&["compare", "order.any()", "--fields", "age_band,region", ask[0], ask[1], ask[2], ask[3]]);
    assert!(json["rows"].as_array().unwrap().iter().any(|row| row["share"].is_object()), "{json}");
    assert!(picture("c.svg").contains("index: 100 is the same"));
    let (_, refused) = desk.ends(REFUSED, &[&["compare"], ask].concat());
    assert!(refused.contains("everyone can't be compared"), "{refused}");

    let overlap = ["overlap", "--with", "carts=cart.any()", "--with", "orders=order.any()"];
    let both = words(&[&overlap[..], &["--svg", "o.svg"]].concat());
    assert!(both.contains("carts + orders") && both.contains("(none)") && both.contains("ALSO IN CARTS"), "{both}");
    assert!(picture("o.svg").contains("In exactly carts and orders: "));
    let json = desk.json(&[&overlap[..], ask].concat());
    assert_eq!(json["segments"][1]["shared"][0]["name"], "carts", "{json}");
    let bands = ["bands", "--band", "bought:often=order.count() >= 3", "--band", "bought:once=order.any()"];
    let shown = words(&[&bands[..], &["--band", "looked:ever=view.any()", "--svg", "b.svg"]].concat());
    assert!(shown.contains("people, Bought by Looked;") && shown.contains("EVER"), "{shown}");
    assert!(picture("b.svg").contains("Bought often: ever "));
    let shown = words(&[&bands[..], &["--svg", "b.svg"]].concat());
    assert!(shown.contains("often") && picture("b.svg").contains("<title id=\"name\">Bands: "), "{shown}");
    let shown = words(&["bands", "--rfm=recency,frequency", "--svg", "rfm.svg"]);
    assert!(shown.contains("5: within 30 days") && shown.contains("people, Recency by Frequency"), "{shown}");
    assert!(words(&["bands", "--rfm"]).contains("Value 5: 1000.00 and more"));
    let (_, refused) = desk.ends(REFUSED, &[&["bands", "--rfm=money"], ask].concat());
    assert!(refused.contains("`recency`, `frequency` or `monetary`"), "{refused}");
    assert!(words(&["cuts", "list"]).starts_with("No cut points yet"));
    let cuts = ["cuts", "release", "spend", "rfm.monetary", "--bands", "2", "--from", "5", "--to", "200"];
    let preview = words(&[&cuts[..], &["--preview"]].concat());
    assert!(
        preview.contains("Nothing was spent") && words(&["cuts", "list"]).starts_with("No cut points"),
        "{preview}"
    );
    let few = words(&cuts);
    assert!(few.starts_with("No cut points: too few people for 2 bands at this price"), "{few}");
    assert!(few.contains("or pay about rho ") && few.contains("price    1 % of this quarter's budget"), "{few}");
    let json = desk.json(&[&cuts[..], ask].concat());
    assert!(json["cut_points"].is_null() && json["release"]["charged"] == false, "{json}");
    let (_, refused) = desk.ends(REFUSED, &[&["cuts", "show", "spend"], ask].concat());
    assert!(refused.contains("these cut points aren't available"), "{refused}");
    let bound = ["bound", "view", "--by", "view.category", "--rho", "0.01", "--most", "100"];
    let preview = words(&[&bound[..], &["--preview"]].concat());
    assert!(preview.contains("Nothing was spent"), "{preview}");
    let suggested = words(&bound);
    let is_bound = suggested.contains("view: at most ") && suggested.contains("In a table: --count view:");
    assert!(is_bound, "{suggested}");
    let json = desk.json(&[&bound[..], &["--for-rho", "0.05"], ask].concat());
    assert!(json["bound"]["bound"].is_string() && json["release"]["charged"] == false, "{json}");
    assert_eq!(json["bound"]["for_rho"], "0.05");
    let (_, refused) = desk.ends(REFUSED, &[&["bound", "region"], ask].concat());
    assert!(refused.contains("must be an event, such as `order`, or a number field of one"), "{refused}");
    for halves in [["--by-month", "--most=50"], ["--until", "2026-04-01"]] {
        desk.ends(USAGE, &[&["bound", "order"], &halves[..], ask].concat());
    }
    let (_, refused) = desk.ends(REFUSED, &[&["bound", "order", "--least", "8", "--most", "9"], ask].concat());
    assert!(refused.contains("round numbers between them"), "{refused}");
    let table = words(&["table", "--by", "region", "--bins", "household_size=2,4"]);
    assert!(table.contains("2 to below 4"), "{table}");
    let table = words(&["table", "--count", "order:12", "--count", "order.amount:300.00"]);
    assert!(table.contains("order.amount per order: ") && table.contains("Who reaches a bound"), "{table}");
    let by_product = ["table", "--by", "order.category", "--count", "order:12", "--weighed"];
    let json = desk.json(&[&by_product[..], ask].concat());
    let table = &json["release"]["tables"][0];
    let half = |cell: &Value| cell["high"].as_f64().unwrap() - cell["low"].as_f64().unwrap();
    let halves: Vec<f64> = table["cells"].as_array().unwrap().iter().map(half).collect();
    let squares = halves.iter().map(|half| half * half / 4.0).sum::<f64>() / halves.len() as f64;
    let stated = json["plan"]["half_width"].as_f64().unwrap();
    assert!(squares.sqrt() <= 1.001 * stated && squares.sqrt() > 0.9 * stated, "{halves:?}, {stated}");
    assert_eq!(json["plan"]["half_widths_differ"], true);
    assert!(words(&[&by_product[..], &["--preview"]].concat()).contains("on average (frequent ones more, rare ones"));
    let (_, refused) = desk.ends(REFUSED, &[&["table", "--by", "region", "--weighed"], ask].concat());
    assert!(refused.contains("by fields of events alone, with at least four cells"), "{refused}");
    assert!(words(&["table", "--weekdays-of", "order"]).contains("Wednesday"));
    let back = words(&["retention", "order", "--by-month", "--from", from, "--svg", "r.svg"]);
    assert!(back.contains("FIRST MONTH") && back.contains("+1"), "{back}");
    assert!(picture("r.svg").contains("who came back so many months later"));
    let mean = words(&["mean", "household_size", "--spread", "--svg", "m.svg"]);
    assert!(mean.contains("mean of household_size") && mean.contains("deviation of household_size"), "{mean}");
    assert!(picture("m.svg").contains("household_size among"));
    let top = words(&["top", "order.category", "-n", "3", "--svg", "top.svg"]);
    assert!(top.contains("1. ") && top.contains("3. ") && !top.contains("4. "), "{top}");
    assert!(top.contains("drawn with noise too") && picture("top.svg").contains("Top values: "), "{top}");
    let spread = ["distribution", "household_size=2..8", "--quantiles", "50,90"];
    let shown = words(&[&spread[..], &["--svg", "d.svg"]].concat());
    assert!(shown.contains("2 to below 3") && (shown.contains("median: ") || shown.contains("Too few")), "{shown}");
    assert!(picture("d.svg").contains("<title id=\"name\">Distribution: "));
    let json = desk.json(&[&spread[..], ask].concat());
    assert!(json["quantiles"].as_array().unwrap().iter().all(|one| one["permille"].as_u64().is_some()), "{json}");

    let portrait = desk.json(&[&["portrait", "--title", "Us & <them>"], ask].concat());
    assert!(portrait["text"].as_str().unwrap().contains("people"), "{}", portrait["text"]);
    a_whole_portrait_of_a_small_shop(desk, ask);
    desk.ends(USAGE, &[&["funnel", "--step", "order.count() == 2"], ask].concat());
    desk.ends(USAGE, &[&["trend", "order", "--from", from, "--count", "order"], ask].concat());
}

/// A page, its picture and its numbers: of a few hundred people it says what to ask instead.
fn a_whole_portrait_of_a_small_shop(desk: &Desk, ask: &[&str]) {
    let buyers = "order.any()";
    let (preview, _) = desk.ends(DONE, &[&["portrait", "--whole", "--preview", buyers], ask].concat());
    assert!(preview.contains("rho 0.02 ") && preview.contains("Readable for segments of about "), "{preview}");
    let page = ["portrait", "--whole", "--svg", "whole.svg", "--title", "Buyers & <others>", buyers];
    let (words, _) = desk.ends(DONE, &[&page[..], ask].concat());
    assert!(words.contains(" people") && words.contains("What helps: ask only how many they are"), "{words}");
    assert!(!words.contains("█") && !words.contains("Over-represented"), "noise is not drawn: {words}");
    let svg = std::fs::read_to_string(desk.path("whole.svg")).unwrap();
    assert!(svg.contains("Buyers &amp; &lt;others&gt;") && svg.contains("What helps: "), "{svg}");
    let json = desk.json(&[&["portrait", "--whole", buyers], ask].concat());
    assert_eq!(json["release"]["charged"], false, "asked before");
    let panels = json["panels"].as_array().unwrap();
    assert_eq!(panels.len(), json["release"]["tables"].as_array().unwrap().len());
    assert!(panels.iter().all(|panel| panel["advice"].is_string()), "{json}");
    // One part alone is more accurate at a smaller price.
    let clear = [&["portrait", "--whole", "--parts", "bands", "--rho", "0.005", buyers], ask].concat();
    let (words, _) = desk.ends(DONE, &clear);
    assert!(words.contains("Recency") || words.contains("Too few people for "), "{words}");
    desk.ends(USAGE, &[&["portrait", "--parts", "bands", buyers], ask].concat());
    let (_, words) = desk.ends(REFUSED, &[&["portrait", "--whole", "--parts", "faces"], ask].concat());
    assert!(words.contains("`fields`, `bands`, `hours`, `weekdays` and `trend`"), "{words}");
}

#[test]
fn the_demo_shows_everything_and_ends_well() {
    let desk = Desk::new();
    let (told, _) = desk.ends(DONE, &["demo", "--consumers", "8000"]);
    let shown = [
        "Ceramics lovers",
        "filled a cart",
        "People with orders",
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
