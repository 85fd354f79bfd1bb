//! `rotate`.

use clap::Args;
use std::path::PathBuf;

/// `rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// List the keys that exist, by kind and state, and replace none. This is also what happens if nothing is named.
    #[arg(long)]
    pub list: bool,
    /// Replace the keys of all data that is folded: it is sealed again, a few blocks at a time.
    #[arg(long)]
    pub pieces: bool,
    /// Replace the keys of what is not folded yet.
    #[arg(long)]
    pub journals: bool,
    /// Replace the root and every page of the key tree.
    #[arg(long)]
    pub root: bool,
    /// Replace the key that signs tokens: those issued before stay valid until they expire.
    #[arg(long)]
    pub tokens: bool,
    /// Replace the key that signs the log: the old one signs an entry that announces the new.
    #[arg(long)]
    pub log: bool,
    /// All of these. Not pseudonyms.
    #[arg(long)]
    pub all: bool,
    /// Replace the keys of partners' pseudonyms before their epoch ends: partners get other pseudonyms for the same people,
    /// which nobody can connect with those they hold.
    #[arg(long)]
    pub pseudonyms: bool,
    /// Lock the root with the passphrase in this file, in place of its lock so far. The gateway must be stopped.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_passphrase", "list", "pieces", "journals", "root", "tokens", "log", "all", "pseudonyms"])]
    pub passphrase_file: Option<PathBuf>,
    /// Take the passphrase from the root. The gateway must be stopped.
    #[arg(long, conflicts_with_all = ["list", "pieces", "journals", "root", "tokens", "log", "all", "pseudonyms"])]
    pub no_passphrase: bool,
    /// With a change of the passphrase: settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RotateArgs {
    /// Says whether it is about the passphrase, and so about folders of this machine.
    pub fn is_local(&self) -> bool {
        self.no_passphrase || self.passphrase_file.is_some()
    }
}
