//! While a backup is read nothing that it needs is taken away: no rotation, no pruning, no old snapshots.
//!
//! Invariants: one backup at a time; a rotation and a backup never overlap; whoever removes something holds
//! the lock meanwhile, so that a backup begins before or after it. What is postponed costs disk space.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// What is under way.
#[derive(Default)]
pub(super) struct State {
    held: bool,
    rotating: bool,
}

#[derive(Default)]
pub(crate) struct Keeping {
    state: Mutex<State>,
    rotated: Condvar,
}

/// A backup under way; dropping it lets go.
pub(super) struct Hold(Arc<Keeping>);

/// Why a backup cannot begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    AnotherBackup,
    Rotation,
}

impl Keeping {
    /// Keeps everything from now on. Waits for the end of a rotation that is under way.
    pub(super) fn hold(self: &Arc<Self>, patience: Duration) -> Result<Hold, Busy> {
        let mut state = self.state.lock();
        if state.held {
            return Err(Busy::AnotherBackup);
        }
        state.held = true;
        let hold = Hold(Arc::clone(self));
        let waited = self.rotated.wait_while_for(&mut state, |state| state.rotating, patience);
        drop(state);
        match waited.timed_out() {
            true => Err(Busy::Rotation),
            false => Ok(hold),
        }
    }

    /// For whoever removes something: nothing while a backup is read.
    pub(super) fn unless_held(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state.lock()).filter(|state| !state.held)
    }

    /// Whether a rotation may begin; it must end with [`Keeping::end_rotation`].
    pub(super) fn begin_rotation(&self) -> bool {
        let mut state = self.state.lock();
        let may = !state.held;
        state.rotating |= may;
        may
    }

    pub(super) fn end_rotation(&self) {
        self.state.lock().rotating = false;
        self.rotated.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state.lock().held = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_and_a_rotation_never_overlap() {
        let keeping = Arc::new(Keeping::default());
        let hold = keeping.hold(Duration::ZERO).unwrap_or_else(|busy| panic!("{busy:?}"));
        assert_eq!(keeping.hold(Duration::ZERO).err(), Some(Busy::AnotherBackup));
        assert!(!keeping.begin_rotation() && keeping.unless_held().is_none());
        drop(hold);
        assert!(keeping.unless_held().is_some() && keeping.begin_rotation());
        assert_eq!(keeping.hold(Duration::ZERO).err(), Some(Busy::Rotation));
        let waiting = Arc::clone(&keeping);
        let waiter = std::thread::spawn(move || waiting.hold(Duration::from_secs(60)).is_ok());
        keeping.end_rotation();
        assert!(waiter.join().unwrap());
        assert!(keeping.begin_rotation(), "the hold ended with its owner");
    }
}
