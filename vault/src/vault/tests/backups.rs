//! A dead machine: what the mirror and the target give back elsewhere, and what no older copy of them does.

use super::*;
use crate::backup::Patience;
use crate::erasure::ErasureReceipt;
use crate::log::judge::judge;
use crate::vault::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PURPOSES: &[&str] = &["marketing.segmentation", "sharing.partner.greenbox"];

/// A shop with a mirror and a target.
fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.vault().close(later(1)).unwrap();
    let folder = shop.config.data.parent().unwrap().to_owned();
    shop.config.mirror = Some(folder.join("mirror"));
    shop.config.backup = Some(folder.join("backup"));
    shop.reopen();
    shop
}

impl Shop {
    fn folder(&self, name: &str) -> PathBuf {
        self.config.data.parent().unwrap().join(name)
    }

    fn erase_some(&self, numbers: impl IntoIterator<Item = usize>) -> ErasureReceipt {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        let subjects: Vec<_> = numbers.into_iter().map(key).collect();
        self.vault().erase(&permit, &subjects, later(40)).unwrap()
    }

    fn withdraw_these(&self, numbers: impl IntoIterator<Item = usize>) {
        let events = numbers.into_iter().map(|n| (key(n), consent("marketing", ConsentAct::Withdraw, -1))).collect();
        self.vault().record_consents(&self.permit(Role::Producer, Verb::RecordConsent, None), events, NOW).unwrap();
    }

    fn ship(&self) {
        let permit = self.permit(Role::Steward, Verb::Maintain, None);
        let status = self.vault().backup_now(&permit, later(41)).unwrap().unwrap();
        assert_eq!((status.shipped, status.missing, status.problem), (status.current, 0, None));
    }

    fn charged(&self) -> u64 {
        let client = ClientId::new("insights").unwrap();
        let permit = self.permit(Role::Steward, Verb::ReadBudget, None);
        self.vault().budget(&permit, &client, later(42)).unwrap().lifetime_spent.0
    }

    /// The machine dies: its folders are gone, and its settings name new ones.
    fn die(&mut self) {
        self.vault = None;
        for folder in [&self.config.data, &self.config.root] {
            std::fs::remove_dir_all(folder).unwrap();
        }
        (self.config.data, self.config.root) = (self.folder("data-2"), self.folder("root-2"));
    }

    fn restore(&mut self) -> Result<(), VaultError> {
        let target = self.config.backup.clone().unwrap();
        let loss = Vault::restore(&self.config, &target, false, later(50))?;
        assert_eq!(loss, None);
        self.vault = Some(Vault::open(&self.config, later(51))?);
        Ok(())
    }

    /// Puts a file where the target is: nothing can be made or written there until it is put back.
    fn take_target_away(&self) {
        std::fs::rename(self.folder("backup"), self.folder("away")).unwrap();
        std::fs::write(self.folder("backup"), b"").unwrap();
    }

    fn put_target_back(&self) {
        std::fs::remove_file(self.folder("backup")).unwrap();
        std::fs::rename(self.folder("away"), self.folder("backup")).unwrap();
    }

