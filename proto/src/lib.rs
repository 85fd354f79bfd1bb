//! The wire contract: the protocol-buffer files under `silhouette/v1` and the Rust code generated from them.
//!
//! Knows none of our other crates. The generated code is committed, so that a build needs no generator; the test
//! `regenerate` makes it anew and fails on a difference.

/// Package `silhouette.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::doc_markdown,
    clippy::large_enum_variant,
    reason = "generated code: the comments of the protocol-buffer files are its documentation"
)]
pub mod v1 {
    include!("gen/silhouette.v1.rs");
}

/// The descriptors of every file, imports included, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/silhouette.v1.bin");
