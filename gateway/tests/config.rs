//! The configuration from the outside: what is taken, from where, and how a mistake is answered.
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::path::PathBuf;

use lotkeeper_gateway::config::{Config, ConfigError, DEFAULT_TOML, Flags, LogFormat, load};

fn read(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = file.map(|text| {
        let path = directory.path().join("lotkeeper.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    let flags = Flags { config: path, ..Flags::default() };
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    load(&flags, environment)
}

#[track_caller]
fn refused(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    read(file, environment).expect_err("is refused").to_string()
}

#[test]
fn default_file_says_what_the_code_says() {
    assert_eq!(read(None, &[]).unwrap(), Config::default());
    assert_eq!(read(Some(DEFAULT_TOML), &[]).unwrap(), Config::default());
}

/// Rows of the table of limits: the figure and the key.
#[test]
fn limits_in_the_documents_are_the_defaults() {
    let page = include_str!("../../docs/api.md");
    let defaults: toml::Table = DEFAULT_TOML.parse().unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, figure, _, key, _] = cells[..] else { return None };
        let (section, key) = key.strip_prefix('`')?.strip_suffix('`')?.split_once('.')?;
        Some((figure.replace(',', ""), section, key))
    });
    let mut compared = 0;
    for (figure, section, key) in rows {
        let default = &defaults[section][key];
        assert_eq!(figure, default.to_string(), "{section}.{key}");
        compared += 1;
    }
    assert_eq!(compared, 15, "every limit that can be set is in the table");
}

#[test]
fn every_default_key_has_a_comment() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(lines[number - 1].starts_with("# "), "no comment above `{line}`");
        }
    }
}

