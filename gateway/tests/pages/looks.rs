//! What holds for every page: nothing foreign, nothing heavy, nothing cut off, readable by everybody.

use std::path::PathBuf;

use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, SCHEMES};
use crate::common::{Server, must_run_without};
use crate::{
    LANGUAGES, book_url, codes, console_url, market, reserve, scan_url, sense, server_with,
    sign_url,
};

/// What a page may load in all, the description of the interface aside.
const PAGE_BYTES_MAX: usize = 100_000;
/// What the console may load further when gates, stays or violations are opened, each with all its words.
const PANEL_BYTES_MAX: usize = 65_000;
const PER_LEVEL: usize = 70;

/// A list of the console with what it is about.
const ROWS: &str = "document.querySelectorAll('#work .rows li').length > 1 && document.querySelectorAll('#lots li').length === 4";
/// The same with a gate that is worked by hand.
const GATES: &str = "document.querySelectorAll('#work .rows li').length > 1 && document.querySelector('#hand-check') !== null";

/// A page in a state: its address and what is true when it is there.
struct View {
    name: &'static str,
    url: String,
    ready: &'static str,
}

fn views(server: &Server) -> Vec<View> {
    let view = |name, url, ready| View { name, url, ready };
    let sign_gate = server.url("/sign/default/L1#token=nonsense");
    let refused = "document.querySelector('#gate-text').checkVisibility()";
    let desk = |name: &str| format!("{}&lot=L4&show={name}", console_url(server, Role::Staff));
    vec![
        view(
            "sign",
            sign_url(server, "L1", "&arrow=left&zones=1"),
            "Number(document.querySelector('#free').textContent) > 0 && document.querySelector('#name').textContent === 'Market Street'",
        ),
        view(
            "sign-full",
            sign_url(server, "L3", "&arrow=right"),
            "document.querySelector('#free').textContent === 'FULL' && document.querySelector('#name').textContent === 'Central Station'",
        ),
        view("sign-gate", sign_gate, refused),
        view(
            "console",
            console_url(server, Role::Operator) + "&lot=L1",
            "document.querySelectorAll('.tile').length && document.querySelectorAll('#lots li').length === 4",
        ),
        view(
            "scan",
            scan_url(server, "&lot=L1&gate=north"),
            "document.querySelector('#stage').dataset.state === 'ready' && document.querySelector('#place-name').textContent.startsWith('Market Street')",
        ),
        view("scan-gate", server.url("/scan#token=nonsense"), refused),
        view(
            "book",
            book_url(server, ""),
            "[...document.querySelectorAll('#lots .free')].filter((free) => free.textContent).length === 4",
        ),
        view("book-lot", book_url(server, "&lot=L2"), "document.querySelector('#hold') !== null"),
        view("console-gates", desk("gates"), GATES),
        view("console-stays", desk("stays"), ROWS),
        view("console-violations", desk("violations"), ROWS),
        view("console-gate", server.url("/console#token=nonsense"), refused),
        view(
            "docs",
            server.url("/docs"),
            "document.querySelectorAll('#operations details').length",
        ),
    ]
}

/// Four lots; the first with three levels and slots in every status.
async fn town() -> Server {
    let mut lot = market(PER_LEVEL);
    let roof = codes("C", 1..=40).into_iter().map(|code| json!({"code": code, "zone": "roof"}));
    lot["slots"].as_array_mut().unwrap().extend(roof);
    lot["zones"].as_array_mut().unwrap().push(json!({"code": "roof", "name": "Roof", "level": 3}));
    let bayed = |code: &str, name: &str| json!({"code": code, "name": name, "kind": "bayed", "slots": [{"code": "1"}, {"code": "2"}]});
    let airport = json!({"code": "L4", "name": "Airport P2", "kind": "counted", "capacity": 900});
    let (harbour, station) = (bayed("L2", "Harbour"), bayed("L3", "Central Station"));
    let server = server_with(&[lot, harbour, station, airport]).await;
    for level in ["A", "B", "C"] {
        let size = if level == "C" { 40 } else { PER_LEVEL };
        // A pattern without a pattern; every eleventh slot was never heard.
        let shift = usize::from(level.as_bytes()[0]);
        let heard = |n: &usize| (n + shift) % 11 != 4;
        let taken = |n: &usize| (n * n + n / 3 + shift) % 7 < 4;
        let code = |n| format!("{level}-{n}");
        sense(&server, (1..=size).filter(heard).filter(taken).map(code), true).await;
        sense(&server, (1..=size).filter(heard).filter(|n| !taken(n)).map(code), false).await;
        for n in [9, 21] {
            sense(&server, [code(n)], false).await;
            reserve(&server, &code(n)).await;
        }
        let close = json!({"service": {"state": "out_of_service", "reason": "cleaning"}});
        let path = format!("/api/v1/lots/L1/slots/{level}-30");
        server.patch(Role::Operator, &path, &close).await.expect(200);
    }
    for (lot, occupied) in [("L2", [true, false]), ("L3", [true, true])] {
        let readings = json!({"readings": [
            {"slot": "1", "occupied": occupied[0]}, {"slot": "2", "occupied": occupied[1]},
        ]});
        let path = format!("/api/v1/lots/{lot}/readings");
        server.post(Role::Device, &path, &readings).await.expect(200);
    }
    life(&server).await;
    let count = json!({"occupied": 641});
    server.post(Role::Device, "/api/v1/lots/L4/counts", &count).await.expect(200);
    server
}

