//! What somebody shows at a gate: a QR code with a signed token, or the number of a ticket.
//!
//! Plates are the third kind (`crate::plate`, `crate::anpr`). Invariants: a token names a reservation or a session
//! and nobody, and is good for one tenant and until an instant; every refusal has its own reason and repeats
//! nothing of what was shown. Deliberately absent: whether what is named exists, may come in, or has been in
//! already. That is for the lot to decide, in one message with the scan.

mod keys;
mod picture;
mod ticket;
mod token;

pub use keys::{FILE_NAME, for_server};
pub use picture::{PIXELS_PER_MODULE_MAX, Picture, QUIET_MODULES, TEXT_BYTES_MAX, TooLong};
pub use ticket::{Ticket, TicketError};
pub use token::{Claim, Kind, QrKeys, QrKeysError, Refused, TOKEN_CHARS};
