//! What happened, step by step: as a digest always, as lines when somebody wants to read it.
//!
//! Two runs of one seed must have one digest. Lines cost a third of the speed, so a run keeps none; when
//! it finds something, the episode is run again with them.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The trace of a run or an episode.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    digest: SipHasher13,
    lines: Option<Vec<String>>,
    step: u64,
}

impl Trace {
    /// One that keeps its lines.
    #[must_use]
    pub fn with_lines() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Begins the next step.
    pub fn step(&mut self, kind: u8) {
        self.step += 1;
        self.digest.write_u64(self.step);
        self.digest.write_u8(kind);
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Puts a value into the digest.
    pub fn value(&mut self, value: u64) {
        self.digest.write_u64(value);
    }

    /// Notes what happened; made only when lines are kept.
    pub fn note<F: FnOnce() -> String>(&mut self, line: F) {
        let step = self.step;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{step:>7}  {}", line()));
        }
    }

    /// The digest so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The last lines, oldest first; all of them when there are fewer.
    #[must_use]
    pub fn last(&self, lines: usize) -> &[String] {
        let kept = self.lines.as_deref().unwrap_or_default();
        &kept[kept.len().saturating_sub(lines)..]
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().flatten().try_for_each(|line| writeln!(f, "{line}"))
    }
}
