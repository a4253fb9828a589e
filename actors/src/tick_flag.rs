//! One tick at a time for a lot: one that is slow to answer is not asked twice.
//!
//! Whoever takes the flag holds it until the tick is handled or lost: a message that dies with its actor lets
//! go of it, whichever actor it was sent to. So no death leaves a lot that is never ticked again.

use std::sync::Arc;

use crate::sync::{AtomicBool, Ordering};

/// Whether a tick is on its way.
#[derive(Debug, Default)]
pub(crate) struct TickFlag(Arc<AtomicBool>);

/// A tick on its way.
#[derive(Debug)]
pub(crate) struct TickTicket(Arc<AtomicBool>);

impl TickFlag {
    /// Nothing while another tick is on its way.
    pub fn take(&self) -> Option<TickTicket> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| TickTicket(Arc::clone(&self.0)))
    }
}

impl Drop for TickTicket {
    fn drop(&mut self) {
        // A swap like the one that takes it: every change of the flag sees the one before.
        self.0.swap(false, Ordering::AcqRel);
    }
}
