//! A violation as one page that needs nothing else: a bar per operation, a row per client, time from left to right.

use super::judge::Violation;
use super::judge::history::{Operation, Outcome};
use super::judge::text;
use maud::{DOCTYPE, PreEscaped, html};

const WIDTH: f64 = 1_200.0;
const ROW: f64 = 44.0;
const MARGIN: f64 = 90.0;
/// No bar is so short that nobody sees it.
const BAR_WIDTH_MIN: f64 = 4.0;
const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:2rem}pre{font-size:12px;overflow-x:auto}\
    svg{border:1px solid #ccc}.answered{fill:#9bd}.unknown{fill:#ddd;stroke:#999;stroke-dasharray:3}\
    .offender{fill:#d33}text{font-size:10px}";

/// The page.
pub fn page(title: &str, violation: &Violation) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } style { (PreEscaped(STYLE)) } }
            body {
                h1 { (title) ": no order explains it" }
                p { "Red: the operation that no order explains. Dashed: no answer. Hold the pointer over a bar to read it." }
                (PreEscaped(picture(violation)))
                pre { (text::explain(violation)) }
            }
        }
    };
    markup.into_string()
}

fn picture(violation: &Violation) -> String {
    let part = &violation.part;
    let began = part.iter().map(|one| one.called_us).min().unwrap_or_default();
    let ended = part.iter().map(|one| one.returned_us).max().unwrap_or_default().max(began + 1);
    let mut clients: Vec<u32> = part.iter().map(|one| one.client).collect();
    clients.sort_unstable();
    clients.dedup();
    let x = |us: u64| {
        MARGIN + us.saturating_sub(began) as f64 / (ended - began) as f64 * (WIDTH - MARGIN - 20.0)
    };
    let height = ROW * (clients.len() as f64 + 0.5);
    let row = |client: u32| clients.iter().position(|known| *known == client).unwrap_or(0) as f64;
    let bar = |position: usize, operation: &Operation| {
        let class = match &operation.outcome {
            _ if position == violation.offender => "offender",
            Outcome::Answered(_) => "answered",
            Outcome::Unknown { .. } => "unknown",
        };
        let (from, to) = (x(operation.called_us), x(operation.returned_us));
        let top = row(operation.client) * ROW + 10.0;
        html! {
            g {
                title { (text::line(operation, began)) }
                rect class=(class) x=(from) y=(top) width=((to - from).max(BAR_WIDTH_MIN)) height="16" rx="2" {}
                text x=(from) y=(top + 28.0) { (operation.call.to_string()) }
            }
        }
    };
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(height) {
            @for client in &clients {
                text x="6" y=(row(*client) * ROW + 22.0) { "client " (client) }
            }
            @for (position, operation) in part.iter().enumerate() { (bar(position, operation)) }
        }
    };
    markup.into_string()
}
