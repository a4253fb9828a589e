//! The data directory: which names there are and what each means.
//!
//! `CURRENT` names the live journal and is changed by one rename, so at any instant exactly one directory
//! is the journal, and it is complete. What nothing names is left over from a crash and removed at start.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::archive::Archive;
use crate::error::JournalError;
use crate::files;
use crate::format::Tip;

const CURRENT: &str = "CURRENT";
const TIP: &str = "TIP";
const LOCK: &str = "LOCK";
const FAILED: &str = "FAILED";
const ARCHIVE: &str = "archive";
const VAULT_KEY: &str = "vault.key";
const JOURNAL_PREFIX: &str = "journal-";
/// Before the name of the first journal, until that is on the disk: nothing was told of it before, so what a
/// crash leaves of it is made anew.
const BEING_MADE: &str = "making ";

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

/// The live journal.
pub(crate) struct LiveDir {
    pub(crate) dir: PathBuf,
    /// It is not on the disk yet, and nothing was told of it.
    pub(crate) being_made: bool,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn archive_dir(&self) -> PathBuf {
        self.dir.join(ARCHIVE)
    }

    pub(crate) fn tip_path(&self) -> PathBuf {
        self.dir.join(TIP)
    }

    /// Makes the directory and takes it for this process, for as long as the file is held.
    pub(crate) fn take(&self) -> Result<File, JournalError> {
        files::make_dir_durably(&self.dir)?;
        files::make_dir_durably(&self.archive_dir())?;
        self.lock()
    }

    /// Takes a directory that is there.
    pub(crate) fn lock(&self) -> Result<File, JournalError> {
        let path = self.dir.join(LOCK);
        let wrong = |error: std::io::Error| JournalError::disk("lock", &path, &error);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(JournalError::Locked { path: self.dir.display().to_string() })
            }
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// The directory that `CURRENT` names; names the first one in a directory without any log.
    pub(crate) fn live_dir(&self) -> Result<LiveDir, JournalError> {
        match self.current()? {
            Some(live) if live.being_made && self.tip_path().exists() => {
                let name = files::name_of(&live.dir);
                Err(self.damaged(format!(
                    "{CURRENT} says that the first journal is being made, and {TIP} knows of records; \
                     write {name} into {CURRENT}"
                )))
            }
            Some(live) if live.being_made && live.dir.exists() => {
                fs::remove_dir_all(&live.dir)
                    .map_err(|error| JournalError::disk("remove", &live.dir, &error))?;
                Ok(live)
            }
            Some(live) => Ok(live),
            None if self.is_empty()? => {
                let name = format!("{JOURNAL_PREFIX}{:06}", 1);
                self.write_current(&format!("{BEING_MADE}{name}"))?;
                Ok(LiveDir { dir: self.dir.join(name), being_made: true })
            }
            None => Err(self.damaged(format!(
                "{CURRENT} is missing beside a log; write the name of the newest \
                 {JOURNAL_PREFIX}* directory into it"
            ))),
        }
    }

    /// The directory that `CURRENT` names.
    pub(crate) fn current(&self) -> Result<Option<LiveDir>, JournalError> {
        let Some(text) = files::read_if_there(&self.dir.join(CURRENT))? else { return Ok(None) };
        let (name, being_made) = current_of(&text).map_err(|detail| self.damaged(detail))?;
        let dir = self.dir.join(&name);
        if !being_made && !dir.is_dir() && !self.is_empty()? {
            return Err(self
                .damaged(format!("{name}, which {CURRENT} names, is missing; restore a backup")));
        }
        Ok(Some(LiveDir { dir, being_made }))
    }

    /// Whether there is no trace of a log.
    pub(crate) fn is_empty(&self) -> Result<bool, JournalError> {
        let log = |path: &PathBuf| files::name_of(path).starts_with(JOURNAL_PREFIX);
        let journals = files::entries(&self.dir)?.iter().any(log);
        let archives = !Archive::list(&self.archive_dir())?.is_empty();
        Ok(!journals && !archives && !self.tip_path().exists())
    }

