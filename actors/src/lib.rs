//! The running engine: one actor per lot and per slot, one journal writer, one publisher.
//!
//! A command goes: handle (claims, permits) -> actor (decide, apply, hand over) -> writer (number,
//! commit) -> publisher (durable view, replies, change feed). Invariants: nothing is answered, shown or
//! published before it is durable; what was answered is seen by the next read; an actor's handler never
//! waits; killing any actor at any moment changes nothing a client can see, except time.
//!
//! Deliberately absent: HTTP, JSON, tokens; domain rules (they are `lotkeeper-engine`'s); bytes on disk.

mod atlas;
mod claims;
mod clock;
mod directory;
mod door;
mod engine;
mod error;
mod facts;
mod globe;
mod history;
mod hub;
mod invoke;
mod kind;
mod lot;
mod metrics;
mod options;
mod pacer;
mod publisher;
mod pump;
mod readings;
mod reply;
mod restarts;
mod ring;
mod room;
mod sightings;
mod slot;
mod sought;
mod standing;
mod start;
mod submission;
mod supervisor;
mod sync;
mod tenant;
mod tenant_passes;
mod tick_flag;
mod ticker;
mod view;
mod vital;
mod writer;

pub use clock::Clock;
pub use directory::LotHandle;
pub use door::Turn;
pub use engine::Engine;
pub use error::{CommandError, NotReady, StartError};
pub use facts::Filter;
pub use history::{History, Item, Listing, Remembered};
pub use hub::Watcher;
pub use kind::ChangeKind;
pub use metrics::Metrics;
pub use options::{OnFatal, Options};
pub use pump::Pump;
pub use reply::{Done, ReadingsDone, Refused, SlotReading};
pub use ring::{Batch, CatchUp, Change, Ring};
pub use sought::{Near, Order, Place, Sought};
pub use standing::NoNewLots;
pub use submission::Origin;
pub use view::LotView;
