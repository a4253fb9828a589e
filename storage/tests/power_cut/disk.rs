//! A disk that a power cut can hit: what was synced is there, of the rest any part may be.
//!
//! Files: durable bytes, and changes since that no `fsync` or `fdatasync` has covered. Directories: durable
//! names, and changes of names that no `fsync` of the directory has covered. A sync covers what had ended
//! when it began, and holds from its own end on. Nothing else is durable, `sync_file_range` least of all.
//! This is more than file systems do to a process: some keep names in order, or sync a new name with its file.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::leaves::{Bytes, Leaves, Names};
use crate::trace::{Call, Step, Trace};

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug)]
struct Pending {
    call: usize,
    ended: bool,
    change: Change,
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Where the next write without a place goes.
    position: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(OsString, usize),
    Remove(OsString),
    Rename(OsString, OsString, usize),
}

#[derive(Debug, Default)]
struct Dir {
    live: BTreeMap<OsString, usize>,
    durable: BTreeMap<OsString, usize>,
    pending: Vec<NameChange>,
}

#[derive(Debug)]
enum Node {
    File(File),
    Dir(Dir),
}

/// The disk under one directory, which is durable itself.
pub struct Disk {
    root: PathBuf,
    /// The first is the root.
    nodes: Vec<Node>,
    /// Syncs under way, and what each covers.
    syncing: BTreeMap<usize, Covered>,
    /// A `fdatasync` of a file with this name does nothing: a planted fault.
    deaf_to: Option<&'static str>,
}

/// A sync under way.
struct Covered {
    node: usize,
    calls: Vec<usize>,
    names: usize,
}

