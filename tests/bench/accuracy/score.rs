//! What is asked, and how far answers are from the truth.

/// A question, or ten of them, for the one total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Events and amounts by group.
    CountsAndSums,
    /// Events by group.
    Counts,
    /// Events by the groups of each of ten fields.
    TenCounts,
}

impl Asked {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::CountsAndSums => "COUNT and SUM by group, one question",
            Self::Counts => "COUNT by group, one question",
            Self::TenCounts => "COUNT by the groups of ten fields, ten questions under one total",
        }
    }

    pub(super) fn fields(self) -> u16 {
        if self == Self::TenCounts { 10 } else { 1 }
    }

    pub(super) fn sums(self) -> bool {
        self == Self::CountsAndSums
    }

    pub(super) fn aim(self, what: &str) -> &'static str {
        match (self, what) {
            (_, "sums") => "the aim is 0.33 at most",
            (Self::TenCounts, _) => "the aim is less than 1",
            _ => "the aim is 1.4 at most",
        }
    }
}

/// A setting of a peer and its errors. Every other run tunes, the rest score: the least of many noisy errors, taken at its
/// word, would flatter whoever has the most settings.
pub(super) struct Scored {
    pub(super) name: String,
    pub(super) counts: Split,
    pub(super) sums: Split,
}

/// Errors of the runs that tune and of those that score.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Split {
    pub(super) tuning: Error,
    pub(super) scoring: Error,
}

impl Split {
    /// Adds the answers of a run.
    pub(super) fn add(&mut self, run: usize, answers: impl Iterator<Item = f64>, truth: &[f64]) {
        if run.is_multiple_of(2) { self.tuning.add(answers, truth) } else { self.scoring.add(answers, truth) }
    }
}

/// Squared errors, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Error {
    squares: f64,
    answers: u32,
}

impl Error {
    pub(super) fn add(&mut self, answers: impl Iterator<Item = f64>, truth: &[f64]) {
        for (answer, truth) in answers.zip(truth) {
            self.squares += (answer - truth).powi(2);
            self.answers += 1;
        }
    }

    /// Adds those of others.
    pub(super) fn merge(&mut self, other: Self) {
        self.squares += other.squares;
        self.answers += other.answers;
    }

    /// Not a number for no answers.
    pub(super) fn root_mean_square(&self) -> f64 {
        (self.squares / f64::from(self.answers)).sqrt()
    }
}
