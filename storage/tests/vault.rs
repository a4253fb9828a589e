//! The vault on disk: where people lie, that nobody is there twice, and that erased ones are gone. What any
//! vault must do is in the contract suite.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Barrier};

use common::{Author, START};
use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_storage::backup::{self, Target};
use lotkeeper_storage::{Journal, JournalError, Options, PersonKind, SledJournal, Vault, check};
use uuid::Uuid;

const A: LotKey = LotKey(1);
const VALUE_BYTES_MAX: usize = 6 * 1024;

fn options(dir: &Path) -> Options {
    Options { data_dir: dir.to_path_buf(), cache_bytes: 8 * 1024 * 1024, ..Options::default() }
}

fn open(dir: &Path) -> (SledJournal, Arc<dyn Vault>) {
    let (journal, recovery) = SledJournal::open(options(dir)).unwrap();
    drop(recovery);
    let vault = journal.vault();
    (journal, vault)
}

fn plate(n: u32) -> String {
    format!("DE B-LK {n}")
}

fn tree(dir: &Path, name: &str, work: impl FnOnce(&sled::Tree)) {
    let db = sled::open(dir.join("journal-000001")).unwrap();
    work(&db.open_tree(name).unwrap());
    db.flush().unwrap();
}

/// Everybody is where they were but number 500.
fn expect(vault: &dyn Vault, pseudonyms: &[Pseudonym]) {
    for (n, pseudonym) in (0..).zip(pseudonyms) {
        let (clear, known) = match n {
            500 => (None, None),
            _ => (Some(plate(n)), Some(*pseudonym)),
        };
        assert_eq!(vault.reveal(*pseudonym).unwrap().as_deref(), clear.as_deref(), "{n}");
        assert_eq!(vault.find("city", PersonKind::Vehicle, &plate(n)).unwrap(), known, "{n}");
    }
}

#[test]
fn people_of_a_commit_share_values_and_each_is_found_and_erased_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, vault) = open(dir.path());
    let mut author = Author::new();
    let pseudonyms: Vec<Pseudonym> =
        (0..1_000).map(|n| vault.intern("city", PersonKind::Vehicle, &plate(n)).unwrap()).collect();
    assert_eq!(pseudonyms.iter().collect::<HashSet<_>>().len(), 1_000);
    journal.commit(&[author.created(A, 5)]).unwrap();
    let late = vault.intern("city", PersonKind::Vehicle, "late").unwrap();
    assert_eq!(vault.reveal(late).unwrap().as_deref(), Some("late"));
    // One who waits still, one on the disk, one who is alone in a value.
    assert!(vault.erase(late).unwrap() && vault.erase(pseudonyms[500]).unwrap());
    let alone = vault.intern("city", PersonKind::Subject, "alone").unwrap();
    journal.commit(&author.changes(A, 1)).unwrap();
    assert!(vault.erase(alone).unwrap());
    expect(&*vault, &pseudonyms);
    drop((journal, vault));

    let (journal, vault) = open(dir.path());
    expect(&*vault, &pseudonyms);
    assert_eq!((vault.reveal(late).unwrap(), vault.reveal(alone).unwrap()), (None, None));
    // Who comes back is somebody else, and places go on.
    let again = vault.intern("city", PersonKind::Vehicle, &plate(500)).unwrap();
    assert!(pseudonyms.iter().all(|before| before.0 < again.0));
    drop((journal, vault));

    assert_eq!(check(dir.path()).unwrap().people, 999);
    tree(dir.path(), "people", |people| {
        let sizes: Vec<usize> = people.iter().values().map(|value| value.unwrap().len()).collect();
        assert!(
            sizes.len() < 10 && sizes.iter().all(|bytes| *bytes <= VALUE_BYTES_MAX),
            "{sizes:?}"
        );
    });
}

