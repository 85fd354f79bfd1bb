//! What ships under `deploy` is read by the code that reads a user's own, so that it cannot rot.

use gateway::config::Config;
use std::path::{Path, PathBuf};

fn sample(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("deploy").join(name)).unwrap()
}

#[test]
fn the_sample_settings_are_the_defaults() {
    assert_eq!(Config::parse(&sample("silhouette.toml")).unwrap(), Config::default());
}

#[test]
fn the_sample_settings_name_every_key() {
    let text = sample("silhouette.toml");
    let debug = format!("{:?}", Config::default());
    let keys = ["data", "root", "grpc", "http", "admin", "audience", "tls", "scan_threads", "message_bytes"];
    for key in keys {
        assert!(debug.contains(&format!("{key}: ")), "`{key}` is no setting");
        assert!(
            text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# [{key}]")),
            "`{key}` is not in the sample"
        );
    }
}

#[test]
fn the_tls_of_the_sample_can_be_turned_on() {
    let text = sample("silhouette.toml");
    let on = text.replace("# [tls]", "[tls]").replace("# certificate", "certificate").replace("# key = ", "key = ");
    assert!(Config::parse(&on).unwrap().tls.is_some());
}

#[test]
fn the_synopsis_of_the_sample_can_be_turned_on_and_the_manuals_is_one() {
    let text = sample("datasets/coop/schema.toml");
    let on: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let from = on.iter().position(|line| line == "# [synopsis]").unwrap();
    let turned = |(at, line): (usize, &String)| {
        let is_part = (from..from + 4).contains(&at);
        if is_part { line.strip_prefix("# ").unwrap().to_owned() } else { line.clone() }
    };
    let on = on.iter().enumerate().map(turned).collect::<Vec<_>>().join("\n");
    let synopsis = policy::schema::parse(&on).unwrap().synopsis.unwrap();
    assert_eq!((synopsis.fields.len(), synopsis.rho.to_string().as_str()), (4, "0.03"));
    let page = sample("manual/synopsis.md");
    let (_, block) = page.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    assert!(on.contains(block.trim_end()), "the manual and the sample ask for the same");
}

#[test]
fn the_pictures_of_the_readme_are_some_and_carry_no_script() {
    for name in ["portrait.svg", "whole.svg"] {
        let svg = sample(name);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{name}");
        assert!(svg.contains("Random noise is in every figure") && !svg.contains("<script"), "{name}");
    }
}

/// Returns the readme and the pages of the manual, with the folders that they are in.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manual = root.join("deploy/manual");
    let pages = std::fs::read_dir(&manual).unwrap().map(|page| page.unwrap().path());
    let all = pages.chain([root.join("README.md")]);
    all.map(|page| (page.parent().unwrap().to_owned(), std::fs::read_to_string(page).unwrap())).collect()
}

#[test]
fn the_readme_and_the_manual_name_commands_that_exist() {
    let help = include_str!("../golden/help.txt");
    let mut seen = 0;
    for (_, page) in pages() {
        for line in page.lines().filter_map(|line| line.strip_prefix("silhouette ")) {
            let mut words = line.split_whitespace();
            let command = words.find(|word| !word.starts_with("--") && !word.ends_with(".toml")).unwrap();
            assert!(help.contains(&format!("\n  {command} ")), "`{command}` is no command");
            seen += 1;
        }
    }
    assert!(seen > 30, "the commands were not found");
}

#[test]
fn the_readme_and_the_manual_link_to_what_is_there() {
    let mut seen = 0;
    for (folder, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("https://") {
                assert!(folder.join(link.split('#').next().unwrap()).exists(), "{link}");
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "the links were not found");
}

/// Finds every source file under a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => sources(&entry, into),
            false if entry.extension().is_some_and(|end| end == "rs") => {
                into.push_str(&std::fs::read_to_string(&entry).unwrap());
            }
            false => {}
        }
    }
}

#[test]
fn the_page_about_releases_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut code = String::new();
    ["vault/src", "tests/attack", "tests/sim", "tests/stat", "tests/hammer"]
        .into_iter()
        .for_each(|folder| sources(&root.join(folder), &mut code));
    let page = sample("manual/releases.md");
    let (_, tests) = page.split_once("## How it is tested").unwrap();
    let (tests, _) = tests.split_once("## Not covered").unwrap();
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    assert!(named.len() > 10);
    for name in named {
        let last = name.rsplit("::").next().unwrap();
        let known = code.contains(&format!("fn {last}(")) || code.contains(&format!("mod {last};"));
        assert!(known || ["tests", "ledger"].contains(&last), "`{name}` is no test");
    }
}
