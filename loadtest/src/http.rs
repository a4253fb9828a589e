//! One HTTP/1.1 keep-alive connection, opened again when it broke. A failed request is never sent again
//! here: its outcome is unknown, and hiding that is exactly what a load tester must not do.

use crate::error::{HttpError, LoadError};
use crate::wire::Problem;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, IF_MATCH, RETRY_AFTER,
};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a request may take, with its connection. Longer means the server hangs, and the run says so.
const REQUEST_SECONDS_MAX: u64 = 30;

/// Makes a repeated write harmless (`docs/api.md`).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A connection and who speaks on it.
#[derive(Debug)]
pub struct HttpClient {
    addr: SocketAddr,
    authorization: HeaderValue,
    host: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// How long to wait before the next attempt, when the server says.
    pub retry_after_seconds: Option<u64>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as what it should be.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The stable code of a refusal, with its status.
    pub fn problem(&self) -> String {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => format!("{} {}", self.status, problem.code),
            Err(_) => self.status.to_string(),
        }
    }

    /// The body for people, cut to a line.
    pub fn excerpt(&self) -> String {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => format!("{}: {}", problem.code, problem.detail),
            Err(_) => String::from_utf8_lossy(&self.body).chars().take(200).collect(),
        }
    }
}

impl HttpClient {
    /// Connects at the first request.
    pub fn new(addr: SocketAddr, token: &str) -> Self {
        // A token that cannot stand in a header is one the server answers with 401.
        let header = |text: String| HeaderValue::try_from(text).ok();
        Self {
            addr,
            authorization: header(format!("Bearer {token}"))
                .unwrap_or_else(|| HeaderValue::from_static("Bearer unreadable")),
            host: header(addr.to_string()).unwrap_or_else(|| HeaderValue::from_static("localhost")),
            sender: None,
        }
    }

    /// `GET`.
    pub async fn get(&mut self, path: &str) -> Result<Answer, HttpError> {
        self.ask(Method::GET, path, Bytes::new(), None).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<Answer, HttpError> {
        self.ask(Method::POST, path, body, None).await
    }

    /// Any method, with the version for `If-Match` where there is one.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        if_match: Option<u32>,
    ) -> Result<Answer, HttpError> {
        let condition = if_match.map(|version| (IF_MATCH, format!("\"{version}\"")));
        self.ask(method, path, body, condition).await
    }

    /// Any write, under an `Idempotency-Key` where one is given.
    pub async fn write(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        self.ask(method, path, body, key.map(|key| (IDEMPOTENCY_KEY, key.to_owned()))).await
    }

    /// `POST` of a JSON body, under an `Idempotency-Key` when there is one.
    pub async fn post_keyed(
        &mut self,
        path: &str,
        body: Bytes,
        key: Option<&str>,
    ) -> Result<Answer, HttpError> {
        self.write(Method::POST, path, key, body).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        header: Option<(HeaderName, String)>,
    ) -> Result<Answer, HttpError> {
        let exchange = self.exchange(method, path, body, header);
        let answer = timeout(Duration::from_secs(REQUEST_SECONDS_MAX), exchange)
            .await
            .unwrap_or(Err(HttpError::Timeout(REQUEST_SECONDS_MAX)));
        if answer.is_err() {
            // Half an answer may still be on the way: nothing else is sent on this connection.
            self.sender = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        header: Option<(HeaderName, String)>,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.authorization.clone());
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let sender = self.connected().await?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_seconds = retry_after.and_then(|seconds| seconds.parse().ok());
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, retry_after_seconds, body })
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, HttpError> {
        let usable = self.sender.take().filter(|sender| !sender.is_closed());
        let sender = match usable {
            Some(sender) => sender,
            None => open(self.addr).await?,
        };
        Ok(self.sender.insert(sender))
    }
}

/// `GET` of something that must be there.
pub async fn get<T: DeserializeOwned>(client: &mut HttpClient, path: &str) -> Result<T, LoadError> {
    let doing = || format!("GET {path}");
    let failed = |source| LoadError::Http { doing: doing(), source };
    let answer = client.get(path).await.map_err(failed)?;
    if answer.status != 200 {
        let (status, body) = (answer.status, answer.excerpt());
        return Err(LoadError::Refused { doing: doing(), status, body });
    }
    answer.json().map_err(failed)
}

/// The connection's own task ends when its sender is dropped or the server closes.
async fn open(addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>, HttpError> {
    let stream = TcpStream::connect(addr).await.map_err(HttpError::Connect)?;
    stream.set_nodelay(true).map_err(HttpError::Connect)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // What breaks it is seen by the request that was under way.
        let _ = connection.await;
    });
    Ok(sender)
}
