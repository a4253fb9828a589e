//! The shown status of a slot: the join of what is and what is promised.

use crate::slot::Slot;

/// What a sign, a map or a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Empty and not promised soon.
    Free,
    /// A vehicle stands there.
    Occupied,
    /// Empty, and promised now or within the lead time.
    Held,
    /// Nothing is known.
    Unknown,
    /// Closed by the operator.
    OutOfService,
}

impl Status {
    /// All, in the order in which counts list them.
    pub const ALL: [Self; 5] =
        [Self::Free, Self::Occupied, Self::Held, Self::Unknown, Self::OutOfService];

    /// out of service > unknown > occupied > held > free. A sensor says whether a vehicle stands there;
    /// where none does, the stay that is bound to the slot tells.
    #[must_use]
    pub fn join(
        slot: &Slot,
        in_service: bool,
        held: bool,
        has_stay: impl FnOnce() -> bool,
    ) -> Self {
        match (in_service, slot.occupied(), held) {
            (false, _, _) => Self::OutOfService,
            (true, None, _) if has_stay() => Self::Occupied,
            (true, None, _) => Self::Unknown,
            (true, Some(true), _) => Self::Occupied,
            (true, Some(false), true) => Self::Held,
            (true, Some(false), false) => Self::Free,
        }
    }
}