    fn put_back(&self, copy: &Path, name: &str) {
        std::fs::remove_dir_all(self.folder(name)).unwrap();
        copy_folder(copy, &self.folder(name));
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[track_caller]
fn is_older(restored: Result<(), VaultError>) -> String {
    match restored {
        Err(error @ VaultError::Older { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What must be true of a member.
#[derive(Clone)]
struct Member {
    orders: usize,
    consents: usize,
    marketing: bool,
}

#[test]
fn a_thousand_erasures_and_a_dead_machine_later_everyone_else_is_there() {
    const MEMBERS: usize = 8_500;
    let mut shop = shop();
    let member = Member { orders: 1, consents: 2, marketing: true };
    let mut model: BTreeMap<usize, Member> = (0..MEMBERS).map(|number| (number, member.clone())).collect();
    shop.fill(0, MEMBERS - 300, PURPOSES);
    shop.close(20);
    assert_eq!(shop.size("true"), i64::try_from(MEMBERS - 300).unwrap());
    shop.fill(MEMBERS - 300, 300, PURPOSES);
    let again: Vec<usize> = (0..MEMBERS).step_by(97).collect();
    shop.ingest(again.iter().map(|number| order(*number, 2, 3, -60)).collect());
    again.iter().for_each(|number| model.get_mut(number).unwrap().orders += 1);
    let withdrawn: Vec<usize> = (5..MEMBERS).step_by(61).collect();
    shop.withdraw_these(withdrawn.iter().copied());
    for number in &withdrawn {
        let member = model.get_mut(number).unwrap();
        (member.consents, member.marketing) = (member.consents + 1, false);
    }
    // A thousand scattered people, folded and not, in batches of which each is one generation.
    let erased: Vec<usize> = (0..MEMBERS).map(|n| n * 7_919 % MEMBERS).take(1_000).collect();
    for (batch, people) in erased.chunks(200).enumerate() {
        let receipt = shop.erase_some(people.iter().copied());
        let lag = receipt.backup.unwrap();
        assert!(lag.cleaned && lag.missing == 0 && lag.current - lag.shipped <= 1, "{lag:?}");
        if batch == 2 {
            shop.close(43);
        }
    }
    model.retain(|number, _| !erased.contains(number));
    let charged = shop.charged();
    shop.ship();
    shop.vault().close(later(45)).unwrap();
    let vkeys = [Tree::Access, Tree::Subject].map(|tree| shop.vault().log_vkey(tree));
    let log = shop.config.data.join("log");
    let signed = ["access", "subject"].map(|name| judge(&log.join(name), &vkeys[usize::from(name != "access")], &[]));
    let signed = signed.map(Result::unwrap);
    shop.die();
    shop.restore().unwrap();

    assert_eq!(shop.charged(), charged);
    for (number, name) in ["access", "subject"].into_iter().enumerate() {
        let log = shop.config.data.join("log").join(name);
        let now = judge(&log, &vkeys[number], &signed[number..=number]).unwrap();
        assert!(now.size >= signed[number].size);
    }
    let known = |number: usize| {
        let permit = shop.permit_about(Verb::AccessSubject, number);
        shop.vault().access_subject(&permit, &key(number), later(60))
    };
    for number in erased.iter().step_by(5) {
        assert!(matches!(known(*number), Err(VaultError::Refused(_))), "{number} came back");
    }
    for (number, member) in model.iter().filter(|(number, _)| **number % 11 == 0 || **number > MEMBERS - 100) {
        let package = known(*number).unwrap();
        assert_eq!(package.attributes[0].1, Value::Bytes(format!("member-{number:06}").into_bytes()));
        assert_eq!(package.events[0].rows.len(), member.orders, "orders of {number}");
        assert_eq!(package.consents.len(), member.consents, "consents of {number}");
        let allowed =
            package.standings.iter().any(|standing| standing.allowed && standing.purpose.as_str() == PURPOSES[0]);
        assert_eq!(allowed, member.marketing, "{number}");
    }
    shop.close(70);
    let all: Vec<&Member> = model.values().filter(|member| member.marketing).collect();
    assert_eq!(shop.size("true"), i64::try_from(all.len()).unwrap());
    let twice = all.iter().filter(|member| member.orders == 2).count();
    assert_eq!(shop.size("order.count() == 2"), i64::try_from(twice).unwrap());
    // It goes on as before: its mirror and its target follow.
    shop.ship();
}

#[test]
fn an_older_copy_of_the_target_is_refused() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.ship();
    copy_folder(&shop.folder("backup"), &shop.folder("at-first"));
    shop.size("true");
    shop.withdraw_these(0..5);
    shop.ship();
    copy_folder(&shop.folder("backup"), &shop.folder("spent"));
    shop.erase_some(10..13);
    shop.ship();
    copy_folder(&shop.folder("backup"), &shop.folder("newest"));
    copy_folder(&shop.folder("mirror"), &shop.folder("kept"));
    let charged = shop.charged();
    shop.die();
    for older in ["at-first", "spent"] {
        shop.put_back(&shop.folder(older), "backup");
        let why = is_older(shop.restore());
        assert!(why.starts_with("the backup is older than what was done"), "{why}");
        assert!(!shop.config.root.exists() && files(&shop.config.data).len() <= 1, "something was left");
        // With the newest position in front of older files, too.
        std::fs::copy(shop.folder("newest").join("position"), shop.folder("backup").join("position")).unwrap();
        shop.restore().unwrap_err();
    }
    // All of it of later, but the frames of before.
    shop.put_back(&shop.folder("newest"), "backup");
    std::fs::remove_dir_all(shop.folder("backup").join("wal")).unwrap();
    copy_folder(&shop.folder("spent").join("wal"), &shop.folder("backup").join("wal"));
    shop.restore().unwrap_err();
    let content = |name: &str| files(&shop.folder(name)).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let [mirror, kept]: [BTreeSet<Vec<u8>>; 2] = ["mirror", "kept"].map(content);
    assert!(mirror == kept, "an attempt changed the mirror");
    shop.put_back(&shop.folder("newest"), "backup");
    shop.restore().unwrap();
    assert_eq!(shop.charged(), charged);
}

#[test]
fn a_target_that_is_damaged_anothers_or_no_target_is_refused_by_name() {
    let mut first = shop();
    first.fill(0, 60, PURPOSES);
    first.close(20);
    first.ship();
    first.vault().close(later(45)).unwrap();
    let other = shop();
    other.vault().close(later(45)).unwrap();
    copy_folder(&first.folder("backup"), &first.folder("whole"));
    let target = first.folder("backup");
    first.die();
    for piece in files(&target.join("blocks")) {
        let bytes = std::fs::read(&piece).unwrap();
        let mut flipped = bytes.clone();
        flipped[70] ^= 1;
        std::fs::write(&piece, flipped).unwrap();
        let error = first.restore().unwrap_err();
        assert!(matches!(&error, VaultError::Damaged { part, .. } if part.ends_with(".piece")), "{error}");
        std::fs::remove_file(&piece).unwrap();
        is_older(first.restore());
        std::fs::write(&piece, bytes).unwrap();
    }
    first.put_back(&other.folder("backup"), "backup");
    let error = first.restore().unwrap_err().to_string();
    assert!(error.ends_with("is the backup of another vault than the mirror"), "{error}");
    std::fs::remove_dir_all(&target).unwrap();
    assert!(first.restore().unwrap_err().to_string().ends_with("holds no backup"));
    first.put_back_missing("whole");
    first.restore().unwrap();
    let error = Vault::restore(&first.config, &target, false, later(60)).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
}

impl Shop {
    fn put_back_missing(&self, copy: &str) {
        copy_folder(&self.folder(copy), &self.folder("backup"));
    }
}

#[test]
fn an_older_data_folder_of_the_same_generation_is_refused() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    copy_folder(&shop.config.data, &shop.folder("older"));
    shop.size("true");
    shop.ship();
    shop.vault = None;
    let data = shop.folder("data");
    copy_folder(&data, &shop.folder("newest"));
    shop.put_back(&shop.folder("older"), "data");
    let why = is_older(Vault::open(&shop.config, later(60)).map(drop));
    assert!(why.starts_with("the data folder is older than what was done: it ends at frame"), "{why}");
}

#[test]
fn a_target_that_was_away_catches_up_and_its_lag_is_said() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.ship();
    let target = shop.folder("backup");
    shop.take_target_away();
    shop.fill(60, 10, PURPOSES);
    let receipt = shop.erase_some([3]);
    let lag = receipt.backup.unwrap();
    assert!(!lag.cleaned && lag.shipped < lag.current, "{lag:?}");
    shop.close(44);
    shop.vault().tick(later(45)).unwrap();
    let status = shop.vault().backup_status().unwrap();
    assert!(status.problem.is_some() && shop.vault().health().is_ok(), "{status:?}");
    shop.put_target_back();
    shop.vault().tick(later(46)).unwrap();
    assert_eq!(shop.vault().backup_status().unwrap().problem, None);
    let named: BTreeSet<PathBuf> = shop.vault().state.lock().tree.entries().iter().map(|entry| entry.path()).collect();
    let held: BTreeSet<PathBuf> =
        files(&target.join("blocks")).iter().map(|path| path.strip_prefix(&target).unwrap().to_owned()).collect();
    assert_eq!(held, named);
    shop.vault().close(later(47)).unwrap();
    shop.die();
    shop.restore().unwrap();
    assert_eq!(shop.size("true"), 69);
}

#[test]
fn a_target_that_lags_is_restored_only_when_the_loss_is_accepted_and_refills_no_budget() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.size("true");
    shop.ship();
    shop.take_target_away();
    let sizes = shop.vault().log.sizes();
    shop.size("children >= 1");
    let epsilon = shop.plan_extension(7_000_000_000).unwrap().after.epsilon;
    let extended = shop.extend("r1", 7_000_000_000, &epsilon.to_string()).unwrap();
    shop.withdraw_these(0..5);
    shop.vault().tick(later(45)).unwrap();
    let charged = shop.charged();
    shop.die();
    shop.put_target_back();
    let target = shop.folder("backup");
    let refused = Vault::restore(&shop.config, &target, false, later(50)).unwrap_err();
    let VaultError::Lossy(loss) = &refused else { panic!("{refused:?}") };
    // Five withdrawals, and the call that brought them.
    let (access, subject) = loss.leaves();
    assert_eq!((loss.access.0, loss.subject.0, subject), (sizes.access, sizes.subject, 6));
    assert!(access > 0 && loss.until == later(45) && loss.after.is_some_and(|after| after < later(45)), "{loss:?}");
    assert!(refused.to_string().contains("6 of the subject tree, written after"), "{refused}");
    assert!(!shop.config.root.exists() && files(&shop.config.data).len() <= 1, "something was left");

    let accepted = Vault::restore(&shop.config, &target, true, later(51)).unwrap();
    assert_eq!(accepted.as_ref(), Some(loss));
    shop.vault = Some(Vault::open(&shop.config, later(52)).unwrap());
    assert_eq!(shop.charged(), charged, "the loss refilled the budget");
    // What the loss took of an extension is its leaf, which was written again.
    let statement = shop.statement();
    let [extension] = &statement.extensions[..] else { panic!("{statement:?}") };
    assert_eq!((statement.lifetime_cap, extension.by.0), (extended.after.rho, 7_000_000_000));
    let kept = shop.vault().log.leaf(Tree::Access, extension.leaf).unwrap();
    let kept = crate::log::explain(&crate::log::Leaf::parse(&kept).unwrap());
    assert!(kept.contains("`desk`") && kept.contains("a second year") && kept.contains("writes again"), "{kept}");
    let permit = shop.permit(Role::Officer, Verb::ReadLog, None);
    let (leaves, _) = shop.vault().search_log(&permit, Tree::Access, &Default::default(), 0, 1_000, later(53)).unwrap();
    let said = leaves.iter().find(|leaf| leaf.json.contains("\"restored\"")).unwrap();
    let range =
        format!("\"lost subject leaves before\":{},\"lost subject leaves from\":{}", loss.subject.1, loss.subject.0);
    assert!(said.json.contains(&range), "{}", said.json);
    // Nothing is lost a second time.
    shop.ship();
    shop.vault().close(later(54)).unwrap();
    shop.vault = None;
    for folder in [&shop.config.data, &shop.config.root] {
        std::fs::remove_dir_all(folder).unwrap();
    }
    shop.restore().unwrap();
    assert_eq!(shop.charged(), charged);
    assert_eq!(shop.statement().extensions, statement.extensions);
}

/// A disk that fails at one step.
#[derive(Default)]
struct Breaking(std::sync::atomic::AtomicUsize);

impl crate::disk::Observer for Breaking {
    fn before(&self, _: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        use std::sync::atomic::Ordering;
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(1) => Err(std::io::Error::from_raw_os_error(5).into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_restore_that_broke_off_anywhere_serves_nothing_and_ends_when_it_is_run_again() {
    const EVERY: usize = 29;
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.size("true");
    shop.ship();
    shop.take_target_away();
    shop.withdraw_these(0..5);
    shop.vault().close(later(45)).unwrap();
    let charged = shop.charged();
    shop.die();
    shop.put_target_back();
    for name in ["backup", "mirror"] {
        copy_folder(&shop.folder(name), &shop.folder(&format!("{name}-kept")));
    }
    let target = shop.folder("backup");
    let breaking = std::sync::Arc::new(Breaking::default());
    let disk = Disk::observed(std::sync::Arc::clone(&breaking) as _);
    let config = Config { disk, ..shop.config.clone() };
    let mut ended = false;
    for step in (1..).step_by(EVERY) {
        breaking.0.store(step, std::sync::atomic::Ordering::Relaxed);
        let broken = Vault::restore(&config, &target, true, later(50));
        if breaking.0.swap(0, std::sync::atomic::Ordering::Relaxed) > 0 {
            broken.unwrap();
            ended = true;
            break;
        }
        if broken.is_err() {
            let opened = Vault::open(&shop.config, later(51)).map(drop);
            assert!(matches!(opened, Err(VaultError::Setup(_))), "step {step}: {opened:?}");
            if shop.config.root.exists() {
                assert!(opened.unwrap_err().to_string().contains("run the same `silhouette restore` again"), "{step}");
            }
        }
        if broken.is_err() {
            let again = Vault::restore(&shop.config, &target, true, later(52)).unwrap();
            assert_eq!(again.unwrap().leaves().1, 6, "step {step}");
        }
        shop.vault = Some(Vault::open(&shop.config, later(53)).unwrap());
        assert_eq!(shop.charged(), charged, "step {step}");
        shop.vault = None;
        for folder in [&shop.config.data, &shop.config.root] {
            std::fs::remove_dir_all(folder).unwrap();
        }
        for name in ["backup", "mirror"] {
            shop.put_back(&shop.folder(&format!("{name}-kept")), name);
        }
    }
    assert!(ended, "a restore that nothing broke");
}

#[test]
fn a_data_folder_of_before_a_charge_is_refused_though_its_keys_are_the_same() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.vault().tick(later(21)).unwrap();
    copy_folder(&shop.config.data, &shop.folder("older"));
    shop.withdraw_these(0..5);
    shop.vault().tick(later(22)).unwrap();
    shop.vault = None;
    shop.put_back(&shop.folder("older"), "data");
    is_older(Vault::open(&shop.config, later(60)).map(drop));
}

/// A disk that does not answer below a folder while it hangs.
struct Hanging {
    below: PathBuf,
    hangs: parking_lot::Mutex<bool>,
    changed: parking_lot::Condvar,
}

impl Hanging {
    fn below(below: PathBuf) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { below, hangs: Default::default(), changed: Default::default() })
    }

    fn set(&self, hangs: bool) {
        *self.hangs.lock() = hangs;
        self.changed.notify_all();
    }
}

impl crate::disk::Observer for Hanging {
    fn turn(&self, step: &crate::disk::Step<'_>) {
        use crate::disk::Step::*;
        let (CreateFolder(path)
        | Create(path)
        | Write { path, .. }
        | Cut { path, .. }
        | Sync(path)
        | Rename { to: path, .. }
        | Unlink(path)
        | RemoveFolder(path)
        | SyncFolder(path)) = step;
        if path.starts_with(&self.below) {
            self.changed.wait_while(&mut self.hangs.lock(), |hangs| *hangs);
        }
    }

    fn before(&self, _: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        Ok(())
    }
}

#[test]
fn a_target_that_hangs_holds_up_nobody_and_catches_up() {
    let mut shop = shop();
    let target = shop.folder("backup");
    let hanging = Hanging::below(target.clone());
    shop.vault().close(later(10)).unwrap();
    shop.config.disk = Disk::observed(std::sync::Arc::clone(&hanging) as _);
    shop.reopen();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.ship();
    let patient = |shop: &Shop, patience| shop.vault().follower.as_ref().unwrap().be_patient(patience);
    let none = std::time::Duration::ZERO;
    patient(&shop, Patience { alone: none, locked: none, asked: none });
    hanging.set(true);
    shop.vault().tick(later(30)).unwrap();
    shop.fill(60, 10, PURPOSES);
    let lag = shop.erase_some([3]).backup.unwrap();
    assert!(!lag.cleaned && lag.shipped < lag.current, "{lag:?}");
    shop.close(44);
    assert_eq!(shop.size("true"), 69);
    shop.vault().tick(later(45)).unwrap();
    let permit = shop.permit(Role::Steward, Verb::Maintain, None);
    let status = shop.vault().backup_now(&permit, later(46)).unwrap().unwrap();
    assert_eq!(status.problem.as_deref(), Some("its disk does not answer"));
    assert!(shop.vault().health().is_ok());

    hanging.set(false);
    patient(&shop, Patience::default());
    while shop.vault().backup_status().unwrap().problem.is_some() {
        shop.vault().tick(later(47)).unwrap();
        std::thread::yield_now();
    }
    shop.ship();
    let named: BTreeSet<PathBuf> = shop.vault().state.lock().tree.entries().iter().map(|entry| entry.path()).collect();
    let held: BTreeSet<PathBuf> =
        files(&target.join("blocks")).iter().map(|path| path.strip_prefix(&target).unwrap().to_owned()).collect();
    assert_eq!(held, named);
    shop.vault().close(later(48)).unwrap();
    shop.die();
    shop.restore().unwrap();
    assert_eq!(shop.size("true"), 69);
    // One that hangs at the end is left to itself.
    shop.fill(70, 1, PURPOSES);
    patient(&shop, Patience { alone: none, locked: none, asked: none });
    hanging.set(true);
    shop.vault().close(later(80)).unwrap();
    shop.vault = None;
    hanging.set(false);
}

#[test]
fn a_mirror_that_hangs_holds_up_an_erasure_and_no_read_or_write() {
    let mut shop = shop();
    let hanging = Hanging::below(shop.folder("mirror"));
    shop.vault().close(later(10)).unwrap();
    shop.config.disk = Disk::observed(std::sync::Arc::clone(&hanging) as _);
    shop.reopen();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.vault().tick(later(21)).unwrap();
    shop.vault().noter.as_ref().unwrap().be_patient(std::time::Duration::ZERO);
    hanging.set(true);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| {
            let receipt = shop.erase_some([3]);
            done.store(true, std::sync::atomic::Ordering::Release);
            receipt
        });
        shop.fill(60, 10, PURPOSES);
        shop.withdraw_these(0..5);
        assert_eq!(shop.size("true"), 55);
        shop.vault().tick(later(30)).unwrap();
        assert_eq!(shop.vault().mirror_problem().as_deref(), Some("its disk does not answer"));
        assert!(shop.vault().health().is_ok());
        assert!(!done.load(std::sync::atomic::Ordering::Acquire), "erased without the mirror");
        hanging.set(false);
        let receipt = erasing.join().unwrap();
        assert_eq!(receipt.people, 1);
    });
    let charged = shop.charged();
    while shop.vault().mirror_problem().is_some() {
        shop.vault().tick(later(45)).unwrap();
        std::thread::yield_now();
    }
    shop.vault().noter.as_ref().unwrap().be_patient(std::time::Duration::from_secs(60));
    shop.ship();
    shop.vault().close(later(46)).unwrap();
    shop.die();
    shop.restore().unwrap();
    assert_eq!(shop.charged(), charged);
}

