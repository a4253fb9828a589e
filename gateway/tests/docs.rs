//! Do `docs/stream.md`, `docs/ingest.md` and `docs/asyncapi.json` say what a running server does?
//!
//! Every message that arrives is checked against its schema, every example of a client's message is sent,
//! and in the end every described message and field must have been seen: nothing is described that does not
//! exist. Absent: HTTP (`http_openapi.rs`), metrics (`metrics.rs`), the shape of the tree (`tidy.rs`).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/ws.rs"]
mod ws;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{Server, token};
use jiff::{SignedDuration, Timestamp};
use lotkeeper_actors::ChangeKind;
use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::wire::names::{Sensor, Size, Status};
use serde_json::{Value, json};
use ws::{Event, Socket, Token};

const STREAM: &str = include_str!("../../docs/stream.md");
const INGEST: &str = include_str!("../../docs/ingest.md");
const CLOSE: &str = include_str!("../src/ws/close.rs");
/// A message that does not come within so long does not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a friendly conversation does not show: a reader that lags, a server under load.
const RARELY_SEEN: [&str; 2] = ["Snapshot.reason", "IngestError.retry_after_ms"];

fn document() -> Value {
    serde_json::from_str(include_str!("../../docs/asyncapi.json")).unwrap()
}

fn resolved<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let pointer = reference.strip_prefix('#').unwrap_or("outside");
    document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Messages of a channel that one side sends: names, each with its definition.
fn messages(document: &Value, channel: &str, action: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for operation in document["operations"].as_object().unwrap().values() {
        let here = operation["channel"]["$ref"] == format!("#/channels/{channel}");
        if !here || operation["action"] != action {
            continue;
        }
        for message in operation["messages"].as_array().unwrap() {
            let reference = message["$ref"].as_str().unwrap();
            let definition = &resolved(document, reference)["$ref"];
            let definition = resolved(document, definition.as_str().unwrap()).clone();
            found.insert(reference.rsplit('/').next().unwrap().to_owned(), definition);
        }
    }
    assert!(!found.is_empty(), "{channel} {action}");
    found
}

fn op_of(document: &Value, message: &Value) -> String {
    let schema = resolved(document, message["payload"]["$ref"].as_str().unwrap());
    schema["properties"]["op"]["const"].as_str().unwrap().to_owned()
}

/// Checks values against the part of JSON Schema that the document uses, and keeps which fields it saw.
struct Checker<'a> {
    document: &'a Value,
    seen: BTreeSet<String>,
}

impl Checker<'_> {
    fn check(&mut self, name: &str, schema: &Value, value: &Value) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$ref" => {
                    let reference = wanted.as_str().unwrap();
                    let name = reference.rsplit('/').next().unwrap();
                    self.check(name, resolved(self.document, reference), value);
                    true
                }
                "type" => match wanted.as_str().unwrap() {
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("type {other} of {name}"),
                },
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "format" => value.as_str().unwrap().parse::<Timestamp>().is_ok(),
                "minimum" => value.as_f64() >= wanted.as_f64(),
                "maximum" => value.as_f64() <= wanted.as_f64(),
                "minItems" => value.as_array().unwrap().len() as u64 >= wanted.as_u64().unwrap(),
                "maxItems" => value.as_array().unwrap().len() as u64 <= wanted.as_u64().unwrap(),
                "required" => wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|f| value.get(f.as_str().unwrap()).is_some()),
                "items" => {
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|item| self.check(name, wanted, item));
                    true
                }
                "properties" => {
                    for (field, schema) in wanted.as_object().unwrap() {
                        if let Some(value) = value.get(field) {
                            self.seen.insert(format!("{name}.{field}"));
                            self.check(name, schema, value);
                        }
                    }
                    true
                }
                "additionalProperties" => self.check_further(name, schema, wanted, value),
                "description" => true,
                other => panic!("keyword {other} of {name} is not checked"),
            };
            assert!(holds, "{name}: {keyword} {wanted} does not hold for {value}");
        }
    }

    fn check_further(&mut self, name: &str, schema: &Value, wanted: &Value, value: &Value) -> bool {
        let known = schema["properties"].as_object();
        for (field, value) in value.as_object().unwrap() {
            if known.is_some_and(|known| known.contains_key(field)) {
                continue;
            }
            if wanted == &Value::Bool(false) {
                panic!("{name} has a field {field} that is not described: {value}");
            }
            self.check(name, wanted, value);
        }
        true
    }
}

/// Every `Schema.field` below a schema.
fn fields_below(document: &Value, schema: &Value, name: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        fields_below(document, resolved(document, reference), name, found);
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{name}.{field}"));
        fields_below(document, schema, name, found);
    }
    for below in ["items", "additionalProperties"].map(|keyword| &schema[keyword]) {
        if below.is_object() {
            fields_below(document, below, name, found);
        }
    }
}

