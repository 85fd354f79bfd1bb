//! The mirror: both ends of every crash, and every mirror that is not the right one.

use super::*;

impl Place {
    fn mirror(&self) -> PathBuf {
        self.0.path().join("mirror")
    }

    fn mirrored(&self, disk: &crate::disk::Disk) -> Result<KeyTree, KeysError> {
        KeyTree::open_mirrored(disk, &self.root(), &self.data(), &SecondLock::None, Mirroring::At(&self.mirror()))
    }

    fn open_mirrored(&self) -> Result<KeyTree, KeysError> {
        self.mirrored(&crate::disk::Disk::default())
    }

    /// [`Place::filled`], with a mirror that is level.
    fn with_mirror() -> Self {
        let place = Self::filled();
        place.open_mirrored().unwrap();
        place
    }

    /// Opens the mirror's own tree as if home were gone, from copies.
    fn mirror_alone(&self) -> Result<KeyTree, KeysError> {
        let away = Place::new();
        copy_folder(&self.mirror().join("keys"), &away.data().join("keys"));
        fs::create_dir_all(away.root()).unwrap();
        fs::copy(self.mirror().join(CELL_FILE), away.cell()).unwrap();
        KeyTree::open_mirrored(
            &crate::disk::Disk::default(),
            &away.root(),
            &away.data(),
            &SecondLock::None,
            Mirroring::Forget,
        )
    }

    fn cells(&self) -> [Vec<u8>; 2] {
        [self.cell(), self.mirror().join(CELL_FILE)].map(|path| fs::read(path).unwrap())
    }

    fn mirror_pages(&self) -> Vec<String> {
        let name = |file: std::io::Result<fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(self.mirror().join("keys")).unwrap().map(name).collect();
        names.sort();
        names
    }

    /// Asserts that both ends are the same, with nothing else beside.
    #[track_caller]
    fn is_level(&self) {
        let [home, mirror] = self.cells();
        assert_eq!(home, mirror);
        assert_eq!(home[..SLOT_BYTES], home[SLOT_BYTES..]);
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let pages: Vec<_> = self.pages().iter().map(name).collect();
        let (notes, mirror_pages): (Vec<_>, Vec<_>) =
            self.mirror_pages().into_iter().partition(|name| name.starts_with("note-"));
        assert_eq!(mirror_pages, pages);
        assert_eq!(notes.len(), 1);
        assert!(!self.mirror().join("root.new").exists());
    }
}

