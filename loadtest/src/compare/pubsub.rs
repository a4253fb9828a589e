//! The fan-out peers as a swarm sees them: NATS (its protocol inside websocket frames) and nchan (a frame is
//! a message). Messages are 200 bytes and begin with their number, so that a gap is seen.

use crate::swarm::tape::{Seen, Tape};
use crate::swarm::{Answer, Dialect};
use std::io::Write;

/// A message: about what one of our changes takes.
pub const MESSAGE_BYTES: usize = 200;
/// Digits of the number it begins with.
const NUMBER_DIGITS: usize = 16;
/// `PONG` as a client frames it: FIN and binary, masked with a key of nought.
const NATS_PONG: &[u8] = b"\x82\x86\0\0\0\0PONG\r\n";

/// The numbers of what is published.
#[derive(Debug, Default)]
struct Numbers {
    published: u64,
}

impl Numbers {
    fn put(&mut self, out: &mut Vec<u8>) {
        self.published += 1;
        write!(out, "{:0NUMBER_DIGITS$}", self.published).expect("a vector takes what is written");
        out.resize(out.len() + MESSAGE_BYTES - NUMBER_DIGITS, b'.');
    }

    /// A message that came to a subscriber.
    fn take(seen: &mut Seen, message: &[u8], tape: &mut Tape, now_us: u64) -> Result<(), String> {
        let number = message.get(..NUMBER_DIGITS).and_then(|digits| {
            digits.iter().try_fold(0_u64, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
            })
        });
        let Some(number) = number.filter(|_| message.len() == MESSAGE_BYTES) else {
            return Err(format!("not what was published: {}", String::from_utf8_lossy(message)));
        };
        if number != seen.upto + 1 {
            tape.check.fault(format!("message {number} came where {} was next", seen.upto + 1));
        }
        tape.arrived(1, message.len() as u64, now_us);
        tape.delivered(seen, number, now_us);
        Ok(())
    }
}

/// NATS.
#[derive(Debug, Default)]
pub struct Nats {
    numbers: Numbers,
}

impl Nats {
    /// What a subscriber says, and how the answer ends.
    pub const SUBSCRIBE: (&[u8], &[u8]) = (
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\nSUB lot 1\r\nPING\r\n",
        b"PONG\r\n",
    );
    /// What the publisher says, and how the answer ends.
    pub const GREET: (&[u8], &[u8]) =
        (b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n", b"PONG\r\n");

    /// Every whole operation of a stretch of the protocol; says how many bytes they were.
    fn operations(seen: &mut Seen, bytes: &[u8], tape: &mut Tape) -> Result<(usize, bool), String> {
        let now_us = tape.clock.now_us();
        let (mut at, mut wants_pong) = (0, false);
        while let Some(end) = memchr::memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + end + 1];
            if line.starts_with(b"MSG ") {
                let text = String::from_utf8_lossy(line);
                let length: usize = text
                    .split_ascii_whitespace()
                    .next_back()
                    .and_then(|word| word.parse().ok())
                    .ok_or_else(|| format!("a message without a length: {text}"))?;
                let from = at + end + 1;
                let Some(message) = bytes.get(from..from + length) else { break };
                if bytes.len() < from + length + 2 {
                    break;
                }
                Numbers::take(seen, message, tape, now_us)?;
                at = from + length + 2;
                continue;
            }
            if line.starts_with(b"-ERR") {
                return Err(String::from_utf8_lossy(line).trim().into());
            }
            wants_pong |= line.starts_with(b"PING");
            at += end + 1;
        }
        Ok((at, wants_pong))
    }
}

impl Dialect for Nats {
    fn heard(&mut self, seen: &mut Seen, payload: &[u8], _whole: bool, tape: &mut Tape) -> Answer {
        // An operation may lie across two frames; then its beginning waits.
        let mut rest = std::mem::take(&mut seen.rest);
        let taken = if rest.is_empty() {
            Self::operations(seen, payload, tape).map(|(taken, pong)| {
                rest.extend_from_slice(&payload[taken..]);
                pong
            })
        } else {
            rest.extend_from_slice(payload);
            Self::operations(seen, &rest, tape).map(|(taken, pong)| {
                rest.drain(..taken);
                pong
            })
        };
        seen.rest = rest;
        match taken {
            Ok(false) => Answer::Nothing,
            Ok(true) => Answer::Send(NATS_PONG),
            Err(what) => Answer::Fail(what),
        }
    }

