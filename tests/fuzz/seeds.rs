//! Writes what each search begins from: `seeds FOLDER` fills `FOLDER/TARGET`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("usage: seeds FOLDER"));
    };
    for decoder in harness::decoders::all() {
        let folder = folder.join(decoder.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (decoder.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
