//! nats-server and nginx with nchan: started, subscribed to over websockets, published to.

use super::context::Context;
use super::daemon::{Daemon, Home, User, find_program, free_address, version_of};
use super::drive::{Spent, watch, window_from_now};
use super::error::CompareError;
use super::pubsub::{Nats, Nchan};
use super::table::{Row, Work};
use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::recorder::{Measure, Tally};
use crate::scenario::{AHEAD_CHANGES_MAX, CHECKED};
use crate::swarm::{Cast, DRAIN_US_MAX, Dialect, Speed, connect, frame, run};
use rustix::process::{Signal, geteuid};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Messages published at once at full speed: a batch of our own sensors.
const BATCH: usize = 100;

/// All stages of nats-server.
pub async fn play_nats(binary: &Path, context: &mut Context) -> Result<(), CompareError> {
    let user = User::instead_of_root(&["nats", "nobody"]);
    let home = Home::new("nats", &context.parent(), user)?;
    let (addr, websocket) = (free_address()?, free_address()?);
    let config = format!(
        "host: 127.0.0.1\nport: {}\nwebsocket {{ host: 127.0.0.1, port: {}, no_tls: true, compression: false }}\n",
        addr.port(),
        websocket.port()
    );
    let path = home.path().join("nats.conf");
    std::fs::write(&path, config)
        .map_err(|source| CompareError::File { path: path.clone(), source })?;
    let mut command = home.command(binary)?;
    command.args(["-c", "nats.conf"]);
    let daemon = Daemon::start("nats-server", command, home, Signal::TERM, websocket).await?;
    let version = format!("nats-server {}", version_of(binary, "--version").await);
    context.peer(&version, "websocket without TLS and compression, core NATS, publisher over TCP");
    for (key, rate) in speeds(context, ["nats.full", "nats.paced"]) {
        let subscribers = context.options.subscribers;
        let open = || {
            let mut subscribe = Vec::new();
            frame::put_binary(&mut subscribe, Nats::SUBSCRIBE.0);
            let mut members = Vec::with_capacity(subscribers);
            for _ in 0..subscribers {
                let mut opened = connect::websocket(websocket, "/", "")?;
                connect::until(&mut opened, &subscribe, Nats::SUBSCRIBE.1)?;
                members.push(opened);
            }
            let mut publisher = (connect::plain(addr)?, Vec::new());
            connect::until(&mut publisher, Nats::GREET.0, Nats::GREET.1)?;
            publisher.1.clear();
            Ok((members, publisher))
        };
        let opened = tokio::task::block_in_place(open);
        stage(context, &daemon, (key, &version), rate, opened, Nats::default()).await?;
    }
    Ok(())
}

/// Where nginx was built to keep bodies. The module makes it whatever the configuration says, so a run that
/// is the first start of nginx on a machine takes it away again.
#[derive(Debug)]
struct BodyDirectory {
    path: Option<PathBuf>,
    is_new: bool,
}

impl BodyDirectory {
    async fn of(nginx: &Path) -> Self {
        let output = tokio::process::Command::new(nginx).arg("-V").output().await;
        let said = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
        let said = said.unwrap_or_default();
        let mut words = said.split_ascii_whitespace();
        let path = words.find_map(|word| word.strip_prefix("--http-client-body-temp-path="));
        let path = path.map(PathBuf::from);
        let is_new = path.as_ref().is_some_and(|path| !path.exists());
        Self { path, is_new }
    }
}

