//! Questions: composes vault releases and their post-processing only. Nothing here sees a value of a person.

pub mod advice;
pub mod bounds;
pub mod cut_bands;
pub mod cut_points;
pub mod parts;
pub mod plan;
pub mod profile;
pub mod question;
pub mod rfm;
pub mod story;
pub mod synopsis;
