//! The key file of a client: who it is, where its gateway is, and its private key, in one TOML file for its owner alone.
//!
//! Whoever has the file can act as the client until a steward revokes it; it is written with mode 0600 and refused when
//! others can read it.

use super::error::CliError;
use crate::authn::ClientKey;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A client's key file.
#[derive(Debug)]
pub struct KeyFile {
    /// The client id.
    pub client: String,
    /// Where its gateway listens: `http://127.0.0.1:7443`, `https://..`.
    pub gateway: String,
    /// What its gateway calls itself in tokens.
    pub audience: String,
    /// Certificate to trust, PEM, if it is not plain loopback.
    pub ca: Option<PathBuf>,
    /// The private key.
    pub key: ClientKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    client: String,
    gateway: String,
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    key: Zeroizing<String>,
}

const HEADING: &str = "# A Silhouette client key. Whoever has this file can act as this client: keep it to yourself.\n";

impl KeyFile {
    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|problem| {
            CliError::file(path, &problem).hint(
                "give a key file with --key or SILHOUETTE_KEY; `silhouette init` makes the first one, \
                       `silhouette client create` the others",
            )
        })?);
        private(path)?;
        let bad = || CliError::failed(format!("`{}` is not a Silhouette key file", path.display()));
        let Stored { version, client, gateway, audience, ca, key } = toml::from_str(&text).map_err(|_| bad())?;
        if version != 1 {
            return Err(bad());
        }
        let key = ClientKey::from_pem(&key).map_err(|problem| CliError::failed(problem.to_string()))?;
        Ok(Self { client, gateway, audience, ca, key })
    }

    /// Writes a new key file; one that exists is left alone and an error.
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let Self { client, gateway, audience, ca, key } = self;
        let stored = Stored {
            version: 1,
            client: client.clone(),
            gateway: gateway.clone(),
            audience: audience.clone(),
            ca: ca.clone(),
            key: key.to_pem(),
        };
        let body = toml::to_string(&stored).map_err(|_| CliError::failed("the key can't be written as TOML"))?;
        let body = Zeroizing::new(body);
        let mut file = create_private(path).map_err(|problem| CliError::file(path, &problem))?;
        file.write_all(HEADING.as_bytes())
            .and_then(|()| file.write_all(body.as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(|problem| CliError::file(path, &problem))
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_err(|problem| CliError::file(path, &problem))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(CliError::failed(format!("others can read the key file `{shown}`")).hint(format!("chmod 600 {shown}")))
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<(), CliError> {
    Ok(())
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn sample() -> KeyFile {
        KeyFile {
            client: "pricing".into(),
            gateway: "http://127.0.0.1:7443".into(),
            audience: "silhouette".into(),
            ca: None,
            key: ClientKey::generate().unwrap(),
        }
    }

    #[test]
    fn a_key_file_comes_back_and_is_private() {
        let folder = std::env::temp_dir().join(format!("silhouette-key-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("pricing.toml");
        let written = sample();
        written.write(&path).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!((read.client, read.key.public()), ("pricing".to_owned(), written.key.public()));
        assert!(written.write(&path).is_err(), "an existing key is never overwritten");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(KeyFile::read(&path).unwrap_err().words().contains("chmod 600"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
