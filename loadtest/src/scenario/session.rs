//! What every scenario begins and ends with: a server, tokens, lots; the server's end as a check.

use crate::clock::Clock;
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::options::Options;
use crate::report::Facts;
use crate::server::{Server, Start};
use crate::target::{Role, Target, loopback_address, read_tokens};
use crate::verify::{Check, SERVER_ENDS_WELL};
use crate::wire::Livez;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Tokens outlive the run by this: creating many lots before and comparing them after takes time too.
pub(super) const TOKEN_RESERVE: Duration = Duration::from_secs(1_800);

/// A server to speak to, its own or a running one.
#[derive(Debug)]
pub struct Session {
    pub target: Target,
    /// The own one.
    pub server: Option<Server>,
    running_pid: Option<u32>,
}

/// Lots that exist, and who created them.
#[derive(Debug)]
pub struct Ground {
    pub operator: HttpClient,
    pub fleet: Arc<Fleet>,
    pub server_version: String,
}

impl Session {
    /// Starts an own server unless a running one is named. `settings` are for an own one.
    pub async fn open(
        options: &Options,
        length: Duration,
        settings: &[(&'static str, String)],
    ) -> Result<Self, LoadError> {
        if let Some(url) = &options.url {
            let addr = loopback_address(url)?;
            let variable = |name: &str| std::env::var(name).ok();
            let target = Target::new(addr, read_tokens(options.token_file.as_deref(), variable)?)?;
            return Ok(Self { target, server: None, running_pid: options.server_pid });
        }
        Self::own(options, length, settings, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts an own server at an address.
    pub async fn own(
        options: &Options,
        length: Duration,
        settings: &[(&'static str, String)],
        listen: SocketAddr,
    ) -> Result<Self, LoadError> {
        let (config, parent) = (options.server_config.as_deref(), options.data_parent.as_deref());
        let server = Server::start(Start { config, parent, settings, listen }).await?;
        let target = server.target(length + TOKEN_RESERVE).await?;
        Ok(Self { target, server: Some(server), running_pid: None })
    }

    /// The server's process, where it is known.
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Server::pid).or(self.running_pid)
    }

    /// Creates the lots of a run.
    pub async fn prepare(
        &self,
        clock: Clock,
        lots: usize,
        slots: usize,
    ) -> Result<Ground, LoadError> {
        prepare(&self.target, clock, lots, slots).await
    }

    /// Ends the own server, which is checked as well.
    pub async fn close(self, mut facts: Facts) -> Facts {
        let Some(mut server) = self.server else { return facts };
        facts.data_dir = Some(server.dir().display().to_string());
        facts.data_in_memory = server.is_in_memory();
        let mut ended = Check::new(SERVER_ENDS_WELL, "servers");
        ended.examine(1);
        if let Err(why) = server.stop().await {
            ended.fault(why);
        }
        facts.checks.push(ended);
        facts
    }
}

/// Creates lots for whoever the target's tokens are of.
pub(super) async fn prepare(
    target: &Target,
    clock: Clock,
    lots: usize,
    slots: usize,
) -> Result<Ground, LoadError> {
    let mut operator = HttpClient::new(target.addr, target.token(Role::Operator, 0));
    let server_version = version(&mut operator).await?;
    let fleet = Arc::new(Fleet::new(&run_name(clock), lots, slots));
    create_lots(&mut operator, &fleet).await?;
    Ok(Ground { operator, fleet, server_version })
}

/// The server's version, "unknown" when its probe does not say.
pub(super) async fn version(client: &mut HttpClient) -> Result<String, LoadError> {
    let doing = || "GET /livez".to_string();
    let answer =
        client.get("/livez").await.map_err(|source| LoadError::Http { doing: doing(), source })?;
    if answer.status != 200 {
        let (status, body) = (answer.status, answer.excerpt());
        return Err(LoadError::Refused { doing: doing(), status, body });
    }
    Ok(answer.json::<Livez>().map_or_else(|_| "unknown".into(), |livez| livez.version))
}

/// In base 36 a second is six characters: lots of two runs on one server keep apart.
pub(super) fn run_name(clock: Clock) -> String {
    let mut rest = clock.now_us() / 1_000;
    let mut name = Vec::new();
    while rest > 0 {
        name.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]);
        rest /= 36;
    }
    name.reverse();
    String::from_utf8_lossy(&name).into_owned()
}

/// Creates all lots of a run.
async fn create_lots(operator: &mut HttpClient, fleet: &Fleet) -> Result<(), LoadError> {
    let slots: Vec<String> = (0..fleet.slots_per_lot)
        .map(|slot| format!(r#"{{"code":"{}","zone":"level-1"}}"#, slot_code(slot)))
        .collect();
    let slots = slots.join(",");
    for lot in &fleet.lots {
        let code = &lot.code;
        let body = format!(
            r#"{{"code":"{code}","name":"Load test {code}","kind":"bayed","time_zone":"UTC","currency":"EUR","zones":[{{"code":"level-1","name":"Level 1","level":1}}],"slots":[{slots}]}}"#
        );
        create_lot(operator, code, body).await?;
    }
    Ok(())
}

/// Creates one lot.
pub async fn create_lot(
    operator: &mut HttpClient,
    code: &str,
    body: String,
) -> Result<(), LoadError> {
    let doing = || format!("creating lot {code}");
    let answer = operator
        .post("/api/v1/lots", Bytes::from(body))
        .await
        .map_err(|source| LoadError::Http { doing: doing(), source })?;
    if answer.status != 201 {
        let (status, body) = (answer.status, answer.excerpt());
        return Err(LoadError::Refused { doing: doing(), status, body });
    }
    Ok(())
}
