//! The layering law as a test: which crate may use which, who may name the store, the noise, the ciphers, the network
//! and the clock, and what lies at the top of the tree.
//!
//! It reads text, not types: comments and string literals are blanked, then whole words are looked for. A crate renamed
//! with `as` is still named once, in the `use` that renames it, so it is still found. What a macro of a dependency
//! expands to is not seen.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Words that may stand only in the files under `homes`; paths are relative to the root, without `.rs`.
struct Rule {
    why: &'static str,
    words: &'static [&'static str],
    /// Where the rule looks.
    scope: &'static [&'static str],
    /// Where the words are at home.
    homes: &'static [&'static str],
    /// Whether unit tests (modules under `#[cfg(test)]`, in files of their own) are bound by it too.
    in_tests: bool,
}

const PRODUCT: &[&str] = &["proto/src", "policy/src", "vault/src", "gateway/src"];
/// The tool that attacks what is stored.
const THIEF: &str = "tests/attack/thief";

const RULES: &[Rule] = &[
    Rule {
        why: "only vault::store names sled, so that another engine can stand there",
        words: &["sled"],
        scope: PRODUCT,
        homes: &["vault/src/store"],
        in_tests: true,
    },
    Rule {
        why: "only vault::release names opendp, so that all noise is drawn in one place",
        words: &["opendp"],
        scope: PRODUCT,
        homes: &["vault/src/release"],
        in_tests: true,
    },
    Rule {
        why: "keys and ciphers are named by vault's keys, blocks, pseudonym and log, by the gateway's authn for tokens, \
              and by the verifier that stands alone",
        words: &["ring", "aes_gcm"],
        scope: PRODUCT,
        homes: &[
            "vault/src/keys",
            "vault/src/blocks",
            "vault/src/pseudonym",
            "vault/src/log",
            "gateway/src/authn",
            "gateway/src/verify",
        ],
        in_tests: true,
    },
    Rule {
        why: "only the gateway is asynchronous and speaks to a network",
        words: &["tokio", "tokio_stream", "axum", "hyper", "tower", "TcpListener", "TcpStream", "UdpSocket"],
        scope: PRODUCT,
        homes: &["gateway/src"],
        in_tests: true,
    },
    Rule {
        why: "only the wire contract and the gateway know gRPC",
        words: &["tonic", "prost", "proto"],
        scope: PRODUCT,
        homes: &["proto/src", "gateway/src"],
        in_tests: true,
    },
    Rule {
        why: "only gateway::clock reads a clock; everything else takes `now`",
        words: &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"],
        scope: PRODUCT,
        homes: &["gateway/src/clock"],
        in_tests: true,
    },
    Rule {
        why: "policy is pure: no input or output, no environment, no threads, no randomness",
        words: &["std::fs", "std::io", "std::net", "std::env", "std::thread", "std::process", "rand", "getrandom"],
        scope: &["policy/src"],
        homes: &[],
        in_tests: false,
    },
    Rule {
        why: "only vault::disk changes files, so that tests can count, refuse and take back every step; the databases are \
              the engine's",
        words: &[
            "File::create",
            "File::create_new",
            "File::options",
            "OpenOptions",
            "DirBuilder",
            "fs::write",
            "fs::rename",
            "fs::copy",
            "fs::remove_file",
            "fs::remove_dir",
            "fs::remove_dir_all",
            "fs::create_dir",
            "fs::create_dir_all",
        ],
        scope: &["vault/src"],
        // The check of files has its tests in its own file.
        homes: &["vault/src/disk", "vault/src/store", "vault/src/fsck"],
        in_tests: false,
    },
    Rule {
        why: "only tests watch the disk: nothing that is shipped can refuse a step",
        words: &["Disk::observed", "Observer"],
        scope: &["vault/src", "gateway/src"],
        homes: &["vault/src/disk"],
        in_tests: false,
    },
    Rule {
        why: "the wire contract knows none of our crates",
        words: &["policy", "vault", "gateway"],
        scope: &["proto/src/lib"],
        homes: &[],
        in_tests: true,
    },
    Rule {
        why: "the offline verifier shares no code with the writer",
        words: &["vault", "policy", "proto", "gateway", "crate::log"],
        scope: &["gateway/src/verify"],
        homes: &[],
        in_tests: false,
    },
    Rule {
        why: "the thief reads the formats by itself, so that it finds what our readers overlook; ciphers it may name",
        words: &["vault", "policy", "proto", "gateway", "harness", "sled", "super::super"],
        scope: &[THIEF],
        homes: &[],
        in_tests: true,
    },
];

