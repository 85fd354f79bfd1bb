//! The offline verifier's sources, compiled here, to be run over the folders of a real log.

#[path = "../../gateway/src/verify/folder.rs"]
#[expect(dead_code, reason = "checkpoints are compared elsewhere")]
pub(super) mod folder;
#[path = "../../gateway/src/verify/merkle.rs"]
#[expect(dead_code, reason = "proofs are checked elsewhere")]
mod merkle;
#[path = "../../gateway/src/verify/note.rs"]
#[expect(dead_code, reason = "proofs are checked elsewhere")]
pub(super) mod note;

use harness::gate::Gate;
use harness::{needles, shop};
use proto::v1;
use proto::v1::audit_service_client::AuditServiceClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_flipped_byte_of_a_gateways_log_is_named() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 300, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;
    let (officer, _) = gate.client("officer", v1::ClientRole::Officer, "", &[]).await;
    let log = gate.config.data.join("log");
    let mut keys = Vec::new();
    for tree in [v1::LogTree::Access, v1::LogTree::Subject] {
        let mut client = AuditServiceClient::new(officer.line());
        let request = v1::GetVerifierKeyRequest { tree: tree.into() };
        let key = client.get_verifier_key(request).await.unwrap().into_inner().verifier_key;
        keys.push(note::VerifierKey::parse(&key).unwrap());
    }
    drop((producer, officer));
    let _folder = gate.stop().await;
    for (key, name) in keys.into_iter().zip(["access", "subject"]) {
        let copy = tempfile::tempdir().unwrap();
        for file in needles::files(&log.join(name)) {
            let to = copy.path().join(file.strip_prefix(log.join(name)).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file, to).unwrap();
        }
        let sound = folder::check(copy.path(), &key, &[]).unwrap();
        assert!(sound.head.size > 5 && sound.roots.is_empty() && sound.unsigned == 0);
        let mut flips = 0;
        for file in needles::files(copy.path()) {
            let bytes = std::fs::read(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            let spare = folder::check(copy.path(), &key, &[]).is_ok();
            std::fs::write(&file, &bytes).unwrap();
            if spare {
                // A partial tile of an older checkpoint.
                continue;
            }
            for at in (0..bytes.len()).step_by(bytes.len() / 25 + 1).chain([bytes.len() - 1]) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x10;
                std::fs::write(&file, &flipped).unwrap();
                let problem = folder::check(copy.path(), &key, &[]).unwrap_err();
                let named = if file.ends_with("checkpoint") { "checkpoint" } else { "entry " };
                assert!(problem.contains(named), "byte {at} of {}: {problem}", file.display());
                flips += 1;
            }
            std::fs::write(&file, &bytes).unwrap();
        }
        assert!(flips > 40, "{flips}");
        folder::check(copy.path(), &key, &[]).unwrap();
    }
}
