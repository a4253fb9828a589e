//! The first step: several texts become one, and each value remembers where it came from.
//!
//! Invariants: a key that `config/default.toml` does not have is refused wherever it comes from; so is an
//! unknown `LOTKEEPER_*` variable, because a typo there is otherwise silence. Absent: includes, templates.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::check::{Origins, check};
use super::raw::RawConfig;
use super::{Config, ConfigError, DEFAULT_TOML};

const PREFIX: &str = "LOTKEEPER_";
/// Variables that belong to tests, logs and clients.
const OTHER_VARIABLES: [&str; 4] =
    ["LOTKEEPER_REQUIRE", "LOTKEEPER_LOG", "LOTKEEPER_BIN", "LOTKEEPER_TOKEN"];

/// What the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
}

/// Reads, merges and checks all sources.
///
/// # Errors
/// What is wrong, where, and what to do.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut merged = Merged::new()?;
    if let Some(path) = &flags.config {
        merged.file(path)?;
    }
    // Sorted, so that of several errors the same one is reported every time.
    let mut variables: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        merged.variable(&name, &value)?;
    }
    if let Some(data) = &flags.data {
        merged.set("storage", "data", Value::String(data.to_string_lossy().into()), "--data")?;
    }
    if let Some(listen) = &flags.listen {
        merged.set("server", "listen", Value::String(listen.clone()), "--listen")?;
    }
    merged.finish()
}

/// What a file with this text comes to.
pub(crate) fn of_text(text: &str) -> Result<Config, ConfigError> {
    let mut merged = Merged::new()?;
    merged.text(text, "a file")?;
    merged.finish()
}

struct Merged {
    table: Table,
    origins: Origins,
}

impl Merged {
    fn new() -> Result<Self, ConfigError> {
        let table = parse(DEFAULT_TOML, "config/default.toml")?;
        Ok(Self { table, origins: Origins::default() })
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            cause: error.to_string(),
        })?;
        self.text(&text, &path.display().to_string())
    }

    fn text(&mut self, text: &str, origin: &str) -> Result<(), ConfigError> {
        for (section, values) in parse(text, origin)? {
            let Value::Table(values) = values else {
                return Err(self.unknown(&section, origin));
            };
            if !self.table.contains_key(&section) {
                return Err(self.unknown(&section, origin));
            }
            for (key, value) in values {
                self.set(&section, &key, value, origin)?;
            }
        }
        Ok(())
    }

    fn variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        if OTHER_VARIABLES.contains(&name) {
            return Ok(());
        }
        let path = name[PREFIX.len()..].to_ascii_lowercase();
        // Section names have no underscore, so the first one ends it.
        let (section, key) = path.split_once('_').unwrap_or((&path, ""));
        let Some(known) = self.table.get(section).and_then(|section| section.get(key)) else {
            let hint = self.nearest(&format!("{section}.{key}"));
            let hint = hint.map(|near| variable_name(&near));
            return Err(ConfigError::UnknownKey {
                origin: "environment".to_owned(),
                key: name.to_owned(),
                hint: hint.map_or_else(String::new, |near| format!(" (did you mean {near}?)")),
            });
        };
        let value = of_kind(known, text).map_err(|wanted| ConfigError::Kind {
            origin: "environment".to_owned(),
            key: name.to_owned(),
            value: shown(section, &Value::String(text.to_owned())),
            wanted,
        })?;
        let (section, key) = (section.to_owned(), key.to_owned());
        self.set(&section, &key, value, &format!("environment variable {name}"))
    }

    fn set(
        &mut self,
        section: &str,
        key: &str,
        value: Value,
        origin: &str,
    ) -> Result<(), ConfigError> {
        let path = format!("{section}.{key}");
        let unknown = self.unknown(&path, origin);
        let Some(Value::Table(values)) = self.table.get_mut(section) else { return Err(unknown) };
        let Some(known) = values.get(key) else { return Err(unknown) };
        if !known.same_type(&value) {
            return Err(ConfigError::Kind {
                origin: origin.to_owned(),
                key: path,
                value: shown(section, &value),
                wanted: kind_of(known),
            });
        }
        values.insert(key.to_owned(), value);
        self.origins.0.insert(path, origin.to_owned());
        Ok(())
    }

    fn finish(self) -> Result<Config, ConfigError> {
        let raw: RawConfig =
            Value::Table(self.table).try_into().map_err(|error: toml::de::Error| {
                // Kinds were checked by `set`; what is left is an element of a list.
                ConfigError::Syntax { origin: "configuration".to_owned(), cause: error.to_string() }
            })?;
        check(raw, &self.origins)
    }

    fn unknown(&self, key: &str, origin: &str) -> ConfigError {
        let hint = self.nearest(key);
        ConfigError::UnknownKey {
            origin: origin.to_owned(),
            key: key.to_owned(),
            hint: hint.map_or_else(String::new, |near| format!(" (did you mean {near}?)")),
        }
    }

    /// The known key that needs the fewest edits, if that is less than a third of it.
    fn nearest(&self, wanted: &str) -> Option<String> {
        let sections = self.table.iter().filter_map(|(name, keys)| Some((name, keys.as_table()?)));
        let known = sections
            .flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}")));
        let (edits, near) = known.map(|key| (edits(wanted, &key), key)).min()?;
        (edits * 3 <= near.len()).then_some(near)
    }
}

fn parse(text: &str, origin: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        // The library's own text shows the line, and the line may be the one with the key.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        let cause = format!("line {line}, column {column}: {}", error.message());
        ConfigError::Syntax { origin: origin.to_owned(), cause }
    })
}

fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Text of the environment as the kind that the key has.
fn of_kind(known: &Value, text: &str) -> Result<Value, &'static str> {
    Ok(match known {
        Value::Integer(_) => {
            Value::Integer(text.trim().replace('_', "").parse().map_err(|_| kind_of(known))?)
        }
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| kind_of(known))?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of texts",
        Value::String(_) => "a text",
        _ => "a table",
    }
}

/// A value for an error text; secrets are not shown.
fn shown(section: &str, value: &Value) -> String {
    if matches!(section, "auth" | "credentials") {
        "(hidden)".to_owned()
    } else {
        value.to_string()
    }
}

/// Levenshtein distance, for hints.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
