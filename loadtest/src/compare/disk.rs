//! The ceiling of the log: a plain file that gets the same bytes per commit as our journal, and `sync_data`.
//!
//! File and journal take turns in short slices in one directory, and the medians of the slices are compared,
//! so that one noisy second of the disk decides nothing. Our journal runs in a program of its own
//! (`example.rs`), which is told one slice after the other.

use super::calm::{PROBE_BYTES, commits, quantile};
use super::context::Context;
use super::daemon::Home;
use super::error::CompareError;
use super::table::{Row, Work};
use serde::Deserialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

/// Records per commit: one reading alone, and what commits hold under load.
const COMMITS: [(usize, &str, &str); 3] = [
    (1, "file.1", "journal.1"),
    (200, "file.200", "journal.200"),
    (2_000, "file.2000", "journal.2000"),
];
/// Turns of each; odd, so that one of them is the median.
const SLICES: usize = 5;
/// All slices of one kind take this part of the time that other stages take, since a commit is simple.
const SHARE: f64 = 0.4;
/// The turn before the first counts for nothing, is this part of a slice, and tells the bytes of a commit.
const WARM_UP_SHARE: f64 = 0.25;
/// What a slice may take beyond its length: opening a journal, and one slow commit.
const SLICE_RESERVE: Duration = Duration::from_secs(30);
/// How long its end is waited for, looked for every so often.
const STOP_POLLS_MAX: u32 = 500;
const STOP_POLL: Duration = Duration::from_millis(10);

/// One slice, as the example's line tells it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
struct Slice {
    commits_per_second: f64,
    bytes_per_commit: f64,
    p50_us: f64,
    p99_us: f64,
}

/// All stages; the journal's only where its program is.
pub async fn play(example: Option<PathBuf>, context: &mut Context) -> Result<(), CompareError> {
    let seconds = context.options.duration.as_secs_f64() * SHARE / SLICES as f64;
    let home = Home::new("disk", &context.parent(), None)?;
    let mut journal = match example {
        Some(example) => Some(Journal::start(&example, &home)?),
        None => None,
    };
    for (records, file_key, journal_key) in COMMITS {
        context.begin(file_key).await?;
        let mut bytes = records * PROBE_BYTES;
        if let Some(journal) = &mut journal {
            let slice = journal.slice(records, seconds * WARM_UP_SHARE).await?;
            bytes = slice.bytes_per_commit.round().max(1.0) as usize;
        }
        let path = home.path().join(file_key);
        let failed = |source| CompareError::File { path: path.clone(), source };
        let mut file = File::create(&path).map_err(failed)?;
        file_slice(&mut file, bytes, seconds * WARM_UP_SHARE).map_err(failed)?;
        let (mut files, mut journals) = (Vec::new(), Vec::new());
        for _ in 0..SLICES {
            files.push(file_slice(&mut file, bytes, seconds).map_err(failed)?);
            if let Some(journal) = &mut journal {
                let slice = journal.slice(records, seconds).await?;
                // Numbers in records grow longer.
                bytes = slice.bytes_per_commit.round().max(1.0) as usize;
                journals.push(slice);
            }
        }
        let what = format!("{records} records per commit; medians of {SLICES} slices");
        context.put(row(file_key, "plain file, sync_data", &what, &files));
        if journal.is_some() {
            let what = format!("{what} in turn, {}", spread(&journals, &files));
            context.put(row(journal_key, "Lotkeeper's journal", &what, &journals));
        }
    }
    match journal {
        Some(journal) => journal.finish().await,
        None => Ok(()),
    }
}

fn row(key: &'static str, who: &str, what: &str, slices: &[Slice]) -> Row {
    let of = |figure: fn(&Slice) -> f64| median(slices.iter().map(figure).collect());
    Row {
        per_second: of(|slice| slice.commits_per_second),
        p50_us: Some(of(|slice| slice.p50_us) as u64),
        p99_us: Some(of(|slice| slice.p99_us) as u64),
        bytes_each: Some(of(|slice| slice.bytes_per_commit)),
        ..Row::new(key, Work::Log, who, what)
    }
}

/// How far the ratios of neighbouring slices lie apart.
fn spread(journals: &[Slice], files: &[Slice]) -> String {
    let ratios = journals.iter().zip(files).map(|(ours, file)| {
        ours.commits_per_second / file.commits_per_second.max(f64::MIN_POSITIVE)
    });
    let (least, most) = ratios
        .fold((f64::INFINITY, 0.0_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
    format!("{least:.2} to {most:.2} of the file")
}

/// Nought of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn file_slice(file: &mut File, bytes: usize, seconds: f64) -> std::io::Result<Slice> {
    let length = Duration::from_secs_f64(seconds);
    let mut latencies = tokio::task::block_in_place(|| commits(file, bytes, length))?;
    latencies.sort_unstable();
    let total_us: u64 = latencies.iter().sum();
    Ok(Slice {
        commits_per_second: latencies.len() as f64 * 1e6 / total_us.max(1) as f64,
        bytes_per_commit: bytes as f64,
        p50_us: quantile(&latencies, 50) as f64,
        p99_us: quantile(&latencies, 99) as f64,
    })
}

/// The example at work.
struct Journal<'a> {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    home: &'a Home,
}

