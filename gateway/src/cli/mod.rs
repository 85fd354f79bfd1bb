//! The command line `silhouette`.

pub mod chart;
