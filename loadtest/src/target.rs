//! The server under load and the tokens to speak to it. A server on another machine is refused: a load
//! test of a network is another tool's work, and of somebody's running system nobody's.

use crate::error::LoadError;
use hyper::Uri;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Creates lots, lists reservations.
    Operator,
    /// Sends readings.
    Device,
    /// Books.
    Driver,
    /// Watches.
    Display,
}

impl Role {
    /// All that a run needs.
    pub const ALL: [Self; 4] = [Self::Operator, Self::Device, Self::Driver, Self::Display];

    /// As tokens and flags name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Device => "device",
            Self::Driver => "driver",
            Self::Display => "display",
        }
    }

    fn variable(self) -> String {
        format!("LOTKEEPER_TOKEN_{}", self.name().to_uppercase())
    }
}

/// Where to and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// A loopback address.
    pub addr: SocketAddr,
    /// At least one token per role; several drivers are several people.
    tokens: BTreeMap<Role, Vec<String>>,
}

impl Target {
    /// With at least one token of each role.
    pub fn new(addr: SocketAddr, tokens: BTreeMap<Role, Vec<String>>) -> Result<Self, LoadError> {
        let missing = Role::ALL.into_iter().find(|role| tokens.get(role).is_none_or(Vec::is_empty));
        match missing {
            Some(role) => {
                Err(LoadError::TokenMissing { role: role.name(), variable: role.variable() })
            }
            None => Ok(Self { addr, tokens }),
        }
    }

    /// How many different tokens a role has.
    pub fn people(&self, role: Role) -> usize {
        self.tokens[&role].len()
    }

    /// The token of the `nth` of a role, going round when there are fewer.
    pub fn token(&self, role: Role, nth: usize) -> &str {
        let tokens = &self.tokens[&role];
        &tokens[nth % tokens.len()]
    }
}

/// The address of a URL, when it is on this machine.
pub fn loopback_address(url: &str) -> Result<SocketAddr, LoadError> {
    let refuse = |why: &str| {
        LoadError::usage(format!(
            "--url {url}: {why}; give http://HOST:PORT with HOST in 127.0.0.0/8, ::1 or localhost"
        ))
    };
    let uri: Uri = url.parse().map_err(|_| refuse("is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(refuse("is not http"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("names a user"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(refuse("has a path"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    let is_loopback_name = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_loopback_name {
        return Err(refuse("is not on this machine"));
    }
    // `localhost` could be anything in /etc/hosts: what it leads to is checked as well.
    let mut found = (host, port).to_socket_addrs().map_err(|_| refuse("cannot be resolved"))?;
    found.find(|addr| addr.ip().is_loopback()).ok_or_else(|| refuse("is not on this machine"))
}

/// Tokens from a file of `role=token` lines (a line without `=` serves every role), else from the environment.
pub fn read_tokens(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<Role, Vec<String>>, LoadError> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| LoadError::File { path: path.into(), source })?,
        None => String::new(),
    };
    let mut tokens: BTreeMap<Role, Vec<String>> = BTreeMap::new();
    let mut for_all: Option<String> = variable("LOTKEEPER_TOKEN");
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let Some((name, token)) = line.split_once('=') else {
            for_all = Some(line.into());
            continue;
        };
        let role = Role::ALL.into_iter().find(|role| role.name() == name.trim());
        let role = role.ok_or_else(|| {
            LoadError::usage(format!(
                "--token-file: `{}` is no role; use operator, device, driver or display",
                name.trim()
            ))
        })?;
        tokens.entry(role).or_default().push(token.trim().into());
    }
    for role in Role::ALL {
        let spare = variable(&role.variable()).or_else(|| for_all.clone());
        if let (None, Some(token)) = (tokens.get(&role), spare) {
            tokens.insert(role, vec![token]);
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        for (url, taken) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9:8080/", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("https://127.0.0.1:8080", false),
            ("http://10.0.0.1:8080", false),
            ("http://0.0.0.0:8080", false),
            ("http://[::ffff:10.0.0.1]:80", false),
            ("http://example.com", false),
            ("http://localhost.example.com:80", false),
            ("http://127.0.0.1@example.com:80", false),
            ("http://me@127.0.0.1:8080", false),
            ("http://127.0.0.1:8080/api", false),
            ("127.0.0.1:8080", false),
            ("", false),
        ] {
            let answer = loopback_address(url);
            assert_eq!(answer.is_ok(), taken, "{url}: {answer:?}");
            if let Ok(addr) = answer {
                assert!(addr.ip().is_loopback(), "{url} -> {addr}");
            }
        }
    }

    #[test]
    fn a_foreign_name_is_refused_before_it_is_resolved() {
        let error = loopback_address("http://example.com:80").unwrap_err().to_string();
        assert!(error.contains("is not on this machine"), "{error}");
    }

    #[test]
    fn tokens_come_from_the_file_then_from_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, "# of the demo\noperator=op\ndriver=d1\ndriver = d2\nany\n").unwrap();
        let variable = |name: &str| (name == "LOTKEEPER_TOKEN_DEVICE").then(|| "dev".to_string());
        let tokens = read_tokens(Some(&path), variable).unwrap();
        let addr = "127.0.0.1:1".parse().unwrap();
        let target = Target::new(addr, tokens).unwrap();
        assert_eq!(target.token(Role::Operator, 3), "op");
        assert_eq!(target.token(Role::Driver, 1), "d2");
        assert_eq!(target.token(Role::Driver, 2), "d1");
        assert_eq!(target.token(Role::Device, 0), "dev");
        assert_eq!(target.token(Role::Display, 0), "any");
    }

    #[test]
    fn a_missing_token_names_its_role_and_variable() {
        let only = |name: &str| (name == "LOTKEEPER_TOKEN_OPERATOR").then(|| "op".to_string());
        let tokens = read_tokens(None, only).unwrap();
        let error = Target::new("127.0.0.1:1".parse().unwrap(), tokens).unwrap_err();
        assert!(error.to_string().contains("LOTKEEPER_TOKEN_DEVICE"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn an_unknown_role_in_the_file_is_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, "king=x\n").unwrap();
        assert_eq!(read_tokens(Some(&path), |_| None).unwrap_err().exit_code(), 2);
    }
}
