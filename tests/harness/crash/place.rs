//! A gateway in a process of its own that can be killed and started again in the same folders.

use gateway::cli::{KeyFile, Session};
use gateway::clock::Clock;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `silhouette`.
    pub gateway: PathBuf,
    /// `silhouette-verify`.
    pub verifier: PathBuf,
}

/// Folders, settings and key files of one gateway.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    programs: Programs,
}

const SETTINGS: &str = "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";

impl Place {
    /// Makes a vault with one steward.
    pub fn new(programs: Programs) -> Self {
        Self::with_settings(programs, "")
    }

    /// Makes a vault with one steward, and more settings than where it listens.
    pub fn with_settings(programs: Programs, more: &str) -> Self {
        let place = Self { folder: TempDir::new().expect("a folder"), programs };
        std::fs::write(place.path("settings.toml"), SETTINGS.to_owned() + more).expect("the settings");
        let made = place.command(&["init", "--config", "settings.toml"]).output().expect("init runs");
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        place
    }

    /// Returns the path of a file of the gateway's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.gateway);
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the gateway and does not wait until it serves.
    pub fn begin(&self) -> Child {
        let errors = File::options().create(true).append(true).open(self.path("stderr")).expect("a file for errors");
        self.command(&["serve", "--json", "--config", "settings.toml"]).stderr(errors).spawn().expect("serve starts")
    }

    /// Starts the gateway and waits until it serves.
    pub fn start(&self) -> Served {
        self.served(self.begin())
    }

    /// Starts the gateway with its system calls written to the file `trace` by `strace`, and waits until it serves.
    pub fn start_traced(&self) -> Served {
        let mut command = Command::new("strace");
        // `-D`: the gateway stays our child, and strace watches from the side.
        command.args(["-D", "-f", "-yy", "-x", "-s", "65536", "-o", "trace", "-e"]);
        command.arg("trace=write,pwrite64,writev,sendto,sendmsg,fsync,fdatasync").arg(&self.programs.gateway);
        command.args(["serve", "--json", "--config", "settings.toml"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.served(command.spawn().expect("strace is installed and allowed"))
    }

    fn served(&self, mut child: Child) -> Served {
        let mut text = String::new();
        for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
            text.push_str(&line.expect("text"));
            if text.ends_with('}') {
                break;
            }
        }
        let bound: Value = serde_json::from_str(&text).unwrap_or_default();
        let address = bound["grpc"].as_str().unwrap_or_else(|| panic!("it does not serve: {}", self.errors()));
        Served { address: format!("http://{address}"), child }
    }

    /// Returns what the gateway wrote to its standard error so far.
    pub fn errors(&self) -> String {
        let mut text = String::new();
        File::open(self.path("stderr")).and_then(|mut file| file.read_to_string(&mut text)).expect("its errors");
        text
    }

    /// Runs the offline verifier and insists on what it says.
    #[track_caller]
    pub fn verify(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.programs.verifier);
        let done = command.current_dir(self.folder.path()).args(arguments).output().expect("the verifier runs");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{arguments:?}: {said} {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Connects with a key file of this folder.
    pub async fn session(&self, key_file: &Path, served: &Served) -> Session {
        let file = KeyFile::read(key_file).expect("a key file");
        let channel = gateway::cli::connect(&served.address, None).await.expect("a connection");
        Session::over(channel, file, Clock::system())
    }
}

/// A gateway that serves; killed when dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it serves gRPC.
    pub address: String,
    child: Child,
}

impl Served {
    /// Says whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Returns the number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once and waits until it is gone.
    pub fn kill(self) {
        drop(self);
    }

    /// Tells it to stop (SIGTERM) and waits until it has; returns whether it ended well.
    pub fn stop(mut self) -> bool {
        let told = Command::new("kill").arg(self.process().to_string()).status();
        told.is_ok_and(|told| told.success()) && self.child.wait().is_ok_and(|ended| ended.success())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills a process (SIGKILL) and waits until it is gone.
pub fn end(child: &mut Child) {
    let _gone_already = child.kill();
    let _reaped_already = child.wait();
}
