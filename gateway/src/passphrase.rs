//! Where the passphrase of the root comes from: a file, the hidden environment, or the terminal. Never a flag, which the
//! process list and the shell's history would show, and never written anywhere.
//!
//! A file of ours that group or others may read is refused, as ssh does with its keys. One that belongs to somebody else, such
//! as a mounted secret, is that one's to protect.

use console::Term;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use vault::keys::{BadPassphrase, MAX_PASSPHRASE, Passphrase};
use zeroize::Zeroizing;

/// The hidden environment variable. Whoever may look into the process may read it: a file is better.
pub const VARIABLE: &str = "SILHOUETTE_PASSPHRASE";

/// Why there is no passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// The file can't be read.
    #[error("the passphrase file `{file}` can't be read: {problem}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        problem: String,
    },
    /// Others than its owner may read the file.
    #[error("the passphrase file `{file}` may be read by others (mode {mode:03o}): chmod 600 it, then try again")]
    Exposed {
        /// Which file.
        file: String,
        /// Who may do what with it.
        mode: u32,
    },
    /// What was given is no passphrase.
    #[error(transparent)]
    Bad(#[from] BadPassphrase),
    /// The terminal can't be asked.
    #[error("a passphrase is needed and there is no terminal to ask at: give it with `passphrase_file`")]
    NoTerminal,
    /// What was typed the second time differs.
    #[error("the two passphrases differ")]
    Differ,
}

/// Reads a file.
pub fn of_file(file: &Path) -> Result<Passphrase, PassphraseError> {
    let unreadable = |problem: std::io::Error| PassphraseError::Unreadable {
        file: file.display().to_string(),
        problem: problem.kind().to_string(),
    };
    // A buffer that does not grow leaves no copy behind; what does not fit is no passphrase.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 4));
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let meta = opened.metadata().map_err(unreadable)?;
    let mode = meta.mode() & 0o777;
    if meta.is_file() && meta.uid() == rustix::process::getuid().as_raw() && mode & 0o077 != 0 {
        return Err(PassphraseError::Exposed { file: file.display().to_string(), mode });
    }
    opened.take(MAX_PASSPHRASE as u64 + 3).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Passphrase::new(bytes)?)
}

/// Takes it from the file, if one is named, else from the environment; nothing where neither is there.
pub fn found(file: Option<&Path>) -> Result<Option<Passphrase>, PassphraseError> {
    if let Some(file) = file {
        return of_file(file).map(Some);
    }
    let Some(given) = std::env::var_os(VARIABLE) else { return Ok(None) };
    Ok(Some(Passphrase::new(Zeroizing::new(given.into_vec()))?))
}

/// Asks at the terminal, without showing what is typed.
pub fn ask(prompt: &str) -> Result<Passphrase, PassphraseError> {
    let term = Term::stderr();
    if !term.is_term() {
        return Err(PassphraseError::NoTerminal);
    }
    let no_terminal = |_| PassphraseError::NoTerminal;
    term.write_str(prompt).map_err(no_terminal)?;
    let typed = term.read_secure_line().map_err(no_terminal)?;
    Ok(Passphrase::new(Zeroizing::new(typed.into_bytes()))?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn set_mode(file: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passphrase");
        std::fs::write(&file, "correct horse battery\n").unwrap();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            set_mode(&file, mode);
            let said = of_file(&file).unwrap_err().to_string();
            assert!(said.ends_with(&format!("(mode {mode:o}): chmod 600 it, then try again")), "{said}");
        }
        for mode in [0o600, 0o400] {
            set_mode(&file, mode);
            assert!(of_file(&file).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_read_and_what_is_wrong_with_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passphrase");
        let missing = of_file(&file).unwrap_err().to_string();
        assert!(missing.contains("passphrase` can't be read"), "{missing}");
        std::fs::write(&file, "correct horse battery\n").unwrap();
        set_mode(&file, 0o600);
        assert!(of_file(&file).is_ok());
        for bad in ["short", "two\nlines of it, and more", &"x".repeat(5_000)] {
            std::fs::write(&file, bad).unwrap();
            let said = of_file(&file).unwrap_err().to_string();
            assert_eq!(said, "a passphrase has 12-1024 bytes, on one line");
            assert!(!said.contains(bad));
        }
    }
}
