//! Turns and time: who waits for whom, and for how long.

use std::pin::pin;
use std::task::{Context, Waker};

use super::tests::door;
use super::*;

const STEP: Option<i64> = Some(1_000_000);

#[tokio::test]
async fn who_used_up_his_time_waits_for_the_pacer_and_nobody_else_does() {
    let door = door(10_000, 5_000, 1_000);
    let (heavy, light) = (door.tenant("heavy"), door.tenant("light"));
    let take = |tenant| door.try_turn(tenant).inspect(|turn| turn.used(Duration::from_millis(3)));
    assert!(take(&heavy).is_some() && take(&heavy).is_some(), "unpaced, whatever was used");
    door.allow(None);
    door.allow(STEP);
    assert!(take(&heavy).is_some(), "a millisecond is there, and it takes three");
    for step in 0..2 {
        assert!(door.try_turn(&heavy).is_none(), "{step}: in debt");
        assert!(door.try_turn(&light).is_some());
        door.allow(STEP);
    }
    door.allow(STEP);
    assert!(take(&heavy).is_some(), "paid off");
    door.allow(None);
    assert!(door.try_turn(&heavy).is_some(), "unpaced again");
}

#[tokio::test]
async fn records_cost_time_too_and_a_tenant_who_comes_now_has_some() {
    let door = door(10_000, 10_000, 1_000);
    door.allow(STEP);
    let tenant = door.tenant("new");
    let permit = door.admit(&tenant, 400).unwrap();
    assert!(door.try_turn(&tenant).is_none(), "400 records take more than a millisecond");
    drop(permit);
    assert!(door.try_turn(&door.tenant("newer")).is_some());
}

#[test]
fn time_that_is_not_used_is_saved_up_to_an_end() {
    let door = door(10_000, 10_000, 1_000);
    let tenant = door.tenant("calm");
    (0..1_000).for_each(|_| door.allow(STEP));
    let turns: Vec<_> = (0..1_000)
        .map_while(|_| door.try_turn(&tenant))
        .inspect(|turn| turn.used(Duration::from_millis(4)))
        .collect();
    assert_eq!(turns.len(), SAVED_STEPS as usize / 4);
}

/// All who wait go one after the other as there is time, and all of them when time is not looked at any more.
#[tokio::test]
async fn the_pacer_wakes_who_waits() {
    let door = door(100, 100, 100);
    let tenant = door.tenant("one");
    door.allow(STEP);
    door.try_turn(&tenant).unwrap().used(Duration::from_millis(2));
    let done = Arc::new(AtomicUsize::new(0));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (door, tenant, done) = (Arc::clone(&door), Arc::clone(&tenant), Arc::clone(&done));
            tokio::spawn(async move {
                // Two fit into a step.
                let turn = door.turn(&tenant).await;
                turn.used(Duration::from_micros(500));
                done.fetch_add(1, Ordering::AcqRel);
            })
        })
        .collect();
    let settle = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        done.load(Ordering::Acquire)
    };
    assert_eq!(settle().await, 0);
    door.allow(STEP);
    assert_eq!(settle().await, 0, "still in debt");
    door.allow(STEP);
    let first = settle().await;
    assert!((1..=2).contains(&first), "{first}");
    door.allow(STEP);
    assert!(settle().await > first);
    door.allow(None);
    assert_eq!(settle().await, 10);
    for one in waiting {
        one.await.unwrap();
    }
}

