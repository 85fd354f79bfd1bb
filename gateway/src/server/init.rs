//! The first start: a vault, and a steward who can register everyone else.

use super::ServeError;
use crate::app::StartError;
use crate::authn::ClientKey;
use crate::clock::Clock;
use crate::config::Config;
use crate::records::{self, Client};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, InvalidName};
use policy::permit::{Permit, Role, Verb};
use policy::rules::Rules;
use std::io;
use std::path::{Path, PathBuf};
use vault::Vault;

/// Id of the client that `init` makes.
pub const FIRST_STEWARD: &str = "steward";

/// Creates a vault with one steward, and writes the steward's key to `ROOT/clients/steward.key`, readable by its owner
/// alone. Returns that file. Blocks.
pub fn init(config: &Config, clock: &Clock) -> Result<PathBuf, ServeError> {
    config.check()?;
    let now = clock.now();
    let folders = config.vault()?;
    Vault::init(&folders, now)?;
    let vault = Vault::open(&folders, now)?;
    let key = ClientKey::generate()?;
    let steward = Client {
        id: ClientId::new(FIRST_STEWARD).map_err(|problem: InvalidName| ServeError::Runtime(problem.to_string()))?,
        role: Role::Steward,
        purposes: Vec::new(),
        public_key: key.public(),
        revoked: false,
        created: now,
    };
    let folder = config.root.join("clients");
    let file = folder.join(format!("{FIRST_STEWARD}.key"));
    write_key(&folder, &file, &key).map_err(|problem| ServeError::File {
        file: file.display().to_string(),
        problem: problem.kind().to_string(),
    })?;
    let permit = steward_permit(&steward.principal(Vec::new()))?;
    vault.put_record(&permit, records::CLIENTS, steward.id.as_str(), Some(&steward.encode()), now)?;
    vault.close(now)?;
    Ok(file)
}

/// The first steward registers itself, by the policies that ship.
fn steward_permit(principal: &Principal) -> Result<Permit, ServeError> {
    let rules = Rules::parse(Rules::default_texts(), 1).map_err(StartError::Rules)?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let request = Request {
        principal,
        verb: Verb::ManageClients,
        dataset: None,
        purpose: None,
        basis: None,
        fields: &[],
        request_id: &request_id,
    };
    match decide(&rules, &request) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(ServeError::Runtime(refusal.message)),
    }
}

fn write_key(folder: &Path, file: &Path, key: &ClientKey) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if !folder.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(key.to_pem().as_bytes())?;
    file.sync_all()
}
