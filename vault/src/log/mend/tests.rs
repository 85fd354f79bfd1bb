use super::*;
use crate::keys::SecretKey;
use crate::log::Log;
use std::fs;

fn open(dir: &Path) -> Log {
    Log::open(&Disk::default(), dir, "shop", &SecretKey::from_bytes([1; 32]), &[]).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    read.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap();
    }
}

#[test]
fn every_damaged_tile_is_put_back_from_a_copy_that_is_whole_and_only_then() {
    for size in [1, 256, 700, 256 * 256 + 3] {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("log"), folder.path().join("copy"));
        let log = open(&here);
        for n in 0..size {
            log.append(Tree::Access, format!("leaf {n}").into_bytes()).unwrap();
        }
        log.persist(log.sizes()).unwrap();
        drop(log);
        copy(&here, &there);
        let damage = |file: &Path| {
            let mut bytes = fs::read(file).unwrap();
            let last = bytes.last_mut().unwrap();
            *last = !*last;
            fs::write(file, bytes).unwrap();
        };
        let tiles = files(&here.join("access/tile"));
        for file in tiles.iter().step_by(tiles.len().div_ceil(6)) {
            let kept = fs::read(file).unwrap();
            assert_eq!(mend(&Disk::default(), &here, Some(&there)).unwrap(), []);
            damage(file);
            let alone = mend(&Disk::default(), &here, None).unwrap();
            assert!(alone.len() == 1 && !alone.first().unwrap().done, "{alone:?}");
            let copied = there.join(file.strip_prefix(&here).unwrap());
            damage(&copied);
            assert!(mend(&Disk::default(), &here, Some(&there)).unwrap().iter().all(|mended| !mended.done));
            fs::write(&copied, &kept).unwrap();
            let mended = mend(&Disk::default(), &here, Some(&there)).unwrap();
            assert_eq!(mended, [Mended { path: file.clone(), done: true }], "{size}");
            assert!(fs::read(file).unwrap() == kept);
            fs::remove_file(file).unwrap();
            assert_eq!(mend(&Disk::default(), &here, Some(&there)).unwrap(), mended);
        }
        open(&here);
    }
}
