//! A whole portrait as it is drawn: one page.

use super::{Contrasted, Figure, Sheet};

/// What a panel is of, and so how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Values of what each has one of: bars.
    Values,
    /// Values that one person can have several of: bars, the largest first.
    Ranked,
    /// Hours of day: columns.
    Hours,
    /// Weekdays: columns.
    Weekdays,
    /// Periods: a line.
    Trend,
}

/// One value, band or time.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileRow {
    /// How many members.
    pub people: Figure,
    /// Its shares, and how they compare.
    pub compared: Contrasted,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfilePanel {
    /// In a person's words.
    pub title: String,
    /// How it is drawn.
    pub of: Of,
    /// Its rows.
    pub rows: Vec<ProfileRow>,
    /// How many rows more there are, that are smaller.
    pub hidden: usize,
    /// In how many rows one person counts fully; 1 where everybody is in one.
    pub counts_fully_in: u32,
    /// Whether its rows are few people each, so that their intervals are wide.
    pub is_uncertain: bool,
}

/// A whole portrait.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What it says about itself.
    pub sheet: Sheet,
    /// How many they are.
    pub size: Option<Figure>,
    /// How many they are compared with.
    pub rest: Option<Figure>,
    /// Whom they are compared with, in words; empty if with nobody.
    pub base: String,
    /// What follows from the figures, a sentence each.
    pub text: Vec<String>,
    /// The tables that can be read.
    pub panels: Vec<ProfilePanel>,
    /// What is said instead of those that can't.
    pub unreadable: Vec<String>,
    /// Whether the last period of the trend was not over.
    pub last_is_open: bool,
}

impl Profile {
    /// Says whether anybody is compared with.
    pub fn is_compared(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns which part of all they are, in per cent.
    pub fn part(&self) -> Option<f64> {
        let (size, rest) = (self.size?, self.rest?);
        let all = size.length() + rest.length();
        (!size.may_be_nothing() && all >= 1.0).then(|| 100.0 * size.length() / all)
    }

    /// Says what a reader must know, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_compared() {
            notes.push(format!(
                "Index: a share of these over that of {}, 100 being the same. Of rows that are the same in truth, one in twenty \
                 looks different.",
                self.base
            ));
        }
        let bounds: Vec<String> =
            self.panels.iter().filter(|panel| panel.counts_fully_in > 1).map(ProfilePanel::bound).collect();
        if !bounds.is_empty() {
            notes.push(format!(
                "One person counts fully in {}; who is in four times as many counts half in each, so that nobody shapes the \
                 picture.",
                bounds.join(", ")
            ));
        }
        if self.last_is_open {
            notes.push("The last period was not over when the epoch ended.".to_owned());
        }
        notes
    }
}

impl ProfilePanel {
    /// Says in how many rows one person counts fully.
    fn bound(&self) -> String {
        let of = match self.of {
            Of::Hours => "hours of day".to_owned(),
            Of::Weekdays => "weekdays".to_owned(),
            Of::Trend => "periods of the trend".to_owned(),
            Of::Values | Of::Ranked => format!("values of {}", self.title.to_lowercase()),
        };
        format!("{} {of}", self.counts_fully_in)
    }
}
