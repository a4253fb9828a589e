//! Where the server is: one base address that serves both HTTP and the websockets.
//!
//! Invariant: an [`Endpoint`] holds an `http` address with a host and without query or fragment,
//! so that joining a path to it cannot fail. Tokens never become part of it.

use reqwest::Url;

use super::Error;

/// The base address of a server, `http://127.0.0.1:8080` for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
}

impl Endpoint {
    /// Reads an address as people write it: `http://host:port`, `ws://host:port`, with or without
    /// a path prefix.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Address { address: address.to_owned(), reason };
        let mut base = Url::parse(address)
            .map_err(|error| refuse(format!("{error}; write it as http://127.0.0.1:8080")))?;
        match base.scheme() {
            "http" => {}
            // Both names mean the same door here; http is what the paths are joined to.
            "ws" => base
                .set_scheme("http")
                .map_err(|()| refuse("the scheme cannot be changed to http".to_owned()))?,
            "https" | "wss" => {
                return Err(refuse(
                    "this client speaks no TLS; give the http:// address behind your TLS proxy, \
                     or run a local one (stunnel, ssh -L) and give its address"
                        .to_owned(),
                ));
            }
            other => {
                return Err(refuse(format!("scheme {other:?} is not http or ws")));
            }
        }
        if base.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it names no host; write it as http://127.0.0.1:8080".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(refuse("user and password do not belong there; use a token".to_owned()));
        }
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base })
    }

    /// The full `http://` address of an absolute path such as `/api/v1/lots?limit=5`.
    pub fn http(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// The full `ws://` address of an absolute path.
    pub fn websocket(&self, path: &str) -> String {
        self.http(path).replacen("http://", "ws://", 1)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_both_doors() {
        for (given, http, websocket) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x", "ws://127.0.0.1:8080/x"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/x", "ws://127.0.0.1:8080/x"),
            ("ws://city.example", "http://city.example/x", "ws://city.example/x"),
            ("http://[::1]:9/p/?a=b#c", "http://[::1]:9/p/x", "ws://[::1]:9/p/x"),
        ] {
            let endpoint = Endpoint::parse(given).unwrap();
            assert_eq!(endpoint.http("/x"), http, "{given}");
            assert_eq!(endpoint.websocket("/x"), websocket, "{given}");
        }
    }

    #[test]
    fn unusable_addresses_are_refused_with_the_remedy() {
        for (given, remedy) in [
            ("https://city.example", "TLS proxy"),
            ("wss://city.example", "TLS proxy"),
            ("ftp://city.example", "not http or ws"),
            ("city.example", "write it as http://"),
            ("127.0.0.1:8080", "write it as http://"),
            ("http://me:secret@city.example", "use a token"),
        ] {
            let error = Endpoint::parse(given).unwrap_err().to_string();
            assert!(error.contains(remedy), "{given}: {error}");
        }
    }
}