/// Cars at the gates of the airport, and what is wrong there.
async fn life(server: &Server) {
    crate::flat_tariff(server, "L4").await;
    let seen =
        [("entry", "B-XY 123"), ("entry", "M-QR 7"), ("entry", "HH-AB 99"), ("exit", "HH-AB 99")];
    for (direction, plate) in seen {
        let scan = json!({"lot": "L4", "gate": "north", "direction": direction, "credential": {"plate": plate}});
        server.post(Role::Device, "/api/v1/scans", &scan).await.expect(200);
    }
    for (kind, plate) in [("blocks_lane", "M-QR 7"), ("expired_pass", "HH-AB 99")] {
        let penalty = json!({"amount": 3_000, "currency": "EUR"});
        let report =
            json!({"lot": "L4", "kind": kind, "vehicle": {"plate": plate}, "penalty": penalty});
        server.post(Role::Staff, "/api/v1/violations", &report).await.expect(201);
    }
}

/// A few cars come and go, so that the feed has something to tell.
async fn traffic(server: &Server, page: &Browser) {
    for n in 31..=42 {
        // Each is the other way round first, so that it changes however often this is called.
        for turned in [true, false] {
            sense(server, [format!("A-{n}")], (n % 2 == 0) != turned).await;
            sense(server, [format!("B-{n}")], (n % 3 == 0) != turned).await;
        }
    }
    page.until("document.querySelectorAll('#feed li').length > 8").await;
    page.until("document.querySelector('#stream-lag').textContent.endsWith(' ms')").await;
    page.until("Number(document.querySelector('#stream-rate').textContent) > 0").await;
}

