//! Sensors against made-up answers, and against a socket that answers as servers do.

use super::*;
use crate::fleet::shards;
use crate::model::Expected;
use crate::socket::PONG;
use serde_json::Value;
use tokio::net::TcpListener;

fn sending(in_flight_max: usize) -> Sending {
    let fleet = Arc::new(Fleet::new("t", 1, 4));
    let models = shards(1, 4, 1).remove(0).into_iter().map(|shard| ShardModel::new(shard, 1));
    Sending::new(Sensors {
        number: 0,
        addr: "127.0.0.1:1".parse().unwrap(),
        token: String::new(),
        clock: Clock::start(),
        window: Window { from_us: 0, to_us: u64::MAX },
        fleet,
        models: models.collect(),
        batch: 4,
        encoding: Encoding::Json,
        in_flight_max,
        pace: None,
        gauges: Arc::default(),
    })
}

fn ack(batch: u64, accepted: usize, late: usize) -> String {
    format!(
        r#"{{"op":"ack","batch":{batch},"accepted":{accepted},"unchanged":0,"duplicate":0,"late":{late},"refused":[],"seq":9}}"#
    )
}

#[test]
fn acks_in_any_order_land_their_own_batch() {
    let mut sending = sending(3);
    for now_us in 1..=3 {
        sending.next_batch(now_us, now_us);
    }
    let mut batches: Vec<u64> = sending.flights.iter().flatten().map(|f| f.batch).collect();
    batches.reverse();
    for batch in batches {
        assert_eq!(sending.take(&ack(batch, 4, 0)), Ok(false));
    }
    assert_eq!((sending.in_flight(), sending.acks.faults), (0, 0));
    assert_eq!(sending.recorder.total(Tally::Readings), 12);
    assert_eq!(sending.sensors.fleet.lots[0].told_seq(), 9);
}

#[test]
fn an_ack_twice_short_or_late_is_a_fault() {
    let mut sending = sending(1);
    let mut batch = || {
        sending.next_batch(1, 1);
        sending.flights[0].unwrap().batch
    };
    let first = batch();
    sending.take(&ack(first, 4, 0)).unwrap();
    sending.take(&ack(first, 4, 0)).unwrap();
    assert_eq!(sending.acks.faults, 1, "twice");
    sending.next_batch(1, 1);
    sending.take(&ack(first, 4, 0)).unwrap();
    assert_eq!((sending.acks.faults, sending.in_flight()), (2, 1), "twice, its place taken again");
    sending.take(&ack(1, 4, 0)).unwrap();
    for (text, what) in [(ack(2, 3, 0), "short"), (ack(3, 3, 1), "late")] {
        let before = sending.acks.faults;
        sending.next_batch(1, 1);
        sending.take(&text).unwrap();
        assert_eq!(sending.acks.faults, before + 1, "{what}: {:?}", sending.acks.first_faults);
    }
}

#[test]
fn an_error_leaves_slots_as_they_were_or_unsure() {
    for (code, expected) in
        [("overloaded", Expected::Unheard), ("outcome_unknown", Expected::Unsure)]
    {
        let mut sending = sending(1);
        sending.next_batch(1, 1);
        let text = format!(
            r#"{{"op":"error","batch":0,"code":"{code}","detail":"x","retry_after_ms":250}}"#
        );
        sending.take(&text).unwrap();
        assert!(sending.sensors.models[0].expected().all(|(_, e)| e == expected), "{code}");
        assert!(sending.resume_us > sending.sensors.clock.now_us(), "{code}");
        assert_eq!(sending.recorder.errors()[&format!("ingest {code}")], 1);
    }
}

#[test]
fn a_lost_socket_makes_its_batches_unsure() {
    let mut sending = sending(2);
    sending.next_batch(1, 1);
    sending.lose_flights();
    assert!(sending.sensors.models[0].expected().all(|(_, e)| e == Expected::Unsure));
    assert!(!sending.acks.passed());
}

/// A server that answers the batches of one socket: holds the first back until it has seen three, refuses
/// the fourth, pings, and acknowledges the rest. Gives back what it was sent, and how many pongs.
async fn serve_one(listener: TcpListener) -> (Vec<Value>, usize) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let (mut batches, mut pongs) = (Vec::new(), 0);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if text.as_str() == PONG {
            pongs += 1;
            continue;
        }
        let batch: Value = serde_json::from_str(&text).unwrap();
        let number = batch["batch"].as_u64().unwrap();
        batches.push(batch);
        let answers = match batches.len() {
            1 | 2 => vec![],
            3 => batches.iter().rev().map(|b| ack(b["batch"].as_u64().unwrap(), 4, 0)).collect(),
            4 => vec![
                r#"{"op":"ping","at":"x"}"#.to_string(),
                format!(
                    r#"{{"op":"error","batch":{number},"code":"overloaded","detail":"x","retry_after_ms":1}}"#
                ),
            ],
            _ => vec![ack(number, 3, 0).replace("\"unchanged\":0", "\"unchanged\":1")],
        };
        for answer in answers {
            socket.send(Message::text(answer)).await.unwrap();
        }
    }
    (batches, pongs)
}

#[tokio::test]
async fn a_socket_is_played_to_its_end_with_every_batch_answered() {
    for pace in [None, Some(1_000.0)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sensors = sending(3).sensors;
        let now_us = sensors.clock.now_us();
        sensors.addr = listener.local_addr().unwrap();
        sensors.window = Window { from_us: now_us, to_us: now_us + 100_000 };
        sensors.pace = pace.map(|rate| Pace::new(now_us, rate));
        let server = tokio::spawn(serve_one(listener));
        let sent = sensors.run().await;
        let (batches, pongs) = server.await.unwrap();
        assert!(sent.sockets.passed() && sent.acks.passed(), "{sent:?}");
        assert_eq!((sent.acks.examined, pongs), (batches.len() as u64, 1));
        assert!(batches.len() > 10, "{}", batches.len());
        let instants: Vec<&str> =
            batches.iter().map(|b| b["readings"][0]["observed_at"].as_str().unwrap()).collect();
        assert!(instants.windows(2).all(|pair| pair[0] < pair[1]), "{instants:?}");
        assert_eq!(sent.recorder.errors()["ingest overloaded"], 1);
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_a_fault_and_not_a_hang() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sensors = sending(3).sensors;
    let now_us = sensors.clock.now_us();
    sensors.addr = listener.local_addr().unwrap();
    sensors.window = Window { from_us: now_us, to_us: now_us + 60_000_000 };
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.next().await.unwrap().unwrap();
    });
    let sent = sensors.run().await;
    server.await.unwrap();
    assert_eq!((sent.sockets.faults, sent.acks.faults), (1, 3));
    assert!(sent.models[0].expected().all(|(_, expected)| expected == Expected::Unsure));
}