#[test]
fn a_charge_is_noted_in_the_mirror_before_the_next_tick() {
    let mut shop = shop();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.ship();
    shop.take_target_away();
    shop.size("true");
    // Dropped as if killed: what was handed in is written.
    let charged = shop.charged();
    shop.die();
    shop.put_target_back();
    let target = shop.folder("backup");
    let refused = Vault::restore(&shop.config, &target, false, later(50)).unwrap_err();
    assert!(matches!(refused, VaultError::Lossy(_)), "{refused:?}");
    Vault::restore(&shop.config, &target, true, later(51)).unwrap();
    shop.vault = Some(Vault::open(&shop.config, later(52)).unwrap());
    assert_eq!(shop.charged(), charged);
}

#[test]
fn a_piece_that_is_damaged_at_home_holds_up_nothing_else() {
    let mut shop = shop();
    shop.config.backup = None;
    shop.vault().close(later(10)).unwrap();
    shop.reopen();
    shop.fill(0, 60, PURPOSES);
    shop.close(20);
    shop.vault().close(later(21)).unwrap();
    // Rot that an opening does not read: the last byte of a column.
    let piece = files(&shop.config.data.join("blocks/00000001")).remove(0);
    let kept = std::fs::read(&piece).unwrap();
    let rotten = kept.iter().rev().skip(1).rev().chain([&!kept[kept.len() - 1]]).copied().collect::<Vec<u8>>();
    std::fs::write(&piece, rotten).unwrap();
    shop.config.backup = Some(shop.folder("backup-2"));
    shop.reopen();
    shop.fill(60, 10, PURPOSES);
    shop.vault().tick(later(22)).unwrap();
    let status = shop.vault().backup_status().unwrap();
    assert!(status.problem.as_deref().is_some_and(|problem| problem.contains("is damaged and was not shipped")));
    assert_eq!((status.shipped, status.missing), (status.current, 1));
    std::fs::write(&piece, kept).unwrap();
    shop.ship();
}

