//! The scan page: what staff at a gate shows and is told.

use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ENTER};
use crate::common::{Server, token};
use crate::{flat_tariff, market, scan_url, server_with};

/// The page waits for a text, and its lot is known.
const READY: &str = "document.querySelector('#stage').dataset.state === 'ready' && document.activeElement.id === 'text'";
const PRESSED: &str = "return [...document.querySelectorAll('[data-kind][aria-pressed=\"true\"]')].map((one) => one.dataset.kind)";

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_told_apart_by_their_form_and_a_person_knows_better() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(1)]).await;
    page.open(&scan_url(&server, "")).await;
    page.until(READY).await;
    let token = "CHIUYLTJUQABAAMZR4VBWLD556ASGRLHRGV4336UY46EJFA7OSPQ2QKWPG4RKVHQ";
    let forms = [
        ("B-XY 123", "plate"),
        ("hh ab 1234", "plate"),
        ("WÜ·A 1", "plate"),
        ("7JSTCS44", "ticket"),
        ("7jst-cs44", "ticket"),
        // One character other than the check symbol says: not a ticket of ours.
        ("7JSTCS4J", "plate"),
        (token, "qr"),
        ("https://example.com/", "qr"),
    ];
    let kinds = "return import('/assets/credential.js').then((form) => arguments[0].map((text) => form.kindOf(text)))";
    let texts = forms.map(|(text, _)| text);
    assert_eq!(page.js_with(kinds, &json!(texts)).await, json!(forms.map(|(_, kind)| kind)));

    page.keys("ab 12").await;
    assert_eq!(page.js(PRESSED).await, json!(["plate"]));
    page.click("[data-kind='ticket']").await;
    assert_eq!(page.js(PRESSED).await, json!(["ticket"]));
    page.keys("3").await;
    assert_eq!(page.js(PRESSED).await, json!(["ticket"]), "it stays what a person said");
    assert_eq!(page.js("return document.querySelector('#text').value").await, "ab 123");
    server.stop().await;
}

/// A browser that reads codes, with a camera: what `BarcodeDetector` sees is what a test says.
const CAMERA: &str = "
    Object.assign(window, { inSight: [], asked: 0, stopped: 0 });
    window.BarcodeDetector = class {
        static async getSupportedFormats() { return ['qr_code']; }
        async detect() { return window.inSight; }
    };
    if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
        window.asked += 1;
        const canvas = document.createElement('canvas');
        canvas.getContext('2d').fillRect(0, 0, 9, 9);
        const stream = canvas.captureStream(10);
        const [track] = stream.getVideoTracks();
        const stop = track.stop.bind(track);
        track.stop = () => { window.stopped += 1; stop(); };
        return stream;
    };";

