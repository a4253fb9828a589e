//! Gates, stays and violations in the console: what staff see of them as it happens, and do about it.

use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ENTER, ESCAPE};
use crate::common::Server;
use crate::{console_url, flat_tariff, market, server_with};

/// The rows of the list that is open.
const ROWS: &str = "[...document.querySelectorAll('#work .rows li')]";

fn desk_url(server: &Server, role: Role, name: &str) -> String {
    format!("{}&lang=en&lot=L1&show={name}", console_url(server, role))
}

/// At the gate in the north; whoever comes in has been there for half an hour.
async fn scan(server: &Server, direction: &str, plate: &str) -> Value {
    let since = SignedDuration::from_mins(if direction == "entry" { 30 } else { 0 });
    let scan = json!({"lot": "L1", "gate": "north", "direction": direction,
        "credential": {"plate": plate}, "observed_at": Timestamp::now() - since});
    server.post(Role::Device, "/api/v1/scans", &scan).await.expect(200)
}

async fn stays(server: &Server) -> Vec<Value> {
    let found = server.get(Role::Staff, "/api/v1/sessions?lot=L1").await.expect(200);
    found["items"].as_array().unwrap().clone()
}

async fn count(page: &Browser, rows: usize) {
    page.until(&format!("{ROWS}.length === {rows}")).await;
}

/// One action of the open sheet: its button, then what its form asks for, then yes.
async fn act(page: &Browser, name: &str, typed: &str) {
    page.until(&format!("document.querySelector('dialog[open] [data-act=\"{name}\"]')")).await;
    page.click(&format!("dialog[open] [data-act='{name}']")).await;
    page.until("document.activeElement.closest('form') !== null").await;
    if !typed.is_empty() {
        page.js("document.activeElement.select?.()").await;
        page.keys(typed).await;
    }
    page.keys(ENTER).await;
    page.until("document.querySelector('dialog[open] form') === null").await;
}

