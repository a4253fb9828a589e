//! Where the keys of QR codes come from: configuration, a file, or a file made at the first start.
//!
//! Unlike the key of bearer tokens this one is made on any address: nobody but the server signs with it, so nobody
//! has to know that it is there. Whoever moves the data directory takes it along; a backup does not hold it.

use std::path::Path;

use crate::auth::key::{self, Configured, KeyError};
use crate::config::Config;

/// The made key, inside the data directory.
pub const FILE_NAME: &str = "credential.key";
const WHAT: &str = "credential key";

/// The keys of a server, the one that signs first.
///
/// # Errors
/// A file that cannot be read or made.
pub fn for_server(config: &Config) -> Result<Vec<String>, KeyError> {
    let credentials = &config.credentials;
    let configured = Configured {
        what: WHAT,
        section: "credentials",
        key: credentials.key.as_ref(),
        key_file: credentials.key_file.as_deref(),
        keys: &credentials.keys,
    };
    let keys = configured.read()?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let data: &Path = &config.storage.data;
    key::read_or_make(WHAT, &data.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(data: &Path, listen: &str) -> Config {
        let mut config = Config::default();
        config.storage.data = data.to_owned();
        config.server.listen = listen.parse().unwrap();
        config
    }

    #[test]
    fn a_key_is_made_once_on_any_address_and_for_its_owner_only() {
        for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
            let data = tempfile::tempdir().unwrap();
            let config = config(&data.path().join("new"), listen);
            let made = for_server(&config).unwrap();
            assert_eq!((made.len(), made[0].len()), (1, 64));
            assert_eq!(for_server(&config).unwrap(), made);
            let path = config.storage.data.join(FILE_NAME);
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn configured_keys_come_in_order_and_none_is_made_beside_them() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("keys");
        std::fs::write(&file, "from-file\n").unwrap();
        let mut config = config(data.path(), "127.0.0.1:0");
        config.credentials.key = Some("key".into());
        config.credentials.key_file = Some(file.clone());
        config.credentials.keys = vec!["old".into()];
        assert_eq!(for_server(&config).unwrap(), ["key", "from-file", "old"]);
        assert!(!data.path().join(FILE_NAME).exists());
        std::fs::remove_file(&file).unwrap();
        let refused = for_server(&config).unwrap_err().to_string();
        assert!(refused.contains("credential key") && refused.contains("credentials.key_file"));
    }
}
