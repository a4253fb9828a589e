//! Opaque cursors: the last key of a page, in hexadecimal so that nobody takes it for a number to count with.

/// Which list a cursor belongs to: one of another list is refused, not misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Lots by code.
    Lots,
    /// Lots by distance.
    NearLots,
    /// Lots by room.
    FreeLots,
    /// Slots by position.
    Slots,
    /// Reservations, the newest first.
    Reservations,
    /// Stays, the newest first.
    Sessions,
    /// Passes by lot and id.
    Passes,
    /// Places on waiting lists by lot and id.
    Waiting,
    /// Shifts by lot and id.
    Shifts,
    /// Violations by lot and id.
    Violations,
    /// Events by sequence.
    Events,
    /// Events of one lot by its sequence.
    LotEvents,
    /// Scans of one lot, the newest first.
    Scans,
    /// Lots by the price of a stay.
    PricedLots,
}

impl List {
    fn mark(self) -> char {
        match self {
            Self::Lots => 'l',
            Self::NearLots => 'n',
            Self::FreeLots => 'f',
            Self::Slots => 's',
            Self::Reservations => 'p',
            Self::Sessions => 'h',
            Self::Passes => 'a',
            Self::Waiting => 'w',
            Self::Shifts => 'c',
            Self::Violations => 'o',
            Self::Events => 'e',
            Self::LotEvents => 'v',
            Self::Scans => 'c',
            Self::PricedLots => 'm',
        }
    }
}

/// A cursor after `key`.
#[must_use]
pub fn encode(list: List, key: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * (1 + key.len()));
    for byte in [list.mark() as u8].iter().chain(key.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The key a cursor stands for; nothing when it is not a cursor of this list.
#[must_use]
pub fn decode(list: List, cursor: &str) -> Option<String> {
    let digits = cursor.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    let text = String::from_utf8(bytes?).ok()?;
    text.strip_prefix(list.mark()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_comes_back_in_its_own_list_only() {
        let cursor = encode(List::Lots, "L1-ü");
        assert_eq!(decode(List::Lots, &cursor).as_deref(), Some("L1-ü"));
        assert_eq!(decode(List::Slots, &cursor), None);
        for broken in ["", "6", "6g", "zz", "l", "ü", "ff", "6cff"] {
            assert_eq!(decode(List::Lots, broken), None, "{broken}");
        }
    }
}
