//! Writes what each search begins from, and searches nothing: `SEEDS=FOLDER seeds -runs=0` fills `FOLDER/TARGET`.
//!
//! A target like the others, since all of the crate is compiled to count its edges and needs the library that does.
#![no_main]

use std::path::PathBuf;

libfuzzer_sys::fuzz_target!(
    init: {
        let folder = std::env::var_os("SEEDS").map(PathBuf::from).expect("SEEDS names the folder");
        write(folder).expect("the folder can be written to");
    },
    |_bytes: &[u8]| {}
);

fn write(folder: PathBuf) -> std::io::Result<()> {
    for decoder in harness::decoders::all() {
        let folder = folder.join(decoder.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (decoder.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
