//! `demo`: the whole line on an invented farm co-operative, through the gRPC that everyone uses.
//!
//! Everything happens in a temporary folder that is gone afterwards; the gateway listens on loopback, on ports of the
//! system's choice. Nothing is staged: what is refused is refused by the policies that ship, what is noised by the noise
//! that everyone gets.

mod cast;
mod member;
mod story;
mod teller;

use super::args::DemoArgs;
use super::command::local;
use super::error::{CliError, Exit};
use super::out::Out;
use crate::clock::{Clock, Stopwatch};
use crate::config::Config;
use cast::Cast;
use std::path::{Path, PathBuf};
use teller::Teller;

/// Runs the demo; with `--serve` stays until told to stop.
pub async fn run(args: &DemoArgs, out: Out) -> Result<Exit, CliError> {
    let watch = Stopwatch::start();
    let place = Place::new()?;
    let clock = Clock::system();
    let teller = Teller::new(out);
    let steward = place.path().join("steward.toml");
    let config = Config::ephemeral(place.path());
    local::create(&config, &steward)?;
    let gateway = local::start(config, clock.clone()).await?;
    let url = format!("http://{}", gateway.grpc());
    let told = story::tell(args, &teller, &place, &steward, &url, &clock).await;
    if told.is_ok() && args.serve {
        teller.finish(&format!("The gateway stays up at {url} until you press Ctrl-C."), &calls(&place, &url))?;
        tokio::signal::ctrl_c().await?;
    }
    gateway.stop().await?;
    told?;
    if !args.serve {
        let gone = "The temporary folder is gone; your own: silhouette init && silhouette serve.";
        teller.finish(&format!("All of this took {:.0} s. {gone}", watch.elapsed().as_secs_f64()), &[])?;
    }
    Ok(Exit::Done)
}

/// What to type while `demo --serve` is up.
fn calls(place: &Place, url: &str) -> Vec<String> {
    let key = |name: &str| Cast::key_file(place.path(), name).display().to_string();
    // As it was started: it may be on no path.
    let us = std::env::args().next().unwrap_or_else(|| "silhouette".to_owned());
    let us = format!("{us} --gateway {url}");
    vec![
        format!("{us} --key {} portrait -d coop --last 90d 'region == \"lakes\"'", key("marketing")),
        format!("{us} --key {} portrait -d coop --whole --svg page.svg 'order.last(\"90d\").any()'", key("marketing")),
        format!("{us} --key {} size -d coop --within 50 'age_band == \"65+\"'", key("marketing")),
        format!("{us} --key {} audit search --decision refuse", key("officer")),
        format!("{us} --key {} budget -d coop", key("marketing")),
        format!("{us} --key {} subject access -d coop --subject m0000008 --out m0000008", key("portal")),
    ]
}

/// A temporary folder for its owner alone, gone when this is dropped.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("silhouette-demo-{}", uuid::Uuid::new_v4().simple()));
        create_private(&path).map_err(|problem| CliError::file(&path, &problem))?;
        Ok(Self(path))
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _what_stays_is_in_the_system_s_temporary_folder = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}