#[tokio::test(flavor = "multi_thread")]
async fn camera_begins_with_a_tap_and_ends_when_hidden() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(1)]).await;
    page.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": CAMERA})).await;
    page.open(&scan_url(&server, "")).await;
    page.until("!document.querySelector('#look').hidden").await;
    assert_eq!(page.js("return window.asked").await, 0, "nobody is filmed who did not tap");
    page.click("#look").await;
    page.until("window.asked === 1 && document.querySelector('#video').checkVisibility()").await;
    page.js("window.inSight = [{ rawValue: 'CHIUYLTJUQABAAMZR4VBWLD556ASGRLHRGV4336UY46EJFA7' }]")
        .await;
    page.reads("#past li", "JFA7").await;
    // Seen again and again, it is still one scan; another code is another.
    page.js("window.inSight = [{ rawValue: '7JST-CS44' }]").await;
    page.until("document.querySelectorAll('#past li').length === 2").await;
    page.reads("#past li", "7JST-CS44").await;

    page.js("Object.defineProperty(document, 'hidden', { get: () => true });
        document.dispatchEvent(new Event('visibilitychange'));")
        .await;
    page.until("window.stopped === 1 && document.querySelector('#video').hidden").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_page_asks_for_a_token_of_staff() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(1)]).await;
    page.open(&server.url(&format!("/scan#lang=en&token={}", token(Role::Driver)))).await;
    page.reads("#gate-text", "does not allow").await;
    page.open(&server.url("/scan#lang=en&token=nonsense")).await;
    page.reads("#gate-text", "does not accept").await;
    assert!(page.text("#gate").await.contains("lotkeeper token --role staff"));
    // Where the answer belongs, the focus is already.
    page.keys(&token(Role::Staff)).await;
    page.keys(ENTER).await;
    page.until(READY).await;
    assert_eq!(page.js("return location.hash.includes('token')").await, false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lot_gate_direction_and_silence_are_remembered() {
    let Some(page) = Browser::start().await else { return };
    let harbour = json!({"code": "L2", "name": "Harbour", "kind": "counted", "capacity": 9});
    let server = server_with(&[market(1), harbour]).await;
    page.open(&scan_url(&server, "")).await;
    page.until("document.querySelector('#place').open && document.activeElement.id === 'lot'")
        .await;
    page.keys("H").await;
    page.shows("#place-name", "Harbour").await;
    page.click("#lane").await;
    page.keys("north").await;
    page.click("#exit").await;
    page.click("#sound").await;
    page.shows("#place-name", "Harbour · north").await;

    page.open(&scan_url(&server, "")).await;
    page.until(READY).await;
    page.shows("#place-name", "Harbour · north").await;
    let pressed = "return ['entry', 'exit', 'sound'].map((id) => document.getElementById(id).getAttribute('aria-pressed'))";
    assert_eq!(page.js(pressed).await, json!(["false", "true", "false"]));
    server.stop().await;
}

/// A reservation of `A-1` for this plate, confirmed, that may come in already.
async fn booked(server: &Server, plate: &str) {
    let at = |minutes| Timestamp::now() + SignedDuration::from_mins(minutes);
    let vehicle = json!({"plate": plate});
    let wanted = json!({"lot": "L1", "slot": "A-1", "from": at(5), "to": at(65),
        "vehicle": vehicle, "request": "help with the cable"});
    server.post(Role::Staff, "/api/v1/reservations", &wanted).await.expect(201);
}

async fn sessions(server: &Server) -> Vec<Value> {
    let found = server.get(Role::Staff, "/api/v1/sessions?lot=L1").await.expect(200);
    found["items"].as_array().unwrap().clone()
}

/// What of an answer is seen without colours, and its colour.
const SEEN: &str = "
    const shape = [...document.querySelectorAll('.signs svg')].filter((sign) => sign.checkVisibility()).map((sign) => sign.getAttribute('class'));
    return [document.querySelector('#word').textContent, shape, getComputedStyle(document.querySelector('#stage')).backgroundColor];";

async fn scanned(page: &Browser, text: &str, decision: &str) {
    page.until("document.activeElement.id === 'text'").await;
    page.keys(text).await;
    page.keys(ENTER).await;
    page.until(&format!("document.querySelector('#stage').dataset.state === '{decision}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_and_deny_differ_in_word_shape_and_colour_and_say_why() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    booked(&server, "B-XY 123").await;
    page.open(&scan_url(&server, "&gate=north")).await;
    page.until(READY).await;
    scanned(&page, "b-xy 123", "open").await;
    page.shows("#word", "OPEN").await;
    page.shows("#reason", "Booked.").await;
    page.reads("#facts", "A-1").await;
    page.reads("#facts", "help with the cable").await;
    page.until("document.querySelector('#say').textContent.startsWith('OPEN. B-XY 123.')").await;
    let open = page.js(SEEN).await;
    assert_eq!(page.js("return document.querySelector('#text').value").await, "");
    let inside = sessions(&server).await;
    assert_eq!(inside.len(), 1);
    assert_eq!((&inside[0]["entry_gate"], &inside[0]["slot"]), (&json!("north"), &json!("A-1")));

    // The field has the focus again: the next one is simply typed.
    page.click("#exit").await;
    scanned(&page, "hh ab 99", "deny").await;
    page.shows("#reason", "No such car is inside.").await;
    let deny = page.js(SEEN).await;
    for part in 0..3 {
        assert_ne!(open[part], deny[part], "{open} and {deny}");
    }
    page.until("document.querySelectorAll('#past li').length === 2").await;
    let past = "return [...document.querySelectorAll('#past li')].map((one) => one.dataset.code)";
    assert_eq!(page.js(past).await, json!(["not_inside", "reserved"]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_is_recorded_with_its_shift_and_the_gate_is_asked_again() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    flat_tariff(&server, "L1").await;
    let entry = json!({"lot": "L1", "direction": "entry", "credential": {"plate": "HH-AB 99"}});
    let entry = server.post(Role::Staff, "/api/v1/scans", &entry).await.expect(200);
    assert_eq!(entry["decision"], "open", "{entry}");
    page.open(&scan_url(&server, "&direction=exit")).await;
    page.until(READY).await;
    scanned(&page, "hh-ab 99", "deny").await;
    page.shows("#due", "€5.00").await;
    page.click("#shift").await;
    page.keys("early").await;
    page.click("#cash").await;
    page.until("document.querySelector('#stage').dataset.state === 'open'").await;
    page.shows("#reason", "Paid.").await;
    let stays = sessions(&server).await;
    assert_eq!((stays.len(), &stays[0]["state"]), (1, &json!("left")), "{stays:?}");
    let past = "return [...document.querySelectorAll('#past li')].map((one) => one.dataset.code)";
    assert_eq!(page.js(past).await, json!(["paid", "payment_required"]));
    assert_eq!(page.js("return localStorage.getItem('lotkeeper.scan.shift')").await, "early");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_given_as_a_picture_and_lets_out_again() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    page.open(&scan_url(&server, "")).await;
    page.until(READY).await;
    page.click("#give").await;
    page.until("document.querySelector('#stage').dataset.state === 'open'").await;
    page.until("document.querySelector('#ticket').checkVisibility() && document.querySelector('#ticket').width > 20").await;
    let ticket = page.text("#what").await;
    page.click("#exit").await;
    page.until("document.activeElement.id === 'text'").await;
    page.keys(&ticket.to_lowercase()).await;
    assert_eq!(page.js(PRESSED).await, json!(["ticket"]), "{ticket}");
    scanned(&page, "", "open").await;
    assert_eq!(sessions(&server).await[0]["state"], "left");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_without_an_answer_is_tried_again_and_counts_once() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    booked(&server, "B-XY 123").await;
    let address = server.running.address;
    page.open(&scan_url(&server, "")).await;
    page.until(READY).await;
    // The first answer is lost on its way: the server has decided and the page does not know.
    page.js("const real = window.fetch;
        window.fetch = (...asked) => real(...asked).then((answer) => {
            if (String(asked[0]).endsWith('/scans') && !window.anAnswerIsLost) { window.anAnswerIsLost = true; throw new TypeError('lost'); }
            return answer;
        });")
        .await;
    scanned(&page, "b-xy 123", "open").await;
    assert_eq!(page.js("return window.anAnswerIsLost").await, true);
    assert_eq!(sessions(&server).await.len(), 1);

    let directory = server.stop().await;
    page.click("#exit").await;
    scanned(&page, "b-xy 123", "problem").await;
    page.shows("#word", "NO ANSWER").await;
    page.reads("#reason", "Trying again").await;
    let listen = |config: &mut lotkeeper_gateway::config::Config| config.server.listen = address;
    let server = Server::start_in(directory, listen).await;
    page.until("document.querySelector('#stage').dataset.state === 'open'").await;
    let stays = sessions(&server).await;
    assert_eq!((stays.len(), &stays[0]["state"]), (1, &json!("left")), "{stays:?}");
    server.stop().await;
}
