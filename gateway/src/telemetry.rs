//! What operators read: tracing of ids, counts and outcomes. No personal value, no header, no request text.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Environment variable with the level of our own crates: `info` by default.
pub const LEVEL: &str = "SILHOUETTE_LOG";

/// Starts tracing to standard error, and silences what panics would print of their values. Later calls change nothing.
pub fn init(json: bool) {
    let level = std::env::var(LEVEL).unwrap_or_default();
    let level = if ["error", "warn", "info", "debug"].contains(&level.as_str()) { level } else { "info".to_owned() };
    // Dependencies stay silent: at finer levels some of them print headers, and with them tokens.
    let filter = EnvFilter::new(format!("off,gateway={level},vault={level},policy={level},silhouette={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error means that a subscriber is set already, by an embedding program or an earlier call.
    let _ = if json { builder.json().finish().try_init() } else { builder.finish().try_init() };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(place, "a thread panicked");
    }));
}
