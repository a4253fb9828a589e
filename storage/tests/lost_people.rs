//! People whom the disk loses are told, and nobody else: a place that has neither a person nor a run is a loss,
//! wherever it is; an erasure without a trace is one too. Values are taken out behind the journal's back, as sled takes
//! them when it cannot read what is under them; what flipped bytes do is in `disk_damage`.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Author, START, released};
use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot;
use lotkeeper_engine::time::{Seconds, Window};
use lotkeeper_storage::format::Tip;
use lotkeeper_storage::{
    Event, Journal, Options, PersonKind, RecoveryReport, SledJournal, Vault, check,
};

const A: LotKey = LotKey(1);
/// Some values, the last of them not full.
const PEOPLE: u32 = 1_000;

fn options(dir: &Path) -> Options {
    let cache_bytes = 8 * 1024 * 1024;
    Options { data_dir: dir.to_path_buf(), cache_bytes, tip_interval_ms: 0, ..Options::default() }
}

fn open(dir: &Path) -> (SledJournal, Arc<dyn Vault>, RecoveryReport) {
    if dir.join("CURRENT").exists() {
        released(dir);
    }
    let (journal, recovery) = SledJournal::open(options(dir)).unwrap();
    let vault = journal.vault();
    (journal, vault, recovery.report)
}

fn plate(n: u32) -> String {
    format!("DE B-LK {n}")
}

fn intern(vault: &dyn Vault, clear: &str) -> Pseudonym {
    vault.intern("city", PersonKind::Vehicle, clear).unwrap()
}

/// Thousand people, and a reservation of the last; ended in order.
fn settled(dir: &Path) -> Vec<Pseudonym> {
    let (mut journal, vault, _) = open(dir);
    let mut author = Author::new();
    let people: Vec<_> = (0..PEOPLE).map(|n| intern(&*vault, &plate(n))).collect();
    journal.commit(&[author.created(A, 5)]).unwrap();
    let reserved = lot::Reserved {
        id: ReservationId(common::uuid(1)),
        slot: SlotIndex(1),
        window: Window { from: START, to: START.plus(Seconds(60)) },
        expires_at: None,
        holder: *people.last().unwrap(),
        vehicle: None,
        price: None,
        series: None,
        request: None,
    };
    let event = Event::Lot(lot::Event::Reserved(Box::new(reserved)));
    journal.commit(&[author.record(A, event)]).unwrap();
    journal.sync().unwrap();
    people
}

/// Works on the tree of people in the live journal, which is closed.
fn tree<T>(dir: &Path, work: impl FnOnce(&sled::Tree) -> T) -> T {
    named_tree(dir, "people", work)
}

fn named_tree<T>(dir: &Path, name: &str, work: impl FnOnce(&sled::Tree) -> T) -> T {
    let db = sled::open(released(dir)).unwrap();
    let done = work(&db.open_tree(name).unwrap());
    db.flush().unwrap();
    done
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().unwrap())
}

/// Keys and values of the tree.
fn values(dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let row = |(key, value): (sled::IVec, sled::IVec)| (number(&key), value.to_vec());
    tree(dir, |people| people.iter().map(|entry| row(entry.unwrap())).collect())
}

/// What the first start after the loss tells, and that the next ones know of it.
#[track_caller]
fn expect_lost(dir: &Path, lost: u64) {
    let before = check(dir).unwrap();
    let said = format!("vault: {lost} people are lost");
    assert!(before.problems.iter().any(|problem| problem.starts_with(&said)), "{before}");

    let (mut journal, vault, report) = open(dir);
    assert_eq!((report.people_lost, report.people_lost_before), (lost, 0));
    assert_eq!((report.people, report.erasures_lost), (u64::from(PEOPLE) - lost, 0));
    // Who comes after them has a place of his own.
    let next = intern(&*vault, "somebody new");
    assert_eq!(next.0.as_u128() >> 80, u128::from(PEOPLE));
    journal.sync().unwrap();
    drop((journal, vault));

    let (journal, vault, report) = open(dir);
    assert_eq!((report.people_lost, report.people_lost_before), (0, lost));
    drop((journal, vault));
    let after = check(dir).unwrap();
    assert!(after.is_clean() && after.notes.iter().any(|note| note.starts_with(&said)), "{after}");
}

