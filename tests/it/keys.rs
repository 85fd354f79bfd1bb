//! Keys, as a steward meets them: listed, replaced while the gateway serves, and the passphrase of the root.

use super::cli::{Desk, Served};
use super::verifier::{folder, note};
use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::audit_service_client::AuditServiceClient;
use tonic::Code;

async fn rotate(caller: &Caller, rotation: v1::KeyRotation) -> Result<Vec<v1::RotateKeysResponse>, tonic::Status> {
    let request = v1::RotateKeysRequest {
        rotation: rotation.into(),
        acknowledge_new_pseudonyms: false,
        request_id: String::new(),
    };
    let mut steps = AdminServiceClient::new(caller.line()).rotate_keys(request).await?.into_inner();
    let mut all = Vec::new();
    while let Some(step) = steps.message().await? {
        all.push(step);
    }
    Ok(all)
}

async fn keys(caller: &Caller) -> Vec<v1::KeyCount> {
    AdminServiceClient::new(caller.line()).list_keys(v1::ListKeysRequest {}).await.unwrap().into_inner().keys
}

async fn verifier_key(caller: &Caller) -> String {
    let request = v1::GetVerifierKeyRequest { tree: v1::LogTree::Access.into() };
    AuditServiceClient::new(caller.line()).get_verifier_key(request).await.unwrap().into_inner().verifier_key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steward_replaces_every_kind_of_key_and_the_log_is_followed_from_its_first() {
    use v1::KeyRotation::{Journals, Log, Pieces, Root, Tokens};
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let people =
        |prefix, count| vec![shop::header(&dataset), shop::message(shop::people(prefix, count, &["marketing"]))];
    shop::stream(&producer, people("c", 200)).await.unwrap();
    shop::close_epoch(&gate).await;
    shop::stream(&producer, people("d", 50)).await.unwrap();
    let (officer, _) = gate.client("officer", v1::ClientRole::Officer, "", &[]).await;
    let first = note::VerifierKey::parse(&verifier_key(&officer).await).unwrap();
    let steward = gate.steward().await;
    let listed = keys(&steward).await;
    let of = |kind: v1::KeyKind| listed.iter().filter(|key| key.kind() == kind).map(|key| key.count).sum::<u64>();
    assert!(of(v1::KeyKind::Piece) >= 4 && of(v1::KeyKind::Journal) > 30 && of(v1::KeyKind::Root) == 1, "{listed:?}");
    for rotation in [Pieces, Journals, Tokens, Log, Log, Root] {
        let steps = rotate(&steward, rotation).await.unwrap();
        let (last, before) = steps.split_last().unwrap();
        assert!(last.ended && last.done > 0 && last.left == 0, "{rotation:?}: {steps:?}");
        assert!(before.iter().all(|step| !step.ended));
    }
    let refused = rotate(&steward, Tokens).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_INVALID", "the next key does not sign yet");
    // A token of before is good, and so is all that was written.
    shop::stream(&producer, people("e", 50)).await.unwrap();
    shop::close_epoch(&gate).await;
    assert_ne!(verifier_key(&officer).await, first.text());
    drop((producer, officer, steward));
    let log = gate.config.data.join("log");
    let _folder = gate.stop().await;
    for tree in note::TREES {
        let report = folder::check(&log.join(tree), &first.for_tree(tree), &[]).unwrap();
        assert_eq!(report.keys.len(), 3, "two keys were announced");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_for_stewards_and_pseudonyms_change_only_with_their_word() {
    let gate = Gate::start().await;
    let steward = gate.steward().await;
    for role in [v1::ClientRole::Service, v1::ClientRole::Officer, v1::ClientRole::Producer] {
        let (caller, _) = gate.client(&format!("{role:?}").to_lowercase(), role, "", &[]).await;
        let refused = rotate(&caller, v1::KeyRotation::Root).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{role:?}: {refused:?}");
        assert!(AdminServiceClient::new(caller.line()).list_keys(v1::ListKeysRequest {}).await.is_err());
    }
    for rotation in [v1::KeyRotation::Unspecified, v1::KeyRotation::Pseudonyms] {
        assert_eq!(rotate(&steward, rotation).await.unwrap_err().code(), Code::InvalidArgument, "{rotation:?}");
    }
}

#[test]
fn a_root_is_locked_with_a_passphrase_that_can_be_changed_and_taken_away() {
    let mut desk = Desk::new();
    let config = desk.path("silhouette.toml");
    let loopback = "grpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
    std::fs::write(&config, loopback).unwrap();
    let mode = |name: &str, mode: u32| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(desk.path(name), mode).unwrap();
    };
    let file = |name: &str, text: &str| {
        std::fs::write(desk.path(name), text).unwrap();
        mode(name, 0o600);
    };
    file("short", "too short\n");
    file("first", "the first passphrase\n");
    file("second", "another passphrase\n");
    let config = config.to_str().unwrap().to_owned();
    let (_, said) = desk.ends(1, &["init", "--config", &config, "--passphrase-file", "short"]);
    assert!(said.contains("a passphrase has 12-1024 bytes"), "{said}");
    assert!(!said.contains("too short"), "{said}");
    mode("first", 0o640);
    let (_, said) = desk.ends(1, &["init", "--config", &config, "--passphrase-file", "first"]);
    assert!(said.contains("may be read by others (mode 640): chmod 600 it"), "{said}");
    mode("first", 0o600);
    desk.ends(0, &["init", "--config", &config, "--passphrase-file", "first"]);
    let (_, said) = desk.ends(1, &["serve", "--config", &config]);
    assert!(said.contains("there is no terminal to ask at"), "{said}");
    let (_, said) = desk.ends(1, &["serve", "--config", &config, "--passphrase-file", "second"]);
    assert!(said.contains("this is not the passphrase that the root is locked with"), "{said}");
    std::fs::write(&config, format!("{loopback}passphrase_file = 'first'\n")).unwrap();
    let served = Served::start(&mut desk, config.as_ref());
    let listed = desk.json(&["rotate", "--list"]);
    assert_eq!(listed["locked"], true);
    let (_, said) = desk.ends(1, &["rotate", "--config", &config, "--passphrase-file", "second"]);
    assert!(said.contains("is in use by another process"), "{said}");
    let done = desk.json(&["rotate", "--all"]);
    assert_eq!(done["rotated"].as_array().unwrap().len(), 5);
    assert_eq!(served.stop(), 0);
    desk.ends(0, &["rotate", "--config", &config, "--passphrase-file", "second"]);
    let (_, said) = desk.ends(1, &["fsck", "--config", &config]);
    assert!(said.contains("this is not the passphrase"), "{said}");
    std::fs::write(&config, format!("{loopback}passphrase_file = 'second'\n")).unwrap();
    desk.ends(0, &["fsck", "--config", &config]);
    desk.ends(0, &["rotate", "--config", &config, "--no-passphrase"]);
    let (_, said) = desk.ends(1, &["fsck", "--config", &config]);
    assert!(said.contains("a passphrase was given, and the root has none"), "{said}");
    std::fs::write(&config, loopback).unwrap();
    desk.ends(0, &["fsck", "--config", &config]);
}
