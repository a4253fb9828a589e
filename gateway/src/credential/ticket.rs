//! Numbers of tickets: seven characters and one that checks them, for people to read, say and type.
//!
//! Crockford's base32: no `I`, `L`, `O` (they are read as `1` and `0`), no `U`, small letters and dashes do not
//! matter. The check symbol is Crockford's too, the number modulo 37, which finds every single wrong character and
//! every two that changed places; numbers whose symbol would be one of the five signs that a keyboard of a gate does
//! not have (`*~$=U`) are never given out. Deliberately absent: that a number is given out once in a lot: the
//! caller knows who is inside. A number is drawn, not counted: nobody guesses his neighbour's.

use std::fmt;

/// Digits in order, without letters that look like others.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters before the check symbol.
const DATA_CHARS: usize = 7;
const NUMBERS: u64 = 1 << (5 * DATA_CHARS);
/// A prime above the base finds transpositions.
const CHECK_MODULUS: u64 = 37;
/// What somebody may have put around and between.
const TEXT_BYTES_MAX: usize = 64;

/// The number of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Why a text is not the number of a ticket. It never says which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Too short or too long.
    #[error("a ticket number has 8 characters, such as 4K7T-9X2C; this has {chars}")]
    Length {
        /// Characters that count.
        chars: usize,
    },
    /// Something that is in no number.
    #[error(
        "character {position} of the ticket number is not a digit or a letter of one; read it again"
    )]
    Character {
        /// Which one, from 1, without blanks and dashes.
        position: usize,
    },
    /// One character is wrong, or two changed places.
    #[error(
        "the ticket number is mistyped: its last character does not fit the others; read it again"
    )]
    Check,
}

impl Ticket {
    /// The ticket of a number; nothing for numbers that are not given out.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        let plain = number % CHECK_MODULUS < DIGITS.len() as u64;
        (number < NUMBERS && plain).then_some(Self(number))
    }

    /// Any of them, all equally likely; 29 thousand millions are there.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn draw() -> Result<Self, getrandom::Error> {
        loop {
            // One in seven is not given out and is drawn again.
            let drawn = getrandom::u64()? % NUMBERS;
            if let Some(ticket) = Self::of_number(drawn) {
                return Ok(ticket);
            }
        }
    }

    /// Reads a number as somebody types it.
    ///
    /// # Errors
    /// A text that is none.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TicketError::Length { chars: text.chars().count() });
        }
        let chars = || text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let found = chars().count();
        if found != DATA_CHARS + 1 {
            return Err(TicketError::Length { chars: found });
        }
        let (mut number, mut check) = (0, 0);
        for (index, c) in chars().enumerate() {
            let position = index + 1;
            let value = value(c).ok_or(TicketError::Character { position })?;
            match index < DATA_CHARS {
                true => number = number << 5 | value,
                false => check = value,
            }
        }
        match number % CHECK_MODULUS == check {
            true => Ok(Self(number)),
            false => Err(TicketError::Check),
        }
    }

    /// The number behind the characters.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The eight characters, as they are kept and compared.
    #[must_use]
    pub fn code(self) -> String {
        let digit =
            |value: u64| char::from(DIGITS[usize::try_from(value & 31).unwrap_or_default()]);
        let data = (0..DATA_CHARS).rev().map(|place| digit(self.0 >> (5 * place)));
        data.chain([digit(self.0 % CHECK_MODULUS)]).collect()
    }
}

impl fmt::Display for Ticket {
    /// As it is printed: `4K7T-9X2C`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        write!(f, "{}-{}", &code[..4], &code[4..])
    }
}

fn value(c: char) -> Option<u64> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = DIGITS.iter().position(|digit| char::from(*digit) == c)?;
    u64::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let ticket = Ticket::of_number(1_234_567_890).unwrap();
        assert_eq!(ticket.code(), "14SC0PJV");
        assert_eq!(ticket.to_string(), "14SC-0PJV");
        for text in
            ["14SC0PJV", "14SC-0PJV", " 14sc 0pjv\n", "I4SC-OPJV", "l4sCoPjv", "1-4-S-C-0-P-J-V"]
        {
            assert_eq!(Ticket::parse(text), Ok(ticket), "{text}");
        }
        for (text, error) in [
            ("", TicketError::Length { chars: 0 }),
            ("14SC0PJ", TicketError::Length { chars: 7 }),
            ("14SC0PJV0", TicketError::Length { chars: 9 }),
            ("14SU-0PJV", TicketError::Character { position: 4 }),
            ("14SC-0PJ*", TicketError::Character { position: 8 }),
            ("14SC-0PJÖ", TicketError::Character { position: 8 }),
            ("14SC-0PJW", TicketError::Check),
            ("41SC-0PJV", TicketError::Check),
        ] {
            assert_eq!(Ticket::parse(text), Err(error), "{text}");
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
        let long = "0".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(Ticket::parse(&long), Err(TicketError::Length { chars: 65 }));
    }

    #[test]
    fn numbers_with_a_sign_for_a_check_symbol_are_not_given_out() {
        let given = (0..CHECK_MODULUS).filter(|number| Ticket::of_number(*number).is_some());
        assert_eq!(given.collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
        assert_eq!(Ticket::of_number(NUMBERS), None);
        // Such a number cannot be read either: no digit stands for its check.
        for check in DIGITS {
            let of_32 = format!("0000010{}", char::from(*check));
            assert_eq!(Ticket::parse(&of_32), Err(TicketError::Check));
        }
    }

    #[test]
    fn drawn_numbers_are_good_and_differ() {
        let drawn: HashSet<Ticket> = (0..100).map(|_| Ticket::draw().unwrap()).collect();
        assert_eq!(
            drawn.len(),
            100,
            "of 29 thousand millions two are the same once in six million runs"
        );
        for ticket in drawn {
            assert_eq!(Ticket::of_number(ticket.number()), Some(ticket));
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_again_and_one_slip_is_found(
            number in 0..NUMBERS, at in 0..8_usize, digit in 0..32_usize,
        ) {
            let Some(ticket) = Ticket::of_number(number) else { return Ok(()) };
            let code = ticket.code();
            prop_assert_eq!(Ticket::parse(&code), Ok(ticket));
            prop_assert_eq!(Ticket::parse(&ticket.to_string()), Ok(ticket));
            let mut slipped: Vec<u8> = code.bytes().collect();
            slipped[at] = DIGITS[digit];
            let slipped = String::from_utf8(slipped).unwrap();
            prop_assert_eq!(Ticket::parse(&slipped).is_ok(), slipped == code);
            let mut swapped: Vec<u8> = code.bytes().collect();
            swapped.swap(at, (at + 1).min(7));
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert_eq!(Ticket::parse(&swapped).is_ok(), swapped == code);
        }
    }
}
