//! The list of seeded faults, `mutants.toml`: what each changes, why it would be a lie, and which tests must fail.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// The faults, those that the same tests find side by side, since they share a build.
    pub(crate) mutant: Vec<Mutant>,
}

/// One fault.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What it is called.
    pub(crate) name: String,
    /// What would be untrue if it were in the product.
    pub(crate) why: String,
    /// What is changed.
    pub(crate) edits: Vec<Edit>,
    /// Package and target of the tests: `vault` and `lib`, `tests` and `stat`.
    pub(crate) package: String,
    /// See `package`.
    pub(crate) target: String,
    /// Full names of the tests, each of which must fail.
    pub(crate) tests: Vec<String>,
}

/// A text that stands once in a file, and what stands there instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// The file, from the root of the repository.
    pub(crate) file: String,
    /// The text.
    pub(crate) find: String,
    /// The other text.
    pub(crate) replace: String,
}

impl List {
    /// Reads the list beside this file.
    pub(crate) fn read() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("mutants.toml"))
    }
}

impl Edit {
    /// Returns a file's text with the fault in it, or why there is none.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 if self.find == self.replace => Err(format!("`{}` stays as it is", self.find)),
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            times => Err(format!("{} has `{}` {times} times and not once", self.file, self.find)),
        }
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
