//! Claims: of equal requests one does it, the others get its answer or are told that it is on its way.

use std::sync::Arc;

use loom::thread;
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome};
use uuid::Uuid;

use crate::claims::{Begun, Claims, Remembered};
use crate::error::CommandError;
use crate::explore;
use crate::sync::{AtomicU64, Ordering};

const CLAIM: Claim = Claim { key: ClaimKey(7), fingerprint: 1 };
const LOT: LotKey = LotKey(3);

fn id() -> Uuid {
    Uuid::from_u128(9)
}

/// One request: claims, has its effect, is remembered and keeps its claims, or gives up. What it saw.
#[derive(Debug, PartialEq, Eq)]
enum Saw {
    Did,
    Refused,
    Answer(u64),
    InProgress,
    Taken,
}

fn remembered(lot_seq: u64) -> Arc<Remembered> {
    Arc::new(Remembered { lot: LOT, lot_seq, outcome: ClaimOutcome::Lot { version: 1 } })
}

fn request(claims: &Arc<Claims>, effects: &AtomicU64, granted: bool) -> Saw {
    match claims.begin(Some(CLAIM), (&[id()], LOT)) {
        Ok(Begun::New(ticket)) if granted => {
            let number = effects.fetch_add(1, Ordering::AcqRel) + 1;
            claims.remember(CLAIM, remembered(number));
            ticket.keep(|_| true, |_| true);
            Saw::Did
        }
        Ok(Begun::New(refused)) => {
            drop(refused);
            Saw::Refused
        }
        Ok(Begun::Repeated(first)) => Saw::Answer(first.lot_seq),
        Err(CommandError::RequestInProgress) => Saw::InProgress,
        Err(CommandError::Rejected(_)) => Saw::Taken,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn of_equal_requests_one_has_the_effect() {
    explore(3, || {
        let (claims, effects) = (Arc::new(Claims::default()), Arc::new(AtomicU64::new(0)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (claims, effects) = (Arc::clone(&claims), Arc::clone(&effects));
                thread::spawn(move || request(&claims, &effects, true))
            })
            .collect();
        let mut saw = vec![request(&claims, &effects, true)];
        saw.extend(others.into_iter().map(|other| other.join().unwrap()));
        let did = saw.iter().filter(|saw| **saw == Saw::Did).count();
        assert_eq!((did, effects.load(Ordering::Acquire)), (1, 1), "{saw:?}");
        for saw in saw {
            assert!(matches!(saw, Saw::Did | Saw::Answer(1) | Saw::InProgress), "{saw:?}");
        }
        // Whoever asks later gets the first answer, and the id leads to its lot.
        assert_eq!(request(&claims, &effects, true), Saw::Answer(1));
        assert_eq!(claims.lot_of(id()), Some(LOT));
    });
}

/// A refusal releases what it held, for whoever comes next, and nothing that another one holds.
#[test]
fn a_refusal_releases_its_own_claims_alone() {
    explore(3, || {
        let (claims, effects) = (Arc::new(Claims::default()), Arc::new(AtomicU64::new(0)));
        let refused = {
            let (claims, effects) = (Arc::clone(&claims), Arc::clone(&effects));
            thread::spawn(move || request(&claims, &effects, false))
        };
        let granted = request(&claims, &effects, true);
        let refused = refused.join().unwrap();
        match (granted, refused) {
            (Saw::Did, Saw::Refused | Saw::InProgress | Saw::Answer(1) | Saw::Taken) => {
                assert_eq!(claims.lot_of(id()), Some(LOT), "what was granted is still known");
                assert_eq!(request(&claims, &effects, true), Saw::Answer(1));
            }
            (Saw::InProgress | Saw::Taken, Saw::Refused) => {
                assert_eq!((claims.len(), claims.lot_of(id())), (0, None), "nothing stays");
                assert_eq!(request(&claims, &effects, true), Saw::Did);
            }
            other => panic!("{other:?}"),
        }
    });
}

/// What is remembered outlives the claim, answered or not; what is not remembered is free again.
#[test]
fn a_key_stays_by_what_is_remembered() {
    explore(1, || {
        for (is_kept, is_remembered) in [(true, true), (false, true), (true, false)] {
            let claims = Arc::new(Claims::default());
            let Ok(Begun::New(ticket)) = claims.begin(Some(CLAIM), (&[], LOT)) else {
                panic!("new")
            };
            if is_remembered {
                claims.remember(CLAIM, remembered(1));
            }
            if is_kept {
                ticket.keep(|_| true, |_| true);
            } else {
                drop(ticket);
            }
            let again = claims.begin(Some(CLAIM), (&[], LOT));
            match is_remembered {
                true => assert!(matches!(again, Ok(Begun::Repeated(_)))),
                false => assert!(matches!(again, Ok(Begun::New(_)))),
            }
        }
    });
}

/// Two keys for one reservation's id: one gets it, the other one's key is free again.
#[test]
fn an_id_is_given_once() {
    explore(3, || {
        let claims = Arc::new(Claims::default());
        let claim = |number: u128| Claim { key: ClaimKey(number), fingerprint: 1 };
        let try_it = move |claims: &Arc<Claims>, number| match claims
            .begin(Some(claim(number)), (&[id()], LOT))
        {
            Ok(Begun::New(ticket)) => Some(ticket),
            Ok(Begun::Repeated(_)) => panic!("nothing was remembered"),
            Err(_) => None,
        };
        let other = {
            let claims = Arc::clone(&claims);
            thread::spawn(move || try_it(&claims, 2))
        };
        let tickets = [try_it(&claims, 1), other.join().unwrap()];
        assert_eq!(tickets.iter().flatten().count(), 1);
        assert_eq!(claims.len(), 1, "the loser's key is free again");
        drop(tickets);
        assert_eq!((claims.len(), claims.lot_of(id())), (0, None));
    });
}

/// A lot's name is claimed by one of those who create it at once.
#[test]
fn a_name_is_claimed_once() {
    explore(3, || {
        let claims = Arc::new(Claims::default());
        let named = |claims: &Arc<Claims>| {
            let Ok(Begun::New(mut ticket)) = claims.begin(None, (&[], LOT)) else {
                panic!("no claim")
            };
            ticket.claim_name("city", "L1").is_ok().then_some(ticket)
        };
        let other = {
            let claims = Arc::clone(&claims);
            thread::spawn(move || named(&claims))
        };
        let tickets = [named(&claims), other.join().unwrap()];
        assert_eq!(tickets.iter().flatten().count(), 1);
        drop(tickets);
        assert!(named(&claims).is_some(), "released with its ticket");
    });
}