    fn publish(&mut self, count: usize, _due_us: u64, out: &mut Vec<u8>) {
        for _ in 0..count {
            write!(out, "PUB lot {MESSAGE_BYTES}\r\n").expect("a vector takes what is written");
            self.numbers.put(out);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn answered(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n') {
            if line.starts_with(b"PING") {
                out.extend_from_slice(b"PONG\r\n");
            } else if line.starts_with(b"-ERR") {
                return Err(String::from_utf8_lossy(line).trim().into());
            }
        }
        Ok(whole)
    }

    fn is_settled(&self, published: u64) -> bool {
        self.numbers.published == published
    }
}

/// nginx with nchan.
#[derive(Debug, Default)]
pub struct Nchan {
    numbers: Numbers,
    answered: u64,
}

impl Dialect for Nchan {
    fn heard(&mut self, seen: &mut Seen, payload: &[u8], whole: bool, tape: &mut Tape) -> Answer {
        if !whole {
            return Answer::Fail("a message in fragments".into());
        }
        let now_us = tape.clock.now_us();
        match Numbers::take(seen, payload, tape, now_us) {
            Ok(()) => Answer::Nothing,
            Err(what) => Answer::Fail(what),
        }
    }

    fn publish(&mut self, count: usize, _due_us: u64, out: &mut Vec<u8>) {
        for _ in 0..count {
            write!(
                out,
                "POST /pub HTTP/1.1\r\nHost: lot\r\nContent-Length: {MESSAGE_BYTES}\r\n\r\n"
            )
            .expect("a vector takes what is written");
            self.numbers.put(out);
        }
    }

    /// Answers one behind the other, of which the status is enough.
    fn answered(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Result<usize, String> {
        const STATUS: &[u8] = b"HTTP/1.1 ";
        let mut taken = bytes.len().saturating_sub(STATUS.len() + 2);
        for at in memchr::memmem::find_iter(bytes, STATUS) {
            let Some(class) = bytes.get(at + STATUS.len()) else { break };
            if *class != b'2' {
                let line = bytes[at..].split(|byte| *byte == b'\r').next().unwrap_or_default();
                return Err(format!("publishing was answered {}", String::from_utf8_lossy(line)));
            }
            self.answered += 1;
            taken = taken.max(at + STATUS.len());
        }
        Ok(taken)
    }

    fn is_settled(&self, published: u64) -> bool {
        self.answered == published
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::recorder::Window;

    fn tape() -> Tape {
        let mut tape = Tape::new(Clock::start(), Window { from_us: 0, to_us: u64::MAX });
        tape.due_us = vec![1; 10];
        tape
    }

    /// Messages as NATS sends them.
    fn sent(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = b"+OK\r\n".to_vec();
        for number in numbers {
            bytes.extend_from_slice(b"MSG lot 1 200\r\n");
            Numbers { published: number - 1 }.put(&mut bytes);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    #[test]
    fn operations_cut_anywhere_over_frames_are_taken_once() {
        let bytes = sent(&[1, 2, 3]);
        for cut in 0..bytes.len() {
            let (mut nats, mut tape, mut seen) = (Nats::default(), tape(), Seen::default());
            for part in [&bytes[..cut], &bytes[cut..]] {
                assert_eq!(nats.heard(&mut seen, part, true, &mut tape), Answer::Nothing);
            }
            assert_eq!((seen.upto, tape.check.faults, seen.rest.len()), (3, 0, 0), "{cut}");
        }
    }

    #[test]
    fn a_gap_is_a_fault_and_nats_pings_are_answered() {
        let (mut nats, mut tape, mut seen) = (Nats::default(), tape(), Seen::default());
        nats.heard(&mut seen, &sent(&[1, 3]), true, &mut tape);
        assert_eq!(tape.check.faults, 1);
        let pong = nats.heard(&mut seen, b"PING\r\n", true, &mut tape);
        assert_eq!(pong, Answer::Send(NATS_PONG));
        let error = nats.heard(&mut seen, b"-ERR 'Slow Consumer'\r\n", true, &mut tape);
        assert!(matches!(error, Answer::Fail(_)));
    }

    #[test]
    fn pipelined_answers_are_counted_wherever_they_are_cut() {
        let answers = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        for cut in 0..answers.len() {
            let mut nchan = Nchan::default();
            let taken = nchan.answered(&answers[..cut], &mut Vec::new()).unwrap();
            nchan.answered(&answers[taken..], &mut Vec::new()).unwrap();
            assert!(nchan.is_settled(2), "{cut}: {}", nchan.answered);
        }
        let refused = Nchan::default().answered(b"HTTP/1.1 413 Too Large\r\n\r\n", &mut Vec::new());
        assert!(refused.unwrap_err().contains("413"));
    }

    #[test]
    fn what_is_published_has_the_size_and_the_number() {
        let mut out = Vec::new();
        Nchan::default().publish(2, 0, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("Content-Length: 200").count(), 2);
        let (_, body) = text.rsplit_once("\r\n\r\n").unwrap();
        assert_eq!((body.len(), &body[..NUMBER_DIGITS]), (MESSAGE_BYTES, "0000000000000002"));
    }
}
