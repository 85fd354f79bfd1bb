//! Damaged files: whatever is flipped, exchanged, put back or deleted, an answer is the right one or an error that names
//! the part; the process lives and other datasets go on.

use harness::gate::{Gate, reason};
use harness::shop;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, Schema};
use policy::segment::{Segment, Window};
use policy::time::Timestamp;
use proptest::test_runner::{RngAlgorithm, TestRng};
use proto::v1;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tonic::Code;
use vault::disk::Disk;
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Kind, Question};
use vault::{Config, Vault, VaultError};

const SEGMENTATION: &str = "marketing.segmentation";
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
/// Buys noise of a few hundredths of a person.
const PRICE: u64 = 2_000_000_000_000;
/// Seed of the flips: the same places at every run.
const SEED: [u8; 32] = *b"one flip after another, for ever";

pub(crate) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

pub(crate) fn rng() -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &SEED)
}

/// A vault without a gateway, with two datasets of the same shape: `shop` is number 1, `mill` is number 2.
pub(crate) struct Cellar {
    pub(crate) config: Config,
    rules: Rules,
    schemas: [Schema; 2],
    vault: Option<Vault>,
    price: Cell<u64>,
    _folder: TempDir,
}

impl Cellar {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With other settings than the usual.
    pub(crate) fn with(settings: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        settings(&mut config);
        Vault::init(&config, NOW).unwrap();
        let cap = shop::SCHEMA.replace("\"1000\"", "\"1000000\"").replace("\"4000\"", "\"4000000\"");
        let mill = cap.replace("dataset = \"shop\"", "dataset = \"mill\"").replace("\"buyers\"", "\"millers\"");
        let schemas = [cap, mill].map(|text| (policy::schema::parse(&text).unwrap(), text));
        let vault = Vault::open(&config, NOW).unwrap();
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        for (schema, text) in &schemas {
            let permit = permit(&rules, schema, Role::Steward, Verb::ManageDataset, None);
            vault.create_dataset(&permit, text, NOW).unwrap();
        }
        let schemas = schemas.map(|(schema, _)| schema);
        Self { config, rules, schemas, vault: Some(vault), price: Cell::new(PRICE), _folder: folder }
    }