/// Somebody who wants a turn, keeps it for a while, and uses so much time at its end.
fn wants(
    door: &Arc<Door>,
    tenant: &Arc<Tenant>,
    begun: &Arc<std::sync::Mutex<Vec<usize>>>,
    nth: usize,
) -> tokio::task::JoinHandle<()> {
    let (door, tenant, begun) = (Arc::clone(door), Arc::clone(tenant), Arc::clone(begun));
    tokio::spawn(async move {
        let turn = door.turn(&tenant).await;
        begun.lock().unwrap().push(nth);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        turn.used(Duration::from_millis(1));
    })
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Who gives up hands his place on, and who comes when there is just a turn does not go before those who wait.
#[tokio::test]
async fn turns_go_in_order_of_arrival() {
    let door = door(100, 100, 1);
    let (one, other) = (door.tenant("one"), door.tenant("other"));
    let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (held, of_other) = (door.turn(&one).await, door.turn(&other).await);
    let mut waiting = Vec::new();
    for nth in 0..10 {
        waiting.push(wants(&door, &one, &begun, nth));
        settle().await;
    }
    for nth in [0, 4] {
        waiting[nth].abort();
        settle().await;
    }
    drop(held);
    assert!(door.try_turn(&one).is_none(), "the place is theirs who wait");
    waiting.push(wants(&door, &one, &begun, 10));
    settle().await;
    for one in waiting {
        let _given_up = one.await;
    }
    assert_eq!(*begun.lock().unwrap(), [1, 2, 3, 5, 6, 7, 8, 9, 10]);
    drop(of_other);
    assert!(door.try_turn(&one).is_some(), "nobody is left");
}

/// A turn that ends tells the first who waits; his tenant may be in debt all the same.
#[tokio::test]
async fn who_is_woken_for_nothing_keeps_his_place() {
    let door = door(100, 100, 100);
    let tenant = door.tenant("one");
    let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
    door.allow(STEP);
    let (held, used) = (door.try_turn(&tenant).unwrap(), door.try_turn(&tenant).unwrap());
    used.used(Duration::from_millis(5));
    let mut waiting = Vec::new();
    for nth in 0..4 {
        waiting.push(wants(&door, &tenant, &begun, nth));
        settle().await;
    }
    drop(held);
    settle().await;
    assert_eq!(begun.lock().unwrap().len(), 0, "in debt");
    drop(used);
    for _ in 0..20 {
        door.allow(STEP);
        settle().await;
    }
    for one in waiting {
        one.await.unwrap();
    }
    assert_eq!(*begun.lock().unwrap(), [0, 1, 2, 3]);
}

/// What a turn takes is known at its end: so much as in the mean is set aside until then.
#[tokio::test]
async fn nobody_begins_on_time_that_is_spoken_for() {
    let door = door(10_000, 10_000, 1_000);
    let tenant = door.tenant("one");
    let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
    let many = || begun.lock().unwrap().len();
    (0..10).for_each(|_| door.try_turn(&tenant).unwrap().used(Duration::from_millis(1)));
    door.allow(Some(2_500_000));
    let waiting: Vec<_> = (0..10).map(|nth| wants(&door, &tenant, &begun, nth)).collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(many(), 3, "two and a half milliseconds are time for the third to begin");
    settle().await;
    assert_eq!(many(), 3, "they took what was thought");
    for more in 1..=3 {
        door.allow(Some(2_500_000));
        settle().await;
        assert!((3 + 2 * more..=3 + 3 * more).contains(&many()), "{more}: {}", many());
    }
    door.allow(None);
    for one in waiting {
        one.await.unwrap();
    }
}

#[test]
fn one_who_is_still_in_debt_is_not_woken() {
    let door = door(10_000, 10_000, 1_000);
    let tenant = door.tenant("one");
    door.allow(STEP);
    let turn = door.try_turn(&tenant).unwrap();
    turn.used(Duration::from_micros(2_500));
    // What its end tells is heard here, so that only the pacer's word is left.
    drop(turn);
    let heard = || {
        let mut context = Context::from_waker(Waker::noop());
        pin!(tenant.ended.notified()).poll(&mut context).is_ready()
    };
    assert!(heard());
    for (step, expected) in [(1, false), (2, true), (3, false)] {
        door.allow(STEP);
        assert_eq!(heard(), expected, "step {step}");
    }
}
