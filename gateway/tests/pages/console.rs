//! The console: what is, what changes, what may be done.

use lotkeeper_gateway::auth::{Grant, Role};
use serde_json::json;

use crate::browser::{Browser, DOWN, ENTER, ESCAPE, LEFT, RIGHT, TAB};
use crate::common::{grant, mint};
use crate::{codes, console_url, market, reserve, sense, server_with};

const FOCUSED: &str = "return document.activeElement.dataset.slot ?? null";

fn tile(slot: &str, status: &str) -> String {
    format!(
        "document.querySelector('.tile[data-slot=\"{slot}\"][data-status=\"{status}\"]') !== null"
    )
}

/// What of a tile is seen without colours.
const SHAPES: &str = "return [...document.querySelectorAll('.tile')].map((tile) => {
    const seen = getComputedStyle(tile, '::before');
    const filled = seen.backgroundColor !== 'rgba(0, 0, 0, 0)';
    const drawn = seen.backgroundImage.replace(/(rgba?|color)\\([^)]*\\)/g, '');
    return [tile.dataset.status, [seen.borderTopStyle, seen.content, filled, drawn].join(' '), seen.borderTopColor];
})";

#[tokio::test(flavor = "multi_thread")]
async fn console_follows_readings_and_promises() {
    let Some(page) = Browser::start().await else { return };
    let counted = json!({"code": "P2", "name": "Airport P2", "kind": "counted", "capacity": 100});
    let server = server_with(&[market(3), counted]).await;
    sense(&server, codes("A", 1..=3), false).await;
    page.open(&console_url(&server, Role::Operator)).await;
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;
    page.until("document.querySelectorAll('#lots li').length === 2").await;
    assert_eq!(page.js("return location.hash.includes('token')").await, false);
    // A lot with slots is chosen by itself, because a map says more than a sentence; another by a click.
    page.shows("#lot-name", "Market Street").await;
    page.click("#lots li[data-lot='P2'] a").await;
    page.shows("#lot-name", "Airport P2").await;
    page.reads("#lot-note", "counted at its gates").await;
    page.click("#lots li[data-lot='L1'] a").await;
    page.until("document.querySelectorAll('.tile').length === 6").await;
    page.until("location.hash === '#lot=L1'").await;
    page.until(&tile("A-2", "free")).await;
    page.until(&tile("B-1", "unknown")).await;
    let seq = "Number(document.querySelector('#stream-seq').textContent)";
    let before = page.until(seq).await;

    sense(&server, codes("A", 2..=2), true).await;
    page.until(&tile("A-2", "occupied")).await;
    page.until(&format!("{seq} > {before}")).await;
    page.reads("#feed li[data-type='slot.occupied']", "A-2").await;
    page.until("document.querySelector('#lots li[data-lot=\"L1\"] .free').textContent === '2'")
        .await;
    page.shows("[data-legend='occupied'] b", "1").await;

    reserve(&server, "A-3").await;
    page.until(&tile("A-3", "held")).await;
    page.until("document.querySelector('#feed li[data-type^=\"reservation.\"]') !== null").await;
    let close = json!({"service": {"state": "out_of_service", "reason": "cleaning"}});
    server.patch(Role::Operator, "/api/v1/lots/L1/slots/B-1", &close).await.expect(200);
    page.until(&tile("B-1", "out_of_service")).await;
    shapes_tell_all_five_apart(&page).await;
    server.stop().await;
}

