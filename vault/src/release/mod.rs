//! DP releases: questions, plans (public), noise (OpenDP) and answers.

mod question;

pub use question::{Answer, Cell, Kind, Question, Table};
