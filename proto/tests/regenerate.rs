//! Makes the generated code anew and compares it with what is committed.
//!
//! `SILHOUETTE_REGENERATE=1 cargo test -p proto` writes it instead.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

const NAMES: [&str; 2] = ["silhouette.v1.rs", "silhouette.v1.bin"];

fn protos(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn generate(root: &Path, out: &Path) {
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(protos(&root.join("silhouette/v1"))).unwrap();
    tonic_prost_build::configure()
        .build_transport(true)
        .bytes(".silhouette.v1.Value.identifier")
        .out_dir(out)
        .compile_fds(compiler.file_descriptor_set())
        .unwrap();
    compiler.include_source_info(false);
    std::fs::write(out.join("silhouette.v1.bin"), compiler.encode_file_descriptor_set()).unwrap();
}

#[test]
fn committed_code_is_what_the_files_generate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/gen");
    if std::env::var_os("SILHOUETTE_REGENERATE").is_some() {
        return generate(root, &committed);
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gen");
    std::fs::create_dir_all(&fresh).unwrap();
    generate(root, &fresh);
    for name in NAMES {
        if std::fs::read(fresh.join(name)).unwrap() != std::fs::read(committed.join(name)).unwrap() {
            panic!("{name} is out of date: run `SILHOUETTE_REGENERATE=1 cargo test -p proto`");
        }
    }
}
