//! JSON over HTTP with a bearer token.
//!
//! One method per verb, values in and out as `serde` types; a status of 400 and up becomes a
//! typed [`Problem`](super::Problem). Every request has a time limit, so a server that hangs
//! cannot hang its client.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::chain;
use super::{Endpoint, Error, Problem};
use crate::request_id;

/// A lot of 10,000 slots is made durable within a commit; a minute is far beyond that.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A download may take its time; each piece of it may not.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client of one server with one token. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server at `url`; nothing is sent yet.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::parse(url)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(token)?);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A proxy of the environment has no business between this client and its server.
            .no_proxy()
            .build()
            .map_err(|error| Error::from_reqwest("preparing the HTTP client", &error))?;
        Ok(Self { endpoint, http })
    }

    /// The server's address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `POST /api/v1/lots`: the created lot.
    pub async fn create_lot(&self, lot: &impl Serialize) -> Result<Value, Error> {
        self.post_json("/api/v1/lots", lot).await
    }

    /// `GET` of an absolute path.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.request(Method::GET, path, None::<&()>).await
    }

    /// `POST` of a JSON body.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.request(Method::POST, path, Some(body)).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.request(Method::PATCH, path, Some(body)).await
    }

    /// `GET` of an absolute path whose answer is long: read piece by piece, for as long as it comes.
    pub async fn download(&self, path: &str) -> Result<Download, Error> {
        let address = self.endpoint.http(path);
        let action = format!("{} {address}", Method::GET);
        let request = self.http.get(&address).timeout(DOWNLOAD_TIMEOUT);
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, request.send()).await;
        let response = answered
            .map_err(|_| silent(&action))?
            .map_err(|error| Error::from_reqwest(&action, &error))?;
        let status = response.status().as_u16();
        if status >= 400 {
            let answer = response.bytes().await.unwrap_or_default();
            return Err(Error::Refused { action, problem: Problem::from_body(status, &answer) });
        }
        let request = response.headers().get(request_id::HEADER);
        let request = request.and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(Download { action, request, bytes: 0, response })
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let address = self.endpoint.http(path);
        let action = format!("{method} {address}");
        let mut request = self.http.request(method, &address);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| Error::from_reqwest(&action, &error);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let answer = response.bytes().await.map_err(unreachable)?;
        if status >= 400 {
            return Err(Error::Refused { action, problem: Problem::from_body(status, &answer) });
        }
        serde_json::from_slice(&answer)
            .map_err(|error| Error::Answer { action, reason: error.to_string() })
    }
}

/// A long answer.
pub struct Download {
    action: String,
    /// The server's name for it.
    request: Option<String>,
    /// What came so far.
    bytes: u64,
    response: reqwest::Response,
}

impl Download {
    /// What came next; nothing at the end. A server that is silent for a minute is given up.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = tokio::time::timeout(REQUEST_TIMEOUT, self.response.chunk()).await;
        let piece = piece.map_err(|_| self.cut_off(no_piece()))?;
        let piece = piece.map_err(|error| self.cut_off(chain(&error)))?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }

    /// The address is good, since an answer began: what ended it is the server's, or the road's.
    fn cut_off(&self, reason: String) -> Error {
        Error::CutOff {
            action: self.action.clone(),
            status: self.response.status().as_u16(),
            bytes: self.bytes,
            request: self.request.clone(),
            reason,
        }
    }
}

fn silent(action: &str) -> Error {
    Error::Unreachable { action: action.to_owned(), reason: no_piece() }
}

fn no_piece() -> String {
    format!("nothing came for {} s", REQUEST_TIMEOUT.as_secs())
}

/// The header value of a token, marked so that no debug output prints it.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| Error::Token)?;
    value.set_sensitive(true);
    Ok(value)
}
