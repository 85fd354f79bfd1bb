//! The command line `silhouette`.

pub mod chart;
pub mod generate;
pub mod import;
