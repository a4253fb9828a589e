//! The server on what a power cut left: it starts, shows what had been answered and nothing that never was, goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Process, binary, token};
use crate::life::{Exchange, Told, log_of};

/// Repeated requests of a look: each costs a commit at most.
const REPEATS_MAX: usize = 8;

/// What was looked at.
#[derive(Debug)]
pub struct Seen {
    /// Records that had been answered.
    pub acked: usize,
    /// Records that are there.
    pub records: usize,
}

/// Starts the server under a directory and holds it against what was answered.
pub async fn at(directory: &Path, told: &Told, acked: &BTreeSet<&str>) -> Seen {
    let data = directory.join("data");
    let server = Process::start(&data);
    let operator = token(Role::Operator);
    let get = async |path: String| server.send(Method::GET, &path, Some(&operator), None).await;
    get("/readyz".to_owned()).await.expect(200);

    let exchanges: Vec<&Exchange> = acked.iter().filter_map(|id| told.exchanges.get(*id)).collect();
    let mut promised: BTreeMap<&str, u64> = BTreeMap::new();
    for one in &exchanges {
        let seq = promised.entry(&one.lot).or_default();
        *seq = one.seq.max(*seq);
    }
    let mut seen = Seen { acked: 0, records: 0 };
    let mut logs = BTreeMap::new();
    for (lot, reference) in &told.logs {
        let promised = usize::try_from(promised.get(lot.as_str()).copied().unwrap_or(0)).unwrap();
        if get(format!("/api/v1/lots/{lot}")).await.status == 404 {
            assert_eq!(promised, 0, "lot {lot} is gone");
            continue;
        }
        let log = log_of(&server, lot).await;
        assert!(log.len() >= promised, "{lot}: {} of {promised} answered records", log.len());
        assert!(log.len() <= reference.len(), "{lot}: more records than there ever were");
        assert_eq!(log, reference[..log.len()], "{lot}: another history");
        seen.acked += promised;
        seen.records += log.len();
        slots(lot, &log, &get(format!("/api/v1/lots/{lot}/slots?limit=500")).await.expect(200));
        logs.insert(lot.as_str(), log.len());
    }
    let reservations = exchanges.iter().filter(|one| one.answer["state"].is_string());
    for one in reservations.clone() {
        let id = one.answer["id"].as_str().unwrap();
        let shown = get(format!("/api/v1/reservations/{id}")).await.expect(200);
        shows(&shown, &one.answer);
    }
    // A request under its key is answered as it was then, and does nothing.
    for one in reservations.filter(|one| one.path == "/api/v1/reservations").take(REPEATS_MAX) {
        let (id, _) = told.exchanges.iter().find(|(_, other)| std::ptr::eq(*other, *one)).unwrap();
        let url = format!("http://{}{}", server.address, one.path);
        let request = reqwest::Client::new().post(url).bearer_auth(&one.token).json(&one.body);
        let again = request.header("idempotency-key", id).send().await.unwrap();
        assert_eq!(again.status(), 201);
        assert_eq!(again.json::<Value>().await.unwrap(), one.answer, "another answer for {id}");
    }
    for (lot, records) in logs {
        assert_eq!(log_of(&server, lot).await.len(), records, "{lot}: a repetition had an effect");
    }
    goes_on(&server).await;
    assert_eq!(server.stop(), Some(0));
    let checked = binary().arg("check").arg("--data").arg(&data).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    seen
}

/// A reservation is as an answer said, or as something later made it.
fn shows(shown: &Value, answered: &Value) {
    let version = |one: &Value| one["version"].as_u64().unwrap();
    assert!(version(shown) >= version(answered), "{shown} after {answered}");
    let members: &[&str] = match version(shown) == version(answered) {
        true => &["lot", "slot", "vehicle", "reference", "created_at", "from", "to", "state"],
        false => &["lot", "slot", "vehicle", "reference", "created_at", "from"],
    };
    for member in members {
        assert_eq!(shown[member], answered[member], "{member} of {shown}");
    }
}

/// Slots are what the last records of the log say.
fn slots(lot: &str, log: &[Value], page: &Value) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for record in log {
        let slot = record["entity"].as_str().and_then(|entity| entity.strip_prefix("slots/"));
        let kind = record["type"].as_str().and_then(|kind| kind.strip_prefix("slot."));
        if let (Some(slot), Some(status @ ("occupied" | "vacated"))) = (slot, kind) {
            last.insert(slot, if status == "occupied" { "occupied" } else { "free" });
        }
    }
    for slot in page["items"].as_array().unwrap() {
        let code = slot["code"].as_str().unwrap();
        let expected = last.get(code).copied().unwrap_or("unknown");
        assert_eq!(slot["status"], expected, "{lot}, slot {code}");
    }
}

/// It takes what is new.
async fn goes_on(server: &Process) {
    let operator = token(Role::Operator);
    let post = async |path: &str, body: &Value| {
        server.send(Method::POST, path, Some(&operator), Some(body)).await.expect(201)
    };
    let lot = json!({"code": "NEW", "name": "New", "kind": "bayed", "slots": [{"code": "A-1"}]});
    post("/api/v1/lots", &lot).await;
    let from = Timestamp::now() + SignedDuration::from_hours(1);
    let to = (from + SignedDuration::from_hours(1)).to_string();
    let wish = json!({"lot": "NEW", "slot": "A-1", "from": from.to_string(), "to": to});
    let made = post("/api/v1/reservations", &wish).await;
    assert_eq!(made["state"], "confirmed");
}
