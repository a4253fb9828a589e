//! The driver's page: from the list to the code for the gate, and what is said when a place is lost.

use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ENTER};
use crate::common::{Server, token_of};
use crate::{book_url, flat_tariff, server_with};

const CODE_IS_SHOWN: &str =
    "document.querySelector('#qr').checkVisibility() && document.querySelector('#qr').width > 20";

/// A lot with few slots, somewhere; holds last as long as said.
fn small(code: &str, name: &str, slots: usize, hold_seconds: u32) -> Value {
    let slots: Vec<Value> = (1..=slots).map(|n| json!({"code": format!("P-{n}")})).collect();
    json!({"code": code, "name": name, "kind": "bayed", "slots": slots, "city": "Port Allery", "currency": "EUR",
        "position": {"lat": 53.052, "lon": -6.048}, "rules": {"hold_seconds": hold_seconds}})
}

async fn town() -> Server {
    let server =
        server_with(&[small("L1", "Market Street", 1, 600), small("L2", "Harbour", 3, 600)]).await;
    for lot in ["L1", "L2"] {
        flat_tariff(&server, lot).await;
    }
    server
}

/// The driver's bookings as the server has them.
async fn bookings(server: &Server) -> Vec<Value> {
    let found = server.get(Role::Driver, "/api/v1/reservations?mine=true").await.expect(200);
    found["items"].as_array().unwrap().clone()
}

/// From the list to the code: three clicks, a plate, and nothing else.
async fn book(page: &Browser, lot: &str) {
    let price = format!("#lots a[data-lot='{lot}'] .price");
    page.shows(&price, "€5.00").await;
    page.click(&format!("#lots a[data-lot='{lot}']")).await;
    hold_and_confirm(page).await;
}

