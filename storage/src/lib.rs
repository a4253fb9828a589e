//! Lotkeeper.
