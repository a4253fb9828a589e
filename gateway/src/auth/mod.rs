//! Who asks: bearer tokens checked into a [`Principal`], roles and lots enforced.
//!
//! Invariants: tokens are HS256, of issuer and audience `lotkeeper`, not past `exp`, not before `nbf`
//! (5 s leeway), of a known role; the algorithm in a token's header is never obeyed. A token is never
//! taken from a URL and never logged. Deliberately absent: accounts, passwords, refresh (their own issue).

mod extract;
pub mod key;
mod principal;
mod provider;
mod token;

pub use principal::{Access, Principal, Role};
pub use token::{Auth, AuthError, Grant};