    /// Makes a directory the live journal. It must be complete and on the disk.
    pub(crate) fn set_current(&self, name: &str) -> Result<(), JournalError> {
        self.write_current(name)
    }

    fn write_current(&self, line: &str) -> Result<(), JournalError> {
        files::write_atomic(&self.dir.join(CURRENT), format!("{line}\n").as_bytes(), true)
    }

    /// The directory after the live one.
    pub(crate) fn next_dir(&self, live: &Path) -> PathBuf {
        let number = number_of(files::name_of(live)).unwrap_or_default() + 1;
        self.dir.join(format!("{JOURNAL_PREFIX}{number:06}"))
    }

    /// Removes what a crash amid a rotation left.
    pub(crate) fn remove_leftovers(&self, live: &Path) -> Result<(), JournalError> {
        for path in files::entries(&self.dir)? {
            if number_of(files::name_of(&path)).is_some() && path != live {
                tracing::info!(path = %path.display(), "removing what an unfinished rotation left");
                fs::remove_dir_all(&path)
                    .map_err(|error| JournalError::disk("remove", &path, &error))?;
            }
        }
        for dir in [self.dir.clone(), self.archive_dir()] {
            for path in files::entries(&dir)? {
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    files::remove_if_there(&path)?;
                }
            }
        }
        Ok(())
    }

    /// The tip; nothing when it is missing or unreadable, which is judged as history that may have shrunk.
    pub(crate) fn tip(&self) -> Result<Option<Tip>, JournalError> {
        let Some(bytes) = files::read_if_there(&self.tip_path())? else { return Ok(None) };
        let tip = Tip::from_bytes(&bytes);
        if let Err(error) = &tip {
            tracing::warn!(%error, "the tip file is unreadable; the epoch changes");
        }
        Ok(tip.ok())
    }

    /// Why a commit failed before the last end, if one did.
    pub(crate) fn failure(&self) -> Result<Option<String>, JournalError> {
        let text = files::read_if_there(&self.dir.join(FAILED))?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
    }

    pub(crate) fn mark_failed(&self, cause: &str) -> Result<(), JournalError> {
        files::write_atomic(&self.dir.join(FAILED), format!("{cause}\n").as_bytes(), true)
    }

    pub(crate) fn clear_failure(&self) -> Result<(), JournalError> {
        files::remove_if_there(&self.dir.join(FAILED))?;
        files::sync_dir(&self.dir)
    }

    /// Format 1 hashed people under a secret on the disk; nothing needs it any more.
    pub(crate) fn remove_vault_key(&self) -> Result<(), JournalError> {
        files::remove_if_there(&self.dir.join(VAULT_KEY))
    }

    fn damaged(&self, detail: String) -> JournalError {
        JournalError::damaged(self.dir.display().to_string(), detail)
    }
}

/// The directory's name in the bytes of `CURRENT`, and whether it was still being made.
pub(crate) fn current_of(text: &[u8]) -> Result<(String, bool), String> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let making = text.strip_prefix(BEING_MADE);
    let (name, being_made) = (making.unwrap_or(text), making.is_some());
    let shown: String = text.chars().take(80).collect();
    number_of(name)
        .map(|_| (name.to_owned(), being_made))
        .ok_or_else(|| format!("{CURRENT} says `{shown}`, not {JOURNAL_PREFIX} and a number"))
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(JOURNAL_PREFIX)?;
    // `+1` is a number to the library and no name of ours; the last number has no next one.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_names_a_journal_that_can_have_a_next_one() {
        for (text, named) in [
            ("journal-000001\n", true),
            (" journal-7 ", true),
            ("journal-+1", false),
            ("journal--1", false),
            ("journal-", false),
            ("journal-4294967295", false),
            ("journal-99999999999999", false),
            ("../journal-000001", false),
            ("journal-1/../../elsewhere", false),
            ("", false),
        ] {
            assert_eq!(current_of(text.as_bytes()).is_ok(), named, "{text:?}");
        }
        let long = current_of(&[b'x'; 100_000]).unwrap_err();
        assert!(long.len() < 200, "{} bytes", long.len());
    }
}
