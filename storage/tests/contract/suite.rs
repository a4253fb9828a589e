//! What every journal promises; each check takes a house that can be opened again and again.

use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_engine::slot;
use lotkeeper_storage::backup::{Site, Target};
use lotkeeper_storage::{
    Claim, ClaimKey, Event, Journal, JournalError, LotSnapshot, Options, PersonKind, Record,
    Recovery, SledJournal,
};

use crate::common::{Author, START, uuid};

/// Somewhere a journal lives. Opening again is a restart: what was opened before must have been dropped.
pub trait House {
    fn open(&mut self) -> (Box<dyn Journal>, Recovery);
    /// Drops records up to `seq` that no start needs, as retention does in the end.
    fn prune(&mut self, journal: &mut dyn Journal, seq: u64);
}

const A: LotKey = LotKey(0);
const B: LotKey = LotKey(1);

/// A new log with two lots.
fn begun(house: &mut dyn House) -> (Box<dyn Journal>, Author) {
    let (mut journal, recovery) = house.open();
    assert!(recovery.report.created && recovery.last_seq == 0 && recovery.epoch != 0);
    let mut author = Author::new();
    let records = [author.created(A, 40), author.created(B, 3)];
    journal.commit(&records).unwrap();
    (journal, author)
}

fn tail_of(recovery: Recovery) -> Vec<Vec<Record>> {
    recovery.tail.collect::<Result<_, _>>().unwrap()
}

fn all(journal: &dyn Journal) -> Vec<Record> {
    journal.reader().after(0, usize::MAX).unwrap().records
}

pub fn acknowledged_records_survive_reopen(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let mut expected = all(&*journal);
    for count in [1, 7, 500, 2_000, 1] {
        let records = author.changes(A, count);
        journal.commit(&records).unwrap();
        expected.extend(records);
    }
    let mut claimed = author.reserved(B, 2, 4);
    claimed.claim = Some(Claim { key: ClaimKey(u128::MAX - 5), fingerprint: 0xfeed });
    journal.commit(&[claimed.clone()]).unwrap();
    expected.push(claimed);
    drop(journal);
    let (mut journal, recovery) = house.open();
    assert!(!recovery.report.created);
    assert_eq!(recovery.last_seq, author.seq);
    assert_eq!(recovery.last_at, expected.last().unwrap().at);
    let tail = tail_of(recovery);
    assert_eq!(tail.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 7, 500, 2_000, 1, 1]);
    assert_eq!(tail.concat(), expected);
    // And the log goes on.
    let more = author.changes(B, 3);
    journal.commit(&more).unwrap();
    expected.extend(more);
    assert_eq!(all(&*journal), expected);
}

pub fn nothing_is_committed_by_an_empty_commit(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    journal.commit(&[]).unwrap();
    let next = author.changes(A, 1);
    journal.commit(&next).unwrap();
    drop(journal);
    assert_eq!(tail_of(house.open().1).len(), 2);
}

pub fn gaps_are_refused_and_nothing_is_accepted_after(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let good = author.changes(A, 3);
    journal.commit(&good).unwrap();
    let before = author.clone();
    let damage: [fn(&mut Record); 4] = [
        |record| record.seq += 1,
        |record| record.seq -= 1,
        |record| record.lot_seq += 1,
        |record| record.lot = B,
    ];
    for spoil in damage {
        let mut author = before.clone();
        let mut records = author.changes(A, 3);
        spoil(&mut records[1]);
        let refused = journal.commit(&records).unwrap_err();
        assert!(matches!(refused, JournalError::OutOfOrder { .. }), "{refused}");
        let mut author = before.clone();
        let poisoned = journal.commit(&author.changes(A, 1)).unwrap_err();
        assert!(matches!(poisoned, JournalError::Poisoned { .. }), "{poisoned}");
        assert!(matches!(journal.sync(), Err(JournalError::Poisoned { .. })));
        drop(journal);
        let (reopened, recovery) = house.open();
        assert_eq!(recovery.last_seq, before.seq);
        drop(recovery);
        journal = reopened;
    }
    journal.commit(&author.changes(A, 1)).unwrap();
}

