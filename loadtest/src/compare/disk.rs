//! The ceiling of the log: a plain file that gets the same bytes per commit as our journal, and `sync_data`.
//!
//! Our journal itself is measured by `storage/examples/journal_speed.rs`, a program of its own that is used
//! when it lies built beside this one: the load tester knows the server from outside only, and a dependency
//! on its storage for one row would end that. Both run on the same disk, one after the other.

use super::context::Context;
use super::daemon::Home;
use super::error::CompareError;
use super::table::{Row, Work};
use serde::Deserialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Records per commit: one reading alone, and what commits hold under load.
pub const COMMITS: [(usize, &str, &str); 3] = [
    (1, "file.1", "journal.1"),
    (200, "file.200", "journal.200"),
    (2_000, "file.2000", "journal.2000"),
];
/// A record in the journal, where nothing better is known.
const RECORD_BYTES: usize = 34;
/// A stage here needs no warm-up and settles in a part of the time the others take.
const SHARE: f64 = 0.4;

/// One line of the example's output.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    name: String,
    records_per_commit: usize,
    commits_per_second: f64,
    bytes_per_commit: f64,
    p50_us: f64,
    p99_us: f64,
}

/// The example beside this program.
pub fn find_example() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let path = exe.parent()?.join("examples").join("journal_speed");
    path.is_file().then_some(path)
}

/// All stages; the journal's only where its program is.
pub async fn play(example: Option<PathBuf>, context: &mut Context) -> Result<(), CompareError> {
    let seconds = context.options.duration.as_secs_f64() * SHARE;
    let lines = match example {
        Some(example) => journal(&example, seconds, context).await?,
        None => Vec::new(),
    };
    for (records, file_key, journal_key) in COMMITS {
        let line = lines
            .iter()
            .find(|line| line.name.starts_with("sled") && line.records_per_commit == records);
        let bytes = line.map_or(records * RECORD_BYTES, |line| line.bytes_per_commit as usize);
        let what = format!("{records} records, {bytes} bytes per commit");
        if let Some(line) = line {
            let row = Row {
                per_second: line.commits_per_second,
                p50_us: Some(line.p50_us as u64),
                p99_us: Some(line.p99_us as u64),
                bytes_each: Some(line.bytes_per_commit),
                ..Row::new(journal_key, Work::Log, "Lotkeeper's journal", &what)
            };
            context.put(row);
        }
        context.begin(file_key);
        let home = Home::new("disk", &context.parent(), None)?;
        let path = home.path().join("plain");
        let written = tokio::task::block_in_place(|| write(&path, bytes, seconds));
        let mut latencies = written.map_err(|source| CompareError::File { path, source })?;
        latencies.sort_unstable();
        let commits = latencies.len();
        let total_us: u64 = latencies.iter().sum();
        let row = Row {
            per_second: commits as f64 * 1e6 / total_us.max(1) as f64,
            p50_us: latencies.get(commits / 2).copied(),
            p99_us: latencies.get(commits * 99 / 100).copied(),
            bytes_each: Some(bytes as f64),
            ..Row::new(file_key, Work::Log, "plain file, sync_data", &what)
        };
        context.put(row);
    }
    Ok(())
}

/// Microseconds of each commit.
fn write(path: &std::path::Path, bytes: usize, seconds: f64) -> std::io::Result<Vec<u64>> {
    let mut file = std::fs::File::create(path)?;
    let record: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    let mut latencies = Vec::new();
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        let commit = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        latencies.push(u64::try_from(commit.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}

async fn journal(
    example: &std::path::Path,
    seconds: f64,
    context: &Context,
) -> Result<Vec<Line>, CompareError> {
    let name = "journal_speed";
    context.begin("journal");
    let home = Home::new("journal", &context.parent(), None)?;
    let sizes = COMMITS.map(|(records, ..)| records.to_string()).join(",");
    let output = tokio::process::Command::new(example)
        .arg(home.path())
        .args(["--json", &format!("{seconds}"), &sizes])
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| CompareError::Spawn { name, source })?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let what = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CompareError::Stage { name, what });
    }
    Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_written_and_measured() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let latencies = write(&path, 100, 0.02).unwrap();
        assert!(!latencies.is_empty());
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(length, latencies.len() as u64 * 100);
    }

    #[test]
    fn the_examples_lines_are_read_and_others_passed_over() {
        let line = r#"{"name":"sled + sync_data","records_per_commit":200,"commits_per_second":900.5,"bytes_per_commit":6800.0,"p50_us":1000.0,"p99_us":2000.0}"#;
        let read: Line = serde_json::from_str(line).unwrap();
        assert_eq!((read.records_per_commit, read.bytes_per_commit), (200, 6800.0));
        assert!(serde_json::from_str::<Line>("recovery  12 records").is_err());
    }
}
