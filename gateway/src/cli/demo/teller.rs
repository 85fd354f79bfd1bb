//! How the demo speaks: numbered steps, a plain sentence or two each, and what came out of it, indented.

use crate::cli::chart::{Canvas, wrapped};
use crate::cli::error::CliError;
use crate::cli::out::Out;
use console::Style;
use std::cell::Cell;

/// Tells the story on standard output; nothing for a program.
#[derive(Debug)]
pub struct Teller {
    out: Out,
    step: Cell<u32>,
}

impl Teller {
    /// Begins.
    pub fn new(out: Out) -> Self {
        Self { out, step: Cell::new(0) }
    }

    /// Returns where pictures go.
    pub fn out(&self) -> Out {
        self.out
    }

    /// Returns what can be drawn on, less the indentation.
    pub fn canvas(&self) -> Canvas {
        let canvas = self.out.canvas();
        Canvas { width: canvas.width.saturating_sub(4), ..canvas }
    }

    fn style(&self) -> Style {
        Style::new().force_styling(self.out.canvas().color)
    }

    /// Opens the next step.
    pub fn step(&self, title: &str) -> Result<(), CliError> {
        self.step.set(self.step.get() + 1);
        let number = self.style().cyan().bold().apply_to(format!("{:>2}", self.step.get()));
        self.out.say(&format!("\n{number}  {}\n", self.style().bold().apply_to(title)))
    }

    /// Says something in plain words, wrapped.
    pub fn say(&self, words: &str) -> Result<(), CliError> {
        let lines = wrapped(words, self.out.canvas().width.saturating_sub(4).min(96));
        self.out.say(&lines.iter().map(|line| format!("    {line}\n")).collect::<String>())
    }

    /// Shows what came out, as it is.
    pub fn show(&self, text: &str) -> Result<(), CliError> {
        let text: String = text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
        self.out.say(&text)
    }

    /// Says the last words, and what can be typed now.
    pub fn finish(&self, words: &str, calls: &[String]) -> Result<(), CliError> {
        self.out.say("\n")?;
        self.say(words)?;
        calls.iter().try_for_each(|call| self.out.say(&format!("      {call}\n")))
    }
}
