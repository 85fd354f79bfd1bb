//! Who plays: six clients, each with its own key and no more than it needs.

use crate::authn::ClientKey;
use crate::cli::args::Role;
use crate::cli::command::steward::create_client;
use crate::cli::error::CliError;
use crate::cli::keyfile::KeyFile;
use crate::cli::session::Session;
use std::path::{Path, PathBuf};

/// The partner that the co-operative shares with.
pub const PARTNER: &str = "greenbox";

/// The clients' connections.
#[derive(Debug)]
pub struct Cast {
    /// Runs the gateway.
    pub steward: Session,
    /// The co-operative's shop: writes data.
    pub shop: Session,
    /// Asks about groups of people.
    pub marketing: Session,
    /// A partner's customer system.
    pub partner: Session,
    /// Reads the log.
    pub officer: Session,
    /// Acts for members who have signed in at the co-operative.
    pub portal: Session,
}

impl Cast {
    /// Registers everyone with the steward's key.
    pub async fn register(folder: &Path, steward: &Path, url: &str) -> Result<Self, CliError> {
        let mut first = KeyFile::read(steward)?;
        url.clone_into(&mut first.gateway);
        let steward = Session::open(first).await?;
        let add = async |name: &str, role: Role, purposes: &[&str]| {
            let key = ClientKey::generate().map_err(|problem| CliError::failed(problem.to_string()))?;
            let (client, gateway, audience) = (name.to_owned(), url.to_owned(), "silhouette".to_owned());
            let file = KeyFile { client, gateway, audience, ca: None, key };
            file.write(&Self::key_file(folder, name))?;
            let partner = (role == Role::Partner).then(|| PARTNER.to_owned());
            create_client(&file, role, partner, purposes.iter().map(|p| (*p).to_owned()).collect(), &steward).await?;
            Session::open(file).await
        };
        let shop = add("shop", Role::Producer, &[]).await?;
        let marketing = add("marketing", Role::Service, &["marketing.segmentation", "marketing.portrait"]).await?;
        let partner = add("greenbox-crm", Role::Partner, &["sharing.partner.greenbox"]).await?;
        let officer = add("officer", Role::Officer, &[]).await?;
        let portal = add("portal", Role::Portal, &[]).await?;
        Ok(Self { steward, shop, marketing, partner, officer, portal })
    }

    /// Returns where a client's key file is.
    pub fn key_file(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}.toml"))
    }
}