#[track_caller]
fn refused(opened: Result<KeyTree, KeysError>) -> MirrorFault {
    match opened {
        Err(KeysError::MirrorRefused { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_in_both_and_either_opens_alone() {
    let place = Place::with_mirror();
    let mut tree = place.open_mirrored().unwrap();
    tree.commit(switch()).unwrap();
    let expected = content(&tree);
    place.is_level();
    drop(tree);
    assert_eq!(content(&place.mirror_alone().unwrap()), expected);
    assert_eq!(content(&place.open_mirrored().unwrap()), expected);
}

#[test]
fn dying_at_any_step_leaves_both_old_or_new_and_never_an_old_root_in_one_of_them() {
    let origin = Place::with_mirror();
    let old = content(&origin.open_mirrored().unwrap());
    let (mut olds, mut news, mut apart) = (0, 0, 0);
    for torn in [false, true] {
        for die_at in 0.. {
            let place = Place::new();
            copy_folder(origin.0.path(), place.0.path());
            let mortal = Mortal::new();
            let mut tree = place.mirrored(&mortal.disk()).unwrap();
            mortal.begin_again(Some(die_at));
            if torn {
                mortal.tear();
            }
            let outcome = tree.commit(switch());
            drop(tree);
            let alone = content(&place.mirror_alone().unwrap());
            let home = content(&place.open_mirrored().unwrap());
            place.is_level();
            apart += u32::from(alone != home);
            match (home == old, outcome.is_ok()) {
                (true, true) => panic!("an acknowledged commit was lost at step {die_at}"),
                (true, false) => olds += 1,
                (false, acknowledged) => {
                    assert!(!acknowledged || alone == home, "the mirror was behind when the commit returned");
                    news += 1;
                }
            }
            if !mortal.is_dead() {
                break;
            }
        }
    }
    assert!(olds > 30 && news > 10 && apart > 4, "{olds} old, {news} new, {apart} apart");
}

#[test]
fn dying_while_a_mirror_is_made_or_brought_up_is_made_up_for() {
    let fresh = Place::filled();
    let behind = Place::with_mirror();
    let kept = behind.0.path().join("kept");
    copy_folder(&behind.mirror(), &kept);
    behind.open_mirrored().unwrap().commit(switch()).unwrap();
    fs::remove_dir_all(behind.mirror()).unwrap();
    fs::rename(kept, behind.mirror()).unwrap();
    for origin in [fresh, behind] {
        let mut deaths = 0;
        for die_at in 0.. {
            let place = Place::new();
            copy_folder(origin.0.path(), place.0.path());
            let mortal = Mortal::dying_at(die_at, true);
            drop(place.mirrored(&mortal.disk()));
            if !mortal.is_dead() {
                place.is_level();
                break;
            }
            deaths += 1;
            let opened = content(&place.open_mirrored().unwrap());
            place.is_level();
            assert_eq!(content(&place.mirror_alone().unwrap()), opened, "step {die_at}");
        }
        assert!(deaths > 10, "{deaths}");
    }
}

#[test]
fn a_mirror_that_fails_is_named_and_nothing_is_committed_without_it() {
    let place = Place::with_mirror();
    let mortal = Mortal::new();
    let mut tree = place.mirrored(&mortal.disk()).unwrap();
    let old = content(&tree);
    let to_the_mirror = 4 * 3 + 1;
    for (step, settled) in [(to_the_mirror, true), (to_the_mirror + 4 * 4 + 1 + 4, false)] {
        mortal.begin_again(Some(step));
        let error = tree.commit(switch()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("the mirror {}", place.mirror().display())), "{error}");
        assert_eq!((content(&tree) == old, tree.is_settled()), (true, settled));
        mortal.begin_again(None);
    }
    assert!(matches!(tree.commit(switch()), Err(KeysError::Unsettled)));
    drop(tree);
    assert_ne!(content(&place.open_mirrored().unwrap()), old);
    place.is_level();
}

#[test]
fn a_mirror_that_is_ahead_empty_anothers_or_unset_is_refused_with_what_to_do() {
    let place = Place::with_mirror();
    let older = Place::new();
    copy_folder(place.0.path(), older.0.path());
    place.open_mirrored().unwrap().commit(switch()).unwrap();

    fs::remove_dir_all(older.mirror()).unwrap();
    assert_eq!(refused(older.open_mirrored()), MirrorFault::Empty);
    copy_folder(&place.mirror(), &older.mirror());
    let ahead = refused(older.open_mirrored());
    assert_eq!(ahead, MirrorFault::Ahead { mirror: 5, root: 4 });
    assert!(ahead.to_string().contains("silhouette restore"), "{ahead}");

    let other = Place::with_mirror();
    fs::remove_dir_all(place.mirror()).unwrap();
    copy_folder(&other.mirror(), &place.mirror());
    assert_eq!(refused(place.open_mirrored()), MirrorFault::OtherVault);
    let unset = other.open().unwrap_err();
    assert!(unset.to_string().starts_with("the mirror of this vault is not set: name its folder"), "{unset}");
    other.open_mirrored().unwrap();
}

#[test]
fn a_mirror_that_was_forgotten_is_not_taken_up_again() {
    let place = Place::with_mirror();
    let disk = crate::disk::Disk::default();
    let mut tree =
        KeyTree::open_mirrored(&disk, &place.root(), &place.data(), &SecondLock::None, Mirroring::Forget).unwrap();
    tree.forget_mirror().unwrap();
    drop(tree);
    place.open().unwrap();
    assert_eq!(refused(place.open_mirrored()), MirrorFault::Forgotten);
    fs::remove_dir_all(place.mirror()).unwrap();
    place.open_mirrored().unwrap();
    place.is_level();
}

#[test]
fn what_is_damaged_in_a_level_mirror_is_mended() {
    let place = Place::with_mirror();
    let expected = content(&place.open_mirrored().unwrap());
    for page in place.mirror_pages().into_iter().filter(|name| !name.starts_with("note-")) {
        flip(&place.mirror().join("keys").join(page), 90);
    }
    flip(&place.mirror().join(CELL_FILE), SLOT_BYTES + 30);
    assert_eq!(content(&place.open_mirrored().unwrap()), expected);
    place.is_level();
}

#[test]
fn a_note_is_carried_over_and_can_not_be_forged_or_lost() {
    let place = Place::with_mirror();
    let mut tree = place.open_mirrored().unwrap();
    assert_eq!(tree.noted(), Some(&b""[..]));
    tree.note(b"so far").unwrap().unwrap().write().unwrap();
    let name = || place.mirror_pages().into_iter().find(|name| name.starts_with("note-")).unwrap();
    let older = fs::read(place.mirror().join("keys").join(name())).unwrap();
    tree.commit(switch()).unwrap();
    assert_eq!(tree.noted(), Some(&b"so far"[..]));
    tree.note(b"further").unwrap().unwrap().write().unwrap();
    drop(tree);
    assert_eq!(place.open_mirrored().unwrap().noted(), Some(&b"further"[..]));

    let note = place.mirror().join("keys").join(name());
    fs::write(&note, older).unwrap();
    let forged = place.open_mirrored().unwrap_err();
    assert!(forged.to_string().contains("note-"), "{forged}");
    fs::remove_file(&note).unwrap();
    assert!(place.open_mirrored().unwrap_err().to_string().contains("it is missing"));
}

#[test]
fn a_second_process_is_kept_out_of_the_mirror() {
    let place = Place::with_mirror();
    let _tree = place.open_mirrored().unwrap();
    let copy = Place::new();
    for folder in ["root", "data"] {
        copy_folder(&place.0.path().join(folder), &copy.0.path().join(folder));
    }
    let mirroring = Mirroring::At(&place.mirror());
    let second =
        KeyTree::open_mirrored(&crate::disk::Disk::default(), &copy.root(), &copy.data(), &SecondLock::None, mirroring);
    assert!(matches!(second, Err(KeysError::InUse(_))), "{second:?}");
}

#[test]
fn dying_while_a_lock_is_set_leaves_home_and_mirror_under_one_lock_after_the_next_opening() {
    let (old, new) = (phrase("the first passphrase"), phrase("the second passphrase"));
    let opened = |place: &Place, disk: &Disk, lock: &SecondLock| {
        KeyTree::open_mirrored(disk, &place.root(), &place.data(), lock, Mirroring::At(&place.mirror()))
    };
    let origin = Place::with_mirror();
    opened(&origin, &Disk::default(), &SecondLock::None).unwrap().relock(&old, Changes::default()).unwrap();
    origin.is_level();
    let before = content(&opened(&origin, &Disk::default(), &old).unwrap());
    let (mut olds, mut news) = (0, 0);
    for die_at in 0.. {
        let place = Place::new();
        copy_folder(origin.0.path(), place.0.path());
        let mortal = Mortal::new();
        let mut tree = opened(&place, &mortal.disk(), &old).unwrap();
        mortal.begin_again(Some(die_at));
        let outcome = tree.relock(&new, Changes { all_pages: true, ..Changes::default() });
        drop(tree);
        let under = |lock: &SecondLock| opened(&place, &Disk::default(), lock);
        let tree = match under(&new) {
            Ok(tree) => {
                news += 1;
                tree
            }
            Err(KeysError::WrongPassphrase) => {
                assert!(outcome.is_err());
                olds += 1;
                under(&old).unwrap()
            }
            Err(error) => panic!("step {die_at}: {error}"),
        };
        assert_eq!(content(&tree), before, "step {die_at}");
        place.is_level();
        if !mortal.is_dead() {
            break;
        }
    }
    assert!(olds > 5 && news > 5, "{olds} old, {news} new");
}
