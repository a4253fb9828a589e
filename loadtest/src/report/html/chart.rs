//! A line chart as inline SVG: two axes with units, a few lines, shaded stretches. No script, no fonts, no
//! colours of its own: those are the page's, so that light and dark are one drawing.
//!
//! Lines differ by dash as well as by colour. Every element has an explicit end: inside of HTML, SVG
//! elements do not close themselves.

use maud::{Markup, html};
use std::fmt::Write;

/// A chart beside another one, and one that has the page's width; so letters have one size in both.
pub const NARROW: (f64, f64) = (520.0, 225.0);
pub const WIDE: (f64, f64) = (1_060.0, 310.0);
const LEFT: f64 = 66.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 40.0;
/// Names on a logarithmic axis beyond which only decades get one.
const FINE_TICKS_MAX: usize = 7;

/// A line; where it has no value it is interrupted.
#[derive(Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, Option<f64>)>,
}

/// A stretch of the x axis that is told apart.
#[derive(Debug)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub name: &'static str,
}

/// What the y axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From nought.
    Linear,
    /// In decades, for what spans several.
    Log,
}

/// A chart.
#[derive(Debug)]
pub struct Chart {
    /// Unique in the page.
    pub id: String,
    /// `NARROW` or `WIDE`.
    pub size: (f64, f64),
    pub title: String,
    /// In words, for those who do not see it.
    pub description: String,
    pub x_label: &'static str,
    /// Places and names on the x axis.
    pub x_ticks: Vec<(f64, String)>,
    pub y_label: &'static str,
    pub y_text: fn(f64) -> String,
    pub scale: Scale,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
}

/// Both axes, from values to places on the drawing.
struct Axes {
    size: (f64, f64),
    x: (f64, f64),
    y: (f64, f64),
    scale: Scale,
}

impl Axes {
    fn right(&self) -> f64 {
        self.size.0 - RIGHT
    }

    fn bottom(&self) -> f64 {
        self.size.1 - BOTTOM
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        LEFT + share.clamp(0.0, 1.0) * (self.right() - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.y;
        let share = match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Log => (value.max(low).log10() - low.log10()) / (high.log10() - low.log10()),
        };
        self.bottom() - share.clamp(0.0, 1.0) * (self.bottom() - TOP)
    }
}

impl Chart {
    /// The drawing with its title and legend; nothing when there is nothing to draw.
    pub fn draw(&self) -> Option<Markup> {
        let values = || self.lines.iter().flat_map(|line| &line.points);
        let known: Vec<f64> = values().filter_map(|(_, y)| *y).collect();
        let most = known.iter().copied().reduce(f64::max)?;
        let least = known.iter().copied().filter(|y| *y > 0.0).reduce(f64::min).unwrap_or(1.0);
        let (y_range, y_ticks) = match self.scale {
            Scale::Linear => linear(most),
            Scale::Log => decades(least, most),
        };
        let tick_places = self.x_ticks.iter().map(|(x, _)| *x);
        let all_x: Vec<f64> = values().map(|(x, _)| *x).chain(tick_places).collect();
        let first = all_x.iter().copied().reduce(f64::min)?;
        let last = all_x.iter().copied().reduce(f64::max)?.max(first + 1e-9);
        let axes = Axes { size: self.size, x: (first, last), y: y_range, scale: self.scale };
        Some(html! {
            figure {
                figcaption { (self.title) }
                svg viewBox=(format!("0 0 {} {}", self.size.0, self.size.1)) role="img"
                    aria-labelledby=(format!("{0}-t {0}-d", self.id)) {
                    title id=(format!("{}-t", self.id)) { (self.title) }
                    desc id=(format!("{}-d", self.id)) { (self.description) }
                    (self.draw_bands(&axes))
                    (self.draw_axes(&axes, &y_ticks))
                    @for (nth, line) in self.lines.iter().enumerate() {
                        path class=(format!("line c{nth}")) d=(path(line, &axes)) {}
                    }
                }
                ul.legend {
                    @for (nth, line) in self.lines.iter().enumerate() {
                        li {
                            svg viewBox="0 0 26 8" aria-hidden="true" {
                                path class=(format!("line c{nth}")) d="M1 4H25" {}
                            }
                            (line.name)
                        }
                    }
                }
            }
        })
    }