#[test]
fn environment_overrides_file_and_flags_override_both() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nconnections_max = 5\n[log]\nformat = \"json\"";
    let config = read(
        Some(file),
        &[
            ("LOTKEEPER_SERVER_LISTEN", "127.0.0.1:2"),
            ("LOTKEEPER_AUTH_KEYS", &format!("{0}, {0}", "k".repeat(32))),
            ("LOTKEEPER_ENGINE_PERMITS_RECORDS", "20_000"),
            ("HOME", "/nobody"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!(config.server.connections_max, 5);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.auth.keys.len(), 2);
    assert_eq!(config.engine.permits_records, 20_000);

    let flags = Flags {
        listen: Some("[::1]:3".into()),
        data: Some(PathBuf::from("/tmp/there")),
        ..Flags::default()
    };
    let environment = [("LOTKEEPER_SERVER_LISTEN".to_owned(), "127.0.0.1:2".to_owned())];
    let config = load(&flags, environment.into_iter()).unwrap();
    assert_eq!(config.server.listen, "[::1]:3".parse().unwrap());
    assert_eq!(config.storage.data, PathBuf::from("/tmp/there"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    for (file, key, near) in [
        ("[server]\nlisten_ = \"x\"", "server.listen_", "server.listen"),
        ("[server]\nbody_byte_max = 1", "server.body_byte_max", "server.body_bytes_max"),
        ("[serverr]\nlisten = \"x\"", "serverr", "lists every key"),
        ("listen = \"x\"", "listen", "lists every key"),
    ] {
        let text = refused(Some(file), &[]);
        assert!(text.contains(&format!("unknown key {key}")) && text.contains(near), "{text}");
        assert!(text.contains("lotkeeper.toml"), "{text}");
    }
    for (name, near) in [
        ("LOTKEEPER_SERVER_LISTN", "LOTKEEPER_SERVER_LISTEN"),
        ("LOTKEEPER_NOTHING", "lists every key"),
        ("LOTKEEPER_", "lists every key"),
    ] {
        let text = refused(None, &[(name, "1")]);
        assert!(text.contains(name) && text.contains(near), "{text}");
    }
}

#[test]
fn variables_of_tests_logs_and_clients_are_not_configuration() {
    for name in ["LOTKEEPER_REQUIRE", "LOTKEEPER_LOG", "LOTKEEPER_BIN", "LOTKEEPER_TOKEN"] {
        assert_eq!(read(None, &[(name, "all")]).unwrap(), Config::default(), "{name}");
    }
}

#[test]
fn wrong_values_name_key_value_and_remedy() {
    for (file, wanted) in [
        ("[server]\nlisten = \"localhost\"", "server.listen = localhost is not an address"),
        ("[server]\nlisten = 8080", "server.listen = 8080 is not a text"),
        (
            "[server]\nconnections_max = \"5\"",
            "server.connections_max = \"5\" is not a whole number",
        ),
        ("[server]\nconnections_max = 0", "server.connections_max = 0 is not between 1 and"),
        ("[server]\nbody_bytes_max = 5", "server.body_bytes_max = 5 is not between 1024 and"),
        ("[engine]\npermits_records = 0", "engine.permits_records = 0 is not between 1 and"),
        ("[rules]\nhold_seconds = 86401", "rules.hold_seconds = 86401 is not between 1 and 86400"),
        ("[storage]\ndata = \" \"", "names no directory"),
        ("[storage]\nrotate_bytes = 1", "storage.rotate_bytes = 1 is less than 16777216"),
        (
            "[credentials]\nkey = \"short\"",
            "credentials.key = (5 characters) is too short; use at least 32",
        ),
        (
            "[credentials]\nqr_after_end_seconds = -1",
            "credentials.qr_after_end_seconds = -1 is not between 0 and",
        ),
        (
            "[cameras]\nconfidence_percent_min = 101",
            "cameras.confidence_percent_min = 101 is not between 0 and 100",
        ),
        ("[cameras]\nvisit_seconds = 3601", "cameras.visit_seconds = 3601 is not between 0 and"),
        ("[cameras]\nremembered_max = 0", "cameras.remembered_max = 0 is not between 1 and"),
        (
            "[payments]\nproviders = [\"invoice\", \"bank\"]",
            "payments.providers = bank is not one of invoice, rehearsal",
        ),
        (
            "[payments]\ninvoice_amount_max = 0",
            "payments.invoice_amount_max = 0 is not between 1 and",
        ),
        (
            "[payments]\nprovider_timeout_seconds = 0",
            "payments.provider_timeout_seconds = 0 is not",
        ),
        (
            "[payments]\nsettle_every_seconds = 0",
            "payments.settle_every_seconds = 0 is not between",
        ),
        ("[log]\nformat = \"xml\"", "log.format = xml is not \"text\" or \"json\""),
        ("[log]\nlevel = \"loud=very\"", "log.level = loud=very is not a level"),
        ("[auth]\nkeys = [1]", "configuration is not TOML"),
        ("[server", "is not TOML"),
        ("[log]\nlevel = \"in\nfo\"", "is not TOML: line 3, column 4: "),
    ] {
        let text = refused(Some(file), &[]);
        assert!(text.contains(wanted), "{file}: {text}");
    }
    let text = refused(None, &[("LOTKEEPER_SERVER_CONNECTIONS_MAX", "many")]);
    assert!(
        text.contains("LOTKEEPER_SERVER_CONNECTIONS_MAX = \"many\" is not a whole number"),
        "{text}"
    );
    let text = refused(None, &[("LOTKEEPER_SERVER_CONNECTIONS_MAX", "0")]);
    assert!(text.contains("environment variable LOTKEEPER_SERVER_CONNECTIONS_MAX"), "{text}");
}

#[test]
fn missing_file_is_named() {
    let flags = Flags { config: Some(PathBuf::from("/nowhere/x.toml")), ..Flags::default() };
    let text = load(&flags, std::iter::empty()).unwrap_err().to_string();
    assert!(text.contains("/nowhere/x.toml") && text.contains("--config"), "{text}");
}

#[test]
fn secrets_are_in_no_text() {
    let secret = "s3cret-".repeat(5);
    let config = read(None, &[("LOTKEEPER_AUTH_KEY", &secret)]).unwrap();
    assert_eq!(config.auth.key.as_deref(), Some(secret.as_str()));
    assert!(!format!("{config:?}").contains("s3cret"));
    let config = read(None, &[("LOTKEEPER_CREDENTIALS_KEYS", &secret)]).unwrap();
    assert_eq!(config.credentials.keys, [secret]);
    assert!(!format!("{config:?}").contains("s3cret"));
    for text in [
        refused(None, &[("LOTKEEPER_AUTH_KEY", "s3cret")]),
        refused(None, &[("LOTKEEPER_AUTH_TOKEN_TTL_SECONDS", "s3cret")]),
        refused(Some("[auth]\ntoken_ttl_seconds = \"s3cret\""), &[]),
        refused(Some("[auth]\nkey = \"s3cret"), &[]),
        refused(Some("[auth]\nkey = s3cret\n"), &[]),
        refused(None, &[("LOTKEEPER_CREDENTIALS_KEY", "s3cret")]),
        refused(None, &[("LOTKEEPER_CREDENTIALS_QR_AFTER_END_SECONDS", "s3cret")]),
        refused(Some("[credentials]\nkeys = [\"s3cret\"]"), &[]),
        refused(Some("[credentials]\nkey = 5"), &[("LOTKEEPER_CREDENTIALS_KEY", "s3cret")]),
    ] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
