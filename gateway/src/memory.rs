//! What can be done about secrets in this process's memory, and what can't.
//!
//! Keys and plaintext buffers of ours are wiped when they are dropped; a core file is never written, since it would hold
//! them. Not to be had: ring's and the TLS library's own key schedules are not wiped; the transport's receive buffers are
//! not; pages may be swapped out, which is warned about and is the host's to end (`swapoff`, or swap that is encrypted
//! under a key of this boot); a debugger, or root, reads everything while it runs; so does a snapshot of a virtual machine.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Keeps this process from writing a core file. An error is for the operator: the gateway serves all the same.
pub fn forbid_core_dumps() -> Result<(), String> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|problem| problem.to_string())
}

/// Says whether this host swaps; unknown counts as no.
pub fn swaps() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|text| lists_swap(&text))
}

/// The first line is a heading.
fn lists_swap(text: &str) -> bool {
    text.lines().skip(1).any(|line| !line.trim().is_empty())
}

/// Does what is to be done before secrets are in memory, and warns of the rest.
pub fn guard() {
    if let Err(problem) = forbid_core_dumps() {
        tracing::warn!(problem, "core files can't be turned off: one would hold keys");
    }
    if swaps() {
        tracing::warn!("this host swaps: memory with keys may reach its disk. Turn swap off, or encrypt it");
    }
}

#[test]
fn swap_is_told_by_the_lines_after_the_heading() {
    let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    assert!(!lists_swap("") && !lists_swap(heading));
    assert!(lists_swap(&format!("{heading}/swapfile  file  2097148  0  -2\n")));
}

#[test]
fn no_core_file_is_written() {
    assert_eq!(forbid_core_dumps(), Ok(()));
    assert_eq!(rustix::process::getrlimit(Resource::Core).current, Some(0));
}