    /// Copies the folders of a closed vault and opens the copy after `harm` has been done to it.
    pub(crate) fn copy(&self, harm: impl FnOnce(&Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        copy_folder(&self.config.data, &config.data);
        copy_folder(&self.config.root, &config.root);
        harm(&config);
        let vault = Some(Vault::open(&config, later(10)).unwrap());
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let price = Cell::new(self.price.get());
        Self { config, rules, schemas: self.schemas.clone(), vault, price, _folder: folder }
    }

    /// Takes the place of this one on another vault.
    pub(crate) fn standing_on(&self, config: Config, vault: Vault) -> Self {
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let price = Cell::new(self.price.get());
        let folder = tempfile::tempdir().unwrap();
        Self { config, rules, schemas: self.schemas.clone(), vault: Some(vault), price, _folder: folder }
    }

    pub(crate) fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    pub(crate) fn stop(&mut self) {
        self.vault.take().unwrap().close(later(5)).unwrap();
    }

    pub(crate) fn open(&mut self) {
        self.vault = Some(Vault::open(&self.config, later(10)).unwrap());
    }

    pub(crate) fn permit(&self, dataset: usize, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        permit(&self.rules, &self.schemas[dataset], role, verb, purpose)
    }

    /// `count` people numbered from `first`, each with a consent and an order.
    pub(crate) fn fill(&self, dataset: usize, first: u32, count: u32) {
        let records = (first..first + count).flat_map(person).collect();
        let permit = self.permit(dataset, Role::Producer, Verb::Ingest, None);
        self.vault().ingest(&permit, records, NOW).unwrap();
    }

    pub(crate) fn close(&self, dataset: usize, seconds: i64) {
        let permit = self.permit(dataset, Role::Steward, Verb::Maintain, None);
        self.vault().close_epoch(&permit, later(seconds), later(seconds)).unwrap();
    }

    /// Counts the people of each cell of each table of a portrait over all columns, and of the segment. Every question
    /// has a price of its own, so that none is answered from the store.
    pub(crate) fn portrait(&self, dataset: usize) -> Result<Vec<Vec<i64>>, VaultError> {
        let schema = &self.schemas[dataset];
        self.price.set(self.price.get() + 1);
        let fields = ["age_band", "region", "order.category"].map(|path| schema.resolve(path).unwrap()).to_vec();
        let text = "order.sum(amount) > 5.00 && !order.last(\"1h\").any()";
        let question = Question {
            dataset: schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: policy::segment::parse(text, schema, &|_| true).unwrap(),
            kind: Kind::Portrait { fields, window: Window::Ever },
            rho: NanoRho(self.price.get()),
        };
        let permit = self.permit(dataset, Role::Service, Verb::Release, Some(SEGMENTATION));
        let (answer, _) = self.vault().release(&permit, &question, later(60))?;
        let rounded = |cell: &vault::release::Cell| (cell.noised + 512).div_euclid(1024);
        Ok(answer.tables.iter().map(|table| table.cells.iter().map(rounded).collect()).collect())
    }

    fn pieces(&self, dataset: usize) -> Vec<PathBuf> {
        files(&self.config.data.join(format!("blocks/{:08x}", dataset + 1)))
    }

    fn store(&self, dataset: usize) -> PathBuf {
        store(&self.config, dataset)
    }
}

fn store(config: &Config, dataset: usize) -> PathBuf {
    config.data.join(format!("store/{:08x}", dataset + 1))
}

fn config(folder: &Path) -> Config {
    Config {
        data: folder.join("data"),
        root: folder.join("root"),
        mirror: None,
        lock: SecondLock::None,
        backup: None,
        threads: 1,
        fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
        disk: Disk::default(),
    }
}

fn permit(rules: &Rules, schema: &Schema, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
    let purpose = purpose.map(|text| PurposeId::new(text).unwrap());
    let client = ClientId::new("tester").unwrap();
    let principal = Principal { client, role, purposes: purpose.clone().into_iter().collect() };
    let request = Request {
        principal: &principal,
        verb,
        dataset: Some(schema),
        purpose: purpose.as_ref(),
        basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
        fields: &[],
        request_id: "",
    };
    match decide(rules, &request) {
        Decision::Permit(permit) => permit,
        Decision::Refusal(refusal) => unreachable!("{refusal:?}"),
    }
}

fn person(number: u32) -> [Record; 3] {
    let subject = SubjectKey::new(&format!("member-{number:06}")).unwrap();
    let code = |of: u32| Value::Code(u16::try_from(1 + number % of).unwrap());
    let consent = ConsentEvent {
        purpose: PurposeId::new(SEGMENTATION).unwrap(),
        basis: LawfulBasis::Consent,
        act: ConsentAct::Give,
        at: later(-864_000),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "form-1".into(),
    };
    [
        Record::Profile { subject: subject.clone(), values: vec![(ColumnId(1), code(3)), (ColumnId(2), code(2))] },
        Record::Event {
            subject: subject.clone(),
            event: EventTypeId(0),
            id: 1,
            at: later(-86_400),
            values: vec![code(2), Value::Int(1_250)],
        },
        Record::Consent { subject, consent },
    ]
}

/// What a portrait of people `0..count` says: missing first, then each value.
pub(crate) fn expected(count: i64) -> Vec<Vec<i64>> {
    let share = |of: i64, rest: i64| (count + of - 1 - rest) / of;
    let table =
        |of: i64, tail: &[i64]| [&[0], &(0..of).map(|rest| share(of, rest)).collect::<Vec<_>>()[..], tail].concat();
    vec![table(3, &[]), table(2, &[]), table(2, &[])]
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
}

/// Flips bits of one byte of a file in place.
pub(crate) fn flip(file: &Path, offset: usize) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    byte[0] ^= 0x5a;
    file.write_all_at(&byte, offset as u64).unwrap();
}

pub(crate) fn below(rng: &mut TestRng, limit: usize) -> usize {
    use proptest::prelude::Rng;
    usize::try_from(rng.next_u64() % limit as u64).unwrap()
}

/// Asserts that an error names the dataset and the block.
fn names_block(error: &VaultError, block: u32) {
    let VaultError::Damaged { .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(&format!("dataset 1 block {block}")), "{error}");
}

/// The first dataset over two blocks, the second over one; both folded, and the vault open.
fn folded() -> (Cellar, i64) {
    let cellar = Cellar::new();
    let people = 8_300;
    cellar.fill(0, 0, people);
    cellar.fill(1, 0, 30);
    cellar.close(0, 20);
    cellar.close(1, 20);
    (cellar, people.into())
}

#[test]
fn a_flipped_byte_of_a_block_file_is_never_an_answer() {
    let (cellar, people) = folded();
    let mut rng = rng();
    let (mut refused, mut harmless) = (0, 0);
    for file in cellar.pieces(0) {
        let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
        let last = [length - 1, length / 2];
        for offset in (0..12).map(|_| below(&mut rng, length)).chain(last) {
            flip(&file, offset);
            match cellar.portrait(0) {
                // Bytes that the question has no use for, or that were read at opening.
                Ok(answer) => {
                    assert_eq!(answer, expected(people));
                    harmless += 1;
                }
                Err(error) => {
                    let block = u32::from(error.to_string().contains("block 1"));
                    names_block(&error, block);
                    refused += 1;
                }
            }
            flip(&file, offset);
        }
        assert_eq!(cellar.portrait(1).unwrap(), expected(30));
    }
    assert_eq!(cellar.portrait(0).unwrap(), expected(people), "all bytes are as they were");
    assert!(refused >= 20, "{refused} of {} flips met a column of the question", refused + harmless);
}