/// What a click brings in a panel of the console: the sheet of the first row, or the answer of a gate.
async fn open_further(page: &Browser, view: &str) -> Option<&'static str> {
    match view {
        "console-gates" => {
            page.click("#hand-check").await;
            page.until("document.querySelector('#verdict button') !== null").await;
            Some("verdict")
        }
        "console-stays" | "console-violations" => {
            page.click("#work .rows button").await;
            page.until("document.querySelector('dialog[open] .actions button') !== null").await;
            Some("sheet")
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_load_nothing_foreign_and_little_of_their_own() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    let mut texts = Vec::new();
    for language in LANGUAGES {
        texts.push(bytes_of(&server, &format!("/assets/texts.{language}.json")).await);
    }
    let mut console = std::collections::BTreeSet::new();
    for view in views(&server).iter().filter(|view| !view.name.ends_with("gate")) {
        page.open(&view.url).await;
        page.until(view.ready).await;
        page.js("return document.fonts.ready").await;
        let loaded = page.js("return performance.getEntries().filter((entry) =>
            ['navigation', 'resource'].includes(entry.entryType)).map((entry) => entry.name.split('#')[0])").await;
        let loaded: std::collections::BTreeSet<&str> =
            loaded.as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
        let own = server.url("");
        // What is opened in the console comes on top of the console.
        let is_panel = view.name.starts_with("console-");
        let mut bytes = if is_panel { 0 } else { texts.iter().max().copied().unwrap() };
        for url in loaded {
            if is_panel && console.contains(url) {
                continue;
            }
            if view.name == "console" {
                console.insert(url.to_owned());
            }
            let path = url.strip_prefix(&own).unwrap_or_else(|| panic!("{}: {url}", view.name));
            let is_text = path.starts_with("/assets/texts.");
            let is_data = path.starts_with("/api/") || path == "/openapi.json";
            if !is_text && !is_data {
                bytes += bytes_of(&server, path).await;
            }
        }
        assert!(bytes > 10_000, "{}: {bytes} bytes are not the whole page", view.name);
        let max = if is_panel { PANEL_BYTES_MAX } else { PAGE_BYTES_MAX };
        assert!(bytes < max, "{} loads {bytes} bytes", view.name);
        assert_eq!(page.console().await, Vec::<String>::new(), "{}", view.name);
    }
    server.stop().await;
}

async fn bytes_of(server: &Server, path: &str) -> usize {
    let answer = server.send(Method::GET, path, None, None).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.text.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_scripts_are_refused_by_the_browser() {
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    for path in ["/sign/default/L1", "/console", "/docs", "/scan", "/book"] {
        page.open(&server.url(path)).await;
        page.js("const script = document.createElement('script');
            script.textContent = 'window.wasRun = true';
            document.head.append(script);")
            .await;
        assert_eq!(page.js("return window.wasRun === undefined").await, true, "{path}");
        let console = page.console().await.concat();
        assert!(console.contains("Content Security Policy"), "{path}: {console}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious() {
    let named = std::env::var_os("LOTKEEPER_AXE").filter(|path| !path.is_empty());
    let Some(axe) = named else {
        let reason = "LOTKEEPER_AXE does not name axe-core's axe.min.js (npm install axe-core@4)";
        assert!(!must_run_without("browser", reason), "{reason}");
        return;
    };
    let axe = std::fs::read_to_string(axe).unwrap();
    let run = "return axe.run(document).then((found) => found.violations
        .filter((one) => ['serious', 'critical'].includes(one.impact))
        .map((one) => [one.id, ...one.nodes.map((node) => node.html + ' ' + node.failureSummary)]))";
    let Some(page) = Browser::start().await else { return };
    let server = town().await;
    for scheme in SCHEMES {
        page.screen((1280, 800), scheme).await;
        for view in views(&server) {
            page.open(&view.url).await;
            page.until(view.ready).await;
            if view.name == "console" {
                traffic(&server, &page).await;
            }
            page.js(&axe).await;
            let found = page.js(run).await;
            assert_eq!(found, json!([]), "{} in {scheme}: {found:#}", view.name);
            if view.name == "console" {
                page.click(".tile[data-slot='A-1']").await;
                page.until("document.querySelector('#drawer dl') !== null").await;
                let found = page.js(run).await;
                assert_eq!(found, json!([]), "drawer in {scheme}: {found:#}");
            }
            if let Some(opened) = open_further(&page, view.name).await {
                let found = page.js(run).await;
                assert_eq!(found, json!([]), "{opened} in {scheme}: {found:#}");
            }
        }
    }
    server.stop().await;
}

/// Nothing wider than the screen, nothing that matters outside of it.
const FITS: &str = "
    const inside = (node) => {
        const box = node.getBoundingClientRect();
        return box.left >= -1 && box.right <= innerWidth + 1 && box.width > 0;
    };
    const named = '#free, #word:not(:empty), #name, #clock, #live, #arrow, #gate-form button, #stream, #lot-name, .tile, #search, #title, #text, #check, #entry, #exit, #give, #reason, #from, #to, #place, #lots .price, #panel, #tabs button, .rows .sum, #verdict button, dialog[open] button';
    const wide = document.documentElement.scrollWidth;
    return [...document.querySelectorAll(named)]
        .filter((node) => node.checkVisibility() && !inside(node)).map((node) => node.outerHTML.slice(0, 99))
        .concat(wide > innerWidth ? ['page is ' + wide + ' wide'] : []);";

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_every_screen_in_both_schemes() {
    let Some(page) = Browser::start().await else { return };
    let pictures = std::env::var_os("LOTKEEPER_PICTURES").map(PathBuf::from);
    let server = town().await;
    let screens =
        [(320, 568), (360, 640), (360, 740), (1280, 720), (1280, 800), (1920, 1080), (3840, 2160)];
    for view in views(&server) {
        for (size, scheme) in screens.iter().flat_map(|size| SCHEMES.map(|scheme| (*size, scheme)))
        {
            page.screen(size, scheme).await;
            page.open(&view.url).await;
            page.until(view.ready).await;
            if view.name == "console" {
                traffic(&server, &page).await;
            }
            let cut: Value = page.js(FITS).await;
            let opened = open_further(&page, view.name).await;
            let further: Value = if opened.is_some() { page.js(FITS).await } else { json!([]) };
            let (wide, high) = size;
            assert_eq!(further, json!([]), "{} opened at {wide} x {high}", view.name);
            assert_eq!(cut, json!([]), "{} at {wide} x {high} in {scheme}", view.name);
            let Some(pictures) = &pictures else { continue };
            let file = pictures.join(format!("{}-{wide}x{high}-{scheme}.png", view.name));
            std::fs::write(file, page.picture().await).unwrap();
        }
    }
    server.stop().await;
}
