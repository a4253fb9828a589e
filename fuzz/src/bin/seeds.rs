//! Writes what a coverage-led engine begins with: `lotkeeper-fuzz-seeds DIRECTORY` makes `NAME/seeds/*` and
//! `NAME/words` for every target, and prints the names.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lotkeeper_fuzz::TARGETS;

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "target/fuzz/corpus".to_owned());
    for target in TARGETS {
        let seeds = Path::new(&directory).join(target.name).join("seeds");
        fs::create_dir_all(&seeds)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(seeds.join(format!("{number:03}")), seed)?;
        }
        let mut words = String::new();
        for word in target.words {
            let bytes = word.bytes().fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
                text
            });
            words.push_str(&format!("\"{bytes}\"\n"));
        }
        fs::write(Path::new(&directory).join(target.name).join("words"), words)?;
        println!("{}", target.name);
    }
    Ok(())
}