#[test]
fn a_block_file_that_does_not_open_stops_its_dataset_alone() {
    let (mut cellar, people) = folded();
    cellar.fill(0, 8_300, 20);
    cellar.stop();
    let mut rng = rng();
    let mut refused = 0;
    for file in cellar.pieces(0) {
        let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
        // The header, and then any place.
        for limit in [64, 64, 64, length] {
            let offset = below(&mut rng, limit);
            flip(&file, offset);
            cellar.open();
            assert_eq!(cellar.portrait(1).unwrap(), expected(30));
            match cellar.portrait(0) {
                Ok(answer) => assert_eq!(answer, expected(people)),
                Err(error) => {
                    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
                    assert!(error.to_string().contains("dataset 1 block"), "{error}");
                    refused += 1;
                }
            }
            let listed = cellar.vault().damage();
            assert!(listed.iter().all(|(dataset, _)| dataset.as_str() == "shop"));
            // The others go on, and what the damaged one has not folded stays.
            cellar.fill(1, 0, 30);
            cellar.close(1, 30);
            cellar.stop();
            flip(&file, offset);
        }
    }
    assert!(refused >= 6, "{refused}");
    cellar.open();
    assert_eq!(cellar.portrait(0).unwrap(), expected(people), "all bytes are as they were");
    cellar.close(0, 30);
    assert_eq!(cellar.portrait(0).unwrap(), expected(people + 20));
}

#[test]
fn a_block_file_in_anothers_place_is_refused() {
    let (cellar, people) = folded();
    let pieces = cellar.pieces(0);
    for (a, b) in pieces.iter().zip(pieces.iter().skip(1)).chain([(&pieces[0], &cellar.pieces(1)[0])]) {
        let kept = [fs::read(a).unwrap(), fs::read(b).unwrap()];
        fs::write(a, &kept[1]).unwrap();
        fs::write(b, &kept[0]).unwrap();
        match cellar.portrait(0) {
            Ok(answer) => assert_eq!(answer, expected(people), "only consent histories changed places"),
            Err(error) => assert!(error.to_string().contains("dataset 1 block"), "{error}"),
        }
        fs::write(a, &kept[0]).unwrap();
        fs::write(b, &kept[1]).unwrap();
    }
    let missing = fs::read(&pieces[0]).unwrap();
    fs::remove_file(&pieces[0]).unwrap();
    assert!(cellar.portrait(0).is_err());
    fs::write(&pieces[0], missing).unwrap();
    assert_eq!(cellar.portrait(0).unwrap(), expected(people));
}

#[test]
fn an_older_version_of_a_block_file_is_refused() {
    let cellar = Cellar::new();
    cellar.fill(0, 0, 40);
    cellar.close(0, 20);
    let old: Vec<_> = cellar.pieces(0).iter().map(|file| fs::read(file).unwrap()).collect();
    cellar.fill(0, 40, 40);
    cellar.close(0, 21);
    let new = cellar.pieces(0);
    assert_eq!(cellar.portrait(0).unwrap(), expected(80));
    let mut refused = 0;
    for file in &new {
        let kept = fs::read(file).unwrap();
        for bytes in &old {
            fs::write(file, bytes).unwrap();
            match cellar.portrait(0) {
                Ok(answer) => assert_eq!(answer, expected(80)),
                Err(error) => {
                    names_block(&error, 0);
                    refused += 1;
                }
            }
        }
        fs::write(file, kept).unwrap();
    }
    assert!(refused >= old.len(), "{refused}");
    assert_eq!(cellar.portrait(0).unwrap(), expected(80));
}

/// One dataset with folded and unfolded rows, closed.
fn journaled() -> Cellar {
    let mut cellar = Cellar::new();
    cellar.fill(0, 0, 40);
    cellar.fill(1, 0, 30);
    cellar.close(0, 20);
    cellar.close(1, 20);
    for first in (40..160).step_by(30) {
        cellar.fill(0, first, 30);
    }
    cellar.stop();
    cellar
}

#[test]
fn flips_in_a_closed_database_change_no_answer() {
    let cellar = journaled();
    let mut rng = rng();
    for _ in 0..25 {
        let harmed = cellar.copy(|config| {
            let files: Vec<_> = files(&store(config, 0)).into_iter().filter(|file| length(file) > 0).collect();
            for _ in 0..2 {
                let file = &files[below(&mut rng, files.len())];
                flip(file, below(&mut rng, used(file)));
            }
        });
        assert_eq!(harmed.portrait(1).unwrap(), expected(30));
        assert_eq!(harmed.portrait(0).unwrap(), expected(40));
        harmed.close(0, 30);
        assert_eq!(harmed.portrait(0).unwrap(), expected(160), "everything acknowledged is there");
    }
}

