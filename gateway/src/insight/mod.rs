//! Questions and their display: composes vault releases and post-processing only. Nothing here sees a value of a person.

pub mod display;
pub mod plan;
pub mod question;
