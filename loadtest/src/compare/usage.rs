//! Processor time of a server of many processes: the head, what it forked, and what they have reaped; of two such
//! servers where one works for the other.
//!
//! A worker that ended is in its parent's `cutime` from the moment it is reaped and not in the tree any
//! more, so every tick is counted once. Between its end and the reaping it is a zombie that still has its
//! own figures, and is still in the tree.

use std::collections::{HashMap, HashSet};

/// A server's processes.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    head: Option<u32>,
    further: Option<u32>,
}

/// One process of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// utime, stime, and those of reaped children.
    ticks: u64,
}

impl Tree {
    /// Everything below a process; a process that is gone has used nothing.
    pub fn new(head: Option<u32>) -> Self {
        Self { head, further: None }
    }

    /// With everything below the head of another one, which works with this one.
    pub fn and(self, other: Self) -> Self {
        Self { further: other.head, ..self }
    }

    /// What it used since it began.
    pub fn cpu_seconds(self) -> Option<f64> {
        let all = processes();
        let further = self.further.and_then(|head| ticks_below(&all, head)).unwrap_or_default();
        let ticks = ticks_below(&all, self.head?)? + further;
        Some(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64)
    }
}

fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse(pid, &stat)
    })
    .collect()
}

/// Fields 4 and 14 to 17, counted behind the command's name, which may hold anything.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let times = fields.get(11..15)?;
    let ticks = times.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Process { pid, parent, ticks })
}

fn ticks_below(processes: &[Process], head: u32) -> Option<u64> {
    let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process);
    }
    let mut ticks = processes.iter().find(|process| process.pid == head)?.ticks;
    let mut seen = HashSet::from([head]);
    let mut open = vec![head];
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                ticks += child.ticks;
                open.push(child.pid);
            }
        }
    }
    Some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_reaped_children_are_counted() {
        let stat = "42 (post) gres: w) S 7 1 1 0 -1 4 0 0 0 0 100 20 3 4 20 0 1 0 5 1 1";
        assert_eq!(parse(42, stat), Some(Process { pid: 42, parent: 7, ticks: 127 }));
        assert_eq!(parse(42, "42 (x) S 7"), None);
    }

    #[test]
    fn all_below_the_head_count_once_and_nobody_else() {
        let process = |pid, parent, ticks| Process { pid, parent, ticks };
        let all = [
            process(1, 0, 1_000),
            process(10, 1, 1),
            process(11, 10, 2),
            process(12, 10, 4),
            process(13, 12, 8),
            process(20, 1, 500),
        ];
        assert_eq!(ticks_below(&all, 10), Some(15));
        assert_eq!(ticks_below(&all, 13), Some(8));
        assert_eq!(ticks_below(&all, 99), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let used = Tree::new(Some(std::process::id())).cpu_seconds();
        assert!(used.is_some_and(|seconds| seconds >= 0.0));
        assert_eq!(Tree::new(None).cpu_seconds(), None);
    }
}