/// One conversation: every message from the server is checked as it comes.
struct Talk<'a> {
    socket: Socket,
    checker: Checker<'a>,
    /// Message names by op.
    known: BTreeMap<String, Value>,
    heard: BTreeSet<String>,
}

impl<'a> Talk<'a> {
    async fn open(server: &Server, document: &'a Value, channel: &str, role: Role) -> Self {
        let path = format!("/api/v1/{channel}");
        let socket = Socket::open(server.running.address, &path, Token::None).await.unwrap();
        let sent = messages(document, channel, "send");
        let known = sent.values().map(|message| (op_of(document, message), message.clone()));
        let checker = Checker { document, seen: BTreeSet::new() };
        let mut talk = Self { socket, checker, known: known.collect(), heard: BTreeSet::new() };
        talk.say(&json!({"op": "token", "token": token(role)})).await;
        talk
    }

    async fn say(&mut self, message: &Value) {
        self.socket.send(message).await;
    }

    /// Reads until a message is the wanted one.
    async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let listen = async {
            loop {
                let message: Value = match self.socket.event().await {
                    Event::Text(text) => serde_json::from_str(&text).unwrap(),
                    other => panic!("the server ended the conversation: {other:?}"),
                };
                let op = message["op"].as_str().unwrap().to_owned();
                let Some(definition) = self.known.get(&op) else { panic!("{op} is not described") };
                let schema = definition["payload"].clone();
                self.checker.check(&op, &schema, &message);
                self.heard.insert(op);
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("the wanted message comes in time")
    }

    async fn hear_op(&mut self, op: &str) -> Value {
        self.hear(|message| message["op"] == op).await
    }

    /// Everything the server may say was said.
    fn end(self) {
        let described: BTreeSet<String> = self.known.keys().cloned().collect();
        assert_eq!(self.heard, described, "messages that are described and those that came");
        let mut fields = BTreeSet::new();
        for message in self.known.values() {
            fields_below(self.checker.document, &message["payload"], "", &mut fields);
        }
        let unseen: Vec<_> = fields
            .difference(&self.checker.seen)
            .filter(|field| !RARELY_SEEN.contains(&field.as_str()))
            .collect();
        assert!(unseen.is_empty(), "described and never seen: {unseen:?}");
    }
}

fn examples(document: &Value, channel: &str, message: &str) -> Vec<Value> {
    let definition = &messages(document, channel, "receive")[message];
    let examples = definition["examples"].as_array().unwrap();
    let mut checker = Checker { document, seen: BTreeSet::new() };
    let payloads = examples.iter().map(|example| example["payload"].clone());
    payloads.inspect(|payload| checker.check(message, &definition["payload"], payload)).collect()
}

/// A server with a bayed lot `L1` and a counted lot `P1` that pings often.
async fn server() -> Server {
    let server = Server::start_with(|config| config.stream.ping = Duration::from_millis(100)).await;
    let slot = |code| json!({"code": code, "zone": "level-1", "features": ["ev"]});
    let bayed = json!({"code": "L1", "name": "Market Street", "kind": "bayed",
        "zones": [{"code": "level-1", "name": "Level 1"}], "slots": [slot("A-1"), slot("A-2")]});
    let counted = json!({"code": "P1", "name": "Airport", "kind": "counted", "capacity": 5});
    for lot in [bayed, counted] {
        server.post(Role::Operator, "/api/v1/lots", &lot).await.expect(201);
    }
    server
}

async fn occupy(server: &Server, slot: &str, occupied: bool) {
    let readings = json!({"readings": [{"slot": slot, "occupied": occupied}]});
    server.post(Role::Device, "/api/v1/lots/L1/readings", &readings).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_says_what_is_described_and_understands_every_example() {
    let (server, document) = (server().await, document());
    occupy(&server, "A-1", true).await;
    let mut talk = Talk::open(&server, &document, "stream", Role::Operator).await;
    for subscribe in examples(&document, "stream", "subscribe") {
        talk.say(&subscribe).await;
        let answer = talk.hear_op("subscribed").await;
        assert_eq!(answer.get("id"), subscribe.get("id"));
        // The message of a view has its name, but for the first one of the slots.
        let view = subscribe["view"].as_str().unwrap();
        talk.hear_op(if view == "slots" { "snapshot" } else { view }).await;
    }
    occupy(&server, "A-2", true).await;
    talk.hear(|message| message["changes"][0]["type"] == "slot.occupied").await;
    let (from, to) =
        (Timestamp::now() + SignedDuration::from_hours(5), SignedDuration::from_hours(1));
    let reservation = json!({"lot": "L1", "slot": "A-1", "from": from, "to": from + to});
    server.post(Role::Operator, "/api/v1/reservations", &reservation).await.expect(201);
    talk.hear(|message| message["changes"][0]["from_time"].is_string()).await;
    talk.say(&json!({"op": "subscribe", "id": 9, "lot": "nowhere", "view": "slots"})).await;
    assert_eq!(talk.hear_op("error").await["code"], "lot_not_found");
    talk.hear_op("ping").await;
    for unsubscribe in examples(&document, "stream", "unsubscribe") {
        talk.say(&unsubscribe).await;
        talk.hear_op("unsubscribed").await;
    }
    for pong in examples(&document, "stream", "pong") {
        talk.say(&pong).await;
    }
    for mut renew in examples(&document, "stream", "renew") {
        renew["token"] = json!(token(Role::Operator));
        talk.say(&renew).await;
        talk.hear_op("token").await;
    }
    talk.end();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_says_what_is_described_and_understands_every_example() {
    let (server, document) = (server().await, document());
    let mut talk = Talk::open(&server, &document, "ingest", Role::Device).await;
    let batches = ["readings", "counted"].map(|message| examples(&document, "ingest", message));
    for batch in batches.into_iter().flatten() {
        talk.say(&batch).await;
        let answer = talk.hear(|message| message["batch"] == batch["batch"]).await;
        assert_eq!(answer["op"], "ack", "{answer} to {batch}");
    }
    talk.say(&json!({"op": "readings", "batch": 1, "lot": "L1", "readings": [], "more": 1})).await;
    let refused = talk.hear_op("error").await;
    assert_eq!((&refused["batch"], &refused["code"]), (&json!(1), &json!("validation_failed")));
    talk.hear_op("ping").await;
    for pong in examples(&document, "ingest", "pong") {
        talk.say(&pong).await;
    }
    for mut renew in examples(&document, "ingest", "renew") {
        renew["token"] = json!(token(Role::Device));
        talk.say(&renew).await;
        talk.hear_op("token").await;
    }
    talk.end();
    server.stop().await;
}

fn texts(schema: &str) -> BTreeSet<String> {
    let document = document();
    let listed = document["components"]["schemas"][schema]["enum"].as_array().unwrap().clone();
    listed.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn vocabularies_are_those_of_the_code() {
    let kinds = ChangeKind::ALL.iter().map(|kind| kind.name().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(texts("ChangeKind"), kinds);
    let list = STREAM.split("`type` is one of `").nth(1).unwrap().split('`').next().unwrap();
    let in_document: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(in_document, kinds, "docs/stream.md");
    let all = |known: &[&str]| known.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(texts("Status"), all(&Status::ALL.iter().map(|s| s.text()).collect::<Vec<_>>()));
    assert_eq!(texts("Sensor"), all(&Sensor::ALL.iter().map(|s| s.text()).collect::<Vec<_>>()));
    assert_eq!(texts("Size"), all(&Size::ALL.iter().map(|s| s.text()).collect::<Vec<_>>()));
}

#[test]
fn close_codes_are_those_of_the_code() {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let made = CLOSE.split("code: 4").skip(1).map(|rest| format!("4{}", number(rest)));
    let rows = STREAM.lines().filter_map(|line| line.strip_prefix("| 4"));
    let listed: BTreeSet<String> = rows.map(|row| format!("4{}", number(row))).collect();
    assert_eq!(made.collect::<BTreeSet<String>>(), listed);
    assert_eq!(listed.len(), 6);
}

/// `(op, keys)` of every message that a page writes out.
fn written(page: &str) -> Vec<(&str, BTreeSet<&str>)> {
    let mut found = Vec::new();
    for message in page.lines().flat_map(|line| line.split("{\"op\":\"").skip(1)) {
        let (op, rest) = message.split_once('"').unwrap();
        let parts: Vec<&str> = rest.split('"').collect();
        let is_key = |pair: &&[&str]| {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            pair[1].starts_with(':') && !pair[0].is_empty() && pair[0].chars().all(plain)
        };
        found.push((op, parts.windows(2).filter(is_key).map(|pair| pair[0]).collect()));
    }
    found
}

#[test]
fn pages_for_people_and_for_machines_describe_the_same_messages() {
    let document = document();
    for (channel, page, elsewhere) in [("stream", STREAM, None), ("ingest", INGEST, Some("token"))]
    {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for action in ["send", "receive"] {
            for message in messages(&document, channel, action).values() {
                let mut fields = BTreeSet::new();
                fields_below(&document, &message["payload"], "", &mut fields);
                let names = fields.iter().map(|field| field.rsplit('.').next().unwrap().to_owned());
                keys.entry(op_of(&document, message)).or_default().extend(names);
            }
        }
        let mut ops = BTreeSet::new();
        for (op, named) in written(page) {
            let known = keys.get(op).unwrap_or_else(|| panic!("{channel}: {op} is not described"));
            let strange: Vec<_> = named.iter().filter(|key| !known.contains(**key)).collect();
            assert!(strange.is_empty(), "{channel} {op}: {strange:?} are not described");
            ops.insert(op);
        }
        // What ingest shares with the stream is written on the stream's page.
        ops.extend(elsewhere);
        let missing: Vec<_> = keys.keys().filter(|op| !ops.contains(op.as_str())).collect();
        assert!(missing.is_empty(), "docs/{channel}.md is silent about {missing:?}");
    }
}
