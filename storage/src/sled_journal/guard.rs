//! sled may panic or loop on damaged files (spacejam/sled#1533); behind this door both are errors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::JournalError;

/// Of the threads behind the door.
const THREAD: &str = "journal-open";

/// Keeps panics behind the door off standard error: they are errors there, told with a place and a remedy. For
/// programs, at their start; all other panics are told as before.
pub fn silence_guarded_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(THREAD) {
            usual(panic);
        }
    }));
}

/// Runs work that opens or scans a sled directory on a thread of its own, with a time limit. Work that
/// exceeds it is left behind: the process is about to refuse its start anyway.
pub(crate) fn with_limit<T: Send + 'static>(
    place: &str,
    seconds_max: u64,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let (sender, receiver) = channel();
    let inner_place = place.to_owned();
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        let result = caught(&inner_place, AssertUnwindSafe(work));
        // Nobody listens any more once the limit has passed.
        drop(sender.send(result));
    });
    let thread =
        thread.map_err(|error| JournalError::disk("start a thread for", place.as_ref(), &error))?;
    match receiver.recv_timeout(Duration::from_secs(seconds_max)) {
        Ok(result) => {
            // It has sent its last word; joining makes sure that nothing of it holds the files.
            drop(thread.join());
            result
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let detail = format!("opening it did not end within {seconds_max} s");
            Err(JournalError::damaged(place, detail))
        }
    }
}

/// Turns a panic into an error.
pub(crate) fn caught<T>(
    place: &str,
    work: AssertUnwindSafe<impl FnOnce() -> Result<T, JournalError>>,
) -> Result<T, JournalError> {
    catch_unwind(work).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "without a message".to_owned());
        Err(JournalError::damaged(place, format!("sled gave up on it: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_carries_its_text() {
        let result: Result<(), _> = with_limit("here", 10, || panic!("page {} is gone", 7));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("here") && text.contains("page 7 is gone"), "{text}");
    }

    #[test]
    fn work_that_does_not_end_is_an_error() {
        let (hold, held) = channel::<()>();
        let result: Result<(), _> = with_limit("here", 0, move || {
            held.recv().unwrap_or_default();
            Ok(())
        });
        assert!(result.unwrap_err().to_string().contains("0 s"));
        drop(hold);
    }
}
