//! The one place that names sled, and the rules that make sled 0.34 safe to lean on.
//!
//! | what sled 0.34 does | what is done about it |
//! |---|---|
//! | `flush` does not reach the disk on Linux | a barrier also calls `sync_all` on its file, held open |
//! | large values go to files it never syncs | values of at most 4 KiB |
//! | large batches leak | batches of at most 256 keys |
//! | a damaged file panics or reads wrong | every call is contained; the content has a digest |
//! | a cache of a gigabyte by default | an explicit cache size |

use super::digest::{Digest, DigestKey};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The most keys a batch may have.
pub const MAX_BATCH_KEYS: usize = 256;
/// The most a key may have, bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// The most a value may have, bytes.
pub const MAX_VALUE_BYTES: usize = 4096;

/// Why the store did not do it. Names the database's folder, never a key or value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be used any more: destroy and rebuild it.
    #[error("the database {} can't be used: {problem}", .path.display())]
    Damaged {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The operating system refused.
    #[error("the database {}: {error}", .path.display())]
    Io {
        /// Its folder.
        path: PathBuf,
        /// Its words.
        error: std::io::Error,
    },
    /// A batch, key or value is out of its limits; nothing was changed.
    #[error("a {what} of {found} is out of its limits, 1-{limit}")]
    Limit {
        /// What.
        what: &'static str,
        /// Its keys or bytes.
        found: usize,
        /// The most it may have.
        limit: usize,
    },
}

/// An open database. `Send + Sync`; writes take turns, reads do not wait.
pub struct Store {
    // Taken on drop, so that a panic of the engine's own drop is contained.
    db: Option<sled::Db>,
    path: PathBuf,
    file: File,
    cache_bytes: u64,
    digest_key: DigestKey,
    digest: Mutex<Digest>,
    broken: AtomicBool,
}

impl Store {
    /// Opens or creates a database and computes its digest by reading all of it, once.
    pub fn open(path: &Path, cache_bytes: u64, digest_key: DigestKey) -> Result<Self, StoreError> {
        let io = |error| StoreError::Io { path: path.to_owned(), error };
        create_folder(path).map_err(io)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .print_profile_on_drop(false);
        let db = contain(path, || config.open())?;
        let file = File::open(path.join("db")).map_err(io)?;
        File::open(path).and_then(|folder| folder.sync_all()).map_err(io)?;
        let store = Self {
            db: Some(db),
            path: path.to_owned(),
            file,
            cache_bytes,
            digest_key,
            digest: Mutex::default(),
            broken: AtomicBool::new(false),
        };
        let digest = store.verify()?;
        *store.digest.lock() = digest;
        Ok(store)
    }

    /// Writes pairs, whole or not at all; of a key that comes twice the last value stays. At most 256 keys.
    pub fn put_batch(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), StoreError> {
        self.write(pairs, &[])
    }

    /// Removes keys, whole or not at all; a key that does not exist is no error. At most 256 keys.
    pub fn remove_batch(&self, keys: &[&[u8]]) -> Result<(), StoreError> {
        self.write(&[], keys)
    }

    /// Removes and then writes, in one batch of at most 256 keys.
    pub fn write(&self, put: &[(&[u8], &[u8])], remove: &[&[u8]]) -> Result<(), StoreError> {
        limit("batch", put.len() + remove.len(), 0, MAX_BATCH_KEYS)?;
        for key in put.iter().map(|(key, _)| key).chain(remove) {
            limit("key", key.len(), 1, MAX_KEY_BYTES)?;
        }
        for (_, value) in put {
            limit("value", value.len(), 0, MAX_VALUE_BYTES)?;
        }
        let removed = remove.iter().map(|key| (*key, None));
        let changes: BTreeMap<&[u8], Option<&[u8]>> =
            removed.chain(put.iter().map(|(key, value)| (*key, Some(*value)))).collect();
        let mut digest = self.digest.lock();
        let mut next = *digest;
        self.contained(|db| {
            let mut batch = sled::Batch::default();
            for (key, value) in &changes {
                if let Some(old) = db.get(key)? {
                    next.subtract(self.digest_key.pair(key, &old));
                }
                match value {
                    Some(value) => {
                        next.add(self.digest_key.pair(key, value));
                        batch.insert(*key, *value);
                    }
                    None => batch.remove(*key),
                }
            }
            db.apply_batch(batch)
        })?;
        *digest = next;
        Ok(())
    }

