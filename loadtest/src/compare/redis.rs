//! Redis with an append-only file that is synced before every answer (`appendfsync always`), which is what
//! "durable" means here. One Lua script per reading or booking, so that the check and the change are one.
//!
//! The protocol is spoken by hand: a script's call and its one number are a dozen lines, and a client
//! library's cost would be charged to Redis on a machine of two cores.

use super::context::Context;
use super::daemon::{Daemon, Home, User, free_address, version_of};
use super::drive::{Driven, Hand, Turn, drive};
use super::error::CompareError;
use super::table::{Row, Work};
use super::wishes::{Rounds, Wish, Wishes};
use crate::verify::Check;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Calls sent at once in the pipelined stage: a batch of our own sensors.
const PIPELINED: usize = 100;
const READING: &str = "local known = redis.call('HGET', KEYS[1], 'at') \
    if known and tonumber(known) >= tonumber(ARGV[2]) then return 0 end \
    redis.call('HSET', KEYS[1], 'occupied', ARGV[1], 'at', ARGV[2]) \
    redis.call('XADD', KEYS[2], '*', 'slot', KEYS[1], 'occupied', ARGV[1], 'at', ARGV[2]) return 1";
/// Windows of a slot never overlap, so the last one that begins before our end is the only one to look at.
const BOOKING: &str = "local last = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '-inf', 'LIMIT', 0, 1) \
    if last[1] and tonumber(string.match(last[1], '^%d+')) > tonumber(ARGV[1]) then return 0 end \
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3]) return 1";
const BOOKED: &str = "local n = 0 for slot = 0, ARGV[1] - 1 do n = n + redis.call('ZCARD', 'r:' .. slot) end return n";

/// All stages.
pub async fn play(binary: &Path, context: &mut Context) -> Result<(), CompareError> {
    let name = "Redis";
    let home = Home::new("redis", &context.parent(), User::instead_of_root(&["redis", "nobody"]))?;
    let addr = free_address()?;
    let mut command = home.command(binary)?;
    command.args(["--bind", "127.0.0.1", "--port", &addr.port().to_string(), "--dir", "."]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    // TERM and not KILL: it saves nothing, but ends what it forked.
    let daemon = Daemon::start(name, command, home, Signal::TERM, addr).await?;
    let version = format!("Redis {}", version_of(binary, "--version").await);
    let mut link = Link::open(addr).await?;
    let mut shown = Vec::new();
    for setting in ["appendonly", "appendfsync", "save"] {
        let value = link.strings(&["CONFIG", "GET", setting]).await?.pop().unwrap_or_default();
        shown.push(format!("{setting}={value}"));
    }
    context.peer(&version, &shown.join(", "));
    for (key, what, calls) in [
        ("redis.reading", "one Lua script per reading", 1),
        (
            "redis.reading.pipelined",
            "100 scripts in flight per connection; latency is that of 100",
            PIPELINED,
        ),
    ] {
        link.ask(&["FLUSHALL"]).await?;
        let mut hands = Vec::new();
        for number in 0..context.options.connections {
            let call = Call::Reading(context.rounds(number));
            hands.push(Caller::new(addr, READING, call, calls).await?);
        }
        let driven = stage(context, &daemon, key, hands).await?;
        let entries = link.number(&["XLEN", "events"]).await?;
        let check = agree("as many stream entries as readings were acknowledged", entries, &driven);
        context.put(Row::of(key, Work::Readings, &version, what, &driven).with_check(check));
    }
    link.ask(&["FLUSHALL"]).await?;
    let mut hands = Vec::new();
    for number in 0..context.options.connections {
        hands.push(Caller::new(addr, BOOKING, Call::Booking(context.wishes(number)), 1).await?);
    }
    let driven = stage(context, &daemon, "redis.book", hands).await?;
    let slots = context.slots().to_string();
    let booked = link.number(&["EVAL", BOOKED, "0", &slots]).await?;
    let check = agree("as many reservations as were acknowledged", booked, &driven);
    let what = "one Lua script per booking over a sorted set per slot";
    context.put(Row::of("redis.book", Work::Bookings, &version, what, &driven).with_check(check));
    Ok(())
}

async fn stage(
    context: &mut Context,
    daemon: &Daemon,
    key: &'static str,
    hands: Vec<Caller>,
) -> Result<Driven, CompareError> {
    context.begin(key).await?;
    let driven = drive(hands, context.timing(), daemon.tree()).await;
    driven.map_err(|what| CompareError::Stage { name: "Redis", what })
}

fn agree(name: &'static str, there: u64, driven: &Driven) -> Check {
    let mut check = Check::new(name, "entries");
    check.examine(there);
    if there != driven.done_in_all {
        check.fault(format!("{there} are there, {} were acknowledged", driven.done_in_all));
    }
    check
}

/// What a caller calls for.
#[derive(Debug)]
enum Call {
    Reading(Rounds),
    Booking(Wishes),
}

/// Calls a script on one connection.
#[derive(Debug)]
struct Caller {
    link: Link,
    script: String,
    call: Call,
    calls: usize,
}

impl Caller {
    async fn new(
        addr: SocketAddr,
        script: &str,
        call: Call,
        calls: usize,
    ) -> Result<Self, CompareError> {
        let mut link = Link::open(addr).await?;
        let loaded = link.strings(&["SCRIPT", "LOAD", script]).await?.pop();
        let script = loaded.ok_or_else(|| CompareError::Redis("no script was loaded".into()))?;
        Ok(Self { link, script, call, calls })
    }
}

impl Hand for Caller {
    async fn turn(&mut self) -> Result<Turn, String> {
        for _ in 0..self.calls {
            match &mut self.call {
                Call::Reading(rounds) => {
                    let reading = rounds.next();
                    let slot = format!("s:{}", reading.slot);
                    let state = if reading.occupied { "1" } else { "0" };
                    let at = reading.observed_us.to_string();
                    self.link.put(&["EVALSHA", &self.script, "2", &slot, "events", state, &at]);
                }
                Call::Booking(wishes) => {
                    let Wish { id, slot, from_us, to_us } = wishes.next();
                    let slot = format!("r:{slot}");
                    let (from, to, id) = (from_us.to_string(), to_us.to_string(), id.to_string());
                    self.link.put(&["EVALSHA", &self.script, "1", &slot, &from, &to, &id]);
                }
            }
        }
        self.link.flush().await.map_err(|error| error.to_string())?;
        let mut turn = Turn::default();
        for _ in 0..self.calls {
            match self.link.reply().await.map_err(|error| error.to_string())?.as_str() {
                ":1" => turn.done += 1,
                ":0" => turn.refused += 1,
                other => return Err(format!("a script answered {other}")),
            }
        }
        Ok(turn)
    }
}

/// One connection.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    out: Vec<u8>,
    heard: Vec<u8>,
    taken: usize,
}