#[test]
fn a_plate_that_many_bring_at_once_has_one_pseudonym() {
    const THREADS: usize = 4;
    const PLATES: u32 = 6_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, vault) = open(dir.path());
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (vault, start) = (Arc::clone(&vault), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let intern = |n| loop {
                    // Whoever is faster than the journal is sent away, and comes again.
                    match vault.intern("city", PersonKind::Vehicle, &plate(n)) {
                        Err(JournalError::Crowded { .. }) => std::thread::yield_now(),
                        known => break known.unwrap(),
                    }
                };
                (0..PLATES).map(intern).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 5)]).unwrap();
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        journal.commit(&author.changes(A, 1)).unwrap();
    }
    journal.commit(&author.changes(A, 1)).unwrap();
    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    drop((journal, vault));

    let (_journal, vault) = open(dir.path());
    for (n, pseudonym) in (0..).zip(&answers[0]) {
        assert_eq!(vault.reveal(*pseudonym).unwrap().as_deref(), Some(plate(n).as_str()));
    }
}

/// As format 1 wrote them: a pseudonym drawn at random, and a hash under a key on the disk.
#[test]
fn people_of_format_1_stay_and_their_hashes_go() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, vault) = open(dir.path());
    journal.commit(&[Author::new().created(A, 5)]).unwrap();
    drop((journal, vault));
    let ada = Uuid::from_u128(0x1111_2222_3333_4444_8555_6666_7777_8888);
    let by_pseudonym = [[2].as_slice(), ada.as_bytes()].concat();
    // Tenant, kind (0 is a subject), clear text; each text after its length.
    tree(dir.path(), "vault", |vault| {
        vault.insert(&by_pseudonym, b"\x04city\x00\x03ada").unwrap();
        vault.insert([[1].as_slice(), &[7; 16]].concat(), ada.as_bytes()).unwrap();
    });
    tree(dir.path(), "meta", |meta| drop(meta.insert("format", &1_u16.to_le_bytes()).unwrap()));
    std::fs::write(dir.path().join("vault.key"), [7; 32]).unwrap();
    assert_eq!(check(dir.path()).unwrap().people, 1);
    let backup = backup::of_directory(dir.path(), START).unwrap();
    let bytes: Vec<u8> = backup.flat_map(Result::unwrap).collect();
    let contents = backup::inspect(&*bytes, "the backup", Target::Latest, &mut |_, _| {}).unwrap();
    assert_eq!(contents.people, 1, "she is in a backup, and her hash is not counted");

    let (journal, vault) = open(dir.path());
    assert_eq!(vault.intern("city", PersonKind::Subject, "ada").unwrap(), Pseudonym(ada));
    assert_eq!(vault.reveal(Pseudonym(ada)).unwrap().as_deref(), Some("ada"));
    drop((journal, vault));
    assert!(!dir.path().join("vault.key").exists());
    tree(dir.path(), "vault", |vault| {
        let keys: Vec<_> = vault.iter().keys().map(Result::unwrap).collect();
        assert_eq!(keys, [by_pseudonym]);
    });
    tree(dir.path(), "meta", |meta| {
        assert_eq!(meta.get("format").unwrap().unwrap(), 4_u16.to_le_bytes());
    });

    let (journal, vault) = open(dir.path());
    assert!(vault.erase(Pseudonym(ada)).unwrap());
    assert_ne!(vault.intern("city", PersonKind::Subject, "ada").unwrap(), Pseudonym(ada));
    drop((journal, vault));
    tree(dir.path(), "vault", |vault| {
        let values: Vec<_> = vault.iter().values().map(|value| value.unwrap().to_vec()).collect();
        assert_eq!(values, [Vec::<u8>::new()], "the pseudonym stays, nothing of her does");
    });
}

