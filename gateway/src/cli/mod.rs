//! The command line `silhouette`.

pub mod chart;
pub mod import;