/// Crate edges, and no others.
const EDGES: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("policy", &[]),
    ("vault", &["policy"]),
    ("gateway", &["policy", "proto", "vault"]),
    ("tests", &["gateway", "policy", "proto", "vault"]),
];

/// Which of our crates may depend on a crate at all.
const DEPENDENTS: &[(&str, &[&str])] = &[
    ("sled", &["vault"]),
    ("opendp", &["vault"]),
    ("aes-gcm", &["vault"]),
    ("cedar-policy", &["policy"]),
    ("cel", &["policy"]),
    ("axum", &["gateway"]),
    ("tokio", &["gateway", "tests"]),
    ("tonic", &["proto", "gateway", "tests"]),
];

const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "deploy",
    "gateway",
    "policy",
    "proto",
    "tests",
    "vault",
];
const TOP_LEVEL_DOT: &[&str] = &[".ci", ".clippy.toml", ".config", ".deny.toml", ".git", ".gitignore", ".rustfmt.toml"];

/// Data sets that a mapping describes; code that knows one by name does not import what it has never seen.
const DATASET_NAMES: &[&str] = &["completejourney", "online_retail", "uci_adult", "pums"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file with the extension under the folder, as (path relative to the root, text), in a stable order.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == extension) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Blanks comments, string and character literals; keeps every line break, so that line numbers hold.
fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest, out.chars().next_back());
        if skipped == 0 {
            out.push(first);
            rest = rest.strip_prefix(first).unwrap();
        } else {
            let (gone, kept) = rest.split_at(skipped);
            out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = kept;
        }
    }
    out
}

/// How many bytes of a comment or literal `rest` begins with; 0 if neither.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return quoted(rest);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && rest.starts_with('r') {
        let hashes = rest.chars().skip(1).take_while(|c| *c == '#').count();
        if rest.chars().nth(1 + hashes) == Some('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return rest.split_at(body).1.find(&end).map_or(rest.len(), |at| body + at + end.len());
        }
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    0
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// Lines (from 1) on which `word` stands as a whole word.
fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let on_line = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = line.split_at(at);
            boundary(before.chars().next_back()) && boundary(after.strip_prefix(word).and_then(|a| a.chars().next()))
        })
    };
    text.lines().zip(1..).filter(|(line, _)| on_line(line)).map(|(_, number)| number).collect()
}

/// A crate is *named* where a path or `use` begins with it, not where a local variable happens to be called so.
fn names(code: &str, word: &str) -> Vec<usize> {
    if word.contains("::") || word.contains('.') || word.starts_with(char::is_uppercase) {
        return lines_with(code, word);
    }
    let lines: Vec<&str> = code.lines().collect();
    let of_path = |number: &usize| {
        let line = lines.get(number - 1).unwrap();
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = line.split_at(at);
            begins_a_path(before, after.strip_prefix(word).unwrap().trim_start())
        })
    };
    lines_with(code, word).into_iter().filter(of_path).collect()
}

/// Whether a word with this text before and after it is the crate of a path or of a `use`.
fn begins_a_path(before: &str, after: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let inside = match before.strip_suffix("::") {
        Some(parent) => parent.ends_with(is_word) || parent.ends_with('>'),
        None => before.ends_with(is_word),
    };
    let import = ["use ", "use ::", "extern crate "].iter().any(|keyword| before.ends_with(keyword));
    (after.starts_with("::") && !inside) || (import && (after.starts_with(';') || after.starts_with("as ")))
}