async fn hold_and_confirm(page: &Browser) {
    page.until("document.querySelector('#plate') !== null").await;
    page.click("#plate").await;
    page.keys("b-xy 123").await;
    page.click("#hold").await;
    page.until("document.querySelector('#countdown') !== null").await;
    page.click("#confirm").await;
    page.until(CODE_IS_SHOWN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_clicks_lead_from_the_list_to_the_code_and_two_the_next_time() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "")).await;
    book(&page, "L2").await;
    page.shows("#pass-plate", "B-XY 123").await;
    page.reads("#panel", "€5.00").await;
    let way = page.js("return document.querySelector('#way').getAttribute('href')").await;
    assert!(way.as_str().unwrap().contains("53.052"), "{way}");
    let made = bookings(&server).await;
    assert_eq!(made.len(), 1);
    assert_eq!((&made[0]["lot"], &made[0]["state"]), (&json!("L2"), &json!("confirmed")));
    assert_eq!(page.text("[data-fact='reference']").await, made[0]["reference"].as_str().unwrap());
    let colours = "const pen = document.querySelector('#qr').getContext('2d');
        const { data } = pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height);
        return [...new Set([...data].filter((_, at) => at % 4 === 0))].sort().join()";
    assert_eq!(page.js(colours).await, "0,255", "a code is black and white");

    // Who comes back within the day sees his code without a click.
    page.open(&book_url(&server, "")).await;
    page.until(CODE_IS_SHOWN).await;
    page.click("#cancel").await;
    page.click("#cancel-yes").await;
    page.until("document.querySelector('#anew') !== null").await;
    assert_eq!(bookings(&server).await[0]["state"], "cancelled");
    // And later the lot and the plate of last time.
    page.open(&book_url(&server, "")).await;
    page.until("document.querySelector('#hold') !== null").await;
    page.shows("#panel-title", "Harbour").await;
    page.click("#hold").await;
    page.until("document.querySelector('#confirm') !== null").await;
    page.click("#confirm").await;
    page.until(CODE_IS_SHOWN).await;
    page.shows("#pass-plate", "B-XY 123").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_is_made_longer_at_a_price_that_is_said_before() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "")).await;
    book(&page, "L2").await;
    let end = |booking: &Value| booking["to"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let before = end(&bookings(&server).await[0]);
    page.click("#extend").await;
    page.reads("[data-longer='60']", "€5.00").await;
    page.click("[data-longer='60']").await;
    page.reads("#panel .notice", "you may stay longer").await;
    assert_eq!(end(&bookings(&server).await[0]), before + SignedDuration::from_hours(1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_asks_in_his_own_words_and_takes_it_back() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "&lot=L2")).await;
    page.until("document.querySelector('.words summary') !== null").await;
    page.click(".words summary").await;
    page.click("#request").await;
    page.keys("close to the lift").await;
    // Another time is another price, and what was typed stays.
    page.click("[data-minutes='240']").await;
    page.until("document.querySelector('#panel .fee')?.innerText.includes('4')").await;
    assert_eq!(
        page.js("return document.querySelector('#request').value").await,
        "close to the lift"
    );
    assert_eq!(page.js("return document.querySelector('.words').open").await, true);
    hold_and_confirm(&page).await;
    page.reads("[data-fact='request']", "close to the lift").await;
    assert_eq!(bookings(&server).await[0]["request"], "close to the lift");
    // One's own words are words: nothing of them is markup.
    for (typed, wanted) in
        [("<b>a wide place</b>", json!("<b>a wide place</b>")), ("", Value::Null)]
    {
        page.click(".words summary").await;
        page.click("#request").await;
        page.js("document.activeElement.value = ''").await;
        page.keys(typed).await;
        // What was said the last time is no answer to this one.
        page.js("document.querySelector('#panel .notice').remove()").await;
        page.click("#request-save").await;
        page.reads("#panel .notice", "the lot sees what you ask for").await;
        assert_eq!(bookings(&server).await[0]["request"], wanted);
        let shown = "return document.querySelector(\"[data-fact='request']\")?.textContent ?? null";
        assert_eq!(page.js(shown).await, wanted);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_somebody_else_took_is_lost_and_the_next_best_is_offered() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "&lot=L1")).await;
    page.until("document.querySelector('#hold') !== null").await;
    let at = |hours| Timestamp::now() + SignedDuration::from_hours(hours);
    let other = json!({"lot": "L1", "from": Timestamp::now(), "to": at(9)});
    server.post(Role::Staff, "/api/v1/reservations", &other).await.expect(201);
    page.click("#plate").await;
    page.keys("b-xy 123").await;
    page.keys(ENTER).await;
    page.shows("#panel-title", "The place is gone").await;
    page.reads("#panel .notice", "Somebody was faster").await;
    page.until("document.querySelector(\"#panel-body a[data-lot='L2']\") !== null").await;
    assert_eq!(page.js("return document.querySelectorAll('#panel-body .cards a').length").await, 1);
    page.click("#panel-body a[data-lot='L2']").await;
    page.until("document.querySelector('#hold') !== null").await;
    page.shows("#panel-title", "Harbour").await;
    assert_eq!(bookings(&server).await, Vec::<Value>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_ran_out_is_said_and_the_lot_is_offered_again() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[small("L1", "Market Street", 1, 2)]).await;
    page.open(&book_url(&server, "&lot=L1")).await;
    page.until("document.querySelector('#hold') !== null").await;
    page.click("#plate").await;
    page.keys("b-xy 123").await;
    page.click("#hold").await;
    page.shows("#panel-title", "The place is gone").await;
    page.reads("#panel .notice", "ran out").await;
    page.until("document.querySelector(\"#panel-body a[data-lot='L1']\") !== null").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_whose_answer_was_lost_is_one_hold() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "&lot=L2")).await;
    page.until("document.querySelector('#hold') !== null").await;
    page.js("const real = window.fetch;
        window.fetch = (...asked) => real(...asked).then((answer) => {
            if (asked[1]?.method === 'POST' && String(asked[0]).endsWith('/reservations') && !window.lost) { window.lost = true; throw new TypeError('lost'); }
            return answer;
        });")
        .await;
    page.click("#plate").await;
    page.keys("b-xy 123").await;
    page.click("#hold").await;
    page.until("document.querySelector('#countdown') !== null").await;
    assert_eq!(page.js("return window.lost").await, true);
    assert_eq!(bookings(&server).await.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_see_their_own_bookings_only() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "")).await;
    book(&page, "L2").await;
    let other = token_of(Role::Driver, "somebody-else");
    page.open(&server.url(&format!("/book#lang=en&token={other}"))).await;
    page.until("document.querySelectorAll('#lots a').length === 2").await;
    page.shows("#panel-title", "Choose a lot").await;
    assert_eq!(page.js("return document.querySelector('#mine').hidden").await, true);
    page.click("#lots a[data-lot='L2']").await;
    page.until("document.querySelector('#plate') !== null").await;
    let plate = page.js("return document.querySelector('#plate').value").await;
    assert_eq!(plate, "", "nor is the plate of another on the same device");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_gate_is_the_driver_says_that_he_came_and_went() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[small("L1", "Market Street", 2, 600)]).await;
    page.open(&book_url(&server, "&lot=L1")).await;
    hold_and_confirm(&page).await;
    page.click("#gateless summary").await;
    page.click("#check-in").await;
    page.reads("#panel .notice", "you are parked").await;
    assert_eq!(bookings(&server).await[0]["state"], "checked_in");
    page.click("#gateless summary").await;
    page.click("#check-out").await;
    page.until("document.querySelector('#anew') !== null").await;
    assert_eq!(bookings(&server).await[0]["state"], "completed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_the_gate_is_told_and_not_asked_for() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    page.open(&book_url(&server, "")).await;
    book(&page, "L2").await;
    page.shows("#panel-title", "Your booking").await;
    let asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/reservations?mine')).length";
    let before = page.js(asked).await;
    let scan = json!({"lot": "L2", "direction": "entry", "credential": {"plate": "B-XY 123"}});
    let entered = server.post(Role::Device, "/api/v1/scans", &scan).await.expect(200);
    assert_eq!(entered["code"], "reserved", "{entered}");
    page.shows("#panel-title", "You are parked").await;
    page.reads("#mine-list", "Parked").await;

    // Another device of the same driver, in the same lot.
    let at = |hours| Timestamp::now() + SignedDuration::from_hours(hours);
    let other = json!({"lot": "L2", "from": at(30), "to": at(31)});
    server.post(Role::Driver, "/api/v1/reservations", &other).await.expect(201);
    page.until("document.querySelectorAll('#mine-list li').length === 2").await;
    assert_eq!(page.js(asked).await, before, "nobody asked for the list again");
    server.stop().await;
}
