//! A machine dies: what a steward types before and after.

use crate::cli::{DONE, Desk, FAILED, Served};
use serde_json::Value;

const SETTINGS: &str = "mirror = \"mirror\"\nbackup = \"backup\"\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \
                        \"127.0.0.1:0\"\n";

#[test]
fn a_machine_dies_and_its_gateway_serves_elsewhere() {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, SETTINGS).unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    let served = Served::start(&mut desk, &config);
    desk.ends(DONE, &["client", "create", "--name", "shop", "--role", "producer"]);
    let marketing = ["client", "create", "--name", "ads", "--role", "service", "--purpose", "marketing"];
    desk.ends(DONE, &marketing);
    desk.ends(DONE, &["generate", "--consumers", "300", "--events", "1000", "--out", "files"]);
    let import = ["import", "--mapping", "files/mapping.toml", "--source", "files", "--key", "shop-key.toml"];
    desk.ends(DONE, &[&import[..], &["--create-as", "silhouette-key.toml"]].concat());
    desk.ends(DONE, &["epoch", "close", "-d", "coop"]);
    let size = desk.json(&["size", "--key", "ads-key.toml", "-d", "coop"]);
    let shipped = desk.json(&["backup", "now"]);
    assert_eq!((&shipped["missing_pieces"], &shipped["problem"]), (&0.into(), &"".into()), "{shipped}");
    assert_eq!(shipped["shipped"], shipped["current"]);
    let status = desk.json(&["backup", "status"]);
    assert_eq!(status["mirrored"], true);
    assert!(status["backup"]["target"].as_str().unwrap().ends_with("backup"), "{status}");
    assert_eq!(served.stop(), DONE);

    for folder in ["silhouette-data", "silhouette-root"] {
        std::fs::remove_dir_all(desk.path(folder)).unwrap();
    }
    let (_, words) = desk.ends(FAILED, &["restore", "--from", "files", "--mirror", "mirror"]);
    assert!(words.contains("holds no backup"), "{words}");
    let (words, _) = desk.ends(DONE, &["restore", "--from", "backup", "--mirror", "mirror"]);
    assert!(words.contains("every piece and every leaf of the log was verified"), "{words}");
    let (_, words) = desk.ends(FAILED, &["restore", "--from", "backup", "--mirror", "mirror"]);
    assert!(words.contains("is not empty"), "{words}");
    let _served = Served::start(&mut desk, &config);
    let again = desk.json(&["size", "--key", "ads-key.toml", "-d", "coop"]);
    assert_eq!(again["release"]["tables"], size["release"]["tables"]);
    assert_eq!(again["release"]["charged"], false, "the budget and the answers came back");
}

#[test]
fn a_vault_is_not_served_without_its_mirror_unless_it_is_forgotten() {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, SETTINGS.replace("backup = \"backup\"\n", "")).unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    std::fs::remove_dir_all(desk.path("mirror")).unwrap();
    let (_, words) = desk.ends(FAILED, &["serve", "--config", "settings.toml"]);
    assert!(words.contains("is empty, and this vault has one") && words.contains("forget-mirror"), "{words}");
    desk.ends(DONE, &["backup", "forget-mirror", "--config", "settings.toml"]);
    let served = Served::start(&mut desk, &config);
    let status = desk.json(&["backup", "status"]);
    assert_eq!((&status["backup"], &status["mirrored"]), (&Value::Null, &true.into()));
    assert_eq!(served.stop(), DONE);
    assert!(desk.path("mirror/root.cell").is_file());
}
