//! Query parameters that several lists share: page size, cursor, lists of names.

use lotkeeper_engine::time::Window;

use crate::error::Problem;
use crate::wire::cursor::{self, List};
use crate::wire::instant::Instant;
use crate::wire::names::Size;

use super::answer::shorten;

/// Items of a page that does not say.
const LIMIT_DEFAULT: usize = 50;
/// Items of the largest page.
const LIMIT_MAX: usize = 500;

/// How many items a page has.
pub fn limit(given: Option<usize>) -> Result<usize, Problem> {
    match given {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::malformed_request(format!(
            "limit {limit} is not between 1 and {LIMIT_MAX}"
        ))),
    }
}

/// The key after which a page begins.
pub fn after(list: List, given: Option<&str>) -> Result<Option<String>, Problem> {
    given.map(|text| cursor::decode(list, text).ok_or_else(bad_cursor)).transpose()
}

/// A cursor that no page of this list gave out.
pub fn bad_cursor() -> Problem {
    Problem::malformed_cursor(
        "this cursor is not from this list; give back `next_cursor` as it was, or leave it out",
    )
}

/// Names separated by commas.
pub fn names(given: Option<&str>) -> Vec<String> {
    let names = given.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Values of a closed vocabulary separated by commas.
pub fn values<T>(
    parameter: &str,
    given: Option<&str>,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    let value = |name: String| of(&name).ok_or_else(|| unknown(parameter, &name));
    names(given).into_iter().map(value).collect()
}

/// A value of a closed vocabulary.
pub fn value<T>(
    parameter: &str,
    given: Option<&str>,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    given.map(|name| of(name).ok_or_else(|| unknown(parameter, name))).transpose()
}

/// A window, both ends or none.
pub fn window(from: Option<Instant>, to: Option<Instant>) -> Result<Option<Window>, Problem> {
    match (from, to) {
        (Some(Instant(from)), Some(Instant(to))) if from < to => Ok(Some(Window { from, to })),
        (Some(_), Some(_)) => Err(Problem::window_empty(
            "the window ends before it begins; `to` must be after `from`",
        )),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err(Problem::malformed_request("a window has both `from` and `to`"))
        }
    }
}

/// A vehicle's size.
pub fn size(given: Option<&str>) -> Result<Option<Size>, Problem> {
    let size = |name| Size::of(name).ok_or_else(|| unknown("vehicle_size", name));
    given.map(size).transpose()
}

/// A value that a parameter cannot have.
pub fn unknown(parameter: &str, value: &str) -> Problem {
    let shown = shorten(value);
    Problem::malformed_request(format!("`{shown}` is not a value of `{parameter}`"))
}
