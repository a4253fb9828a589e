//! Where signing keys come from: configuration, a file, or a file made at the first start on loopback.
//!
//! Invariants: a made key has 256 bits of the system's randomness and is readable by its owner only; a
//! server that others can reach never makes its own key, because nobody would know that it is there.
//! A key is text: whatever is configured is used byte for byte, so every tool can sign with it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config;

/// The made key, inside the data directory.
pub const FILE_NAME: &str = "signing.key";
/// As errors and logs call it.
const SIGNING_KEY: &str = "signing key";
const MADE_KEY_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

/// Why there is no key to use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The server can be reached from outside and has no key.
    #[error(
        "listening on {listen}, which others can reach, needs a signing key; set LOTKEEPER_AUTH_KEY \
         to at least 32 random characters (`openssl rand -hex 32`) or auth.key_file in the \
         configuration, or listen on 127.0.0.1"
    )]
    Required {
        /// Where the server was to listen.
        listen: IpAddr,
    },
    /// No key to sign with.
    #[error(
        "no signing key: {path} does not exist; start `lotkeeper serve` with the same --data once, \
         or set LOTKEEPER_AUTH_KEY"
    )]
    None {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("{operation} {what} file {path} failed: {cause}")]
    File {
        /// Which key's.
        what: &'static str,
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file has nothing usable in it.
    #[error(
        "{what} file {path} holds no key; put at least 32 random characters into it, or delete \
         it if it was made by an interrupted start"
    )]
    Empty {
        /// Which key's.
        what: &'static str,
        /// Which file.
        path: PathBuf,
    },
}

/// The keys a server uses: the configured ones, else the made one on loopback.
///
/// # Errors
/// When there is none and none may be made.
pub fn for_server(config: &config::Config) -> Result<Vec<String>, KeyError> {
    let configured = configured(&config.auth)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    let listen = config.server.listen.ip();
    if !listen.is_loopback() {
        return Err(KeyError::Required { listen });
    }
    let path = config.storage.data.join(FILE_NAME);
    read_or_make(SIGNING_KEY, &path)
}

/// The keys of a file, or one that is made and put there.
pub(crate) fn read_or_make(what: &'static str, path: &Path) -> Result<Vec<String>, KeyError> {
    match read(what, path)? {
        Some(keys) => Ok(keys),
        None => make(what, path).map(|key| vec![key]),
    }
}

/// The keys a token is minted with: the configured ones, else the one a server made in `data`.
///
/// # Errors
/// When there is none.
pub fn for_minting(config: &config::Config) -> Result<Vec<String>, KeyError> {
    let configured = configured(&config.auth)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    let path = config.storage.data.join(FILE_NAME);
    read(SIGNING_KEY, &path)?.ok_or(KeyError::None { path })
}

/// Keys as a section of the configuration has them.
pub(crate) struct Configured<'a> {
    /// As errors call it.
    pub what: &'static str,
    /// The section.
    pub section: &'static str,
    /// The key that signs.
    pub key: Option<&'a String>,
    /// A file with keys.
    pub key_file: Option<&'a Path>,
    /// Further keys.
    pub keys: &'a [String],
}

impl Configured<'_> {
    /// The one that signs first; none when the section is silent.
    pub(crate) fn read(&self) -> Result<Vec<String>, KeyError> {
        let mut keys: Vec<String> = self.key.into_iter().cloned().collect();
        if let Some(path) = self.key_file {
            let found = read(self.what, path)?.ok_or_else(|| KeyError::File {
                what: self.what,
                operation: "reading",
                path: path.to_owned(),
                cause: format!("it does not exist; create it or correct {}.key_file", self.section),
            })?;
            keys.extend(found);
        }
        keys.extend(self.keys.iter().cloned());
        Ok(keys)
    }
}

fn configured(auth: &config::Auth) -> Result<Vec<String>, KeyError> {
    let config::Auth { key, key_file, keys, .. } = auth;
    let (key, key_file) = (key.as_ref(), key_file.as_deref());
    Configured { what: SIGNING_KEY, section: "auth", key, key_file, keys }.read()
}

/// One key per line; nothing when the file does not exist.
fn read(what: &'static str, path: &Path) -> Result<Option<Vec<String>>, KeyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(what, "reading", path, &error)),
    };
    let keys: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if keys.is_empty() {
        return Err(KeyError::Empty { what, path: path.to_owned() });
    }
    let found = std::fs::metadata(path).map_err(|error| failed(what, "reading", path, &error))?;
    let mode = found.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777),
            "others can read the {what}; `chmod 600` it");
    }
    Ok(Some(keys))
}

fn make(what: &'static str, path: &Path) -> Result<String, KeyError> {
    let mut bytes = [0_u8; MADE_KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::File {
        what,
        operation: "drawing randomness for",
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = path.parent().unwrap_or(Path::new("."));
    lotkeeper_storage::make_dir_durably(directory).map_err(|error| KeyError::File {
        what,
        operation: "creating",
        path: directory.to_owned(),
        cause: error.to_string(),
    })?;
    write_durably(path, &key).map_err(|error| failed(what, "writing", path, &error))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed(what, "syncing", directory, &error))?;
    tracing::info!(path = %path.display(), "made a {what}");
    Ok(key)
}

fn write_durably(path: &Path, key: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn failed(
    what: &'static str,
    operation: &'static str,
    path: &Path,
    error: &std::io::Error,
) -> KeyError {
    KeyError::File { what, operation, path: path.to_owned(), cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(data: &Path, listen: &str) -> config::Config {
        let mut config = config::Config::default();
        config.storage.data = data.to_owned();
        config.server.listen = listen.parse().unwrap();
        config
    }

    #[test]
    fn loopback_makes_a_key_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let config = config(&data.path().join("new"), "127.0.0.1:0");
        assert!(matches!(for_minting(&config), Err(KeyError::None { .. })));
        let made = for_server(&config).unwrap();
        assert_eq!((made.len(), made[0].len()), (1, 64));
        assert_eq!(for_server(&config).unwrap(), made);
        assert_eq!(for_minting(&config).unwrap(), made);
        let path = config.storage.data.join(FILE_NAME);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }

    #[test]
    fn other_addresses_need_a_configured_key() {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(data.path(), "0.0.0.0:0");
        let refused = for_server(&config).unwrap_err();
        assert!(refused.to_string().contains("LOTKEEPER_AUTH_KEY"), "{refused}");
        assert!(!data.path().join(FILE_NAME).exists());
        config.auth.key = Some("k".repeat(32));
        assert_eq!(for_server(&config).unwrap(), vec!["k".repeat(32)]);
    }

    #[test]
    fn configured_keys_come_in_order_and_the_first_signs() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("keys");
        std::fs::write(&file, "from-file\n\n second-of-file \n").unwrap();
        let mut config = config(data.path(), "127.0.0.1:0");
        config.auth = config::Auth {
            key: Some("key".into()),
            key_file: Some(file.clone()),
            keys: vec!["old".into()],
            ..config.auth
        };
        assert_eq!(for_server(&config).unwrap(), ["key", "from-file", "second-of-file", "old"]);
        std::fs::write(&file, "\n").unwrap();
        assert!(matches!(for_server(&config), Err(KeyError::Empty { .. })));
    }
}