impl Disk {
    /// A disk as a directory is now, all of it durable.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_path_buf(),
            nodes: vec![Node::Dir(Dir::default())],
            syncing: BTreeMap::new(),
            deaf_to: None,
        };
        disk.take(root, 0);
        disk
    }

    /// As if whoever writes did not call `fdatasync` for files of this name.
    pub fn deaf_to(mut self, name: &'static str) -> Self {
        self.deaf_to = Some(name);
        self
    }

    fn take(&mut self, path: &Path, node: usize) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let new = match path.is_dir() {
                true => Node::Dir(Dir::default()),
                false => Node::File(File { durable: fs::read(&path).unwrap(), ..File::default() }),
            };
            let child = self.nodes.len();
            self.nodes.push(new);
            let name = path.file_name().unwrap().to_owned();
            let dir = self.dir(node);
            dir.live.insert(name.clone(), child);
            dir.durable.insert(name, child);
            if path.is_dir() {
                self.take(&path, child);
            }
        }
    }

    fn dir(&mut self, node: usize) -> &mut Dir {
        match &mut self.nodes[node] {
            Node::Dir(dir) => dir,
            Node::File(_) => panic!("a file where a directory is expected"),
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        }
    }

    /// The node of a path as the process sees it; nothing outside of the root.
    fn find(&self, path: &Path) -> Option<usize> {
        let inside = path.strip_prefix(&self.root).ok()?;
        inside.iter().try_fold(0, |node, name| match &self.nodes[node] {
            Node::Dir(dir) => dir.live.get(name).copied(),
            Node::File(_) => None,
        })
    }

    /// The directory that holds a path, and the name in it; nothing outside of the root.
    fn place(&self, path: &Path) -> Option<(usize, OsString)> {
        path.strip_prefix(&self.root).ok()?;
        Some((self.find(path.parent()?)?, path.file_name()?.to_owned()))
    }

    /// Goes one step of a trace.
    pub fn step(&mut self, trace: &Trace, step: &Step) {
        match step {
            Step::Begins(number) => self.begins(*number, &trace.calls[*number]),
            Step::Ends { call, well } => self.ends(*call, *well, &trace.calls[*call]),
        }
    }

    /// Bytes reach the disk at any time from here on; a sync covers what is there now.
    fn begins(&mut self, number: usize, call: &Call) {
        let change = match call {
            Call::Write { path, at, bytes } => {
                let Some(file) = self.file(path) else { return };
                let at = at.unwrap_or(file.position);
                file.position = at + bytes.len() as u64;
                (path, Change::Write(at, bytes.clone()))
            }
            Call::Truncate { path, bytes } => (path, Change::Truncate(*bytes)),
            Call::Sync { path, data_only } => {
                let deaf = *data_only && self.deaf_to.is_some_and(|name| path.ends_with(name));
                if let Some(node) = self.find(path).filter(|_| !deaf) {
                    self.sync_begins(number, node);
                }
                return;
            }
            _ => return,
        };
        let (path, change) = change;
        if let Some(file) = self.file(path) {
            file.pending.push(Pending { call: number, ended: false, change });
        }
    }

    fn sync_begins(&mut self, number: usize, node: usize) {
        let covered = match &self.nodes[node] {
            Node::File(file) => {
                let ended = file.pending.iter().filter(|pending| pending.ended);
                Covered { node, calls: ended.map(|pending| pending.call).collect(), names: 0 }
            }
            Node::Dir(dir) => Covered { node, calls: Vec::new(), names: dir.pending.len() },
        };
        self.syncing.insert(number, covered);
    }

    fn ends(&mut self, number: usize, well: bool, call: &Call) {
        match call {
            Call::Write { path, .. } | Call::Truncate { path, .. } => {
                let Some(file) = self.file(path) else { return };
                if let Some(pending) = file.pending.iter_mut().find(|one| one.call == number) {
                    pending.ended = true;
                }
            }
            Call::Sync { .. } => {
                if let Some(covered) = self.syncing.remove(&number).filter(|_| well) {
                    self.sync_ends(&covered);
                }
            }
            _ if !well => {}
            Call::Open { path, truncates } => self.opened(number, path, *truncates),
            Call::MakeDir { path } => self.add(path, || Node::Dir(Dir::default())),
            Call::Remove { path } => {
                let Some((dir, name)) = self.place(path) else { return };
                let dir = self.dir(dir);
                dir.live.remove(&name);
                dir.pending.push(NameChange::Remove(name));
            }
            Call::Rename { from, to } => {
                let Some((dir, name)) = self.place(from) else { return };
                let (same, new_name) = self.place(to).unwrap();
                assert_eq!(dir, same, "a rename across directories, which the model lacks");
                let dir = self.dir(dir);
                let node = dir.live.remove(&name).unwrap();
                dir.live.insert(new_name.clone(), node);
                dir.pending.push(NameChange::Rename(name, new_name, node));
            }
            Call::Say { .. } => {}
        }
    }

    fn opened(&mut self, number: usize, path: &Path, truncates: bool) {
        match self.file(path) {
            Some(file) => {
                file.position = 0;
                if truncates {
                    let change = Change::Truncate(0);
                    file.pending.push(Pending { call: number, ended: true, change });
                }
            }
            None => self.add(path, || Node::File(File::default())),
        }
    }

    fn add(&mut self, path: &Path, node: impl FnOnce() -> Node) {
        let Some((dir, name)) = self.place(path) else { return };
        if self.dir(dir).live.contains_key(&name) {
            return;
        }
        let child = self.nodes.len();
        self.nodes.push(node());
        let dir = self.dir(dir);
        dir.live.insert(name.clone(), child);
        dir.pending.push(NameChange::Add(name, child));
    }

    fn sync_ends(&mut self, covered: &Covered) {
        match &mut self.nodes[covered.node] {
            Node::File(file) => {
                let pending = std::mem::take(&mut file.pending);
                for one in pending {
                    match covered.calls.contains(&one.call) {
                        true => apply(&mut file.durable, &one.change),
                        false => file.pending.push(one),
                    }
                }
            }
            Node::Dir(dir) => {
                // Another sync of the directory may have ended in between, and covered more.
                let names = covered.names.min(dir.pending.len());
                for change in dir.pending.drain(..names) {
                    rename(&mut dir.durable, &change);
                }
            }
        }
    }

    /// Whether anything is there that a power cut could take.
    pub fn is_dirty(&self) -> bool {
        self.nodes.iter().any(|node| match node {
            Node::File(file) => !file.pending.is_empty(),
            Node::Dir(dir) => !dir.pending.is_empty(),
        })
    }

    /// Writes what a power cut leaves into a directory.
    pub fn rebuild(&self, leaves: Leaves, target: &Path) {
        let mut rng = StdRng::seed_from_u64(leaves.seed);
        self.rebuild_node(0, leaves, &mut rng, target);
    }

    fn rebuild_node(&self, node: usize, leaves: Leaves, rng: &mut StdRng, target: &Path) {
        match &self.nodes[node] {
            Node::File(file) => fs::write(target, file.after(leaves, rng)).unwrap(),
            Node::Dir(dir) => {
                fs::create_dir_all(target).unwrap();
                let survive = match leaves.names {
                    Names::None => 0,
                    Names::All => dir.pending.len(),
                    Names::First => rng.random_range(0..=dir.pending.len()),
                };
                let mut names = dir.durable.clone();
                dir.pending[..survive].iter().for_each(|change| rename(&mut names, change));
                for (name, child) in names {
                    self.rebuild_node(child, leaves, rng, &target.join(name));
                }
            }
        }
    }
}

