//! The closed vocabularies of the wire, each beside the domain's own enum.

use lotkeeper_engine::{lot, slot, spec, status};
use lotkeeper_storage::history::Phase;
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

mod measured;

pub use measured::{Condition, CountOutcome, ReadingRefusal};

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
    /// How an arrival is known in a lot.
    Arrival = spec::Arrival {
        /// A live sensor of the slot proves it; elsewhere the driver is believed.
        BySensor = "by_sensor",
        /// By gates or staff: whom nobody saw did not come.
        Proved = "proved",
        /// Nobody can know: stays begin and end by themselves.
        Assumed = "assumed",
    }
}

mirror! {
    /// When a stay is paid.
    Settlement = spec::Settlement {
        /// Before it begins.
        Before = "before",
        /// Before the vehicle leaves.
        AtExit = "at_exit",
        /// Later, by invoice.
        OnAccount = "on_account",
    }
}

mirror! {
    /// Where a plate may be inside only once.
    PlateOnce = spec::PlateOnce {
        /// In this lot.
        Lot = "lot",
        /// In all lots of the tenant that say so.
        Tenant = "tenant",
    }
}

mirror! {
    /// Whether a lot is offered.
    Listing = spec::Listing {
        /// Drivers find it.
        Listed = "listed",
        /// Its owner took it off the list for a while.
        Paused = "paused",
    }
}

vocabulary! {
    /// The order of a list of lots.
    LotSort {
        /// By code.
        Code = "code",
        /// The nearest first.
        Distance = "distance",
        /// Those with the most room first.
        Free = "free",
        /// Those where the stay costs least first.
        Price = "price",
    }
}

mirror! {
    /// How room in a window is known.
    Known = crate::search::Known {
        /// From the promises on its slots.
        Promises = "promises",
        /// From the count of now, for a window that begins about now.
        Count = "count",
        /// Nothing is known.
        Nothing = "nothing",
        /// The lot is paused, and promises nothing.
        Paused = "paused",
        /// The lot is closed when the window begins or ends, and promises nothing.
        Closed = "closed",
    }
}

vocabulary! {
    /// A day of the week.
    Day {
        /// Monday.
        Mon = "mon",
        /// Tuesday.
        Tue = "tue",
        /// Wednesday.
        Wed = "wed",
        /// Thursday.
        Thu = "thu",
        /// Friday.
        Fri = "fri",
        /// Saturday.
        Sat = "sat",
        /// Sunday.
        Sun = "sun",
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
    /// Of what a holder is reminded.
    Reminder = lot::Reminder {
        /// His time begins soon.
        Start = "start",
        /// His time ends soon.
        End = "end",
    }
}

vocabulary! {
    /// Where the money of a reservation is.
    PaidState {
        /// It costs nothing.
        None = "none",
        /// To be paid.
        Pending = "pending",
        /// Promised by a provider.
        Authorised = "authorised",
        /// Received.
        Paid = "paid",
        /// Refused by the provider.
        Failed = "failed",
        /// Given back in part.
        PartlyRefunded = "partly_refunded",
        /// Given back.
        Refunded = "refunded",
    }
}

mirror! {
    /// Where a stay is.
    SessionState = lot::session::State {
        /// The vehicle is there.
        Inside = "inside",
        /// It is there longer than it may be.
        Overstaying = "overstaying",
        /// It drove out.
        Left = "left",
        /// Closed, as nobody saw it leave.
        Abandoned = "abandoned",
    }
}

mirror! {
    /// Which way through a gate.
    Direction = lot::session::Direction {
        /// In.
        Entry = "entry",
        /// Out.
        Exit = "exit",
    }
}

mirror! {
    /// Why a gate opens.
    OpenCode = lot::session::OpenReason {
        /// Reserved.
        Reserved = "reserved",
        /// A pass.
        Pass = "pass",
        /// A drive-in.
        DriveIn = "drive_in",
        /// The same vehicle again, still in front of the gate.
        Repeated = "repeated",
        /// Nothing is owed.
        Paid = "paid",
        /// Owed, and promised or put on account.
        OnAccount = "on_account",
    }
}

mirror! {
    /// Why a gate stays closed.
    DenyCode = lot::session::DenyReason {
        /// Nothing is known under what was shown.
        CredentialUnknown = "credential_unknown",
        /// The token is not ours, or was changed.
        TokenInvalid = "token_invalid",
        /// The token has run out.
        TokenExpired = "token_expired",
        /// It is for another lot.
        WrongLot = "wrong_lot",
        /// Before the time.
        TooEarly = "too_early",
        /// After the time.
        TooLate = "too_late",
        /// A hold that was not confirmed.
        NotConfirmed = "not_confirmed",
        /// The hold ran out.
        HoldExpired = "hold_expired",
        /// Given up.
        Cancelled = "cancelled",
        /// Came in with it already and is inside.
        AlreadyInside = "already_inside",
        /// Came in with it, and left.
        AlreadyUsed = "already_used",
        /// The vehicle is inside by another right.
        PlateInside = "plate_inside",
        /// The vehicle is in another lot.
        PlateElsewhere = "plate_elsewhere",
        /// The plate was read too badly.
        ConfidenceTooLow = "confidence_too_low",
        /// Neither reserved nor a pass, and nobody else may come in.
        NotEntitled = "not_entitled",
        /// The pass is not valid now.
        PassNotValid = "pass_not_valid",
        /// No room.
        LotFull = "lot_full",
        /// Not open now.
        LotClosed = "lot_closed",
        /// Something is to be paid first.
        PaymentRequired = "payment_required",
        /// Nobody inside goes by this.
        NotInside = "not_inside",
        /// Left already.
        AlreadyLeft = "already_left",
    }
}

vocabulary! {
    /// By what right somebody is inside.
    OriginName {
        /// Reserved before.
        Reservation = "reservation",
        /// Has a pass.
        Pass = "pass",
        /// Took a ticket.
        DriveIn = "drive_in",
        /// Let in by staff.
        Manual = "manual",
    }
}

vocabulary! {
    /// What a gate does.
    Decision {
        /// It opens.
        Open = "open",
        /// It stays closed.
        Deny = "deny",
    }
}

mirror! {
    /// How an arrival is known.
    Proof = lot::Proof {
        /// A sensor sees a vehicle on the slot.
        Seen = "seen",
        /// The slot has no live sensor, the driver is believed.
        Assumed = "assumed",
        /// A gate or camera read a credential.
        Scanned = "scanned",
        /// Staff saw him.
        Staff = "staff",
        /// The driver said so himself.
        Driver = "driver",
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

impl From<ReservationState> for Phase {
    fn from(state: ReservationState) -> Self {
        match state {
            ReservationState::Held => Self::Held,
            ReservationState::Confirmed => Self::Confirmed,
            ReservationState::CheckedIn => Self::CheckedIn,
            ReservationState::Completed => Self::Completed,
            ReservationState::Cancelled => Self::Cancelled,
            ReservationState::Expired => Self::Expired,
            ReservationState::NoShow => Self::NoShow,
        }
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