#[test]
fn flips_in_an_open_database_change_no_answer() {
    let cellar = journaled();
    let mut rng = rng();
    for round in 0..10 {
        let harmed = cellar.copy(|_| {});
        let files: Vec<_> = files(&harmed.store(0)).into_iter().filter(|file| length(file) > 0).collect();
        for _ in 0..5 {
            let file = &files[below(&mut rng, files.len())];
            flip(file, below(&mut rng, used(file)));
        }
        if round % 2 == 0 {
            harmed.fill(0, 160, 30);
        }
        harmed.close(0, 30);
        assert_eq!(harmed.portrait(0).unwrap(), expected(if round % 2 == 0 { 190 } else { 160 }));
        harmed.fill(0, 190, 5);
        harmed.fill(1, 30, 5);
        harmed.close(1, 31);
        assert_eq!(harmed.portrait(1).unwrap(), expected(35));
    }
}

#[test]
fn a_deleted_database_is_made_again() {
    let cellar = journaled();
    let harmed = cellar.copy(|config| fs::remove_dir_all(store(config, 0)).unwrap());
    harmed.close(0, 30);
    assert_eq!(harmed.portrait(0).unwrap(), expected(160));
    let harmed = cellar.copy(|_| {});
    fs::remove_dir_all(harmed.store(0)).unwrap();
    harmed.fill(0, 160, 30);
    harmed.close(0, 30);
    assert_eq!(harmed.portrait(0).unwrap(), expected(190));
    let harmed = cellar.copy(|config| fs::remove_dir_all(config.data.join("store")).unwrap());
    assert_eq!(harmed.portrait(1).unwrap(), expected(30));
    harmed.close(0, 30);
    assert_eq!(harmed.portrait(0).unwrap(), expected(160));
}

#[test]
fn equal_records_are_stored_as_different_bytes() {
    let cellar = Cellar::new();
    for _ in 0..4 {
        cellar.fill(0, 0, 100);
    }
    let mut cellar = cellar;
    cellar.stop();
    let key = vault::store::DigestKey::new(vault::keys::SecretKey::from_bytes([7; 32]));
    let store = vault::store::Store::open(&cellar.store(0), 1 << 20, key).unwrap();
    let mut values = Vec::new();
    let visit = |_: &[u8], value: &[u8]| {
        values.push(value.to_vec());
        std::ops::ControlFlow::Continue(())
    };
    store.scan_prefix(&[], visit).unwrap();
    assert!(values.len() >= 4 && values.concat().len() > 40_000, "{}", values.len());
    let chunks: Vec<&[u8]> = values.iter().flat_map(|value| value[4..].chunks_exact(16)).collect();
    let distinct: std::collections::BTreeSet<_> = chunks.iter().collect();
    assert_eq!(distinct.len(), chunks.len(), "a block of sealed bytes comes twice");
    let mut counts = [0_u32; 256];
    chunks.iter().flat_map(|chunk| chunk.iter()).for_each(|byte| counts[usize::from(*byte)] += 1);
    let mean = counts.iter().sum::<u32>() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|count| (f64::from(*count) - mean).powi(2) / mean).sum();
    // 255 degrees of freedom: random bytes exceed 400 once in 10^8 times.
    assert!(chi < 400.0, "bytes are not uniform: {chi}");
}

fn length(file: &Path) -> usize {
    usize::try_from(fs::metadata(file).unwrap().len()).unwrap()
}

/// Bytes up to the last that is not zero: a database file has a long empty tail.
fn used(file: &Path) -> usize {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_hear_nothing_of_damage() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 30, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;
    let mut client = SegmentServiceClient::new(insights.line());
    let pieces = files(&gate.config.data.join("blocks/00000001"));
    let kept: Vec<_> = pieces.iter().map(|file| fs::read(file).unwrap()).collect();
    for file in &pieces {
        let end = length(file) - 1;
        flip(file, end);
        flip(file, end / 2);
    }
    pieces.iter().for_each(|file| fs::write(file, b"x").unwrap());
    let status = client.estimate_size(shop::size_of(r#"region == "north""#)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    let told = format!("{status:?}");
    assert!(!told.contains("block") && !told.contains("damaged"), "{told}");
    for (file, bytes) in pieces.iter().zip(kept) {
        fs::write(file, bytes).unwrap();
    }
    let answer = client.estimate_size(shop::size_of(r#"region == "north""#)).await.unwrap().into_inner();
    let release = answer.release.unwrap();
    assert_eq!(release.tables[0].cells[0].people, 15);
    assert!(!release.charged, "the charge of the failed call is kept for its answer");
}
