//! What a person is given through the portal, as files: a package that is whole, a page that is safe to open, receipts that
//! anyone can check and nobody can change.

use super::cli::{Desk, Served};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

const DONE: i32 = 0;
const USAGE: i32 = 2;
const REFUSED: i32 = 3;
const NOT_VERIFIED: i32 = 5;

impl Desk {
    /// Runs for the person whose key is on standard input, as the portal.
    pub(super) fn for_person(&self, code: i32, key: &str, arguments: &[&str]) -> (String, String) {
        use std::io::Write;
        let mut command = self.command(&[&["subject"], arguments, &["--key", "portal-key.toml"]].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        assert!(!out.contains(key.trim()) && !err.contains(key.trim()), "a key is said back:\n{out}\n{err}");
        (out, err)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn read_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Runs the offline verifier on the text of a receipt.
    pub(super) fn verify(&self, what: &str, text: &str, vkey: &str) -> Result<String, String> {
        let file = self.path("to-verify.json");
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verify-under-test"));
        let output = command.args([what, file.to_str().unwrap(), "--key", vkey]).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        if output.status.success() { Ok(line) } else { Err(line) }
    }
}

/// A served co-operative with a portal, and the log's verifier key.
fn co_operative() -> (Desk, Served, String) {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    let served = Served::start(&mut desk, &config);
    for (name, role) in [("shop", "producer"), ("portal", "portal"), ("audit", "officer")] {
        desk.ends(DONE, &["client", "create", "--name", name, "--role", role]);
    }
    desk.ends(DONE, &["generate", "--consumers", "60", "--events", "900", "--out", "files"]);
    let import = ["import", "--mapping", "files/mapping.toml", "--source", "files", "--key", "shop-key.toml"];
    desk.ends(DONE, &[&import[..], &["--create-as", "silhouette-key.toml"]].concat());
    let vkey = desk.json(&["audit", "key", "--key", "audit-key.toml"])["verifier_key"].as_str().unwrap().to_owned();
    (desk, served, vkey)
}

/// Keys of the co-operative's first members.
fn members(desk: &Desk) -> Vec<String> {
    let mut reader = csv::Reader::from_path(desk.path("files/consumers.csv")).unwrap();
    reader.records().take(6).map(|row| row.unwrap()[0].to_owned()).collect()
}

/// What of a package another controller takes over.
fn portable(package: &Value) -> Value {
    let list = |name: &str| package[name].as_array().unwrap().clone();
    let events = list("events").into_iter().map(|mut events| {
        for row in events["rows"].as_array_mut().unwrap() {
            row["id"].take();
        }
        events["rows"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
        events
    });
    let consents = list("consents")
        .into_iter()
        .map(|consent| ["purpose", "act", "basis", "at", "expires"].map(|name| consent[name].clone()).to_vec());
    serde_json::json!([list("attributes"), events.collect::<Vec<_>>(), consents.collect::<Vec<_>>(), list("standings")])
}

/// Every place of a document at which there is a text or a number, by its path.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| places(value, &format!("{path}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| places(value, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

fn changed(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
        Value::String(text) if text.is_empty() => Value::from("x"),
        Value::String(text) => {
            // In the middle, so that a text of several lines is changed where it says something.
            let mut chars: Vec<char> = text.chars().collect();
            let at = chars.len() / 2;
            chars[at] = if chars[at] == '1' { '2' } else { '1' };
            Value::from(chars.into_iter().collect::<String>())
        }
        _ => Value::from("something"),
    }
}

/// `/intents/0/leaf` is said as `intents[0].leaf`.
fn said(path: &str) -> String {
    let parts = path.trim_start_matches('/').split('/');
    parts.fold(String::new(), |said, part| match part.parse::<usize>() {
        Ok(at) => format!("{said}[{at}]"),
        Err(_) if said.is_empty() => part.to_owned(),
        Err(_) => format!("{said}.{part}"),
    })
}

#[test]
fn a_person_is_shown_corrected_restricted_and_erased_and_can_prove_it() {
    let (desk, _served, vkey) = co_operative();
    let members = members(&desk);
    let (me, other) = (members[0].as_str(), members[1].as_str());

    // The package, twice in two folders and never over another.
    let (words, _) = desk.for_person(DONE, me, &["access", "-d", "coop", "--out", "mine"]);
    assert!(words.contains("fulfilled"), "{words}");
    desk.for_person(1, me, &["access", "-d", "coop", "--out", "mine"]);
    for name in ["mine/access-package.json", "mine/access-package.html"] {
        assert_eq!(std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let package = desk.read_json("mine/access-package.json");
    assert_eq!((&package["format"], &package["version"]), (&"silhouette.access-package".into(), &2.into()));
    let page = desk.read("mine/access-package.html");
    assert!(page.contains(me) && !page.contains(other));
    for unsafe_part in ["<script", "src=", "<link", "@import", "url(", "javascript:", "<form", "<iframe"] {
        assert!(!page.contains(unsafe_part), "{unsafe_part}");
    }

    // Portability: another dataset with the same fields takes the tables as they are, and then holds the same.
    let schema = desk.read("files/schema.toml").replace("dataset = \"coop\"", "dataset = \"elsewhere\"");
    std::fs::write(desk.path("elsewhere.toml"), schema).unwrap();
    desk.ends(DONE, &["schema", "create", "elsewhere.toml"]);
    desk.for_person(DONE, me, &["access", "-d", "coop", "--out", "moving", "--tables"]);
    let (text, _) = desk.ends(DONE, &["schema", "show", "coop", "--version", "1"]);
    assert_eq!(text, desk.read("files/schema.toml"), "a description comes back as it was published");
    let versions = desk.json(&["schema", "list", "coop"])["versions"].clone();
    assert_eq!((versions.as_array().unwrap().len(), &versions[0]["current"]), (1, &true.into()));
    let mapping = desk.read("moving/mapping.toml").replace("dataset = \"coop\"", "dataset = \"elsewhere\"");
    std::fs::write(desk.path("moving/mapping.toml"), mapping).unwrap();
    let import = ["import", "--mapping", "moving/mapping.toml", "--source", "moving", "--schema", "elsewhere.toml"];
    desk.ends(DONE, &[&import[..], &["--key", "shop-key.toml"]].concat());
    desk.for_person(DONE, me, &["access", "-d", "elsewhere", "--out", "moved"]);
    let moved = desk.read_json("moved/access-package.json");
    assert_eq!(portable(&moved), portable(&package));

    // Rectification, restriction, objection; each is in the next package.
    std::fs::write(desk.path("values"), "region=coast\n").unwrap();
    desk.for_person(DONE, me, &["correct", "-d", "coop", "--values", "values", "--empty", "age_band"]);
    let (_, words) = desk.for_person(REFUSED, me, &["correct", "-d", "coop", "--set", "region=atlantis"]);
    assert!(!words.contains("atlantis"), "a value is said back: {words}");
    desk.for_person(DONE, me, &["restrict", "-d", "coop"]);
    desk.for_person(DONE, me, &["object", "-d", "coop", "--purpose", "marketing"]);
    let (uses, _) = desk.for_person(DONE, me, &["uses", "-d", "coop", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&uses).unwrap(),
        serde_json::json!({ "releases": [], "audiences": [], "recipients": [] })
    );
    desk.for_person(DONE, me, &["access", "-d", "coop", "--out", "later"]);
    let later = desk.read_json("later/access-package.json");
    let value = |package: &Value, name: &str| {
        let all = package["attributes"].as_array().unwrap();
        all.iter().find(|held| held["column"]["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!((value(&later, "region"), value(&later, "age_band")), ("coast".into(), Value::Null));
    assert_eq!(later["restricted"], true);
    let asked: Vec<_> = later["requests"].as_array().unwrap().iter().map(|request| &request["right"]).collect();
    assert_eq!(asked, ["access", "access", "rectification", "restriction", "objection", "access"]);
    desk.for_person(DONE, me, &["unrestrict", "-d", "coop"]);

    // Consent receipts open the log's commitments, for whoever holds them.
    let agrees = ["consent", "give", "-d", "coop", "--subject", me, "--purpose", "sharing.partner.greenbox"];
    let how = ["--method", "phone", "--notice", "4", "--language", "pt-BR", "--key", "shop-key.toml"];
    desk.ends(DONE, &[&agrees[..], &how].concat());
    desk.for_person(DONE, me, &["receipts", "-d", "coop", "--verifier-key", &vkey]);
    let receipts = desk.read("consent-receipts.json");
    let line = desk.verify("consent", &receipts, &vkey).unwrap();
    assert!(line.contains("withdrawn marketing") && line.contains("; notice 3 in force"), "{line}");
    let shared =
        "command-line; by phone; in language pt-BR; shown notice 4; notice 3 in force; shared with partners/greenbox";
    assert!(line.contains(shared), "{line}");
    every_change_is_named(&desk, "consent", &receipts, &vkey, &["receipts"]);
    assert!(line.contains("may have been left out"), "{line}");
    let mut twice: Value = serde_json::from_str(&receipts).unwrap();
    let first = twice["receipts"][0].clone();
    twice["receipts"].as_array_mut().unwrap().push(first);
    let problem = desk.verify("consent", &twice.to_string(), &vkey).unwrap_err();
    assert!(problem.contains("does not come after the entry before it"), "{problem}");

    // An erasure asks, and takes all or none.
    let (_, words) = desk.for_person(USAGE, me, &["erase", "-d", "coop"]);
    assert!(words.contains("--yes"), "{words}");
    let some = format!("{other}\nstranger-1\n");
    desk.for_person(REFUSED, &some, &["erase", "-d", "coop", "--yes"]);
    assert!(!desk.path("erasure-receipt.json").exists());
    let two = format!("{me}\n{}\n", members[2]);
    let (answer, _) = desk.for_person(DONE, &two, &["erase", "-d", "coop", "--yes", "--json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["request"]["right"], &answer["request"]["fulfilled"]), (&"erasure".into(), &true.into()));
    let receipt = desk.read("erasure-receipt.json");
    let line = desk.verify("receipt", &receipt, &vkey).unwrap();
    assert!(line.starts_with("verified: 2 people erased from `coop`"), "{line}");
    assert!(!members.iter().any(|key| receipt.contains(key.as_str())));
    let all = ["receipt", "intents", "outcome", "confirmation", "format", "version", "verifier_key"];
    every_change_is_named(&desk, "receipt", &receipt, &vkey, &all);

    // Nobody is erased twice, and nothing is said to be fulfilled that is not.
    for person in [me, "stranger-1"] {
        let (out, words) = desk.for_person(REFUSED, person, &["erase", "-d", "coop", "--yes", "--out", "again.json"]);
        assert!(words.contains("no such subject") && !out.contains("ulfilled"), "{out}{words}");
        assert!(!desk.path("again.json").exists(), "a receipt of nothing");
        desk.for_person(REFUSED, person, &["access", "-d", "coop", "--out", "again"]);
        assert!(!desk.path("again/access-package.html").exists());
    }
    desk.for_person(DONE, other, &["access", "-d", "coop", "--out", "others"]);
    let verified = desk.json(&["audit", "verify", "--verifier-key", &vkey, "--key", "audit-key.toml"]);
    assert_eq!(verified["verified"], true);
}

/// Changes a receipt at each place under some members, one at a time; each must be found, and named.
fn every_change_is_named(desk: &Desk, what: &str, receipt: &str, vkey: &str, under: &[&str]) {
    let sound: Value = serde_json::from_str(receipt).unwrap();
    let mut all = Vec::new();
    places(&sound, "", &mut all);
    let wanted = |path: &&String| under.contains(&path.split('/').nth(1).unwrap_or_default());
    let all: Vec<&String> = all.iter().filter(wanted).collect();
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        let mut other = sound.clone();
        let place = other.pointer_mut(path).unwrap();
        *place = changed(place);
        let problem = desk.verify(what, &other.to_string(), vkey).unwrap_err();
        // An act is committed to as one.
        let named = said(path);
        let event = named.split_once(".event.").map(|(receipt, _)| format!("`{receipt}.event` ("));
        let found = problem.contains(&format!("`{named}`")) || event.is_some_and(|event| problem.contains(&event));
        assert!(problem.starts_with("NOT VERIFIED: ") && found, "{named}: {problem}");
    }
    let mut more = sound.clone();
    more["extra"] = 1.into();
    assert!(desk.verify(what, &more.to_string(), vkey).unwrap_err().contains("`extra`"));
}

#[test]
fn a_receipt_of_another_log_does_not_verify() {
    let (desk, _served, vkey) = co_operative();
    let members = members(&desk);
    desk.for_person(DONE, &members[0], &["erase", "-d", "coop", "--yes"]);
    let receipt = desk.read("erasure-receipt.json");
    assert!(desk.verify("receipt", &receipt, &vkey).is_ok());
    let (elsewhere, _other, other_key) = co_operative();
    assert!(desk.verify("receipt", &receipt, &other_key).is_err());
    let (_, words) =
        elsewhere.for_person(NOT_VERIFIED, &members[0], &["erase", "-d", "coop", "--yes", "--verifier-key", &vkey]);
    assert!(words.contains("verifier_key"), "{words}");
    assert!(elsewhere.path("erasure-receipt.json").exists(), "it is kept all the same");
}

/// Someone whose till sends an event every few minutes, for years.
const BUSY: &str = r#"
version = 1
dataset = "till"
organization = "hill"
population = "till"
display = "Tills"
time_zone = "Europe/London"
subject_key = "till"
purposes = ["marketing.segmentation"]
[[attributes]]
name = "till"
class = "identifier"
type = "identifier"
max_bytes = 40
[[events]]
name = "sale"
max_per_subject = 100
[[events.fields]]
name = "goods"
class = "behavioral"
type = "enum"
domain = ["bread and rolls of every kind", "cakes", "milk, butter, cheese and other things from the dairy"]
[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "0"
max = "100"
"#;

const BUSY_MAPPING: &str = r#"
version = 1
dataset = "till"
[[files]]
path = "FILE"
subject = "till"
[[files.events]]
type = "sale"
time = "at"
id = ["number"]
fields = { goods = "goods", amount = "amount" }
"#;

#[test]
fn whoever_has_three_hundred_thousand_events_is_shown_all_of_them() {
    const EVENTS: usize = 300_000;
    const GOODS: [&str; 3] =
        ["bread and rolls of every kind", "cakes", "\"milk, butter, cheese and other things from the dairy\""];
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    let _served = Served::start(&mut desk, &config);
    for (name, role) in [("shop", "producer"), ("portal", "portal")] {
        desk.ends(DONE, &["client", "create", "--name", name, "--role", role]);
    }
    std::fs::write(desk.path("schema.toml"), BUSY).unwrap();
    desk.ends(DONE, &["schema", "create", "schema.toml"]);
    // Two parts: one is folded, the other not, and they lie between each other in time.
    for part in 0..2 {
        let mut rows = "till,number,at,goods,amount\n".to_owned();
        for number in (part..EVENTS).step_by(2) {
            let minutes = number * 7;
            let day = policy::time::Timestamp(1_500_000_000_000_000 + i64::try_from(minutes * 60_000_000).unwrap());
            let at = jiff::Timestamp::from_microsecond(day.0).unwrap();
            rows.push_str(&format!("t1,{number},{at},{},{}.25\n", GOODS[number % 3], number % 100));
        }
        let (file, mapping) = (format!("sales-{part}.csv"), format!("mapping-{part}.toml"));
        std::fs::write(desk.path(&file), rows).unwrap();
        std::fs::write(desk.path(&mapping), BUSY_MAPPING.replace("FILE", &file)).unwrap();
        let import = ["import", "--mapping", &mapping, "--source", ".", "--key", "shop-key.toml"];
        desk.ends(DONE, &import);
        if part == 0 {
            desk.ends(DONE, &["epoch", "close", "-d", "till"]);
        }
    }
    let (words, _) = desk.for_person(DONE, "t1", &["access", "-d", "till", "--out", "mine"]);
    assert!(words.contains("300,000 records") && words.contains("events-sale.csv"), "{words}");
    assert!(!words.contains("changed while"), "{words}");

    let package = desk.read_json("mine/access-package.json");
    let rows = package["events"][0]["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &package["changed"]), (EVENTS, &false.into()));
    let instants: Vec<&str> = rows.iter().map(|row| row["at"].as_str().unwrap()).collect();
    assert!(instants.is_sorted(), "oldest first");
    for number in [0, 1, 2, EVENTS / 2, EVENTS - 1] {
        let values = &rows[number]["values"];
        let expected = serde_json::json!([GOODS[number % 3].trim_matches('"'), format!("{}.25", number % 100)]);
        assert_eq!(*values, expected, "{number}");
    }
    assert_eq!(csv::Reader::from_path(desk.path("mine/events-sale.csv")).unwrap().records().count(), EVENTS);
    let page = desk.read("mine/access-package.html");
    assert!(page.contains("300,000 records") && page.contains("August 2017") && page.contains("events-sale.csv"));
    assert!(page.len() < 100_000, "{} bytes are no page to read", page.len());
}

#[test]
fn what_a_law_keeps_is_said_on_the_receipt_and_goes_when_the_hold_is_released() {
    let (desk, _served, vkey) = co_operative();
    let me = members(&desk)[0].clone();
    std::fs::write(desk.path("whose"), format!("{me}\n")).unwrap();
    let of = ["-d", "coop"];
    let place = |code, fields: &[&str], ground: &str| {
        let fields: Vec<&str> = fields.iter().flat_map(|field| ["--field", field]).collect();
        let place = ["hold", "place", "--subject-file", "whose", "--ground", ground];
        desk.ends(code, &[&place[..], &of, &fields].concat())
    };
    // Refusals say what is wrong, and hold nothing.
    assert!(place(REFUSED, &["nowhere"], "tax-act-147").1.contains("fields"));
    place(USAGE, &[], "tax-act-147");
    assert!(place(REFUSED, &["order"], "tax act 147").1.contains("ground"));
    desk.ends(REFUSED, &[&["hold", "list", "--key", "portal-key.toml"][..], &of].concat());
    desk.ends(REFUSED, &[&["hold", "release", "0"][..], &of].concat());
    assert_eq!(desk.json(&[&["hold", "list"][..], &of].concat())["holds"], serde_json::json!([]));

    let (words, _) = place(DONE, &["order", "region"], "tax-act-147");
    assert!(words.contains("region, order (tax-act-147)") && !words.contains(&me), "{words}");
    desk.for_person(DONE, &me, &["access", "-d", "coop", "--out", "mine"]);
    let told = &desk.read_json("mine/access-package.json")["holds"][0];
    assert_eq!((&told["ground"], &told["fields"]), (&"tax-act-147".into(), &serde_json::json!(["region", "order"])));
    assert!(desk.read("mine/access-package.html").contains("Held by law: region, order"));

    let (answer, _) = desk.for_person(DONE, &me, &["erase", "-d", "coop", "--yes", "--json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let request = &answer["request"];
    assert_eq!((&request["fulfilled"], &request["partly_held"]), (&false.into(), &true.into()));
    let receipt = desk.read("erasure-receipt.json");
    let line = desk.verify("receipt", &receipt, &vkey).unwrap();
    assert!(line.contains("\n  erased but for: region, order (tax-act-147)\n"), "{line}");
    let told: Value = serde_json::from_str(&receipt).unwrap();
    for (path, other) in [("/receipt/held/0/fields/1", "email"), ("/receipt/held/0/ground", "tax-act-148")] {
        let mut changed = told.clone();
        *changed.pointer_mut(path).unwrap() = other.into();
        assert!(desk.verify("receipt", &changed.to_string(), &vkey).unwrap_err().contains("`receipt.held`"));
    }
    let mut hidden = told.clone();
    hidden["receipt"].as_object_mut().unwrap().remove("held");
    assert!(desk.verify("receipt", &hidden.to_string(), &vkey).is_err());

    // Nobody is shown what is held.
    desk.for_person(REFUSED, &me, &["access", "-d", "coop", "--out", "again"]);
    let listed = desk.json(&[&["hold", "list"][..], &of].concat());
    assert_eq!(listed["holds"][0]["erasure_waits"], true);
    assert!(!listed.to_string().contains(&me));
    let number = listed["holds"][0]["number"].to_string();
    let release = |out| desk.ends(DONE, &[&["hold", "release", &number, "--out", out][..], &of].concat()).0;
    let words = release("rest.json");
    assert!(words.contains("Request fulfilled") && words.contains("verified: 1 person erased"), "{words}");
    let line = desk.verify("receipt", &desk.read("rest.json"), &vkey).unwrap();
    assert!(!line.contains("but for"), "{line}");
    assert_eq!(desk.json(&[&["hold", "list"][..], &of].concat())["holds"], serde_json::json!([]));
    release("once-more.json");
    assert_eq!(desk.read_json("once-more.json")["receipt"], desk.read_json("rest.json")["receipt"], "asked again");
    let verified = desk.json(&["audit", "verify", "--verifier-key", &vkey, "--key", "audit-key.toml"]);
    assert_eq!(verified["verified"], true);
}
