//! The sign: one number that is right, or none.

use lotkeeper_gateway::auth::{Grant, Role};

use crate::browser::Browser;
use crate::common::{Server, grant, mint};
use crate::{codes, market, sense, server_with, sign_url};

const PER_LEVEL: usize = 20;

async fn lot_with_all_free() -> Server {
    let server = server_with(&[market(PER_LEVEL)]).await;
    sense(&server, codes("A", 1..=PER_LEVEL), false).await;
    sense(&server, codes("B", 1..=PER_LEVEL), false).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_shows_what_the_sensors_say() {
    let Some(page) = Browser::start().await else { return };
    let server = lot_with_all_free().await;
    page.open(&sign_url(&server, "L1", "&arrow=left&zones=1")).await;
    page.shows("#free", "40").await;
    page.until("document.querySelector('#live').dataset.state === 'live'").await;
    page.shows("#name", "Market Street").await;
    assert_eq!(page.text("#word").await, "Free");
    assert_eq!(page.js("return document.querySelector('#arrow').dataset.to").await, "left");
    // The token must not stand where passers-by and the history can read it; the options stay.
    assert_eq!(page.js("return location.hash").await, "#arrow=left&zones=1");

    // Two on level 1, of which one for electric cars; then all but one; then all.
    for (occupied, free, mode, word, zones, types) in [
        (codes("A", 1..=2), "38", "free", "Free", ["Level 118", "Level 220"], "EVFull"),
        (codes("A", 1..=PER_LEVEL), "20", "free", "Free", ["Level 1Full", "Level 220"], "EVFull"),
        (codes("B", 2..=PER_LEVEL), "1", "low", "Few left", ["Level 1Full", "Level 21"], "EVFull"),
        (codes("B", 1..=1), "FULL", "full", "", ["Level 1Full", "Level 2Full"], "EVFull"),
    ] {
        sense(&server, occupied, true).await;
        page.shows("#free", free).await;
        page.until(&format!("document.querySelector('#sign').dataset.mode === '{mode}'")).await;
        assert_eq!(page.text("#word").await, word, "{free}");
        for (position, zone) in zones.iter().enumerate() {
            page.shows(&format!("#zones li:nth-child({})", position + 1), zone).await;
        }
        page.shows("#types", types).await;
    }
    sense(&server, codes("A", 1..=1), false).await;
    page.shows("#free", "1").await;
    page.shows("#types", "EV1").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lot_without_any_reading_has_no_number() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    page.open(&sign_url(&server, "L1", "")).await;
    page.shows("#word", "No count").await;
    assert_eq!(page.text("#free").await, "–");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_shows_no_old_number_and_recovers_without_a_reload() {
    let Some(page) = Browser::start().await else { return };
    let server = lot_with_all_free().await;
    let address = server.running.address;
    page.open(&sign_url(&server, "L1", "&zones=1")).await;
    page.shows("#free", "40").await;
    page.js("window.sameDocument = true").await;

    let directory = server.stop().await;
    page.until("document.querySelector('#live').dataset.state === 'reconnecting'").await;
    page.shows("#state-word", "Reconnecting").await;
    assert!(
        page.js("return document.querySelector('#sign').hasAttribute('data-dim')").await == true
    );
    assert_eq!(page.text("#free").await, "40", "a lost connection alone is not yet a wrong number");

    page.advance_clock(60_000).await;
    page.shows("#free", "–").await;
    page.shows("#word", "No live data").await;
    page.until("document.querySelector('#live').dataset.state === 'stale'").await;
    let numbers =
        "return [...document.querySelectorAll('#zones b, #types b')].map((b) => b.textContent)";
    let numbers = page.js(numbers).await;
    assert!(numbers.as_array().unwrap().iter().all(|number| number == "–"), "{numbers}");

    let server = Server::start_in(directory, |config| config.server.listen = address).await;
    sense(&server, codes("A", 1..=3), true).await;
    page.shows("#free", "37").await;
    page.until("document.querySelector('#live').dataset.state === 'live'").await;
    assert_eq!(page.js("return window.sameDocument").await, true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_that_hears_nothing_does_not_claim_to_be_live() {
    let Some(page) = Browser::start().await else { return };
    let server = lot_with_all_free().await;
    page.open(&sign_url(&server, "L1", "")).await;
    page.shows("#free", "40").await;
    // The socket stays open, only time passes: two pings are missing.
    page.js("window.lotkeeper.Stream.prototype.look = () => {}").await;
    page.advance_clock(30_000).await;
    page.until("document.querySelector('#live').dataset.state === 'reconnecting'").await;
    assert_eq!(page.text("#free").await, "40");
    page.advance_clock(30_000).await;
    page.shows("#free", "–").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_without_a_good_token_says_so() {
    let Some(page) = Browser::start().await else { return };
    let server = lot_with_all_free().await;
    let other_lot = Grant { lots: Some(vec!["L2".to_owned()]), ..grant(Role::Display) };
    let other_tenant = Grant { tenant: "other".to_owned(), ..grant(Role::Display) };
    for (lot, fragment, text) in [
        ("L1", String::new(), "A token is needed"),
        ("L1", "#token=nonsense".to_owned(), "does not accept this token"),
        ("L1", format!("#token={}", mint(&other_lot)), "does not allow what this page shows"),
        ("L1", format!("#token={}", mint(&other_tenant)), "not for the tenant “default”"),
        ("L9", format!("#token={}", mint(&grant(Role::Display))), "There is no lot “L9”"),
    ] {
        page.js("try { sessionStorage.clear() } catch (opaque) {}").await;
        page.open(&server.url(&format!("/sign/default/{lot}{fragment}"))).await;
        page.reads("#gate", text).await;
        let number = "return document.querySelector('#free').getClientRects().length";
        assert_eq!(page.js(number).await, 0, "{text}: no number is shown");
        assert_eq!(page.js("return location.hash").await, "");
    }
    // A good one, typed in, opens the sign.
    page.open(&server.url("/sign/default/L1#token=nonsense")).await;
    page.reads("#gate", "does not accept").await;
    page.click("#gate-token").await;
    page.keys(&mint(&grant(Role::Display))).await;
    page.keys(crate::browser::ENTER).await;
    page.shows("#free", "40").await;
    assert_eq!(page.js("return document.querySelector('#gate').hidden").await, true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_fetches_itself_anew_after_a_release() {
    let Some(page) = Browser::start().await else { return };
    let server = lot_with_all_free().await;
    page.open(&sign_url(&server, "L1", "")).await;
    page.shows("#free", "40").await;
    page.until("performance.getEntriesByName(location.origin + '/assets/build.json').length").await;
    // Another build answers from now on; signs spread their reloads over some seconds, this one does not.
    page.js("const real = window.fetch;
        window.sameDocument = true;
        Math.random = () => 0;
        window.fetch = (address, options) => address === '/assets/build.json'
            ? Promise.resolve(new Response('{\"version\":\"next\",\"build\":\"next\"}'))
            : real(address, options);")
        .await;
    page.advance_clock(31_000).await; // a silent connection is made anew, which is when a sign asks
    page.until("window.sameDocument === undefined").await;
    page.shows("#free", "40").await;
    server.stop().await;
}