fn fact(name: &str) -> String {
    format!("dialog[open] [data-fact='{name}']")
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_tell_each_scan_as_it_happens_and_why() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    flat_tariff(&server, "L1").await;
    page.open(&desk_url(&server, Role::Staff, "gates")).await;
    page.reads("#work .listing .note", "No scan yet").await;
    assert_eq!(page.js("return document.querySelector('#map').checkVisibility()").await, false);
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;

    assert_eq!(scan(&server, "entry", "HH-AB 99").await["decision"], "open");
    count(&page, 1).await;
    page.reads("#work .rows li", "OPEN · HH-AB 99").await;
    page.reads("#work .rows li", "Entry · north · Came without a booking.").await;
    assert_eq!(scan(&server, "exit", "HH-AB 99").await["code"], "payment_required");
    count(&page, 2).await;
    page.reads("#work .rows li", "DENY · HH-AB 99").await;
    page.reads("#work .rows li", "€5.00").await;
    page.reads("#work .rows li", "To be paid before leaving").await;
    let signs = "return [...document.querySelectorAll('#work .rows .mark')].map((mark) => [mark.textContent, getComputedStyle(mark).borderRadius, getComputedStyle(mark).color])";
    let signs = page.js(signs).await;
    for part in 0..3 {
        assert_ne!(signs[0][part], signs[1][part], "{signs}");
    }
    page.click("#work [data-value='open']").await;
    page.until(&format!("{ROWS}.length === 1 && {ROWS}[0].innerText.includes('OPEN')")).await;

    // Another face and back: what was shown is asked for again, in the same lot.
    page.click("[data-tab='places']").await;
    page.until("document.querySelectorAll('.tile').length === 4 && document.querySelector('#map').checkVisibility()").await;
    page.click("[data-tab='gates']").await;
    page.until("location.hash === '#lot=L1&show=gates'").await;
    page.click("#work .rows button").await;
    page.reads(&fact("due"), "€5.00").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_worked_by_hand_and_does_nothing_unasked() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    flat_tariff(&server, "L1").await;
    page.open(&desk_url(&server, Role::Staff, "gates")).await;
    page.until("document.querySelector('#hand-text') !== null").await;
    page.click("#hand-gate").await;
    page.keys("south").await;
    page.click("#hand-text").await;
    page.keys("b-xy 123").await;
    page.keys(ENTER).await;
    page.reads("#verdict", "May pass").await;
    assert_eq!(stays(&server).await.len(), 0, "it was only asked");
    page.until("document.activeElement.dataset.hand === 'open'").await;
    page.keys(ENTER).await;
    page.reads("#verdict", "OPEN · B-XY 123").await;
    let inside = stays(&server).await;
    assert_eq!((inside.len(), &inside[0]["entry_gate"]), (1, &json!("south")));
    count(&page, 1).await;

    // Out, after half an hour: asked, paid, opened.
    scan(&server, "entry", "HH-AB 99").await;
    count(&page, 2).await;
    page.click("#work .hand [data-value='exit']").await;
    page.until("document.activeElement.id === 'hand-text'").await;
    page.keys("hh-ab 99").await;
    page.keys(ENTER).await;
    page.reads("#verdict", "May not pass").await;
    page.click("[data-hand='cash']").await;
    page.reads("#verdict", "May pass").await;
    page.click("[data-hand='open']").await;
    page.reads("#verdict", "OPEN · HH-AB 99").await;
    let states = stays(&server).await;
    let left = states.iter().filter(|stay| stay["state"] == "left");
    assert_eq!(left.map(|stay| &stay["vehicle"]["plate"]).collect::<Vec<_>>(), ["HH-AB 99"]);

    // Sent away: it is recorded, and nobody is inside.
    page.until("document.activeElement.id === 'hand-text'").await;
    page.keys("M-QR 7").await;
    page.keys(ENTER).await;
    page.reads("#verdict", "May not pass").await;
    page.click("[data-hand='deny']").await;
    page.reads("#verdict", "DENY · M-QR 7").await;
    page.until(&format!("{ROWS}.length === 4 && {ROWS}[0].innerText.includes('No such car')"))
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_is_found_put_right_paid_given_back_and_ended() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(3)]).await;
    flat_tariff(&server, "L1").await;
    crate::sense(&server, ["B-2".to_owned()], false).await;
    page.open(&desk_url(&server, Role::Staff, "stays")).await;
    page.reads("#work .listing .note", "Nobody is inside").await;
    for plate in ["HH-AB 99", "B-XY 123"] {
        scan(&server, "entry", plate).await;
    }
    count(&page, 2).await;
    page.reads("#work .rows li", "B-XY 123").await;
    page.reads("#work .rows li", "€5.00").await;

    // By its plate, however it is spelled; then its sheet, by keyboard alone.
    page.click("#stay-search").await;
    page.keys("hhab99").await;
    page.keys(ENTER).await;
    page.until(&format!("{ROWS}.length === 1 && {ROWS}[0].innerText.includes('HH-AB 99')")).await;
    page.js("document.querySelector('#work .rows button').focus()").await;
    page.keys(ENTER).await;
    page.reads(&fact("due"), "€5.00").await;
    assert!(page.text("dialog[open] .fee").await.contains("Parking"));

    act(&page, "correct", "HH-AC 99").await;
    page.reads(&fact("plate"), "HH-AC 99").await;
    act(&page, "move", "B-2").await;
    page.reads(&fact("slot"), "B-2").await;
    act(&page, "request", "a receipt, please").await;
    page.reads(&fact("request"), "a receipt, please").await;
    act(&page, "cash", "early").await;
    page.reads(&fact("due"), "Nothing").await;
    page.reads(&fact("payments"), "€5.00 · cash · early").await;
    let refund = "document.querySelector('dialog[open] [data-act^=\"refund\"]')?.dataset.act";
    let refund = page.until(refund).await;
    act(&page, refund.as_str().unwrap(), "2,50").await;
    page.reads(&fact("payments"), "€2.50 given back").await;
    act(&page, "end", "").await;
    page.reads(&fact("state"), "Left").await;
    page.reads("dialog[open] [data-not='over']", "over").await;
    page.keys(ESCAPE).await;
    page.until("document.querySelector('dialog[open]') === null").await;
    let told = stays(&server).await;
    let left = told.iter().find(|stay| stay["state"] == "left").expect("one has left");
    assert_eq!((&left["vehicle"]["plate"], &left["slot"]), (&json!("HH-AC 99"), &json!("B-2")));

    page.click("#work [data-value='over']").await;
    page.until(&format!("{ROWS}.length === 1 && {ROWS}[0].innerText.includes('HH-AC 99')")).await;
    page.click("#work [data-value='overstaying']").await;
    page.reads("#work .listing .note", "Nobody stays too long").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_shows_the_penalties_between_its_fee_and_what_is_to_be_paid() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    flat_tariff(&server, "L1").await;
    let entered = scan(&server, "entry", "HH-AB 99").await;
    page.open(&desk_url(&server, Role::Staff, "stays")).await;
    count(&page, 1).await;
    page.click("#work .rows button").await;
    page.reads(&fact("due"), "€5.00").await;
    assert_eq!(
        page.js("return document.querySelector('[data-fact=penalties]')").await,
        Value::Null
    );
    // Somebody else reports it while the sheet is open.
    let reported = json!({
        "lot": "L1", "kind": "blocks_lane", "session": entered["session"]["id"],
        "penalty": {"amount": 3_050, "currency": "EUR"},
    });
    server.post(Role::Staff, "/api/v1/violations", &reported).await.expect(201);
    page.reads(&fact("penalties"), "€30.50 · ").await;
    page.reads(&fact("due"), "€35.50").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violation_is_reported_appealed_and_waived() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    page.open(&desk_url(&server, Role::Staff, "violations")).await;
    page.reads("#work .listing .note", "Nothing is wrong").await;
    page.click("#report").await;
    page.until("document.activeElement.id === 'sheet-kind'").await;
    page.js("const set = (id, value) => { document.getElementById(id).value = value; };
        set('sheet-kind', 'blocks_lane'); set('sheet-slot', 'A-1'); set('sheet-plate', 'hh-ab 99'); set('sheet-penalty', '30,5');")
        .await;
    page.click("dialog[open] [data-yes='report']").await;
    page.reads(&fact("penalty"), "€30.50").await;
    page.reads("dialog[open] .said", "Reported").await;
    act(&page, "notify", "").await;
    page.reads(&fact("notices"), "1").await;
    act(&page, "appeal", "mistaken").await;
    page.reads(&fact("state"), "Appealed · mistaken").await;
    page.reads("dialog[open] [data-not='notify']", "No notice while an appeal waits").await;
    page.keys(ESCAPE).await;

    // Somebody else reports one: it is there without asking.
    let body = json!({"lot": "L1", "kind": "no_session", "slot": "A-2"});
    server.post(Role::Staff, "/api/v1/violations", &body).await.expect(201);
    count(&page, 1).await;
    page.reads("#work .rows li", "Came in unseen").await;
    page.click("#work [data-value='appealed']").await;
    page.until(&format!("{ROWS}.length === 1 && {ROWS}[0].innerText.includes('HH-AB 99')")).await;
    page.click("#work .rows button").await;
    act(&page, "waive", "").await;
    page.reads(&fact("state"), "Waived").await;
    page.reads("dialog[open] [data-not='over']", "closed").await;
    let open = server.get(Role::Staff, "/api/v1/violations?state=open").await.expect(200);
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_act_is_told_why_and_offered_nothing() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    for name in ["gates", "stays", "violations"] {
        page.open(&desk_url(&server, Role::Display, name)).await;
        page.reads("#work", "Your role (display) may look at the places").await;
        assert_eq!(page.js("return document.querySelectorAll('#work button').length").await, 0);
    }
    page.click("[data-tab='places']").await;
    page.until("document.querySelectorAll('.tile').length === 4").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_leaves_the_list_and_says_how_old_it_is() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    scan(&server, "entry", "HH-AB 99").await;
    let address = server.running.address;
    page.open(&desk_url(&server, Role::Staff, "stays")).await;
    count(&page, 1).await;
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;
    let directory = server.stop().await;
    // Whoever asks now is told what he sees and from when it is.
    page.click("[data-tab='stays']").await;
    page.reads("#work .note", "cannot be reached").await;
    let listen = |config: &mut lotkeeper_gateway::config::Config| config.server.listen = address;
    let server = Server::start_in(directory, listen).await;
    count(&page, 1).await;
    page.until("document.querySelector('#work .note').hidden").await;
    scan(&server, "entry", "B-XY 123").await;
    count(&page, 2).await;
    server.stop().await;
}
