//! Where the passphrase of the root comes from: a file, the hidden environment, or the terminal. Never a flag, which the
//! process list and the shell's history would show, and never written anywhere.

use console::Term;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
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

    #[test]
    fn a_file_is_read_and_what_is_wrong_with_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passphrase");
        let missing = of_file(&file).unwrap_err().to_string();
        assert!(missing.contains("passphrase` can't be read"), "{missing}");
        std::fs::write(&file, "correct horse battery\n").unwrap();
        assert!(of_file(&file).is_ok());
        for bad in ["short", "two\nlines of it, and more", &"x".repeat(5_000)] {
            std::fs::write(&file, bad).unwrap();
            let said = of_file(&file).unwrap_err().to_string();
            assert_eq!(said, "a passphrase has 12-1024 bytes, on one line");
            assert!(!said.contains(bad));
        }
    }
}