    /// Removes every key that starts with `prefix`, in batches, and returns how many there were.
    pub fn remove_prefix(&self, prefix: &[u8]) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let mut keys = Vec::with_capacity(MAX_BATCH_KEYS);
            self.scan_prefix(prefix, |key, _| {
                keys.push(key.to_vec());
                if keys.len() < MAX_BATCH_KEYS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if keys.is_empty() {
                return Ok(removed);
            }
            removed += keys.len() as u64;
            self.remove_batch(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.contained(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    /// Visits the pairs whose keys start with `prefix`, in key order, until the visitor breaks. Writes made meanwhile
    /// may or may not be seen.
    pub fn scan_prefix(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.walk(prefix, prefix, visit)
    }

    /// Visits the pairs whose keys start with `prefix` and are not below `from`, in key order, until the visitor breaks.
    pub fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.walk(prefix, from.max(prefix), visit)
    }

    /// Makes every write before it durable and returns the digest of the content, to be recorded with the applied
    /// position of the write-ahead log. Writes wait meanwhile.
    pub fn barrier(&self) -> Result<Digest, StoreError> {
        let digest = self.digest.lock();
        self.contained(|db| db.flush().map(drop))?;
        self.file.sync_all().map_err(|error| {
            // What was not written may be dropped from the system's cache, and a second sync would say nothing of it.
            self.broken.store(true, Ordering::Release);
            StoreError::Io { path: self.path.clone(), error }
        })?;
        Ok(*digest)
    }

    /// Returns the digest of the content as written since opening; costs nothing.
    pub fn digest(&self) -> Digest {
        *self.digest.lock()
    }

    /// Reads every pair and returns the digest of what is there. At open, compare it with the last barrier's.
    pub fn verify(&self) -> Result<Digest, StoreError> {
        let mut digest = Digest::default();
        self.scan_prefix(&[], |key, value| {
            digest.add(self.digest_key.pair(key, value));
            ControlFlow::Continue(())
        })?;
        Ok(digest)
    }

    /// Destroys the database, whatever state it is in, and returns an empty one in its place.
    pub fn destroy_and_recreate(self) -> Result<Self, StoreError> {
        let (path, cache_bytes, digest_key) = (self.path.clone(), self.cache_bytes, self.digest_key.clone());
        drop(self);
        Self::destroy(&path)?;
        Self::open(&path, cache_bytes, digest_key)
    }

    /// Removes the folder of a database that is not open.
    pub fn destroy(path: &Path) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Io { path: path.to_owned(), error })
            }
            _ => Ok(()),
        }
    }

    fn walk(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut pairs = self.contained(|db| Ok(db.range(from..)))?;
        let mut last: Option<sled::IVec> = None;
        loop {
            // The visitor runs outside: its own panic is not the engine's.
            let Some((key, value)) = self.contained(|_| pairs.next().transpose())? else { return Ok(()) };
            if !key.starts_with(prefix) {
                return Ok(());
            }
            // A damaged tree could lead in a circle.
            if last.is_some_and(|last| last >= key) {
                return Err(self.breaks("its keys are out of order"));
            }
            if visit(&key, &value).is_break() {
                return Ok(());
            }
            last = Some(key);
        }
    }

    /// Runs a call of the engine. After any error of it the content is unknown, and the store refuses everything but its
    /// own destruction.
    fn contained<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let db = match &self.db {
            Some(db) if !self.broken.load(Ordering::Acquire) => db,
            _ => return Err(self.breaks("an earlier call failed")),
        };
        contain(&self.path, || call(db)).inspect_err(|_| self.broken.store(true, Ordering::Release))
    }

    fn breaks(&self, problem: &'static str) -> StoreError {
        self.broken.store(true, Ordering::Release);
        StoreError::Damaged { path: self.path.clone(), problem }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.db.take();
        if self.broken.load(Ordering::Acquire) {
            // After a panic inside it the engine's drop may wait for ever; its memory and files stay until the end.
            std::mem::forget(db);
        } else {
            catch_unwind(AssertUnwindSafe(|| drop(db))).ok();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Runs a call of the engine, turning its panics and errors into ours.
fn contain<T>(path: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let damaged = |problem| StoreError::Damaged { path: path.to_owned(), problem };
    // The engine's state after a panic is not looked at again: the store is broken from then on.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) => Err(StoreError::Io { path: path.to_owned(), error }),
        Ok(Err(sled::Error::Corruption { .. })) => Err(damaged("it is corrupt")),
        Ok(Err(sled::Error::CollectionNotFound(_))) => Err(damaged("a part of it is missing")),
        Ok(Err(sled::Error::Unsupported(_))) => Err(damaged("it is of another version")),
        Ok(Err(sled::Error::ReportableBug(_))) => Err(damaged("its engine met a contradiction")),
        Err(_) => Err(damaged("its engine panicked")),
    }
}

fn limit(what: &'static str, found: usize, least: usize, limit: usize) -> Result<(), StoreError> {
    if (least..=limit).contains(&found) { Ok(()) } else { Err(StoreError::Limit { what, found, limit }) }
}

fn create_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