pub fn recovery_starts_from_the_older_snapshot(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let mut second = 0;
    for round in 0..4 {
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.commit(&author.changes(B, 30)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        if round == 2 {
            second = author.seq;
            journal.save_snapshot(&author.snapshot(B)).unwrap();
        }
    }
    journal.commit(&author.changes(A, 5)).unwrap();
    drop(journal);
    let (_journal, recovery) = house.open();
    let starts: Vec<_> = recovery.snapshots.iter().map(|s| (s.lot, s.seq)).collect();
    assert_eq!(starts, [(A, second), (B, second)]);
    let resumed_from = recovery.snapshots.clone();
    let tail = tail_of(recovery);
    assert_eq!(tail[0][0].seq, second + 1, "the tail begins after the snapshots, not at the start");
    assert_eq!(Author::resume(&resumed_from, tail.into_iter()).states(), author.states());
}

pub fn the_tail_holds_everything_of_a_lot_without_a_snapshot(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    journal.commit(&author.changes(B, 3)).unwrap();
    for _ in 0..3 {
        journal.commit(&author.changes(A, 100)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let (_journal, recovery) = house.open();
    assert_eq!(recovery.snapshots.len(), 1);
    let snapshots = recovery.snapshots.clone();
    let resumed = Author::resume(&snapshots, tail_of(recovery).into_iter());
    assert_eq!(resumed.states(), author.states());
}

pub fn pages_come_in_order_and_without_holes(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    // One loud lot, one that says something now and then.
    for _ in 0..60 {
        journal.commit(&author.changes(A, 400)).unwrap();
        journal.commit(&author.changes(B, 1)).unwrap();
    }
    let everything = all(&*journal);
    assert_eq!(everything.len(), 2 + 60 * 401);
    let reader = journal.reader();
    let mut paged = Vec::new();
    while let Some(after) = Some(paged.len() as u64) {
        let page = reader.after(after, 997).unwrap();
        assert_eq!(page.first_seq, 1);
        assert!(page.records.len() <= 997);
        if page.records.is_empty() {
            break;
        }
        paged.extend(page.records);
    }
    assert_eq!(paged, everything);
    for (lot, limit) in [(A, 1_000), (B, 7), (B, 1)] {
        let of_lot: Vec<_> = everything.iter().filter(|r| r.lot == lot).cloned().collect();
        let mut paged: Vec<Record> = Vec::new();
        loop {
            let page = reader.lot_after(lot, paged.len() as u64, limit).unwrap();
            assert!(page.records.len() <= limit);
            if page.records.is_empty() {
                break;
            }
            paged.extend(page.records);
        }
        assert_eq!(paged, of_lot);
    }
    assert!(reader.lot_after(LotKey(9), 0, 10).unwrap().records.is_empty());
    assert!(reader.after(author.seq + 10, 10).unwrap().records.is_empty());
    assert!(reader.lot_after(A, u64::MAX, 10).unwrap().records.is_empty());
}

pub fn what_was_pruned_is_told_to_be(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    for _ in 0..6 {
        // Of several frames: one that ends after the limit stays, its first frames too.
        journal.commit(&author.changes(A, 900)).unwrap();
        journal.commit(&author.changes(B, 2)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.save_snapshot(&author.snapshot(B)).unwrap();
    }
    journal.sync().unwrap();
    let everything = all(&*journal);
    house.prune(&mut *journal, 2_300);
    let reader = journal.reader();
    let first_seq = journal.maintain().unwrap().first_seq;
    assert!(first_seq > 2, "{first_seq}");
    for after in [0, first_seq - 2] {
        let pruned = reader.after(after, 10).unwrap_err();
        assert!(matches!(pruned, JournalError::Pruned { first_seq: f } if f == first_seq));
    }
    let page = reader.after(first_seq - 1, usize::MAX).unwrap();
    assert_eq!(page.records, everything[usize::try_from(first_seq).unwrap() - 1..]);
    for lot in [A, B] {
        let kept: Vec<_> = page.records.iter().filter(|r| r.lot == lot).cloned().collect();
        let before = kept[0].lot_seq - 1;
        assert_eq!(reader.lot_after(lot, before, usize::MAX).unwrap().records, kept);
        let pruned = reader.lot_after(lot, before - 1, 10).unwrap_err();
        assert!(matches!(pruned, JournalError::Pruned { .. }), "{pruned}");
    }
    drop(reader);
    drop(journal);
    let (journal, recovery) = house.open();
    let snapshots = recovery.snapshots.clone();
    let resumed = Author::resume(&snapshots, tail_of(recovery).into_iter());
    assert_eq!(resumed.states(), author.states());
    assert!(matches!(journal.reader().after(0, 1), Err(JournalError::Pruned { .. })));
}

pub fn a_record_larger_than_any_frame_survives(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let big = LotKey(2);
    let mut records = author.changes(A, 3);
    records.push(author.created(big, 10_000));
    records.extend(author.changes(big, 3));
    journal.commit(&records).unwrap();
    journal.commit(&author.changes(big, 10)).unwrap();
    journal.save_snapshot(&author.snapshot(big)).unwrap();
    journal.commit(&author.changes(big, 10)).unwrap();
    assert_eq!(journal.reader().after(2, records.len()).unwrap().records, records);
    drop(journal);
    let (_journal, recovery) = house.open();
    let snapshots = recovery.snapshots.clone();
    assert_eq!(snapshots[0].slots.len(), 10_000);
    let resumed = Author::resume(&snapshots, tail_of(recovery).into_iter());
    assert_eq!(resumed.states(), author.states());
}

pub fn the_epoch_stays_at_a_restart(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let mut epochs = Vec::new();
    for _ in 0..3 {
        journal.commit(&author.changes(A, 3)).unwrap();
        drop(journal);
        let (reopened, recovery) = house.open();
        assert_eq!(recovery.report.ends_below_tip, None);
        epochs.push(recovery.epoch);
        drop(recovery);
        journal = reopened;
    }
    assert!(epochs[0] != 0 && epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
}

pub fn people_are_found_and_erased(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let vault = journal.vault();
    let plate = vault.intern("city", PersonKind::Vehicle, "DE B-LK 1").unwrap();
    let others = [
        vault.intern("city", PersonKind::Subject, "DE B-LK 1").unwrap(),
        vault.intern("town", PersonKind::Vehicle, "DE B-LK 1").unwrap(),
        vault.intern("city", PersonKind::Vehicle, "DE B-LK 2").unwrap(),
        vault.intern("city", PersonKind::Request, "DE B-LK 1").unwrap(),
    ];
    // The longest that a gateway takes, of the longest characters there are.
    let wish = format!("{} {}", uuid(9), "\u{1F697}".repeat(500));
    let request = vault.intern("city", PersonKind::Request, &wish).unwrap();
    assert!(!others.contains(&plate));
    assert_eq!(vault.intern("city", PersonKind::Vehicle, "DE B-LK 1").unwrap(), plate);
    assert_eq!(vault.find("city", PersonKind::Vehicle, "DE B-LK 1").unwrap(), Some(plate));
    assert_eq!(vault.find("city", PersonKind::Vehicle, "DE B-LK 3").unwrap(), None);
    journal.commit(&author.changes(A, 1)).unwrap();
    drop((vault, journal));
    let (journal, _) = house.open();
    let vault = journal.vault();
    assert_eq!(vault.reveal(plate).unwrap().as_deref(), Some("DE B-LK 1"));
    assert_eq!(vault.reveal(request).unwrap().as_deref(), Some(&*wish));
    assert_eq!(vault.intern("city", PersonKind::Request, &wish).unwrap(), request);
    assert!(vault.erase(request).unwrap());
    assert_eq!(vault.reveal(request).unwrap(), None);
    assert!(vault.erase(plate).unwrap());
    assert!(!vault.erase(plate).unwrap());
    assert!(!vault.erase(Pseudonym(uuid(1))).unwrap());
    drop((vault, journal));
    let (journal, _) = house.open();
    let vault = journal.vault();
    assert_eq!(vault.reveal(plate).unwrap(), None);
    assert_eq!(vault.find("city", PersonKind::Vehicle, "DE B-LK 1").unwrap(), None);
    assert_eq!(vault.reveal(others[1]).unwrap().as_deref(), Some("DE B-LK 1"));
    let again = vault.intern("city", PersonKind::Vehicle, "DE B-LK 1").unwrap();
    assert_ne!(again, plate, "an erased person comes back as another");
}

pub fn times_far_apart_survive(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let mut record = author.changed(A, 0);
    record.at = lotkeeper_engine::time::Timestamp::MAX;
    if let Event::Slot(_, slot::Event::Occupied(sighting)) = &mut record.event {
        sighting.mark.observed_at = lotkeeper_engine::time::Timestamp::MIN;
    }
    let mut second = author.changed(A, 1);
    second.at = START;
    journal.commit(&[record.clone(), second.clone()]).unwrap();
    drop(journal);
    assert_eq!(tail_of(house.open().1)[1], [record, second]);
}

/// What `backup` gives is the log up to its sequence with snapshots and people, whatever comes later.
pub fn a_backup_holds_everything_up_to_its_sequence(house: &mut dyn House) {
    let (mut journal, mut author) = begun(house);
    let plate = journal.vault().intern("city", PersonKind::Vehicle, "DE B-LK 1").unwrap();
    journal.commit(&author.changes(A, 700)).unwrap();
    journal.save_snapshot(&author.snapshot(A)).unwrap();
    let mut claimed = author.reserved(B, 1, 3);
    claimed.claim = Some(Claim { key: ClaimKey(9), fingerprint: 7 });
    journal.commit(&[claimed]).unwrap();
    let (as_of, expected) = (author.clone(), all(&*journal));
    let backup = journal.reader().backup(author.seq, START).unwrap();
    journal.commit(&author.changes(A, 30)).unwrap();
    let bytes: Vec<u8> = backup.map(Result::unwrap).collect::<Vec<_>>().concat();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut open = || Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn std::io::Read>);
    let site = Site::new(&data).unwrap();
    let restored = site.restore(&mut open, "the backup", Target::Latest, &mut |_, _| {}).unwrap();
    assert_eq!((restored.contents.snapshots, restored.contents.people), (1, 1));
    let options = Options { data_dir: data, ..Options::default() };
    let (journal, recovery) = SledJournal::open(options).unwrap();
    // Lot A did not change between its snapshot and the end of the backup.
    assert_eq!(recovery.snapshots, [LotSnapshot { seq: 702, ..as_of.snapshot(A) }]);
    assert_eq!(all(&journal), expected);
    assert_eq!(journal.vault().reveal(plate).unwrap().as_deref(), Some("DE B-LK 1"));
}
