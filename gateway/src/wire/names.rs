//! The closed vocabularies of the wire, each beside the domain's own enum.

use lotkeeper_engine::{lot, slot, spec, status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A wire enum with a text per variant.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }
        impl $name {
            /// All, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The text on the wire.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
            /// The one with this text.
            #[must_use]
            pub fn of(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.text() == text)
            }
        }
    };
}

/// A wire enum with the same variants as a domain enum.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident = $domain:path { $($(#[$variant_doc:meta])* $variant:ident = $text:tt,)+ }) => {
        vocabulary!($(#[$doc])* $name { $($(#[$variant_doc])* $variant = $text,)+ });
        impl From<$domain> for $name {
            fn from(domain: $domain) -> Self {
                match domain { $(<$domain>::$variant => Self::$variant,)+ }
            }
        }
        impl From<$name> for $domain {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => Self::$variant,)+ }
            }
        }
    };
}

mirror! {
    /// How a lot knows its occupancy.
    Kind = spec::Kind {
        /// Slot by slot.
        Bayed = "bayed",
        /// By counts at its gates.
        Counted = "counted",
    }
}

mirror! {
    /// The size of a vehicle, and the largest vehicle a slot takes.
    Size = spec::Size {
        /// Motorcycles.
        Motorcycle = "motorcycle",
        /// Small cars.
        Compact = "compact",
        /// Cars.
        Standard = "standard",
        /// Vans.
        Large = "large",
        /// Lorries, buses, caravans.
        Oversized = "oversized",
    }
}

mirror! {
    /// What a sign, a map or a client sees of a slot.
    Status = status::Status {
        /// Empty and not promised soon.
        Free = "free",
        /// A vehicle stands there.
        Occupied = "occupied",
        /// Empty, and promised now or soon.
        Held = "held",
        /// Nothing is known.
        Unknown = "unknown",
        /// Closed by the operator.
        OutOfService = "out_of_service",
    }
}

mirror! {
    /// The health of a slot's sensor.
    Sensor = slot::Health {
        /// No reading yet.
        NeverHeard = "never_heard",
        /// As it should be.
        Good = "good",
        /// Changes faster than vehicles do.
        Flapping = "flapping",
        /// Unheard for longer than the lot's rule.
        Silent = "silent",
    }
}

mirror! {
    /// Who says what a slot's state is.
    Source = slot::Source {
        /// A device.
        Sensor = "sensor",
        /// A person of the staff.
        Staff = "staff",
    }
}

mirror! {
    /// Whether a count can be true.
    Condition = lot::Condition {
        /// Between zero and the capacity.
        Consistent = "consistent",
        /// More vehicles than places.
        AboveCapacity = "above_capacity",
        /// Fewer than none.
        BelowZero = "below_zero",
        /// No count yet.
        NeverCounted = "never_counted",
        /// No count for longer than the lot's rule.
        Silent = "silent",
    }
}

mirror! {
    /// What a count did.
    CountOutcome = lot::CountOutcome {
        /// It moved the tally.
        Accepted = "accepted",
        /// It repeats the tally.
        Unchanged = "unchanged",
        /// The same count of the same moment was taken before.
        Duplicate = "duplicate",
        /// A newer absolute count was taken before.
        Late = "late",
    }
}

mirror! {
    /// How an arrival is known.
    Proof = lot::Proof {
        /// A sensor sees a vehicle on the slot.
        Seen = "seen",
        /// The slot has no live sensor, the driver is believed.
        Assumed = "assumed",
    }
}

vocabulary! {
    /// Where a reservation is in its life.
    ReservationState {
        /// Waits for confirmation until `expires_at`.
        Held = "held",
        /// Promised.
        Confirmed = "confirmed",
        /// The vehicle is there.
        CheckedIn = "checked_in",
        /// The window ended after an arrival.
        Completed = "completed",
        /// Given up.
        Cancelled = "cancelled",
        /// Not confirmed in time.
        Expired = "expired",
        /// Nobody came.
        NoShow = "no_show",
    }
}

impl From<lot::State> for ReservationState {
    fn from(state: lot::State) -> Self {
        match state {
            lot::State::Held { .. } => Self::Held,
            lot::State::Confirmed => Self::Confirmed,
            lot::State::CheckedIn { .. } => Self::CheckedIn,
            lot::State::Completed => Self::Completed,
            lot::State::Cancelled => Self::Cancelled,
            lot::State::Expired => Self::Expired,
            lot::State::NoShow => Self::NoShow,
        }
    }
}

vocabulary! {
    /// Whether a slot can be used.
    ServiceState {
        /// It can.
        InService = "in_service",
        /// It cannot.
        OutOfService = "out_of_service",
    }
}

vocabulary! {
    /// Why one reading of an accepted batch was refused.
    ReadingRefusal {
        /// The lot has no slot of that code or id.
        SlotNotFound = "slot_not_found",
        /// Observed further ahead than the lot's rule allows.
        ReadingInFuture = "reading_in_future",
        /// The lot has no slots at all.
        LotNotBayed = "lot_not_bayed",
    }
}

impl From<slot::Rejection> for ReadingRefusal {
    fn from(rejection: slot::Rejection) -> Self {
        match rejection {
            slot::Rejection::InFuture { .. } => Self::ReadingInFuture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_serde_writes() {
        for size in Size::ALL {
            assert_eq!(serde_json::to_value(size).unwrap(), size.text());
            assert_eq!(Size::of(size.text()), Some(*size));
        }
        for state in ReservationState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.text());
        }
        assert_eq!(Status::of("closed"), None);
    }
}
