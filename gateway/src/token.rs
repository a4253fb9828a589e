//! `lotkeeper token`: mints a token with the server's key, for operators, devices and tests.
//!
//! The token alone goes to standard output, so that `TOKEN=$(lotkeeper token --role operator)` works.
//! Deliberately absent: accounts; whoever can read the key can be anybody.

use crate::auth::{Auth, AuthError, Grant, Role, key};
use crate::config::Config;

/// The tenant of a token that names none.
pub const DEFAULT_TENANT: &str = "default";
/// Ten years: a sign on a wall.
const TTL_SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// What the token is to say.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TokenArgs {
    /// What its bearer may do
    #[arg(long, value_enum)]
    pub role: Role,
    /// The operator whose lots it is for
    #[arg(long, default_value = DEFAULT_TENANT, value_parser = name)]
    pub tenant: String,
    /// Who it is for; the role's name when left out
    #[arg(long, value_parser = name)]
    pub subject: Option<String>,
    /// Limits it to a lot (code or id); may be given several times
    #[arg(long = "lot", value_name = "LOT", value_parser = name)]
    pub lots: Vec<String>,
    /// How long it is good: 90s, 30m, 1h, 7d, or several like 1h30m [default: auth.token_ttl_seconds]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub ttl: Option<u64>,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No key.
    #[error(transparent)]
    Key(#[from] key::KeyError),
    /// The key cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Makes a token.
///
/// # Errors
/// When there is no key to sign with.
pub fn mint(config: &Config, args: &TokenArgs) -> Result<String, TokenError> {
    let auth = Auth::new(&key::for_minting(config)?)?;
    let subject = args.subject.clone().unwrap_or_else(|| args.role.name().to_owned());
    let lots = (!args.lots.is_empty()).then(|| args.lots.clone());
    let (tenant, role) = (args.tenant.clone(), args.role);
    let ttl_seconds = args.ttl.unwrap_or(config.auth.token_ttl_seconds);
    Ok(auth.mint(&Grant { subject, tenant, role, lots, ttl_seconds })?)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err("give 1 to 200 printable characters".to_owned());
    }
    Ok(text.to_owned())
}

/// `1h30m` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time; write 90s, 30m, 1h, 7d or 1h30m");
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = tail.chars().next().ok_or_else(wrong)?;
        let unit_seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        total = total.saturating_add(number.saturating_mul(unit_seconds));
        rest = &tail[1..];
    }
    if (1..=TTL_SECONDS_MAX).contains(&total) {
        Ok(total)
    } else {
        Err(format!("`{text}` is not between 1s and 3660d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, wanted) in [
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("1h", Some(3_600)),
            ("7d", Some(604_800)),
            ("1h30m", Some(5_400)),
            ("", None),
            ("0s", None),
            ("90", None),
            ("h", None),
            ("1w", None),
            ("1\u{e9}", None),
            ("-1h", None),
            ("99999999999999999999h", None),
            ("4000d", None),
        ] {
            assert_eq!(seconds(text).ok(), wanted, "{text}");
        }
    }
}
