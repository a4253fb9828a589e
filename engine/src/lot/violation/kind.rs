//! Kinds of violations: rows of one table. A new one is a row, and a line in the table of tests.
//!
//! A kind is known outside by its code, in the log too, so nothing else has to learn of it; a code that is no
//! row was reported by staff. Absent: what finds them.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A word is enough.
    Minor,
    /// Somebody else is kept from his place.
    Serious,
    /// For the authority.
    Severe,
}

/// Kinds with code, severity and whether whoever does it is told again and again.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $severity:ident, $notices:literal;)+) => {
        /// What is wrong.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
            /// Something else, by its code.
            Reported(Box<str>),
        }

        impl Kind {
            /// Those the engine knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$kind,)+];

            /// What it is called outside and in the log.
            #[must_use]
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$kind => $code,)+
                    Self::Reported(code) => code,
                }
            }

            /// How bad it is where nobody says.
            #[must_use]
            pub fn severity(&self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)+
                    Self::Reported(_) => Severity::Minor,
                }
            }

            /// Whether notices follow by themselves, in the lot's intervals.
            #[must_use]
            pub fn has_notices(&self) -> bool {
                match self {
                    $(Self::$kind => $notices,)+
                    Self::Reported(_) => false,
                }
            }
        }
    };
}

kinds! {
    /// Longer there than booked or allowed.
    Overstay = "overstay", Minor, true;
    /// On a slot that is not for such a vehicle.
    WrongSlotType = "wrong_slot_type", Serious, false;
    /// On a slot without having come in.
    NoSession = "no_session", Serious, false;
    /// With a pass that has run out.
    ExpiredPass = "expired_pass", Minor, true;
}

impl Kind {
    /// The kind with this code.
    #[must_use]
    pub fn of(code: &str) -> Self {
        let known = Self::KNOWN.iter().find(|kind| kind.code() == code);
        known.cloned().unwrap_or_else(|| Self::Reported(code.into()))
    }
}