/// Which folders were synced before the target's position was first written.
#[derive(Default)]
struct Synced {
    folders: std::sync::Mutex<BTreeSet<PathBuf>>,
    before: std::sync::OnceLock<BTreeSet<PathBuf>>,
}

impl crate::disk::Observer for Synced {
    fn before(&self, step: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        match step {
            crate::disk::Step::SyncFolder(folder) => drop(self.folders.lock().unwrap().insert(folder.to_path_buf())),
            crate::disk::Step::Rename { to, .. } if to.ends_with("backup/position") => {
                let _ = self.before.get_or_init(|| self.folders.lock().unwrap().clone());
            }
            _ => {}
        }
        Ok(())
    }
}

/// A killed process may have left files whose folders were never synced: they are there to see, and gone after a power cut.
#[test]
fn what_is_found_in_the_target_is_synced_before_it_counts_as_shipped() {
    let mut shop = shop();
    shop.fill(0, 40, PURPOSES);
    shop.close(20);
    shop.ship();
    let synced = std::sync::Arc::<Synced>::default();
    shop.config.disk = Disk::observed(std::sync::Arc::clone(&synced) as _);
    shop.reopen();
    shop.fill(40, 1, PURPOSES);
    shop.ship();
    let backup = shop.folder("backup");
    let blocks = std::fs::read_dir(backup.join("blocks")).unwrap().map(|folder| folder.unwrap().path());
    let found: BTreeSet<PathBuf> = blocks.chain([backup.join("wal"), backup]).collect();
    assert!(found.len() > 2 && found.is_subset(synced.before.get().unwrap()), "{found:?}");
}

#[test]
fn folders_that_lie_in_each_other_are_refused() {
    let shop = Shop::new();
    let refused = |mirror: Option<PathBuf>, backup: Option<PathBuf>| {
        let config = Config { mirror, backup, ..shop.config.clone() };
        matches!(Vault::open(&config, later(5)), Err(VaultError::Setup(_)))
    };
    let (data, root) = (shop.config.data.clone(), shop.config.root.clone());
    assert!(refused(None, Some(data.join("backup"))) && refused(None, Some(data.parent().unwrap().to_owned())));
    assert!(refused(None, Some(root.clone())) && refused(Some(root), None) && refused(Some(data), None));
}
