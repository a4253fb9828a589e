//! Parts that are never restarted: their death ends the process, and until then nobody waits for ever.
//!
//! A panic is planted where the part wakes somebody: the waker of the test's own future.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;
#[path = "common/hooked.rs"]
mod hooked;

use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{create, reserve, spec, window};
use hooked::{Hook, engine_over, gate};
use lotkeeper_actors::{CommandError, Engine, LotHandle, NotReady, Options, Watcher};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Choice, Command};

const DEADLINE: Duration = Duration::from_secs(20);

/// Whoever wakes it dies.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("planted by a test");
    }
}

/// An engine, and the causes that `on_fatal` is told.
async fn engine_with(hook: Hook) -> (Engine, Receiver<String>) {
    let (tell, told) = channel();
    let on_fatal = Arc::new(move |cause: &str| drop(tell.send(cause.to_owned())));
    let options = Options { tick_ms: Some(10), on_fatal, ..Options::default() };
    (engine_over(hook, options).await, told)
}

async fn plain_engine() -> (Engine, Receiver<String>) {
    engine_with(Box::new(|| Ok(()))).await
}

/// Polls once with the bomb; whether the future waits now, and whoever wakes it dies.
fn arm(future: std::pin::Pin<&mut impl Future>) -> bool {
    let waker = Waker::from(Arc::new(Bomb));
    matches!(future.poll(&mut Context::from_waker(&waker)), Poll::Pending)
}

#[track_caller]
fn assert_lost(engine: &Engine, told: &Receiver<String>, cause: &str) {
    assert_eq!(told.recv_timeout(DEADLINE).expect("the process is told to end"), cause);
    assert_eq!(engine.ready().err(), Some(NotReady::JournalFailed));
}

fn wanted() -> Command {
    reserve(1, Choice::Slot(SlotIndex(0)), window(3_600, 7_200), None)
}

/// Opens the gate for a lot, arms the answer to a booking behind it and lets everything through: whoever gives that answer
/// dies. What it gives back is to be kept until then.
async fn armed_booking(engine: &Engine, go: Sender<()>) -> (LotHandle, impl Sized + use<>) {
    go.send(()).unwrap();
    let lot = create(engine, "L1", 1).await;
    let mut answer = Box::pin(engine.command(&lot, wanted(), None).unwrap());
    assert!(arm(answer.as_mut()));
    (lot, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_dies_ends_the_process() {
    let (go, hook) = gate();
    let (engine, told) = engine_with(hook).await;
    let (lot, _armed) = armed_booking(&engine, go).await;
    assert_lost(&engine, &told, "the publisher died");
    let later = engine.command(&lot, common::confirm(1), None).err();
    assert!(matches!(later, Some(CommandError::OutcomeUnknown)), "{later:?}");
}

/// Set for the process that is to die.
const CHILD: &str = "LOTKEEPER_TEST_CHILD";

/// With the options of a server and nothing else: its publisher dies.
async fn lose_the_publisher() {
    let (go, hook) = gate();
    let engine = engine_over(hook, Options::default()).await;
    let _armed = armed_booking(&engine, go).await;
    // The end comes from another thread; a process that lives so long ends well, and the test fails.
    tokio::time::sleep(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_really_ends() {
    if std::env::var_os(CHILD).is_some() {
        return lose_the_publisher().await;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "the_process_really_ends", "--nocapture"]).env(CHILD, "1");
    let output = tokio::task::spawn_blocking(move || again.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // SIGABRT: no destructor runs, so nothing is flushed once more.
    assert_eq!(output.status.signal(), Some(6), "{}: {said}", output.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_writer_that_dies_ends_the_process() {
    let mut commits = 0;
    let dies_at_the_second = move || {
        commits += 1;
        assert_ne!(commits, 2, "planted by a test");
        Ok(())
    };
    let (engine, told) = engine_with(Box::new(dies_at_the_second)).await;
    let lot = create(&engine, "L1", 1).await;
    let answer = engine.command(&lot, wanted(), None).unwrap();
    assert_lost(&engine, &told, "the journal writer died");
    let answer = tokio::time::timeout(DEADLINE, answer).await.expect("nobody waits for ever");
    assert!(matches!(answer, Err(CommandError::OutcomeUnknown)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_dies_ends_the_process() {
    let (go, hook) = gate();
    let (engine, told) = engine_with(hook).await;
    let mut created = pin!(engine.create_lot(spec("L1", 1), None));
    assert!(arm(created.as_mut()));
    drop(go);
    assert_lost(&engine, &told, "the supervisor died");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_dies_ends_the_process() {
    let (engine, told) = plain_engine().await;
    let lot = create(&engine, "L1", 1).await;
    let watcher = Arc::new(Watcher::default());
    lot.watchers().add(&watcher);
    let mut changed = pin!(watcher.changed());
    assert!(arm(changed.as_mut()));
    let _durable = engine.command(&lot, wanted(), None).unwrap().await;
    assert_lost(&engine, &told, "the hub died");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_shut_down_or_dropped_lost_nothing() {
    let (engine, told) = plain_engine().await;
    create(&engine, "L1", 3).await;
    engine.shutdown(Duration::from_secs(5)).await;
    assert!(told.try_recv().is_err());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let (engine, told) = runtime.block_on(plain_engine());
        drop(runtime);
        drop(engine);
        told
    });
    assert!(told.await.unwrap().try_recv().is_err());
}