impl File {
    fn after(&self, leaves: Leaves, rng: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let changes: Vec<&Change> = self.pending.iter().map(|pending| &pending.change).collect();
        let Some((newest, before)) = changes.split_last() else { return bytes };
        match leaves.bytes {
            Bytes::None => {}
            Bytes::All => changes.iter().for_each(|change| apply(&mut bytes, change)),
            Bytes::Newest => apply(&mut bytes, newest),
            Bytes::Zeros => {
                for change in changes {
                    if let Change::Write(at, written) = change {
                        let end = usize::try_from(*at).unwrap() + written.len();
                        bytes.resize(bytes.len().max(end), 0);
                    }
                }
            }
            Bytes::Torn => {
                let whole = rng.random_range(0..=before.len());
                changes[..whole].iter().for_each(|change| apply(&mut bytes, change));
                let sectors = in_sectors(changes[whole], leaves.sector_bytes);
                let survive = rng.random_range(0..=sectors.len());
                sectors[..survive].iter().for_each(|change| apply(&mut bytes, change));
            }
            Bytes::Sectors => {
                for change in changes {
                    for sector in in_sectors(change, leaves.sector_bytes) {
                        if rng.random_bool(0.5) {
                            apply(&mut bytes, &sector);
                        }
                    }
                }
            }
            Bytes::Writes => {
                for change in changes {
                    if rng.random_bool(0.5) {
                        apply(&mut bytes, change);
                    }
                }
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, written) => {
            let at = usize::try_from(*at).unwrap();
            bytes.resize(bytes.len().max(at + written.len()), 0);
            bytes[at..at + written.len()].copy_from_slice(written);
        }
        Change::Truncate(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
    }
}

/// A write in pieces that end where sectors of the disk do.
fn in_sectors(change: &Change, sector_bytes: u64) -> Vec<Change> {
    let Change::Write(at, written) = change else { return vec![change.clone()] };
    let (mut at, mut rest, mut pieces) = (*at, written.as_slice(), Vec::new());
    while !rest.is_empty() {
        let room = usize::try_from(sector_bytes - at % sector_bytes).unwrap();
        let (piece, after) = rest.split_at(room.min(rest.len()));
        pieces.push(Change::Write(at, piece.to_vec()));
        at += piece.len() as u64;
        rest = after;
    }
    pieces
}

fn rename(names: &mut BTreeMap<OsString, usize>, change: &NameChange) {
    match change {
        NameChange::Add(name, node) => drop(names.insert(name.clone(), *node)),
        NameChange::Remove(name) => drop(names.remove(name)),
        NameChange::Rename(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}