impl Link {
    async fn open(addr: SocketAddr) -> Result<Self, CompareError> {
        let failed = |error: std::io::Error| CompareError::Redis(error.to_string());
        let stream = TcpStream::connect(addr).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { stream, out: Vec::new(), heard: Vec::new(), taken: 0 })
    }

    fn put(&mut self, words: &[&str]) {
        self.out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.out.extend_from_slice(word.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
    }

    async fn flush(&mut self) -> Result<(), std::io::Error> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The next line without its end.
    async fn reply(&mut self) -> Result<String, std::io::Error> {
        loop {
            let rest = &self.heard[self.taken..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_string();
                self.taken += end + 1;
                if self.taken == self.heard.len() {
                    self.heard.clear();
                    self.taken = 0;
                }
                return Ok(line);
            }
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Says something; the first line of the reply.
    async fn ask(&mut self, words: &[&str]) -> Result<String, CompareError> {
        let failed = |error: std::io::Error| CompareError::Redis(error.to_string());
        self.put(words);
        self.flush().await.map_err(failed)?;
        self.reply().await.map_err(failed)
    }

    /// A reply of one or many strings.
    async fn strings(&mut self, words: &[&str]) -> Result<Vec<String>, CompareError> {
        let failed = |error: std::io::Error| CompareError::Redis(error.to_string());
        let head = self.ask(words).await?;
        let count = match head.split_at_checked(1) {
            Some(("*", count)) => count.parse().unwrap_or(0),
            Some(("$", _)) => 1,
            _ => return Err(CompareError::Redis(format!("{} was answered {head}", words[0]))),
        };
        let mut strings = Vec::new();
        for _ in 0..count {
            if head.starts_with('*') {
                self.reply().await.map_err(failed)?;
            }
            strings.push(self.reply().await.map_err(failed)?);
        }
        Ok(strings)
    }

    /// A reply of one number.
    async fn number(&mut self, words: &[&str]) -> Result<u64, CompareError> {
        let reply = self.ask(words).await?;
        let number = reply.strip_prefix(':').and_then(|number| number.parse().ok());
        number.ok_or_else(|| CompareError::Redis(format!("{} was answered {reply}", words[0])))
    }
}
