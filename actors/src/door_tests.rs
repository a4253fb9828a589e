//! The door's rule as a table and as properties, and its counters under many hands.

use super::*;
use proptest::prelude::*;

const RULE: Rule = Rule { alone: 90, contended: 40 };

#[test]
fn the_rule_as_a_table() {
    // held, total, active, wanted, whether it is let in, and why
    for (held, total, active, wanted, may, why) in [
        (0, 0, 1, 1, true, "nobody else is there"),
        (0, 0, 1, 1_000, true, "whoever has nothing may ask, however much it is"),
        (80, 80, 1, 10, true, "alone one has nearly all"),
        (80, 80, 1, 11, false, "but leaves something to the next who comes"),
        (80, 80, 2, 1, false, "a second one is there: more than a share is refused"),
        (0, 80, 2, 1, true, "to the second one there is something left"),
        (19, 99, 2, 1, true, "up to its share, whatever the first one has"),
        (20, 100, 2, 1, false, "and not beyond it while the whole is too much"),
        (20, 30, 2, 10, true, "what nobody uses may be taken"),
        (20, 30, 2, 11, false, "but no more than that"),
        (9, 500, 4, 1, true, "four have ten each"),
        (10, 500, 4, 1, false, "and no more"),
        (0, 500, 100, 1, true, "more tenants than places: each has one"),
        (1, 500, 100, 1, false, "and no second one"),
        (0, 0, 0, 1, true, "a tenant that was just taken for quiet"),
    ] {
        let standing = Standing { held, total, active };
        assert_eq!(RULE.may_take(standing, wanted), may, "{standing:?} + {wanted}: {why}");
    }
}

pub(super) fn door(
    permits_records: usize,
    contended_records: usize,
    contended_requests: usize,
) -> Arc<Door> {
    let options =
        Options { permits_records, contended_records, contended_requests, ..Options::default() };
    Arc::new(Door::new(&options))
}

/// What somebody does at the door.
#[derive(Clone, Copy, Debug)]
enum Act {
    Take { tenant: usize, records: usize },
    GiveBack { nth: usize },
    Look,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..5_usize, 1..40_usize).prop_map(|(tenant, records)| Act::Take { tenant, records }),
        4 => (0..1_000_usize).prop_map(|nth| Act::GiveBack { nth }),
        1 => Just(Act::Look),
    ];
    proptest::collection::vec(act, 1..400)
}

proptest! {
    #[test]
    fn shares_are_kept_whoever_comes_and_goes(acts in acts()) {
        let (permits, contended) = (1_000, 200);
        let door = door(permits, contended, 1);
        let tenants: Vec<_> = (0..5).map(|nth| door.tenant(&format!("t{nth}"))).collect();
        let mut held: Vec<(usize, Permit)> = Vec::new();
        for act in acts {
            match act {
                Act::Take { tenant, records } => {
                    let has: usize =
                        held.iter().filter(|(of, _)| *of == tenant).map(|(_, p)| p.records).sum();
                    let all: usize = held.iter().map(|(_, permit)| permit.records).sum();
                    prop_assert_eq!(door.in_flight(), all);
                    let taken = door.admit(&tenants[tenant], records);
                    let active = door.active();
                    prop_assert!((1..=5).contains(&active));
                    if has + records <= contended / 5 {
                        prop_assert!(taken.is_ok(), "a share is always there: {} of {}", has, all);
                    }
                    if let Ok(permit) = taken {
                        let within = has == 0 || match active {
                            1 => has + records <= permits - contended,
                            _ => all + records <= contended || has + records <= contended / active,
                        };
                        prop_assert!(within, "{} + {} of {}, {} active", has, records, all, active);
                        held.push((tenant, permit));
                    }
                }
                Act::GiveBack { nth } if !held.is_empty() => {
                    let nth = nth % held.len();
                    drop(held.swap_remove(nth));
                }
                Act::GiveBack { .. } => {}
                Act::Look => door.look(),
            }
        }
        drop(held);
        prop_assert_eq!(door.in_flight(), 0);
        (0..10).for_each(|_| door.look());
        prop_assert_eq!(door.active(), 0, "who has nothing and says nothing is not at work");
        for tenant in &tenants {
            prop_assert_eq!(tenant.records.load(Ordering::Acquire), 0);
        }
    }
}

#[test]
fn a_tenant_that_filled_the_engine_alone_leaves_room_for_the_next() {
    let door = door(1_000, 200, 16);
    let (first, second) = (door.tenant("first"), door.tenant("second"));
    let mut flood = Vec::new();
    while let Ok(permit) = door.admit(&first, 10) {
        flood.push(permit);
    }
    assert_eq!(door.in_flight(), 800);
    let mut next = Vec::new();
    while let Ok(permit) = door.admit(&second, 10) {
        next.push(permit);
    }
    assert_eq!(next.len(), 10, "half of what is shared out between two");
    assert!(door.admit(&first, 1).is_err());
    drop((flood, next));
    assert!(door.admit(&first, 150).is_ok());
}

