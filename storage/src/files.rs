//! Files beside sled: written so that a crash leaves the old content or the new.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::JournalError;

/// Writes a file next to its place, gets it onto the disk if asked, and renames it into place.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], sync: bool) -> Result<(), JournalError> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|error| JournalError::disk("write", path, &error))?;
    match (sync, path.parent()) {
        (true, Some(parent)) => sync_dir(parent),
        (_, _) => Ok(()),
    }
}

/// The content of a file; nothing when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::disk("read", path, &error)),
    }
}

/// Removes a file that may be gone already.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(JournalError::disk("remove", path, &error)),
    }
}

/// Gets the names in a directory onto the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| JournalError::disk("sync", path, &error))
}

/// Makes a directory and what is missing above it. Their names are on the disk when this returns: else a
/// power cut would take the directory with all that was synced inside it. Whoever else puts something into a
/// data directory before there is one makes it by this: the journal does not make anew what is there.
///
/// # Errors
/// The disk.
pub fn make_dir_durably(path: &Path) -> Result<(), JournalError> {
    if path.is_dir() {
        return Ok(());
    }
    // The parent of a relative path of one name is the working directory, which is there.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_dir_durably(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(|error| JournalError::disk("make", path, &error))?,
    }
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Gets a new directory with all its files onto the disk, its own name in its parent included.
pub(crate) fn sync_tree(path: &Path) -> Result<(), JournalError> {
    for entry in entries(path)? {
        if entry.is_dir() {
            sync_dir(&entry)?;
        } else {
            File::open(&entry)
                .and_then(|file| file.sync_all())
                .map_err(|error| JournalError::disk("sync", &entry, &error))?;
        }
    }
    sync_dir(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Paths in a directory; none when there is no such directory.
pub(crate) fn entries(path: &Path) -> Result<Vec<std::path::PathBuf>, JournalError> {
    let wrong = |error: std::io::Error| JournalError::disk("list", path, &error);
    match fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(wrong),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(wrong(error)),
    }
}

/// The name of a path for comparisons; empty when it is not UTF-8, which no name of ours is.
pub(crate) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
