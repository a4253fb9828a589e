//! Conversions between what is stored and what the engine has, for records with many small fields.
//!
//! [`Stored`] is implemented for the plain things (amounts, lengths, texts, lists); `record!` makes it for a
//! struct whose fields have the engine's names. The order of fields stays the format: it is written out.

use lotkeeper_engine::ids::{
    PassId, PaymentId, Pseudonym, SessionId, ShiftId, SlotIndex, TariffId, ViolationId, WaitingId,
    ZoneIndex,
};
use lotkeeper_engine::money::{Amount, BasisPoints, PerMille};
use lotkeeper_engine::spec::{FeatureSet, TypeSet};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

/// The stored form of an engine's value.
pub(super) trait Stored<Engine> {
    /// From the engine's.
    fn of(engine: &Engine) -> Self;
    /// To the engine's.
    fn engine(self) -> Engine;
}

macro_rules! plain {
    ($($stored:ty = $engine:ty: $of:expr, $back:expr;)+) => {
        $(impl Stored<$engine> for $stored {
            fn of(engine: &$engine) -> Self {
                let of: fn(&$engine) -> $stored = $of;
                of(engine)
            }
            fn engine(self) -> $engine {
                let back: fn($stored) -> $engine = $back;
                back(self)
            }
        })+
    };
}

plain! {
    i64 = Amount: |amount| amount.0, Amount;
    u32 = BasisPoints: |share| share.0, BasisPoints;
    u32 = PerMille: |share| share.0, PerMille;
    u32 = Seconds: |seconds| seconds.0, Seconds;
    i64 = Timestamp: |at| at.micros(), Timestamp::from_micros;
    [u8; 16] = TariffId: |id| id.0.into_bytes(), |bytes| TariffId(Uuid::from_bytes(bytes));
    [u8; 16] = ViolationId: |id| id.0.into_bytes(), |bytes| ViolationId(Uuid::from_bytes(bytes));
    [u8; 16] = SessionId: |id| id.0.into_bytes(), |bytes| SessionId(Uuid::from_bytes(bytes));
    [u8; 16] = Pseudonym: |id| id.0.into_bytes(), |bytes| Pseudonym(Uuid::from_bytes(bytes));
    [u8; 16] = PassId: |id| id.0.into_bytes(), |bytes| PassId(Uuid::from_bytes(bytes));
    [u8; 16] = WaitingId: |id| id.0.into_bytes(), |bytes| WaitingId(Uuid::from_bytes(bytes));
    u64 = FeatureSet: |features| features.0, FeatureSet;
    u64 = TypeSet: |types| types.0, TypeSet;
    u16 = ZoneIndex: |zone| zone.0, ZoneIndex;
    [u8; 16] = PaymentId: |id| id.0.into_bytes(), |bytes| PaymentId(Uuid::from_bytes(bytes));
    [u8; 16] = ShiftId: |id| id.0.into_bytes(), |bytes| ShiftId(Uuid::from_bytes(bytes));
    i64 = i64: |number| *number, |number| number;
    u16 = SlotIndex: |slot| slot.0, SlotIndex;
    u8 = u8: |number| *number, |number| number;
    u64 = u64: |number| *number, |number| number;
    u32 = u32: |number| *number, |number| number;
    bool = bool: |flag| *flag, |flag| flag;
    Box<str> = Box<str>: Clone::clone, |text| text;
}

impl<E, S: Stored<E>> Stored<Box<[E]>> for Vec<S> {
    fn of(engine: &Box<[E]>) -> Self {
        engine.iter().map(S::of).collect()
    }

    fn engine(self) -> Box<[E]> {
        self.into_iter().map(S::engine).collect()
    }
}

impl<E, S: Stored<E>> Stored<Vec<E>> for Vec<S> {
    fn of(engine: &Vec<E>) -> Self {
        engine.iter().map(S::of).collect()
    }

    fn engine(self) -> Vec<E> {
        self.into_iter().map(S::engine).collect()
    }
}

impl<E, S: Stored<E>> Stored<Option<E>> for Option<S> {
    fn of(engine: &Option<E>) -> Self {
        engine.as_ref().map(S::of)
    }

    fn engine(self) -> Option<E> {
        self.map(S::engine)
    }
}

/// Mirrors a struct of the engine field by field; the order of fields is the format.
macro_rules! record {
    ($name:ident = $engine:ident { $($field:ident: $stored:ty),+ $(,)? }) => {
        #[derive(bincode::Encode, bincode::Decode)]
        pub(super) struct $name { $($field: $stored),+ }
        impl $crate::format::stored::Stored<$engine> for $name {
            fn of(engine: &$engine) -> Self {
                Self { $($field: $crate::format::stored::Stored::of(&engine.$field)),+ }
            }
            fn engine(self) -> $engine {
                $engine { $($field: $crate::format::stored::Stored::engine(self.$field)),+ }
            }
        }
    };
}
pub(super) use record;

/// Mirrors an enum without data, as `mirror!` does, for use in `record!`.
macro_rules! choice {
    ($name:ident = $engine:ident { $($variant:ident),+ $(,)? }) => {
        $crate::format::spec::mirror!($name = $engine { $($variant),+ });
        impl $crate::format::stored::Stored<$engine> for $name {
            fn of(engine: &$engine) -> Self {
                (*engine).into()
            }
            fn engine(self) -> $engine {
                self.into()
            }
        }
    };
}
pub(super) use choice;
