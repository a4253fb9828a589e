//! What the demo tells a person once everything is there. Tokens are long, so they come first: what one
//! looks for stands at the end, where a terminal shows it.
//!
//! Invariant: every address and command in it works as printed; `gateway/tests/demo.rs` uses them.
//! The last line is `serve`'s own: whoever starts a server waits for it.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::city;
use super::clock::CityTime;
use crate::auth::Role;
use crate::token::DEFAULT_TENANT;

/// What is to be told.
pub struct Banner {
    /// Where the server can be reached from this machine.
    pub reach: SocketAddr,
    /// What it listens on.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// A token of every role, the mightiest first.
    pub tokens: Vec<(Role, String)>,
    /// For how many days they are good.
    pub token_days: u64,
    /// The city's time.
    pub city_time: CityTime,
    /// How much faster it runs than ours.
    pub speed: u32,
    /// How long a day of the city takes.
    pub day: Duration,
    /// How long the start took.
    pub elapsed: Duration,
    /// Whether the lots were there before.
    pub found: bool,
    /// Lots, slots and counted places.
    pub size: (usize, usize, u32),
}

impl Banner {
    fn token(&self, wanted: Role) -> &str {
        let found = self.tokens.iter().find(|(role, _)| *role == wanted);
        found.map_or("", |(_, token)| token)
    }

    fn sign(&self, lot: &str) -> String {
        let (reach, token) = (self.reach, self.token(Role::Display));
        format!("http://{reach}/sign/{DEFAULT_TENANT}/{lot}#token={token}&arrow=left")
    }
}

impl Display for Banner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (lots, slots, counted) = self.size;
        let state = if self.found { "as you left it" } else { "new" };
        let seconds = self.elapsed.as_secs_f64();
        let minutes = self.day.as_secs_f64() / 60.0;
        let (name, reach, speed) = (city::NAME, self.reach, self.speed);
        writeln!(f, "Lotkeeper demo: {name}, an invented city ({state}, ready in {seconds:.1} s)")?;
        writeln!(
            f,
            "{lots} lots, {slots} slots with sensors, {counted} places counted at barriers"
        )?;
        let time = self.city_time;
        writeln!(f, "It is {time} there; at {speed} x real time a day takes {minutes:.0} min\n")?;

        writeln!(f, "Tokens, good for {} days", self.token_days)?;
        for (role, token) in &self.tokens {
            writeln!(f, "  {:<9} {token}", role.name())?;
        }
        writeln!(f)?;

        let ((lot, slot), device) = (city::YOURS, self.token(Role::Device));
        writeln!(f, "Occupy slot {slot} of {lot}, which the traffic leaves to you:")?;
        writeln!(f, "  curl http://{reach}/api/v1/lots/{lot}/readings \\")?;
        writeln!(f, "    -H 'Content-Type: application/json' \\")?;
        writeln!(f, "    -H 'Authorization: Bearer {device}' \\")?;
        writeln!(f, "    -d '{{\"readings\":[{{\"slot\":\"{slot}\",\"occupied\":true}}]}}'\n")?;

        let operator = self.token(Role::Operator);
        writeln!(f, "Console   http://{reach}/console#token={operator}")?;
        let (market, _) = city::YOURS;
        let (staff, driver) = (self.token(Role::Staff), self.token(Role::Driver));
        writeln!(f, "Book      http://{reach}/book#token={driver}&lot={market}")?;
        writeln!(f, "Scan      http://{reach}/scan#token={staff}&lot={market}")?;
        writeln!(f, "Sign      {}", self.sign(market))?;
        writeln!(f, "Counted   {}", self.sign(city::COUNTED))?;
        writeln!(f, "Docs      http://{reach}/docs")?;
        writeln!(f, "Data      {}", self.data.display())?;
        writeln!(f, "Stop      Ctrl-C; the next start goes on with the same city")?;
        writeln!(f, "\nlistening on http://{}", self.listen)
    }
}