    fn draw_bands(&self, axes: &Axes) -> Markup {
        html! {
            @for band in &self.bands {
                @let (left, right) = (axes.x(band.from), axes.x(band.to));
                rect class="band" x=(short(left)) y=(short(TOP)) width=(short(right - left))
                    height=(short(axes.bottom() - TOP)) {}
                @if right - left > 40.0 {
                    text class="band-name" x=(short(f64::midpoint(left, right))) y=(short(TOP + 11.0)) {
                        (band.name)
                    }
                }
            }
        }
    }

    fn draw_axes(&self, axes: &Axes, y_ticks: &[f64]) -> Markup {
        let (bottom, right) = (axes.bottom(), axes.right());
        html! {
            @for value in y_ticks {
                @let y = axes.y(*value);
                path class="grid" d=(format!("M{LEFT} {}H{}", short(y), right)) {}
                text class="tick end" x=(LEFT - 6.0) y=(short(y + 3.5)) { ((self.y_text)(*value)) }
            }
            path class="axis" d=(format!("M{LEFT} {bottom}H{right}")) {}
            @for (x, name) in &self.x_ticks {
                @let x = axes.x(*x);
                path class="axis" d=(format!("M{} {bottom}v4", short(x))) {}
                text class="tick" x=(short(x)) y=(bottom + 16.0) { (name) }
            }
            text class="label" x=(short(f64::midpoint(LEFT, right))) y=(bottom + 34.0) { (self.x_label) }
            text class="label start" x="4" y="13" { (self.y_label) }
        }
    }
}

/// One decimal at most: a page is read by people, and sent by mail.
fn short(number: f64) -> String {
    let tenths = (number * 10.0).round() / 10.0;
    format!("{tenths}")
}

fn path(line: &Line, axes: &Axes) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (nth, (x, y)) in line.points.iter().enumerate() {
        let Some(y) = y else {
            is_drawing = false;
            continue;
        };
        let (x, y) = (short(axes.x(*x)), short(axes.y(*y)));
        let command = if is_drawing { 'L' } else { 'M' };
        write!(path, "{command}{x} {y}").expect("a string takes what is written");
        let is_alone = !is_drawing && line.points.get(nth + 1).is_none_or(|next| next.1.is_none());
        if is_alone {
            // A value between two gaps is a dot: a path of no length shows its round ends.
            path.push_str("h0");
        }
        is_drawing = true;
    }
    path
}

/// From nought to a round number, in four or five steps.
fn linear(most: f64) -> ((f64, f64), Vec<f64>) {
    let step = nice_step(most / 4.0);
    let steps = (most / step).ceil().max(1.0);
    ((0.0, step * steps), (0..=steps as u32).map(|nth| f64::from(nth) * step).collect())
}

/// 1, 2 or 5 of some decade, not less than asked for.
pub fn nice_step(least: f64) -> f64 {
    if least <= 0.0 || !least.is_finite() {
        return 1.0;
    }
    let decade = 10_f64.powf(least.log10().floor());
    let of_decade =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * decade >= least * 0.999_999);
    of_decade.unwrap_or(10.0) * decade
}