fn under(path: &str, folder: &str) -> bool {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Files, without `.rs`, of the modules that a source file declares under `#[cfg(test)]`.
fn test_modules(path: &str, source: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap();
    let folder = ["/mod", "/lib", "/main"].iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem);
    let mut found = Vec::new();
    let mut is_test = false;
    for line in code_only(source).lines().map(str::trim) {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        if line == "#[cfg(test)]" {
            is_test = true;
        } else if let Some(name) =
            line.trim_start_matches("pub(crate) ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
        {
            found.extend(is_test.then(|| format!("{folder}/{name}")));
            is_test = false;
        } else if line.ends_with([';', '}', '{']) {
            is_test = false;
        }
    }
    found
}

/// What one source file does against the rules: `path:line names word: why`.
fn against_rules(path: &str, source: &str, tests: &[String]) -> Vec<String> {
    let code = code_only(source);
    let is_test = tests.iter().any(|test| under(path, test));
    let applies = |rule: &&Rule| {
        (rule.in_tests || !is_test)
            && rule.scope.iter().any(|folder| under(path, folder))
            && !rule.homes.iter().any(|home| under(path, home))
    };
    let mut found = Vec::new();
    for rule in RULES.iter().filter(applies) {
        for word in rule.words {
            found.extend(names(&code, word).iter().map(|line| format!("{path}:{line} names `{word}`: {}", rule.why)));
        }
    }
    found
}

/// Which dependencies of one `Cargo.toml` are not allowed.
fn against_edges(name: &str, manifest: &str) -> Vec<String> {
    let manifest: toml::Table = toml::from_str(manifest).unwrap();
    let ours: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let allowed = EDGES.iter().find(|(krate, _)| *krate == name).map_or(&[] as &[&str], |(_, to)| to);
    let mut found = Vec::new();
    for (section, table) in sections(&manifest) {
        for dependency in table.keys().map(String::as_str) {
            let edge_ok = !ours.contains(dependency) || allowed.contains(&dependency);
            let crate_ok =
                DEPENDENTS.iter().find(|(krate, _)| *krate == dependency).is_none_or(|(_, by)| by.contains(&name));
            if !edge_ok || !crate_ok {
                found.push(format!("{name}/Cargo.toml [{section}]: {name} may not depend on {dependency}"));
            }
        }
    }
    found
}

/// Dependency tables of a manifest, those of a target included.
fn sections(manifest: &toml::Table) -> Vec<(String, &toml::Table)> {
    let mut all = Vec::new();
    for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
        all.extend(manifest.get(key).and_then(toml::Value::as_table).map(|table| (key.to_owned(), table)));
        for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values) {
            all.extend(target.get(key).and_then(toml::Value::as_table).map(|table| (format!("target.{key}"), table)));
        }
    }
    all
}

/// Entries of the top folder that have no place there.
fn strangers<'a>(entries: &'a [String], ignored: &BTreeSet<String>) -> Vec<&'a str> {
    let known = |name: &&str| TOP_LEVEL.contains(name) || TOP_LEVEL_DOT.contains(name) || ignored.contains(*name);
    entries.iter().map(String::as_str).filter(|name| !known(name)).collect()
}

fn show(found: &[String]) -> String {
    found.iter().fold(String::from("\n"), |mut text, line| {
        writeln!(text, "  {line}").unwrap();
        text
    })
}

#[test]
fn layers_name_only_what_they_may() {
    let sources: Vec<_> = PRODUCT.iter().chain([&THIEF]).flat_map(|folder| files(folder, "rs")).collect();
    assert!(sources.len() > 20, "the sources were not found");
    assert!(sources.iter().any(|(path, _)| path.starts_with(THIEF)), "the thief was not found");
    let tests: Vec<String> = sources.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let found: Vec<String> = sources.iter().flat_map(|(path, text)| against_rules(path, text, &tests)).collect();
    assert!(found.is_empty(), "{}", show(&found));
}

#[test]
fn crates_depend_only_along_the_edges() {
    let mut found = Vec::new();
    for (name, _) in EDGES {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        found.extend(against_edges(name, &manifest));
        if !manifest.contains("[lints]\nworkspace = true") {
            found.push(format!("{name}/Cargo.toml does not take the workspace's lints"));
        }
    }
    assert!(found.is_empty(), "{}", show(&found));
}

#[test]
fn no_code_knows_a_data_set_by_name() {
    let mut found = Vec::new();
    for (path, text) in PRODUCT.iter().flat_map(|folder| files(folder, "rs")) {
        for name in DATASET_NAMES {
            found.extend(lines_with(&text, name).iter().map(|line| format!("{path}:{line} knows `{name}`")));
        }
    }
    assert!(found.is_empty(), "{}", show(&found));
}

