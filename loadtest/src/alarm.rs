//! Waking at an instant to some ten microseconds.
//!
//! The runtime's timer counts milliseconds and rounds up: latency that counts from the time work was due
//! would hold up to a millisecond of the client's own. So the last stretch is left to a timer of the kernel
//! whose descriptor the runtime watches like a socket; no thread spins, which on a shared machine would be
//! the server's time. Where there is no such timer, the runtime's is used alone.

use crate::clock::Clock;
use std::time::Duration;

/// What is further off than this goes through the runtime's timer first.
const LAST_STRETCH: Duration = Duration::from_millis(2);

/// One task's alarm.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    #[cfg(target_os = "linux")]
    timer: Option<tokio::net::unix::pipe::Receiver>,
}

impl Alarm {
    /// Inside a runtime.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            #[cfg(target_os = "linux")]
            timer: linux::timer(),
        }
    }

    /// Sleeps until that instant; returns at once when it has passed. May be dropped at any time.
    pub async fn until(&self, at_us: u64) {
        let last_us = LAST_STRETCH.as_micros() as u64;
        if at_us > self.clock.now_us().saturating_add(2 * last_us) {
            self.clock.sleep_until(at_us - last_us).await;
        }
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && linux::wait(timer, self.clock, at_us).await.is_ok()
        {
            return;
        }
        self.clock.sleep_until(at_us).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::clock::Clock;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    /// Nothing when descriptors have run out: the run goes on, a little less exact. To the runtime it is
    /// what a pipe is: a descriptor that does not block and becomes readable. (`AsyncFd` would be the plain
    /// way, and is `unsafe` to make.)
    pub fn timer() -> Option<Receiver> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
        Receiver::from_owned_fd_unchecked(timer).ok()
    }

    pub async fn wait(timer: &Receiver, clock: Clock, at_us: u64) -> Result<(), std::io::Error> {
        loop {
            let ahead_us = at_us.saturating_sub(clock.now_us());
            if ahead_us == 0 {
                return Ok(());
            }
            let tv_sec = (ahead_us / 1_000_000).cast_signed();
            let tv_nsec = (ahead_us % 1_000_000 * 1_000).cast_signed();
            let once = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: Timespec { tv_sec, tv_nsec },
            };
            timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
            timer.readable().await?;
            // An error of "not yet" is an expiry of an alarm that was dropped: it is waited for again.
            let _ = timer.try_read(&mut [0_u8; 8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_never_comes_early_and_can_be_dropped() {
        let clock = Clock::start();
        let alarm = Alarm::new(clock);
        for ahead_us in [0, 10, 300, 3_000, 9_000] {
            let at_us = clock.now_us() + ahead_us;
            // Dropped before its time, after which the same alarm is set for another one.
            tokio::select! {
                biased;
                () = alarm.until(at_us + 60_000_000) => panic!("a minute early"),
                () = tokio::task::yield_now() => {}
            }
            alarm.until(at_us).await;
            assert!(clock.now_us() >= at_us, "{ahead_us}");
        }
        alarm.until(0).await;
    }

    #[tokio::test]
    async fn an_alarm_that_rang_unheard_does_not_wake_the_next_one() {
        let clock = Clock::start();
        let alarm = Alarm::new(clock);
        tokio::select! {
            biased;
            () = alarm.until(clock.now_us() + 1_000) => {}
            () = tokio::task::yield_now() => {}
        }
        clock.sleep_until(clock.now_us() + 5_000).await;
        let at_us = clock.now_us() + 1_500;
        alarm.until(at_us).await;
        assert!(clock.now_us() >= at_us);
    }
}