#[test]
fn people_lost_at_the_beginning_amid_and_at_the_end_are_told() {
    for lost_value in [0, 1, usize::MAX] {
        let dir = tempfile::tempdir().unwrap();
        settled(dir.path());
        let places: Vec<u64> = values(dir.path()).iter().map(|(key, _)| *key).collect();
        let at = lost_value.min(places.len() - 1);
        let after = places.get(at + 1).copied().unwrap_or(u64::from(PEOPLE));
        tree(dir.path(), |people| people.remove(places[at].to_be_bytes()).unwrap().unwrap());
        expect_lost(dir.path(), after - places[at]);
    }
}

#[test]
fn that_nobody_is_there_at_all_is_told_too() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    tree(dir.path(), |people| people.clear().unwrap());
    expect_lost(dir.path(), u64::from(PEOPLE));
}

/// A value that has all its people but one; and what is lost does not become an erasure by standing beside one.
#[test]
fn a_hole_amid_a_value_is_told_too() {
    let dir = tempfile::tempdir().unwrap();
    let people = settled(dir.path());
    let (key, mut value) = values(dir.path()).remove(0);
    // A pseudonym, a tenant and a plate after their lengths, and between them a kind.
    let one = 16 + 1 + "city".len() + 1 + 1 + plate(1).len();
    assert!(value[..one].ends_with(plate(0).as_bytes()));
    value.drain(one..2 * one);
    tree(dir.path(), |people| people.insert(key.to_be_bytes(), value).unwrap());
    expect_lost(dir.path(), 1);
    let (mut journal, vault, _) = open(dir.path());
    assert!(vault.erase(people[2]).unwrap());
    journal.sync().unwrap();
    drop((journal, vault));
    let (_journal, _vault, report) = open(dir.path());
    let lost = (report.people_lost, report.people_lost_before, report.erasures_lost);
    assert_eq!(lost, (0, 1, 0));
}

/// No record names the last of them: the tip alone knows that there was one more.
#[test]
fn people_whom_no_record_names_are_told() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let (mut journal, vault, _) = open(dir.path());
    intern(&*vault, "late");
    journal.sync().unwrap();
    drop((journal, vault));
    tree(dir.path(), |people| people.clear().unwrap());
    let (_journal, _vault, report) = open(dir.path());
    assert_eq!(report.people_lost, u64::from(PEOPLE) + 1);
}

/// They have no places, so they are counted.
#[test]
fn people_of_format_1_are_told() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let key = [[2].as_slice(), &[7; 16]].concat();
    named_tree(dir.path(), "vault", |vault| vault.insert(&key, b"\x04city\x00\x03ada").unwrap());
    let (journal, vault, report) = open(dir.path());
    assert_eq!((report.people, report.people_lost), (u64::from(PEOPLE) + 1, 0));
    drop((journal, vault));
    named_tree(dir.path(), "vault", |vault| vault.remove(&key).unwrap().unwrap());
    let (_journal, _vault, report) = open(dir.path());
    assert_eq!((report.people, report.people_lost), (u64::from(PEOPLE), 1));
}

/// Whoever a record names has a place, so a tip that is lost as well hides nobody before him.
#[test]
fn without_a_tip_records_tell_how_far_people_went() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    std::fs::remove_file(dir.path().join("TIP")).unwrap();
    tree(dir.path(), |people| people.clear().unwrap());
    let (_journal, _vault, report) = open(dir.path());
    assert_eq!(report.people_lost, u64::from(PEOPLE));
}

#[test]
fn an_erasure_that_is_undone_is_told_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    let people = settled(dir.path());
    let before = values(dir.path());
    let (mut journal, vault, _) = open(dir.path());
    assert!(vault.erase(people[500]).unwrap());
    journal.sync().unwrap();
    drop((journal, vault));
    let (key, value) = before.iter().rfind(|(key, _)| *key <= 500).unwrap();
    tree(dir.path(), |people| people.insert(key.to_be_bytes(), value.as_slice()).unwrap());

    let checked = check(dir.path()).unwrap();
    assert!(checked.to_string().contains("vault: 1 erasures are lost"), "{checked}");
    let (journal, vault, report) = open(dir.path());
    assert_eq!((report.people_lost, report.erasures_lost), (0, 1));
    assert!(vault.erase(people[500]).unwrap());
    drop((journal, vault));
    let (_journal, _vault, report) = open(dir.path());
    assert_eq!(report.erasures_lost, 0);
}

