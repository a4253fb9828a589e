//! A server of a few lots on a real socket, as far as `docs/api.md` and `docs/ingest.md` bind it
//! towards a replay, that misbehaves on command.
//!
//! It decides outcomes as the documents say: the newer (observed, sequence) moves a slot, the same
//! is a duplicate, an older one is late. Pages of slots are tiny and cursors odd on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const SLOTS_PER_PAGE: usize = 2;

/// What the server does with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Applies it and acknowledges.
    Ack,
    /// Refuses the batch with this code.
    Refuse(&'static str),
    /// Applies it and cuts the connection before the answer.
    ApplyAndCut,
    /// Says nothing, ever.
    Hush,
    /// Pings, waits for the pong, applies and acknowledges.
    PingFirst,
}

type Director = Box<dyn FnMut(&Value) -> Act + Send>;

#[derive(Default)]
pub(super) struct World {
    pub lots: BTreeMap<String, Value>,
    /// (lot, slot; empty for a count) to (observed, sequence) and value.
    pub states: BTreeMap<(String, String), ((String, u64), Value)>,
    /// Every effect and refusal, in order.
    pub log: Vec<String>,
    pub sockets: usize,
    pub largest_batch: usize,
}

pub(super) struct Server {
    pub url: String,
    pub world: Arc<Mutex<World>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(director: impl FnMut(&Value) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::default()));
        let director: Arc<Mutex<Director>> = Arc::new(Mutex::new(Box::new(director)));
        let shared = Arc::clone(&world);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (world, director) = (Arc::clone(&shared), Arc::clone(&director));
                tokio::spawn(async move { serve(stream, &world, &director).await });
            }
        });
        Self { url, world, accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, world: &Mutex<World>, director: &Mutex<Director>) {
    // Looked at without taking it, so that the handshake finds it untouched.
    let mut head = vec![0; 8 * 1024];
    let head = loop {
        let length = stream.peek(&mut head).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
        if length == 0 || text.contains("\r\n\r\n") {
            break text;
        }
        tokio::task::yield_now().await;
    };
    if head.contains("upgrade: websocket") {
        assert!(head.contains("authorization: bearer "), "{head}");
        world.lock().sockets += 1;
        // A cut connection is what some tests are about.
        let _ = ingest(stream, world, director).await;
    } else {
        let _ = http(stream, world).await;
    }
}

async fn ingest(
    stream: TcpStream,
    world: &Mutex<World>,
    director: &Mutex<Director>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(message["op"], "pong", "nobody pinged");
        let act = (director.lock())(&message);
        if act == Act::PingFirst {
            socket.send(Message::text(json!({"op": "ping", "at": "now"}).to_string())).await?;
            let pong = socket.next().await.unwrap()?;
            assert_eq!(pong.to_text()?, r#"{"op":"pong"}"#);
        }
        let answer = match act {
            Act::Hush => continue,
            Act::ApplyAndCut => {
                world.lock().apply(&message);
                return Ok(());
            }
            Act::Ack | Act::PingFirst => world.lock().apply(&message),
            Act::Refuse(code) => {
                let batch = &message["batch"];
                world.lock().log.push(format!("{code} {batch}"));
                json!({"op": "error", "batch": batch, "code": code, "detail": "as told",
                       "retry_after_ms": 5})
            }
        };
        socket.send(Message::text(answer.to_string())).await?;
    }
    Ok(())
}

impl World {
    fn apply(&mut self, message: &Value) -> Value {
        let lot = message["lot"].as_str().unwrap();
        let batch = &message["batch"];
        self.log.push(format!("{} {lot} {batch}", message["op"].as_str().unwrap()));
        let (mut counts, mut refused) = (BTreeMap::<&str, u64>::new(), Vec::new());
        let single = [message.clone()];
        let readings = message["readings"].as_array().map_or(&single[..], |all| &all[..]);
        self.largest_batch = self.largest_batch.max(readings.len());
        for (index, reading) in readings.iter().enumerate() {
            let slot = reading["slot"].as_str().unwrap_or_default();
            if slot == "refused" {
                refused.push(json!({"index": index, "code": "slot_not_found"}));
                continue;
            }
            *counts.entry(self.outcome(lot, slot, reading)).or_default() += 1;
        }
        let of = |outcome| counts.get(outcome).copied().unwrap_or(0);
        json!({"op": "ack", "batch": batch, "accepted": of("accepted"),
               "unchanged": of("unchanged"), "duplicate": of("duplicate"), "late": of("late"),
               "refused": refused, "seq": 1})
    }

    fn outcome(&mut self, lot: &str, slot: &str, reading: &Value) -> &'static str {
        let value = reading["occupied"].clone();
        let observed = reading["observed_at"].as_str().unwrap().to_owned();
        let rank = (observed, reading["sequence"].as_u64().unwrap_or(0));
        let key = (lot.to_owned(), slot.to_owned());
        match self.states.get(&key) {
            Some((known, _)) if rank == *known => "duplicate",
            Some((known, _)) if rank < *known => "late",
            Some((_, known)) if *known == value => {
                self.states.insert(key, (rank, value));
                "unchanged"
            }
            _ => {
                self.states.insert(key, (rank, value));
                "accepted"
            }
        }
    }

    fn answer(&mut self, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let names: Vec<&str> = path.trim_start_matches("/api/v1/lots").split('/').collect();
        match (method, &names[..]) {
            ("POST", _) => {
                let lot: Value = serde_json::from_slice(body).unwrap();
                let code = lot["code"].as_str().unwrap().to_owned();
                if self.lots.contains_key(&code) {
                    return (409, json!({"status": 409, "code": "lot_code_taken", "detail": code}));
                }
                self.lots.insert(code, lot.clone());
                (201, lot)
            }
            ("PATCH", ["", lot]) => {
                let change: Value = serde_json::from_slice(body).unwrap();
                self.log.push(format!("capacity {lot} {}", change["capacity"]));
                self.lots.get_mut(*lot).unwrap()["capacity"] = change["capacity"].clone();
                (200, self.lots[*lot].clone())
            }
            ("GET", ["", lot]) => (200, self.lots[*lot].clone()),
            ("GET", ["", lot, "availability"]) => {
                let counted = self.states.get(&((*lot).to_owned(), String::new()));
                let observed = counted.map(|((observed, _), _)| observed);
                (200, json!({"counted": {"observed_at": observed}}))
            }
            ("GET", ["", lot, "slots"]) => (200, self.slots(lot, query)),
            _ => (404, json!({"status": 404, "code": "not_found", "detail": target})),
        }
    }

    fn slots(&self, lot: &str, query: &str) -> Value {
        let from: usize = match query.split_once("cursor=") {
            None => 0,
            Some((_, cursor)) => cursor.strip_prefix("a%26%3D%2B").unwrap().parse().unwrap(),
        };
        let all = self.lots[lot]["slots"].as_array().unwrap();
        let to = (from + SLOTS_PER_PAGE).min(all.len());
        let next = (to < all.len()).then(|| format!("a&=+{to}"));
        json!({"items": all[from..to], "next_cursor": next})
    }
}

async fn http(mut stream: TcpStream, world: &Mutex<World>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let body_at = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&request[..body_at]).into_owned();
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap_or(0);
    while request.len() < body_at + length {
        stream.read_buf(&mut request).await?;
    }
    let mut line = head.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (status, body) = world.lock().answer(method, target, &request[body_at..]);
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} It\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}