impl<'a> Journal<'a> {
    const NAME: &'static str = "journal_speed";

    fn start(example: &Path, home: &'a Home) -> Result<Self, CompareError> {
        let failed = |source| CompareError::Spawn { name: Self::NAME, source };
        let mut command = home.command(example)?;
        command.arg(home.path()).arg("--slices").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let orders = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        Ok(Self { child, orders, answers: BufReader::new(stdout).lines(), home })
    }

    /// So many records per commit, for so long.
    async fn slice(&mut self, records: usize, seconds: f64) -> Result<Slice, CompareError> {
        let order = format!("{records} {seconds}\n");
        if let Some(orders) = &mut self.orders {
            // When nobody reads it, nobody answers either, and the log says why.
            let _ = orders.write_all(order.as_bytes()).await;
        }
        let wait_max = SLICE_RESERVE + Duration::from_secs_f64(seconds);
        let line = match timeout(wait_max, self.answers.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Err(self.failed("it ended")),
            Ok(Err(error)) => return Err(self.failed(&error.to_string())),
            Err(_) => return Err(self.failed(&format!("no answer for {wait_max:?}"))),
        };
        let slice = serde_json::from_str::<Slice>(&line);
        let slice = slice.ok().filter(|slice| slice.commits_per_second > 0.0);
        slice.ok_or_else(|| self.failed(&format!("it answered `{line}` to `{}`", order.trim())))
    }

    /// Without further orders it ends, and removes what it wrote.
    async fn finish(mut self) -> Result<(), CompareError> {
        drop(self.orders.take());
        match timeout(SLICE_RESERVE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failed(&format!("it ended with {status}"))),
            Ok(Err(error)) => Err(self.failed(&error.to_string())),
            Err(_) => Err(self.failed(&format!("it did not end within {SLICE_RESERVE:?}"))),
        }
    }

    fn failed(&self, why: &str) -> CompareError {
        let what = format!("{why}; the end of its log:\n{}", self.home.log_tail());
        CompareError::Stage { name: Self::NAME, what }
    }
}

impl Drop for Journal<'_> {
    /// It is gone before its directory is. After `finish` there is nothing left to do.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        for _ in 0..STOP_POLLS_MAX {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(STOP_POLL),
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(commits_per_second: f64) -> Slice {
        Slice { commits_per_second, bytes_per_commit: 34.0, p50_us: 1.0, p99_us: 2.0 }
    }

    #[test]
    fn one_noisy_slice_decides_nothing() {
        let files = [1_000.0, 990.0, 1_010.0, 1_005.0, 995.0].map(slice);
        let journals = [600.0, 610.0, 20.0, 605.0, 590.0].map(slice);
        let (file, journal) = (row("f", "x", "y", &files), row("j", "x", "y", &journals));
        assert_eq!((file.per_second, journal.per_second), (1_000.0, 600.0));
        assert_eq!((journal.p50_us, journal.bytes_each), (Some(1), Some(34.0)));
        assert_eq!(spread(&journals, &files), "0.02 to 0.62 of the file");
    }

    /// A program that answers nonsense, or nothing.
    #[tokio::test]
    async fn an_example_that_does_not_answer_as_agreed_says_so() {
        let parent = tempfile::tempdir().unwrap();
        for (script, said) in [
            ("read order; echo ready; exec cat >/dev/null", "`ready` to `200 0.5`"),
            ("read order; echo no disk >&2; exit 3", "no disk"),
        ] {
            let home = Home::new("t", parent.path(), None).unwrap();
            let program = home.path().join("program");
            // By another process: a file that this one has open for writing, in whichever thread, cannot run.
            let write =
                format!("printf '#!/bin/sh\n%s\n' '{script}' > program && chmod +x program");
            let mut shell = std::process::Command::new("/bin/sh");
            let written = shell.args(["-c", &write]).current_dir(home.path()).status().unwrap();
            assert!(written.success());
            let mut journal = Journal::start(&program, &home).unwrap();
            let error = journal.slice(200, 0.5).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_examples_lines_are_read() {
        let line = r#"{"records_per_commit":200,"commits_per_second":900.5,"bytes_per_commit":6800.0,"p50_us":1000,"p99_us":2000}"#;
        let read: Slice = serde_json::from_str(line).unwrap();
        assert_eq!((read.commits_per_second, read.bytes_per_commit), (900.5, 6800.0));
    }
}