#[test]
fn the_top_level_is_fixed() {
    let ignored: BTreeSet<String> = std::fs::read_to_string(root().join(".gitignore"))
        .unwrap()
        .lines()
        .map(|line| line.trim_matches('/').to_owned())
        .collect();
    let entries: Vec<String> =
        std::fs::read_dir(root()).unwrap().map(|e| e.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    assert_eq!(strangers(&entries, &ignored), Vec::<&str>::new());
    let missing: Vec<_> = TOP_LEVEL.iter().filter(|name| !entries.iter().any(|e| e == *name)).collect();
    assert!(missing.is_empty(), "missing at the top: {missing:?}");
}

#[test]
fn a_forbidden_import_is_caught() {
    let caught = |path: &str, source: &str| !against_rules(path, source, &[]).is_empty();
    assert!(caught("vault/src/wal.rs", "use sled::Db;"));
    assert!(caught("vault/src/wal.rs", "fn f() -> ::sled::Result<()> {}"));
    assert!(caught("vault/src/wal.rs", "use sled as engine;"));
    assert!(caught("gateway/src/pipeline.rs", "let m = opendp::measurements::make_gaussian();"));
    assert!(caught("gateway/src/http/mod.rs", "use ring::aead;"));
    assert!(caught("vault/src/vault.rs", "use tokio::sync::Mutex;"));
    assert!(caught("policy/src/decide.rs", "use tonic::Status;"));
    assert!(caught("policy/src/decide.rs", "let text = std::fs::read(path);"));
    assert!(caught("gateway/src/pipeline.rs", "let at = std::time::SystemTime::now();"));
    assert!(caught("gateway/src/verify.rs", "use vault::log;"));
    assert!(caught("vault/src/wal/tests.rs", "use sled::Db;"));
    assert!(caught("tests/attack/thief/piece.rs", "use vault::keys;"));
    assert!(!caught("tests/attack/thief/piece.rs", "use ring::aead;"));
}

#[test]
fn what_only_looks_like_a_forbidden_import_passes() {
    let passes = |path: &str, source: &str| against_rules(path, source, &[]) == Vec::<String>::new();
    assert!(passes("vault/src/store/mod.rs", "use sled::Db;"));
    assert!(passes("vault/src/keys.rs", "use ring::aead;"));
    assert!(passes("vault/src/wal.rs", "//! Not through sled::flush, which does not sync.\n/* sled::Db */"));
    assert!(passes(
        "vault/src/wal.rs",
        r##"let a = "sled::Db"; let b = r#"use "sled::Db""#; let c = '"'; f::<'a>(); "##
    ));
    assert!(passes("vault/src/wal.rs", "let ring = buffer.ring; ring.push(1); crate::spring::up(); crate::ring::x()"));
    assert!(passes("gateway/src/clock.rs", "SystemTime::now()"));
}

#[test]
fn unit_tests_are_known_by_their_declaration() {
    let declared = "#[cfg(test)]\n#[expect(clippy::panic, reason = \"tests\")]\nmod samples;\nmod wire;\n#[cfg(test)]\nmod tests {\n}\nmod late;\n#[cfg(test)]\npub(crate) mod shared;";
    let tests = test_modules("policy/src/rules/mod.rs", declared);
    assert_eq!(tests, ["policy/src/rules/samples", "policy/src/rules/shared"]);
    assert_eq!(test_modules("policy/src/lib.rs", declared), ["policy/src/samples", "policy/src/shared"]);
    assert_eq!(test_modules("policy/src/id.rs", declared), ["policy/src/id/samples", "policy/src/id/shared"]);
    let reads = "use std::fs::read;";
    assert!(against_rules("policy/src/rules/samples.rs", reads, &tests).is_empty());
    assert_eq!(against_rules("policy/src/rules/wire.rs", reads, &tests).len(), 1);
    assert_eq!(against_rules("policy/src/rules/samples.rs", "use tokio::fs;", &tests).len(), 1);
}

#[test]
fn a_string_does_not_hide_the_code_after_it() {
    let hidden = "let quote = '\"'; let path = \"a\\\\\"; let raw = r\"\\\"; use sled::Db;";
    assert_eq!(against_rules("vault/src/wal.rs", hidden, &[]).len(), 1);
}

#[test]
fn a_forbidden_edge_is_caught() {
    let depends = |section: &str, on: &str| format!("[{section}]\n{on} = \"1\"\n");
    assert!(against_edges("policy", &depends("dependencies", "serde")).is_empty());
    for (krate, section, on) in [
        ("policy", "dependencies", "vault"),
        ("vault", "dev-dependencies", "proto"),
        ("proto", "build-dependencies", "policy"),
        ("gateway", "dependencies", "sled"),
        ("vault", "target.'cfg(unix)'.dependencies", "tokio"),
    ] {
        assert_eq!(against_edges(krate, &depends(section, on)).len(), 1, "{krate} -> {on}");
    }
}

#[test]
fn a_stranger_at_the_top_is_caught() {
    let entries = ["README.md".to_owned(), "notes.md".to_owned(), "target".to_owned()];
    assert_eq!(strangers(&entries, &BTreeSet::from(["target".to_owned()])), ["notes.md"]);
}