/// No clear text stays, no place is lost, and what is left of many is as little as of one.
#[test]
fn erased_places_come_together_and_are_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let people = settled(dir.path());
    let rotating = Options { rotate_bytes: 1, ..options(dir.path()) };
    released(dir.path());
    let (mut journal, _) = SledJournal::open(rotating).unwrap();
    let vault = journal.vault();
    // One of them is not on the disk yet, and the last of all stays.
    let late = intern(&*vault, "late");
    for person in people[1..].iter().rev().chain([&late]) {
        assert!(vault.erase(*person).unwrap());
    }
    let stays = intern(&*vault, "stays");
    journal.sync().unwrap();
    while !journal.maintain().unwrap().rotated {
        std::thread::yield_now();
    }
    drop((journal, vault));
    let values = values(dir.path());
    let bytes: usize = values.iter().map(|(_, value)| value.len()).sum();
    assert!(values.len() <= 3 && bytes < 200, "{values:?}");
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    let kept: String = values.iter().map(|(_, value)| text(value)).collect();
    let there = |clear: &str| kept.contains(clear);
    assert!(there(&plate(0)) && there("stays") && !there(&plate(1)) && !there("late"), "{kept}");

    assert!(check(dir.path()).unwrap().is_clean());
    let (_journal, vault, report) = open(dir.path());
    assert_eq!((report.people, report.people_lost, report.erasures_lost), (2, 0, 0));
    assert_eq!(vault.reveal(stays).unwrap().as_deref(), Some("stays"));
}

#[test]
fn the_last_places_stay_taken_when_all_in_them_are_erased() {
    let dir = tempfile::tempdir().unwrap();
    let people = settled(dir.path());
    released(dir.path());
    let rotating = Options { rotate_bytes: 1, ..options(dir.path()) };
    let (mut journal, _) = SledJournal::open(rotating).unwrap();
    let vault = journal.vault();
    for person in &people[1..] {
        assert!(vault.erase(*person).unwrap());
    }
    journal.sync().unwrap();
    while !journal.maintain().unwrap().rotated {
        std::thread::yield_now();
    }
    drop((journal, vault));
    assert!(check(dir.path()).unwrap().is_clean());
    let (_journal, vault, report) = open(dir.path());
    assert_eq!((report.people, report.people_lost, report.erasures_lost), (1, 0, 0));
    assert_eq!(intern(&*vault, "next").0.as_u128() >> 80, u128::from(PEOPLE));
}

/// Of format 2, whose tip is lost.
#[test]
fn empty_places_of_format_2_are_erasures_without_a_tip() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let places: Vec<u64> = values(dir.path()).iter().map(|(key, _)| *key).collect();
    tree(dir.path(), |people| people.remove(places[1].to_be_bytes()).unwrap().unwrap());
    named_tree(dir.path(), "meta", |meta| meta.insert("format", &2_u16.to_le_bytes()).unwrap());
    std::fs::remove_file(dir.path().join("TIP")).unwrap();
    let (_journal, _vault, report) = open(dir.path());
    assert_eq!((report.people_lost, report.people_lost_before), (0, 0));
    assert_eq!(report.people, u64::from(PEOPLE) - (places[2] - places[1]));
}

/// A release that did not count left nothing in the place of whoever was erased, and a tip of format 1.
#[test]
fn empty_places_of_earlier_releases_are_erasures() {
    let dir = tempfile::tempdir().unwrap();
    settled(dir.path());
    let places: Vec<u64> = values(dir.path()).iter().map(|(key, _)| *key).collect();
    tree(dir.path(), |people| people.remove(places[1].to_be_bytes()).unwrap().unwrap());
    let tip = Tip::from_bytes(&std::fs::read(dir.path().join("TIP")).unwrap()).unwrap();
    let bare = Tip::bare(tip.epoch, tip.seq).to_bytes();
    std::fs::write(dir.path().join("TIP"), bare).unwrap();
    assert!(check(dir.path()).unwrap().is_clean());
    for _ in 0..2 {
        let (_journal, _vault, report) = open(dir.path());
        assert_eq!((report.people_lost, report.people_lost_before), (0, 0));
        assert_eq!(report.people, u64::from(PEOPLE) - (places[2] - places[1]));
    }
    assert!(check(dir.path()).unwrap().is_clean());
}
