//! Where a command's result goes: words and pictures for a person, one JSON value for a program.

use super::chart::Canvas;
use super::error::CliError;
use console::Term;
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Width of a terminal that does not say how wide it is, and of files.
const DEFAULT_WIDTH: usize = 100;
/// Wider lines are hard to read.
const MAX_WIDTH: usize = 120;

/// What a command found, said both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// For a person; ends in a line break unless empty.
    pub words: String,
    /// For a program.
    pub json: Value,
}

impl Shown {
    /// Builds a result.
    pub fn new(words: impl Into<String>, json: Value) -> Self {
        Self { words: words.into(), json }
    }
}

/// The standard output of one command.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    json: bool,
    canvas: Canvas,
}

impl Out {
    /// Looks at the terminal and the flags.
    pub fn new(json: bool, plain: bool) -> Self {
        let term = Term::stdout();
        let width = term.size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns)).clamp(40, MAX_WIDTH);
        let color = !plain && !json && console::colors_enabled();
        Self { json, canvas: Canvas { width, unicode: !plain, color } }
    }

    /// Returns what can be drawn on.
    pub fn canvas(&self) -> Canvas {
        self.canvas
    }

    /// Returns whether a program reads.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result in the way that was asked for.
    pub fn show(&self, shown: &Shown) -> Result<(), CliError> {
        if self.json { print(&format!("{:#}\n", shown.json)) } else { print(&shown.words) }
    }

    /// Prints words for a person as a command goes on; nothing for a program.
    pub fn say(&self, words: &str) -> Result<(), CliError> {
        if self.json { Ok(()) } else { print(words) }
    }

    /// Prints an error to standard error.
    pub fn complain(&self, error: &CliError) {
        let text = if self.json { format!("{:#}\n", error.json()) } else { error.words() };
        let _nowhere_left_to_say_it = std::io::stderr().write_all(text.as_bytes());
    }
}

/// A reader that went away (`| head`) is not an error.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(problem) if problem.kind() != ErrorKind::BrokenPipe => Err(problem.into()),
        _ => Ok(()),
    }
}