impl Drop for BodyDirectory {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.is_new) {
            // Only when it is empty, and only what was not there before.
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// nginx and the module; nothing when one is missing.
pub fn find_nchan() -> Option<(PathBuf, PathBuf)> {
    let nginx = find_program("nginx", &[])?;
    let module = ["/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/local/lib/nginx"]
        .iter()
        .map(|dir| Path::new(dir).join("ngx_nchan_module.so"))
        .find(|path| path.is_file())?;
    Some((nginx, module))
}

/// All stages of nginx with nchan.
pub async fn play_nchan(
    nginx: &Path,
    module: &Path,
    context: &mut Context,
) -> Result<(), CompareError> {
    let body = BodyDirectory::of(nginx).await;
    if let Some(path) = body.path.as_ref().filter(|_| body.is_new && !geteuid().is_root()) {
        context
            .note(format!("left out: nchan makes {} at its first start, as root", path.display()));
        return Ok(());
    }
    // As root its head stays root and its worker does not, which is its own way.
    let home = Home::new("nchan", &context.parent(), None)?;
    let addr = free_address()?;
    let path = home.path().join("nginx.conf");
    let config = nginx_config(module, addr);
    std::fs::write(&path, config)
        .map_err(|source| CompareError::File { path: path.clone(), source })?;
    let mut command = home.command(nginx)?;
    command.arg("-p").arg(home.path()).arg("-c").arg(&path).args(["-e", "error.log"]);
    let daemon = Daemon::start("nginx", command, home, Signal::TERM, addr).await?;
    let nchan = nchan_version().await;
    let version = format!("nginx {}, nchan {nchan}", version_of(nginx, "-v").await);
    context.peer(&version, "one worker (no messages between processes), memory store, publisher over pipelined HTTP POST");
    for (key, rate) in speeds(context, ["nchan.full", "nchan.paced"]) {
        let subscribers = context.options.subscribers;
        let open = || {
            let mut members = Vec::with_capacity(subscribers);
            for _ in 0..subscribers {
                members.push(connect::websocket(addr, "/sub", "")?);
            }
            Ok((members, (connect::plain(addr)?, Vec::new())))
        };
        let opened = tokio::task::block_in_place(open);
        let played = stage(context, &daemon, (key, &version), rate, opened, Nchan::default()).await;
        played.map_err(|error| match error {
            CompareError::Stage { name, what } => {
                CompareError::Stage { name, what: format!("{what}\n{}", daemon.log_tail()) }
            }
            other => other,
        })?;
    }
    Ok(())
}

fn nginx_config(module: &Path, addr: SocketAddr) -> String {
    let (module, buffer) = (module.display(), AHEAD_CHANGES_MAX * 4);
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {kind};\n"))
        .collect();
    format!(
        "load_module {module};\ndaemon off;\nworker_processes 1;\npid nginx.pid;\n\
         events {{ worker_connections 10000; }}\nhttp {{\n  access_log off;\n{temporary}\
         \x20 keepalive_requests 1000000000;\n  keepalive_timeout 3600;\n  nchan_shared_memory_size 256M;\n\
         \x20 server {{\n    listen {addr};\n\
         \x20   location = /pub {{ nchan_publisher http; nchan_channel_id lot; nchan_message_buffer_length {buffer}; }}\n\
         \x20   location = /sub {{ nchan_subscriber websocket; nchan_channel_id lot; nchan_subscriber_first_message newest; }}\n\
         \x20 }}\n}}\n"
    )
}

/// Of the package, where there is one.
async fn nchan_version() -> String {
    let Some(query) = find_program("dpkg-query", &[]) else { return "of unknown version".into() };
    let output = tokio::process::Command::new(query)
        .args(["-W", "-f", "${Version}", "libnginx-mod-nchan"])
        .output()
        .await;
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into(),
        Ok(_) | Err(_) => "of unknown version".into(),
    }
}

fn speeds(context: &Context, keys: [&'static str; 2]) -> [(&'static str, Option<f64>); 2] {
    [(keys[0], None), (keys[1], Some(context.options.changes_per_second))]
}

type Sockets = (Vec<connect::Opened>, connect::Opened);

async fn stage<D: Dialect>(
    context: &mut Context,
    daemon: &Daemon,
    (key, version): (&'static str, &str),
    rate: Option<f64>,
    sockets: Result<Sockets, String>,
    dialect: D,
) -> Result<(), CompareError> {
    let name = "fan-out";
    let failed = |what| CompareError::Stage { name, what };
    let (subscribers, publisher) = sockets.map_err(failed)?;
    context.begin(key).await?;
    let clock = Clock::start();
    let window = window_from_now(clock, context.timing());
    let members = subscribers.len();
    let (work, speed, what) = match rate {
        None => {
            let speed = Speed::Full { ahead_max: AHEAD_CHANGES_MAX, batch: BATCH };
            (Work::FanOutFull, speed, "full speed".to_string())
        }
        Some(rate) => (Work::FanOutPaced, Speed::Paced(rate), format!("{rate} changes/s")),
    };
    let cast = Cast {
        subscribers,
        publisher,
        clock,
        began_us: clock.now_us(),
        window,
        speed,
        check_every: (members / CHECKED).max(1),
    };
    let (harvest, [first, last]) =
        tokio::join!(run(cast, dialect), watch(clock, window, daemon.tree()));
    let tape = harvest.map_err(failed)?.tape;
    let deliveries = tape.recorder.total(Tally::Entries);
    let (server_cpu_us, client_cpu_us) = Spent::each(first, last, deliveries);
    let at = |quantile| {
        Some(tape.recorder.histogram(Measure::SensorToSubscriber)?.value_at_quantile(quantile))
    };
    let row = Row {
        per_second: deliveries as f64 / context.options.duration.as_secs_f64(),
        server_cpu_us,
        client_cpu_us,
        p50_us: at(0.5),
        p99_us: at(0.99),
        bytes_each: (deliveries > 0).then(|| tape.bytes as f64 / deliveries as f64),
        ..Row::new(key, work, version, &format!("{members} subscribers, {what}"))
    };
    if tape.undelivered > 0 {
        context.note(format!(
            "{key}: it could not keep up; {} deliveries had not come {} s after the last change",
            tape.undelivered,
            DRAIN_US_MAX / MICROS_PER_SECOND
        ));
    }
    context.put(row.with_check(tape.check));
    Ok(())
}