#[test]
fn a_tenant_gets_one_entry_and_there_is_an_end_to_them() {
    let door = door(10, 5, 2);
    assert!(Arc::ptr_eq(&door.tenant("a"), &door.tenant("a")));
    for nth in 0..TENANTS_MAX + 10 {
        door.tenant(&nth.to_string());
    }
    assert_eq!(door.tenants.len(), TENANTS_MAX);
    assert!(Arc::ptr_eq(&door.tenant("late"), &door.tenant("later")));
    assert!(Arc::ptr_eq(&door.tenant("a"), &door.tenant("a")));
}

#[tokio::test]
async fn turns_are_unlimited_alone_and_shared_out_between_two() {
    let door = door(100, 50, 4);
    let (first, second) = (door.tenant("first"), door.tenant("second"));
    let alone: Vec<Turn> = (0..100).map_while(|_| door.try_turn(&first)).collect();
    assert_eq!(alone.len(), 100);
    let next: Vec<Turn> = (0..100).map_while(|_| door.try_turn(&second)).collect();
    assert_eq!(next.len(), 2, "a share of four");
    assert!(door.try_turn(&first).is_none());
    drop(alone);
    let again: Vec<Turn> = (0..100).map_while(|_| door.try_turn(&first)).collect();
    assert_eq!(again.len(), 2);
}

#[tokio::test]
async fn who_waits_for_a_turn_gets_it_when_one_ends_and_is_refused_when_none_does() {
    let door = door(100, 50, 2);
    let (first, second) = (door.tenant("first"), door.tenant("second"));
    let (held, other) = (door.turn(&first).await, door.turn(&second).await);
    let moment = Duration::from_millis(1);
    assert!(matches!(door.turn_within(&first, moment).await, Err(CommandError::Overloaded)));
    let waiting = {
        let (door, first) = (Arc::clone(&door), Arc::clone(&first));
        tokio::spawn(async move { door.turn_within(&first, Duration::from_secs(60)).await })
    };
    tokio::task::yield_now().await;
    drop(held);
    assert!(waiting.await.unwrap().is_ok());
    drop(other);
}

/// Many threads take and give back; nothing is left over and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_turn_is_lost_among_many_hands() {
    let door = door(10_000, 50, 4);
    let hands: Vec<_> = (0..32)
        .map(|hand| {
            let door = Arc::clone(&door);
            let tenant = door.tenant(if hand % 2 == 0 { "even" } else { "odd" });
            tokio::spawn(async move {
                for _ in 0..500 {
                    let turn = door.turn(&tenant).await;
                    let permit = door.admit(&tenant, 1);
                    tokio::task::yield_now().await;
                    drop((permit, turn));
                }
            })
        })
        .collect();
    for hand in hands {
        tokio::time::timeout(Duration::from_secs(60), hand)
            .await
            .expect("no turn is lost")
            .unwrap();
    }
    assert_eq!((door.turns_taken.load(Ordering::Acquire), door.in_flight()), (0, 0));
    assert_eq!(door.active(), 2, "each is counted once, however many hands it has");
    for tenant in ["even", "odd"].map(|name| door.tenant(name)) {
        let left = [&tenant.turns, &tenant.records].map(|of| of.load(Ordering::Acquire));
        assert_eq!(left, [0, 0]);
    }
}

#[test]
fn who_has_something_in_flight_or_was_heard_is_at_work() {
    let door = door(10, 5, 2);
    let tenant = door.tenant("a");
    let permit = door.admit(&tenant, 1);
    assert!(permit.is_ok());
    (0..10).for_each(|_| door.look());
    assert_eq!(door.active(), 1, "it has something in flight");
    drop(permit);
    drop(door.admit(&tenant, 1));
    for _ in 0..QUIET_LOOKS {
        door.look();
        assert_eq!(door.active(), 1, "it was heard a moment ago");
    }
    door.look();
    assert_eq!(door.active(), 0);
}

#[test]
fn what_a_full_engine_refuses_is_not_held() {
    let door = door(10, 5, 2);
    let (first, second) = (door.tenant("first"), door.tenant("second"));
    let held = door.admit(&first, 5);
    assert!(held.is_ok());
    assert!(door.admit(&second, 6).is_err(), "its share would be its, and five are left");
    assert_eq!(second.records.load(Ordering::Acquire), 0);
}
