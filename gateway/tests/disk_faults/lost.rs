//! Damaged directories under the real commands: what an operator sees. All positions and files are tried in
//! `storage/tests/disk_damage`; here some that must be refused go through `serve` and `check`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{KEY, binary};
use crate::{book, check, id_of, make_lot, recovers, refused, sound};

type Spoil = fn(&Path);

/// What is done to a directory, and what `serve` says then.
const CASES: [(&str, Spoil, &str); 3] = [
    (
        "CURRENT is lost",
        |data| fs::remove_file(data.join("CURRENT")).unwrap(),
        "CURRENT is missing beside a log; write the name of the newest journal-* directory into it",
    ),
    (
        "the journal is lost",
        |data| fs::remove_dir_all(data.join("journal-000001")).unwrap(),
        "journal-000001, which CURRENT names, is missing; restore a backup",
    ),
    (
        "the journal's file is emptied",
        |data| fs::write(data.join("journal-000001/db"), b"").unwrap(),
        "is damaged: ",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_directory_is_refused_with_a_remedy_and_check_agrees() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = sound(&data, &directory.path().join("log"));
    make_lot(&server).await;
    let mut ids = BTreeSet::new();
    for number in 0..20 {
        ids.insert(id_of(&book(&server, number).await.unwrap()));
    }
    assert_eq!(server.stop(), Some(0));
    for (what, spoil, says) in CASES {
        let copy = directory.path().join("copy");
        copy_dir(&data, &copy);
        spoil(&copy);
        let (clean, checked) = check(&copy);
        assert!(!clean && !checked.contains("panicked"), "{what}: {checked}");
        let mut command = binary();
        command.env("LOTKEEPER_AUTH_KEY", KEY);
        let said = refused(command, &copy);
        assert!(said.contains(says) && said.contains("lotkeeper check"), "{what}: {said}");
        println!("{what}:\n{said}{checked}");
        fs::remove_dir_all(copy).unwrap();
    }
    recovers(&data, directory.path(), &ids).await;
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match path.is_dir() {
            true => copy_dir(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}
