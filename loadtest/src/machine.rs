//! The machine and the processes on it, read from /proc: what the figures of a report rest on.
//!
//! Anything that cannot be read is `None` or "unknown": a missing figure never ends a run.

use crate::error::LoadError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// What a reader of the report must know to compare it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub os: String,
}

impl Machine {
    /// This one.
    pub fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let kernel = text("/proc/sys/kernel/osrelease");
        Self {
            cpu: field(&text("/proc/cpuinfo"), "model name").unwrap_or("unknown").into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes(&text("/proc/meminfo"), "MemTotal").unwrap_or(0),
            os: format!("{} {}", std::env::consts::OS, kernel.trim()),
        }
    }
}

/// The commit of the tree the command runs in; "unknown" outside of one.
pub fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_string()
        }
        Ok(_) | Err(_) => "unknown".into(),
    }
}

/// Whether a directory lies in memory, where a sync costs nothing.
pub fn is_in_memory(dir: &Path) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const IN_MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|stat| IN_MEMORY.contains(&i128::from(stat.f_type)))
}

/// Lets this process, and those it starts, have so many file descriptors.
pub fn allow_descriptors(needed: u64) -> Result<(), LoadError> {
    let limit = getrlimit(Resource::Nofile);
    // No figure means no limit.
    let hard = limit.maximum.unwrap_or(u64::MAX);
    if hard < needed {
        return Err(LoadError::Descriptors { needed, hard });
    }
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        // Not above the hard limit, so this is refused by nobody but a sandbox.
        setrlimit(Resource::Nofile, raised)
            .map_err(|_| LoadError::Descriptors { needed, hard: limit.current.unwrap_or(0) })?;
    }
    Ok(())
}

/// What a process used so far, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub resident_peak_bytes: u64,
}

impl Usage {
    /// Of a living process.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            cpu_seconds: cpu_ticks(&stat)? as f64 / ticks_per_second(),
            resident_bytes: kilobytes(&status, "VmRSS")?,
            resident_peak_bytes: kilobytes(&status, "VmHWM")?,
        })
    }
}

/// What a process holds that it could pile up; nothing where it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    pub resident_bytes: Option<f64>,
    /// Heap and stacks: what is resident and no file.
    pub anonymous_bytes: Option<f64>,
    pub threads: Option<f64>,
    pub descriptors: Option<f64>,
}

/// What a living process holds now.
pub fn held(pid: u32) -> Held {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let bytes = |name: &str| kilobytes(&status, name).map(|bytes| bytes as f64);
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
    Held {
        resident_bytes: bytes("VmRSS"),
        anonymous_bytes: bytes("RssAnon"),
        threads: field(&status, "Threads").and_then(|threads| threads.parse().ok()),
        descriptors: descriptors.map(|entries| entries.count() as f64),
    }
}

/// CPU time that all processes together used since the machine started.
pub fn busy_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    Some(busy_ticks(&stat)? as f64 / ticks_per_second())
}

/// Time that the host of a virtual machine gave to others while this one wanted it, over all processors, since the start.
pub fn stolen_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    Some(stolen_ticks(&stat)? as f64 / ticks_per_second())
}

/// Connections of a port of this machine whose other end does not take what was written to them.
pub fn backed_up_connections(port: u16) -> Option<usize> {
    Some(backed_up(&std::fs::read_to_string("/proc/net/tcp").ok()?, port))
}

/// Rows of proc(5)'s `net/tcp`: number, own address, other address, state, bytes to send and to read.
fn backed_up(table: &str, port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let own = format!(":{port:04X}");
    let is_backed_up = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
        let &[_, local, _, ESTABLISHED, queues] = fields.as_slice() else { return false };
        let to_send = queues.split(':').next().and_then(|hex| u64::from_str_radix(hex, 16).ok());
        local.ends_with(&own) && to_send > Some(0)
    };
    table.lines().filter(is_backed_up).count()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second().max(1) as f64
}

/// utime + stime: fields 14 and 15, counted behind the command's name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The fields of the line of all processors.
fn all_processors(stat: &str) -> Option<Vec<u64>> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    Some(fields.map_while(|field| field.parse().ok()).collect())
}

/// The eighth field of that line.
fn stolen_ticks(stat: &str) -> Option<u64> {
    all_processors(stat)?.get(7).copied()
}

/// Everything but idle and waiting for the disk; guests are counted in user already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = all_processors(stat)?;
    let &[user, nice, system, _idle, _disk, irq, soft_irq, ..] = fields.as_slice() else {
        return None;
    };
    Some(user + nice + system + irq + soft_irq)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = field(text, name)?.strip_suffix("kB")?;
    Some(value.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_command_name() {
        let stat = "42 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 70 5 0 0 20 0 3 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(75));
        assert_eq!(cpu_ticks("no parenthesis"), None);
        assert_eq!(cpu_ticks("1 (x) S 1"), None);
    }

    #[test]
    fn idle_and_disk_time_are_not_busy() {
        let stat = "cpu  10 1 5 1000 500 2 3 40 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n";
        assert_eq!((busy_ticks(stat), stolen_ticks(stat)), (Some(21), Some(40)));
        assert_eq!(stolen_ticks("cpu  10 1 5 1000 500 2 3"), None, "a kernel that does not know");
        assert_eq!(busy_ticks("cpu  10 1"), None);
    }

    #[test]
    fn who_does_not_read_is_told_from_who_does() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
            0: 0100007F:1F90 0100007F:A000 01 00001F00:00000000 01:00000014 00000000\n\
            1: 0100007F:1F90 0100007F:A001 01 00000000:00000000 00:00000000 00000000\n\
            2: 0100007F:1F90 00000000:0000 0A 00000001:00000000 00:00000000 00000000\n\
            3: 0100007F:A000 0100007F:1F90 01 00000010:00000000 00:00000000 00000000\n";
        assert_eq!((backed_up(table, 8_080), backed_up(table, 81)), (1, 0));
    }

    #[test]
    fn this_process_has_memory_and_a_processor() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.resident_peak_bytes >= usage.resident_bytes);
        assert!(busy_cpu_seconds().unwrap() > 0.0);
        let machine = Machine::read();
        assert!(machine.cores >= 1 && machine.memory_bytes > 0, "{machine:?}");
        assert_eq!(Usage::of(u32::MAX), None);
        let held = held(std::process::id());
        assert!(held.threads >= Some(1.0) && held.descriptors >= Some(3.0), "{held:?}");
        assert!(held.resident_bytes >= held.anonymous_bytes, "{held:?}");
    }

    #[test]
    fn more_descriptors_than_the_hard_limit_are_refused_with_the_remedy() {
        allow_descriptors(64).unwrap();
        let hard = getrlimit(Resource::Nofile).maximum;
        if let Some(needed) = hard.and_then(|hard| hard.checked_add(1)) {
            let said = allow_descriptors(needed).unwrap_err().to_string();
            assert!(said.contains(&format!("ulimit -Hn {needed}")), "{said}");
        }
    }

    #[test]
    fn the_file_system_in_memory_is_known() {
        assert!(!is_in_memory(Path::new("/proc")));
        if Path::new("/dev/shm").is_dir()
            && std::fs::read_to_string("/proc/mounts").is_ok_and(|m| m.contains("/dev/shm tmpfs"))
        {
            assert!(is_in_memory(Path::new("/dev/shm")));
        }
    }
}
