//! The closed vocabularies of tariffs and fees.

use lotkeeper_engine::{money, tariff};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mirror! {
    /// What happens to a part of a unit of money.
    Rounding = money::Rounding {
        /// To the nearest, a half to the even neighbour.
        HalfEven = "half_even",
        /// To the nearest, a half up.
        HalfUp = "half_up",
        /// Up.
        Up = "up",
        /// Down.
        Down = "down",
    }
}

mirror! {
    /// How long a period is.
    Unit = tariff::Unit {
        /// The whole stay.
        Stay = "stay",
        /// A day.
        Day = "day",
        /// A week; by the calendar from Monday.
        Week = "week",
        /// A month.
        Month = "month",
    }
}

mirror! {
    /// Where a period begins.
    Anchor = tariff::Anchor {
        /// At local midnight.
        Calendar = "calendar",
        /// With the stay.
        Entry = "entry",
    }
}

mirror! {
    /// What the rate of a band counts time from.
    Clock = tariff::Clock {
        /// The start of the stay.
        Stay = "stay",
        /// The moment the stay comes into the band.
        Band = "band",
    }
}

mirror! {
    /// What free minutes do for a longer stay.
    GraceMode = tariff::GraceMode {
        /// Nothing.
        FreeIfShorter = "free_if_shorter",
        /// It is billed from their end.
        Subtracted = "subtracted",
    }
}

mirror! {
    /// What a part of an increment counts.
    IncrementMode = tariff::IncrementMode {
        /// A whole one.
        Begun = "begun",
        /// A whole one from its half on.
        Nearest = "nearest",
        /// Nothing.
        Completed = "completed",
    }
}

mirror! {
    /// Who pays the service fee.
    Payer = tariff::Payer {
        /// The driver, on top.
        Driver = "driver",
        /// The owner, out of what he gets.
        Owner = "owner",
    }
}

mirror! {
    /// What a line of a fee is.
    LineKind = tariff::LineKind {
        /// Time by the rate.
        Base = "base",
        /// What demand adds or takes off.
        Demand = "demand",
        /// What a cap takes off.
        Cap = "cap",
        /// Time past the booked end.
        Overstay = "overstay",
        /// For begun hours past the booked end.
        Penalty = "penalty",
        /// A lost ticket.
        LostTicket = "lost_ticket",
        /// Something beside time.
        Extra = "extra",
        /// What a pass pays.
        Pass = "pass",
        /// What a discount takes off.
        Discount = "discount",
        /// A tax on top.
        Tax = "tax",
        /// A service fee on top.
        ServiceFee = "service_fee",
        /// What rounding the total adds or takes off.
        Rounding = "rounding",
    }
}

vocabulary! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}
