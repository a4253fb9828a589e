//! `storage/examples/journal_speed.rs`, the program that commits to our journal: found beside this one, and
//! built there first when this one runs from a checkout, so that a comparison never leaves it out unnoticed
//! and never measures an old one.
//!
//! The load tester knows the server from outside only; a dependency on its storage for one row would end that.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The program, and where its source is seen from the root of a checkout.
const NAME: &str = "journal_speed";
const SOURCE: &str = "storage/examples/journal_speed.rs";
const REMEDY: &str = "cargo build --release -p lotkeeper-storage --example journal_speed";

/// The program, or why there is none and what helps.
pub async fn prepare() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let Some(beside) = exe.parent() else { return Err(format!("it is built by `{REMEDY}`")) };
    let program = beside.join("examples").join(NAME);
    let Some(root) = checkout_above(beside) else {
        return match program.is_file() {
            true => Ok(program),
            false => Err(format!(
                "{} is not there and no checkout lies above it; build it in one with `{REMEDY}` and run \
                 the lotkeeper-load of its target directory",
                program.display()
            )),
        };
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let named = Path::new(&cargo).display();
    let args = arguments(beside);
    eprintln!("         building {NAME} for the journal's rows");
    // Its progress goes where ours goes.
    let status = tokio::process::Command::new(&cargo)
        .args(&args)
        .current_dir(&root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    let why = match status {
        Ok(status) if status.success() && program.is_file() => return Ok(program),
        Ok(status) if status.success() => format!("{named} built no {}", program.display()),
        Ok(status) => format!("{named} could not build {NAME} ({status})"),
        Err(error) => format!("{named} cannot be started ({error})"),
    };
    Err(format!("{why}; see what `{REMEDY}` says in {}", root.display()))
}

/// The nearest directory above that has the program's source.
fn checkout_above(dir: &Path) -> Option<PathBuf> {
    let is_checkout = |dir: &&Path| dir.join("Cargo.toml").is_file() && dir.join(SOURCE).is_file();
    dir.ancestors().find(is_checkout).map(Path::to_path_buf)
}

/// What cargo is told so that the program lies beside this one, built as this one is: a server of a debug
/// build is not to be held against a journal of another.
fn arguments(beside: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["build", "-p", "lotkeeper-storage", "--example", NAME].map(Into::into).into();
    match beside.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some("release") => args.push("--release".into()),
        Some(profile) => args.extend(["--profile".into(), profile.into()]),
    }
    if let Some(target) = beside.parent() {
        args.extend(["--target-dir".into(), target.into()]);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_known_by_its_manifest_and_the_source() {
        let dir = tempfile::tempdir().unwrap();
        let beside = dir.path().join("target").join("release");
        std::fs::create_dir_all(&beside).unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(checkout_above(&beside), None, "any crate has a manifest");
        let source = dir.path().join(SOURCE);
        std::fs::create_dir_all(source.parent().unwrap()).unwrap();
        std::fs::write(source, "").unwrap();
        assert_eq!(checkout_above(&beside).as_deref(), Some(dir.path()));
    }

    #[test]
    fn it_is_built_as_this_program_is() {
        for (beside, expected) in [
            ("/c/target/debug", ""),
            ("/c/target/release", " --release"),
            ("/c/target/bench", " --profile bench"),
        ] {
            let args = arguments(Path::new(beside));
            let line = args.join(std::ffi::OsStr::new(" ")).into_string().unwrap();
            let base = "build -p lotkeeper-storage --example journal_speed";
            assert_eq!(line, format!("{base}{expected} --target-dir /c/target"));
        }
    }
}