async fn shapes_tell_all_five_apart(page: &Browser) {
    let seen = page.js(SHAPES).await;
    let seen = seen.as_array().unwrap();
    for one in seen {
        for other in seen.iter().filter(|other| other[0] != one[0]) {
            assert_ne!(one[1], other[1], "{one} and {other} have the same shape");
            assert_ne!(one[2], other[2], "{one} and {other} have the same colour");
        }
    }
    let statuses: std::collections::BTreeSet<_> = seen.iter().map(|one| one[0].as_str()).collect();
    assert_eq!(statuses.len(), 5, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keyboard_alone_takes_a_slot_out_of_service() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(3)]).await;
    sense(&server, codes("A", 1..=3), false).await;
    page.open(&console_url(&server, Role::Operator)).await;
    page.until(&tile("A-1", "free")).await;
    let mut presses = 0;
    while page.js(FOCUSED).await.is_null() {
        page.keys(TAB).await;
        presses += 1;
        assert!(presses < 40, "no tile within {presses} presses of Tab");
    }
    for (key, slot) in [(RIGHT, "A-2"), (LEFT, "A-1"), (DOWN, "B-1"), (RIGHT, "B-2")] {
        page.keys(key).await;
        assert_eq!(page.js(FOCUSED).await, slot);
    }
    page.reads("#tip", "B-2 · No signal").await;
    page.keys(ENTER).await;
    page.until("document.querySelector('#drawer').open").await;
    page.shows("#drawer-title", "B-2").await;
    page.until("document.querySelector('#drawer dl') !== null").await;
    page.keys(ESCAPE).await;
    page.until("!document.querySelector('#drawer').open").await;
    assert_eq!(page.js(FOCUSED).await, "B-2", "the focus is where it was");

    page.keys(ENTER).await;
    page.until("document.querySelector('#drawer .actions button') !== null").await;
    while page.js("return document.activeElement.closest('.actions') === null").await == true {
        page.keys(TAB).await;
    }
    page.keys(ENTER).await;
    page.until("document.activeElement.id === 'drawer-reason'").await;
    let slot = "/api/v1/lots/L1/slots/B-2";
    let service = server.get(Role::Operator, slot).await.expect(200)["service"].take();
    assert_eq!(service["state"], "in_service", "asked first, done after the answer");
    page.keys("burst pipe").await;
    page.keys(ENTER).await;
    page.until(&tile("B-2", "out_of_service")).await;
    page.shows("#drawer .said", "Done.").await;
    page.reads("#drawer dl", "burst pipe").await;
    let service = server.get(Role::Operator, slot).await.expect(200)["service"].take();
    assert_eq!(
        (&service["state"], &service["reason"]),
        (&json!("out_of_service"), &json!("burst pipe"))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_may_look_and_not_change() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(1)]).await;
    page.open(&console_url(&server, Role::Staff)).await;
    page.until(&tile("A-1", "unknown")).await;
    page.click(".tile[data-slot='A-1']").await;
    page.reads("#drawer .actions", "may look").await;
    assert_eq!(
        page.js("return document.querySelectorAll('#drawer .actions button').length").await,
        0
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_says_what_is_missing() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(1)]).await;
    let gate = "document.querySelector('#gate').getClientRects().length";
    page.open(&server.url("/console")).await;
    page.until(gate).await;
    assert!(page.text("#gate").await.contains("lotkeeper token --role operator"));

    page.open(&server.url("/console#token=nonsense")).await;
    page.reads("#gate-text", "does not accept").await;
    assert_eq!(page.js("return document.querySelector('#desk').hidden").await, true);
    // Where the answer belongs, the focus is already.
    page.keys(&mint(&grant(Role::Operator))).await;
    page.keys(ENTER).await;
    page.until(&tile("A-1", "unknown")).await;
    assert_eq!(page.js("return document.querySelector('#gate').hidden").await, true);

    let nobody = mint(&Grant { tenant: "empty".to_owned(), ..grant(Role::Operator) });
    page.open(&server.url(&format!("/console#token={nobody}"))).await;
    page.reads("#lot-note", "There are no lots yet").await;
    page.shows("#tenant", "empty").await;
    let shown = "return [...document.querySelectorAll('#tools, #map, #legend')].some((node) => node.getClientRects().length)";
    assert_eq!(page.js(shown).await, false, "nothing is drawn of a lot that is not there");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_owns_up_to_a_lost_server_and_catches_up() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    sense(&server, codes("A", 1..=2), false).await;
    let address = server.running.address;
    page.open(&console_url(&server, Role::Operator)).await;
    page.until(&tile("A-1", "free")).await;
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;
    page.js("window.sameDocument = true").await;
    let directory = server.stop().await;
    page.until("document.querySelector('#stream').dataset.state === 'reconnecting'").await;
    page.reads("#banner", "Connection lost").await;
    page.advance_clock(60_000).await;
    page.until("document.querySelector('#stream').dataset.state === 'stale'").await;
    page.reads("#banner", "may be wrong").await;
    let listen = |config: &mut lotkeeper_gateway::config::Config| config.server.listen = address;
    let server = crate::common::Server::start_in(directory, listen).await;
    sense(&server, codes("A", 1..=1), true).await;
    page.until(&tile("A-1", "occupied")).await;
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;
    page.until("document.querySelector('#banner').hidden").await;
    assert_eq!(page.js("return window.sameDocument").await, true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_later_change_nothing_that_is_said_already() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    page.open(&(console_url(&server, Role::Operator) + "&lang=en")).await;
    page.shows("#lot-name", "Market Street").await;
    page.until("document.querySelector('#stream').dataset.state === 'live'").await;
    // The words of stays are loaded with the first one.
    let scan = json!({"lot": "L1", "direction": "exit", "credential": {"plate": "HH-AB 99"}});
    server.post(Role::Staff, "/api/v1/scans", &scan).await.expect(200);
    page.reads("#feed li[data-type='scan.denied']", "Gate stayed closed").await;
    assert_eq!(page.text("#lot-name").await, "Market Street");
    server.stop().await;
}