/// From a round number to a round number; between them whole decades, or 1, 2 and 5 of each where those
/// are few.
fn decades(least: f64, most: f64) -> ((f64, f64), Vec<f64>) {
    let low = least.max(1e-9).log10().floor() as i32;
    let high = (most.max(least).log10().ceil() as i32).max(low + 1);
    let of = |decade: i32| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade));
    let fine: Vec<f64> = (low..=high).flat_map(of).collect();
    let first = fine.iter().rposition(|tick| *tick <= least).unwrap_or(0);
    let last = fine.iter().position(|tick| *tick >= most).unwrap_or(fine.len() - 1);
    let ticks = &fine[first..=last.max(first + 2).min(fine.len() - 1)];
    let range = (ticks[0], ticks[ticks.len() - 1]);
    if ticks.len() <= FINE_TICKS_MAX {
        return (range, ticks.to_vec());
    }
    let whole = (low..=high).map(|decade| 10_f64.powi(decade));
    (range, whole.filter(|tick| (range.0..=range.1).contains(tick)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, Option<f64>)], scale: Scale) -> Chart {
        Chart {
            id: "x".into(),
            size: NARROW,
            title: "a < b".into(),
            description: "d".into(),
            x_label: "seconds",
            x_ticks: vec![(0.0, "0".into()), (10.0, "10".into())],
            y_label: "y",
            y_text: |value| value.to_string(),
            scale,
            lines: vec![Line { name: "one".into(), points: points.to_vec() }],
            bands: vec![Band { from: 0.0, to: 5.0, name: "warm-up" }],
        }
    }

    #[test]
    fn a_chart_is_well_formed_named_and_inside_its_frame() {
        for scale in [Scale::Linear, Scale::Log] {
            let points = [(0.0, Some(1.0)), (5.0, Some(250.0)), (10.0, Some(900.0))];
            let drawn = chart(&points, scale).draw().unwrap().into_string();
            let tree = roxmltree::Document::parse(&drawn).unwrap();
            let svg = tree.descendants().find(|node| node.has_tag_name("svg")).unwrap();
            let title = svg.children().find(|node| node.has_tag_name("title")).unwrap();
            assert_eq!((title.text(), title.attribute("id")), (Some("a < b"), Some("x-t")));
            assert_eq!(svg.attribute("aria-labelledby"), Some("x-t x-d"));
            let line = svg.children().find(|n| n.attribute("class") == Some("line c0")).unwrap();
            let d = line.attribute("d").unwrap();
            let numbers: Vec<f64> =
                d.split(['M', 'L', ' ']).filter_map(|number| number.parse().ok()).collect();
            assert_eq!(numbers.len(), 6, "{d}");
            assert!(numbers.chunks(2).all(|xy| {
                (LEFT..=NARROW.0 - RIGHT).contains(&xy[0])
                    && (TOP..=NARROW.1 - BOTTOM).contains(&xy[1])
            }));
            assert!(numbers[1] > numbers[3] && numbers[3] > numbers[5], "more is higher: {d}");
        }
    }

    #[test]
    fn gaps_interrupt_a_line_and_lonely_values_are_dots() {
        let points = [(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(1.0))];
        let axes = Axes { size: NARROW, x: (0.0, 3.0), y: (0.0, 1.0), scale: Scale::Linear };
        let chart = chart(&points, Scale::Linear);
        let path = path(&chart.lines[0], &axes);
        assert_eq!((path.matches('M').count(), path.matches("h0").count()), (2, 1), "{path}");
    }

    #[test]
    fn nothing_to_draw_is_nothing() {
        assert!(chart(&[(0.0, None)], Scale::Log).draw().is_none());
        assert!(chart(&[], Scale::Linear).draw().is_none());
        assert!(chart(&[(0.0, Some(0.0))], Scale::Linear).draw().is_some());
    }

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        for most in [0.000_3, 0.7, 1.0, 3.0, 99.0, 1_234_567.0] {
            let ((low, high), ticks) = linear(most);
            assert!(
                low == 0.0 && high >= most && (2..=7).contains(&ticks.len()),
                "{most}: {ticks:?}"
            );
        }
        assert_eq!(decades(150.0, 90_000.0), ((100.0, 1e5), vec![100.0, 1e3, 1e4, 1e5]));
        assert_eq!(decades(150.0, 1_800.0).1, [100.0, 200.0, 500.0, 1e3, 2e3]);
        assert_eq!(decades(100.0, 100.0).0, (100.0, 500.0));
        for (least, most) in [(1.0, 1.0), (3.0, 3.1), (9.9, 10.1), (60.0, 2e8), (1e-12, 1.0)] {
            let ((low, high), ticks) = decades(least, most);
            assert!(low <= least.max(1e-9) && high >= most && ticks.len() >= 2, "{least} {most}");
        }
    }
}
