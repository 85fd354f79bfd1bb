//! What a running gateway holds, and the few things that change while it runs: rules, clients, counters.

use crate::authn::{Authority, AuthorityError, SeenAssertions};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Typed};
use crate::insight::synopsis::Tried;
use crate::pace::Pace;
use crate::records::{self, Client, PolicySet, UnreadableRecord};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use policy::id::ClientId;
use policy::rules::{Rules, RulesError};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use vault::{Vault, VaultError};

/// A running gateway.
#[derive(Debug)]
pub struct App {
    /// The vault.
    pub vault: Arc<Vault>,
    /// The policies in force.
    pub rules: ArcSwap<Rules>,
    /// The registered clients.
    pub clients: ArcSwap<BTreeMap<ClientId, Client>>,
    /// Issues and checks tokens.
    pub authority: Authority,
    /// Assertions that were used.
    pub seen: SeenAssertions,
    /// The clock.
    pub clock: Clock,
    /// The settings.
    pub config: Config,
    /// When answers leave.
    pub pace: Pace,
    /// Synopses that are due and could not be drawn.
    pub synopses: Mutex<Tried>,
    /// Held while a record is read, changed and written.
    pub writing: Mutex<()>,
    /// Bounds vault calls at once.
    pub calls: Arc<Semaphore>,
    /// What was wrong with the backup at the last tick.
    pub backup_problem: Mutex<Option<String>>,
    /// Bounds the bytes of records that are checked or written at once.
    pub receiving: Arc<Semaphore>,
    /// Refusals of the unauthenticated since the last tick, by reason.
    pub anonymous: Mutex<BTreeMap<&'static str, u64>>,
    /// Calls by (method, outcome), for metrics; methods are ours, so the set is bounded.
    pub counters: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The vault can't be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The settings can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A stored record can't be read.
    #[error(transparent)]
    Record(#[from] UnreadableRecord),
    /// The stored policies don't compile.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Tokens can't be issued.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl App {
    /// Opens the vault and reads what the gateway keeps in it. Blocks.
    pub fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let vault = Vault::open(&config.vault()?, clock.now())?;
        for (dataset, problem) in vault.damage() {
            tracing::error!(%dataset, problem, "a dataset can't be opened and refuses every call");
        }
        let authority = Authority::new(&vault.token_keys()?, &config.audience, &config.audience, clock.now())?;
        let rules = stored_rules(&vault)?;
        let clients = records::clients(&vault.records(records::CLIENTS))?;
        Ok(Self {
            vault: Arc::new(vault),
            rules: ArcSwap::from_pointee(rules),
            clients: ArcSwap::from_pointee(clients),
            authority,
            seen: SeenAssertions::default(),
            clock,
            pace: Pace::default(),
            synopses: Mutex::default(),
            writing: Mutex::new(()),
            calls: Arc::new(Semaphore::new(config.concurrent_calls)),
            backup_problem: Mutex::default(),
            receiving: Arc::new(Semaphore::new(config.ingest_bytes)),
            anonymous: Mutex::default(),
            counters: Mutex::default(),
            // The passphrase has done its work.
            config: Config { typed: Typed::default(), ..config },
        })
    }

    /// Reads the clients again after a change.
    pub fn reload_clients(&self) -> Result<(), UnreadableRecord> {
        self.clients.store(Arc::new(records::clients(&self.vault.records(records::CLIENTS))?));
        Ok(())
    }

    /// Counts a refusal of someone unknown; the tick writes the counts to the log.
    pub fn count_anonymous(&self, reason: &'static str) {
        let mut counts = self.anonymous.lock();
        let count = counts.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts a finished call.
    pub fn count(&self, rpc: &'static str, outcome: &'static str) {
        let mut counters = self.counters.lock();
        let count = counters.entry((rpc, outcome)).or_default();
        *count = count.saturating_add(1);
    }

    /// Does the work of every second. Blocks.
    pub fn tick(&self) -> Result<(), VaultError> {
        let now = self.clock.now();
        let counts = std::mem::take(&mut *self.anonymous.lock());
        if !counts.is_empty() {
            self.vault.log_anonymous_refusals(&counts, now)?;
        }
        let ticked = self.vault.tick(now);
        self.tell_of_the_backup();
        self.reload_token_keys()?;
        ticked
    }

    /// Takes over the token keys that the vault has now.
    pub fn reload_token_keys(&self) -> Result<(), VaultError> {
        let problem = |problem: AuthorityError| VaultError::Io(problem.to_string());
        self.authority.reload(&self.vault.token_keys()?).map_err(problem)
    }

    /// Says once that the backup does not follow, and once that it does again.
    fn tell_of_the_backup(&self) {
        let problem = self.vault.backup_status().and_then(|status| status.problem);
        let before = std::mem::replace(&mut *self.backup_problem.lock(), problem.clone());
        match (&before, &problem) {
            (before, Some(problem)) if before.as_ref() != Some(problem) => {
                tracing::error!(problem, "the backup does not follow");
            }
            (Some(_), None) => tracing::info!("the backup follows again"),
            _ => {}
        }
    }
}

/// Returns the policies in force: the last published, or those that ship.
fn stored_rules(vault: &Vault) -> Result<Rules, StartError> {
    match vault.records(records::POLICIES).last() {
        Some((_, bytes)) => {
            let set = PolicySet::decode(bytes)?;
            Ok(Rules::parse(&[("published", &set.cedar)], set.epoch)?)
        }
        None => Ok(Rules::parse(Rules::default_texts(), 1)?),
    }
}

/// Returns the Cedar text of the policies in force.
pub fn policy_text(vault: &Vault) -> Result<String, UnreadableRecord> {
    match vault.records(records::POLICIES).last() {
        Some((_, bytes)) => Ok(PolicySet::decode(bytes)?.cedar),
        None => Ok(Rules::default_texts().iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n")),
    }
}