/// Whoever wrote them himself would wait for the disk, which may hang; the journal's thread writes them when it looks around.
#[test]
fn newcomers_beyond_the_bound_are_sent_away_until_the_journal_has_written_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, vault) = open(dir.path());
    let intern = |n| vault.intern("city", PersonKind::Vehicle, &plate(n));
    let (mut pseudonyms, mut number) = (Vec::new(), 0);
    let refused = loop {
        match intern(number) {
            Ok(pseudonym) => pseudonyms.push(pseudonym),
            Err(refused) => break refused,
        }
        number += 1;
        assert!(number < 10_000, "people without a bound");
    };
    assert!(matches!(refused, JournalError::Crowded { waiting } if waiting == pseudonyms.len()));
    assert_eq!(intern(0).unwrap(), pseudonyms[0], "who is known is not sent away");
    assert_eq!(vault.find("city", PersonKind::Vehicle, &plate(number)).unwrap(), None);
    journal.maintain().unwrap();
    pseudonyms.push(intern(number).unwrap());
    journal.sync().unwrap();
    drop((journal, vault));
    let (_journal, vault) = open(dir.path());
    for (n, pseudonym) in (0..).zip(&pseudonyms) {
        assert_eq!(vault.reveal(*pseudonym).unwrap().as_deref(), Some(plate(n).as_str()));
    }
}

/// Plates without their blanks and dashes: what a gateway would say.
fn without_separators(kind: PersonKind, clear: &str) -> Cow<'_, str> {
    match kind {
        PersonKind::Subject | PersonKind::Request => Cow::Borrowed(clear),
        PersonKind::Vehicle => clear.replace([' ', '-'], "").into(),
    }
}

#[test]
fn texts_with_one_identity_have_one_pseudonym_and_those_of_older_releases_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, vault) = open(dir.path());
    let mut author = Author::new();
    let vehicle = |vault: &dyn Vault, clear: &str| vault.intern("city", PersonKind::Vehicle, clear);
    let find = |vault: &dyn Vault, clear| vault.find("city", PersonKind::Vehicle, clear).unwrap();
    let old = vehicle(&*vault, "DE B-LK 1").unwrap();
    let twins = ["DE A-1", "DE A1"].map(|clear| vehicle(&*vault, clear).unwrap());
    assert_ne!(twins[0], twins[1], "every text is its own identity unless told");
    journal.commit(&[author.created(A, 1)]).unwrap();
    drop((vault, journal));

    let identity = Options { identity: without_separators, ..options(dir.path()) };
    for opened in 0..2 {
        let (mut journal, recovery) = SledJournal::open(identity.clone()).unwrap();
        drop(recovery);
        let vault = journal.vault();
        assert_eq!(vehicle(&*vault, "DEBLK1").unwrap(), old, "{opened}");
        assert_eq!(find(&*vault, "DE BLK 1"), Some(old));
        assert_eq!(vault.reveal(old).unwrap().as_deref(), Some("DE B-LK 1"), "as it was written");
        assert_eq!(find(&*vault, "DE A 1"), Some(twins[1]), "the younger one");
        let subjects = ["a-b", "ab"].map(|clear| vault.intern("city", PersonKind::Subject, clear));
        assert_ne!(subjects[0].as_ref().unwrap(), subjects[1].as_ref().unwrap());
        let new = vehicle(&*vault, "DE C 7").unwrap();
        assert_eq!(vehicle(&*vault, "DE C-7").unwrap(), new);
        assert_eq!(vault.reveal(new).unwrap().as_deref(), Some("DE C 7"), "the first spelling");
        journal.commit(&author.changes(A, 1)).unwrap();
    }

    let (journal, _) = SledJournal::open(identity).unwrap();
    let vault = journal.vault();
    assert!(vault.erase(twins[0]).unwrap());
    assert_eq!(find(&*vault, "DE A1"), Some(twins[1]), "an erased twin takes nobody along");
    assert!(vault.erase(twins[1]).unwrap());
    assert_eq!(find(&*vault, "DE A1"), None);
    assert_eq!(vault.reveal(old).unwrap().as_deref(), Some("DE B-LK 1"));
}
