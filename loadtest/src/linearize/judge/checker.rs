//! A linearizability checker: the search of Wing and Gong with the memory of Lowe.
//!
//! It goes through orders depth first, always among the operations that no unplaced one must precede, and never
//! twice through a configuration (set of placed operations, state). Operations without an answer are optional: they may be
//! placed until the end of their interval, or left out. What fits now and never changes anything is placed at once:
//! whatever follows it could follow it anyway, so nothing is lost, and only effects make the search branch.
//! Configurations are remembered by a 128-bit hash; a collision would need some 2^60 of them.
//! Deliberately absent: parallel search. A history of some hundred operations takes milliseconds.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Configurations after which a search is given up; far beyond what a history of the tests needs.
pub const CONFIGURATIONS_MAX: usize = 2_000_000;

/// What an operation does to a state.
#[derive(Debug)]
pub enum Step<S> {
    /// The answer cannot be given in this state.
    Refused,
    /// The answer fits and nothing changes, and in no state that can follow would it change anything.
    Unchanged,
    /// The answer fits and the state becomes one of these.
    Changed(Vec<S>),
}

/// The sequential specification.
pub trait Model {
    /// What it keeps.
    type State: Clone + Eq + Hash;
    /// What is done to it.
    type Operation: Timed;
    /// Before everything.
    fn initial(&self) -> Self::State;
    /// What an operation with its answer does.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Step<Self::State>;
}

/// When an operation can take effect.
pub trait Timed {
    /// Not before.
    fn called_us(&self) -> u64;
    /// Not after.
    fn until_us(&self) -> u64;
    /// Whether it did for sure.
    fn is_definite(&self) -> bool;
}

/// What a search found.
#[derive(Debug)]
pub enum Verdict<S> {
    /// There is an order; so many configurations were looked at.
    Linearizable { configurations: usize },
    /// There is none. The longest beginning of one, as positions in the history, and the state after it.
    Violated { longest: Vec<usize>, state: S },
    /// Given up.
    TooLong { configurations: usize },
}

/// Looks for an order of `operations`.
pub fn check<M: Model>(
    model: &M,
    operations: &[M::Operation],
    configurations_max: usize,
) -> Verdict<M::State> {
    Search::new(model, operations).run(configurations_max)
}

/// One operation placed, and what can follow it.
struct Frame<S> {
    placed: Option<usize>,
    /// Untried, the best last.
    options: Vec<(usize, S)>,
    /// The latest call among all that are placed: an optional operation that ended before it is left out.
    latest_call_us: u64,
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [M::Operation],
    /// The unplaced ones in order of their calls: the next of each position, in `links[position + 1]`.
    links: Vec<usize>,
    back: Vec<usize>,
    definite_left: usize,
    /// A sum over the placed ones that tells sets apart.
    placed_hash: u128,
    seen: HashSet<u128>,
    frames: Vec<Frame<M::State>>,
    longest: (Vec<usize>, M::State),
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [M::Operation]) -> Self {
        let mut order: Vec<usize> = (0..operations.len()).collect();
        order.sort_by_key(|position| operations[*position].called_us());
        // A ring through place 0, which is nobody's.
        let mut links = vec![0; operations.len() + 1];
        let mut back = vec![0; operations.len() + 1];
        let mut last = 0;
        for position in order {
            links[last] = position + 1;
            back[position + 1] = last;
            last = position + 1;
        }
        back[0] = last;
        let definite_left = operations.iter().filter(|operation| operation.is_definite()).count();
        Self {
            model,
            operations,
            links,
            back,
            definite_left,
            placed_hash: 0,
            seen: HashSet::new(),
            frames: Vec::new(),
            longest: (Vec::new(), model.initial()),
        }
    }

    fn run(mut self, configurations_max: usize) -> Verdict<M::State> {
        self.enter(None, self.model.initial(), 0);
        while let Some(frame) = self.frames.last_mut() {
            if self.definite_left == 0 {
                return Verdict::Linearizable { configurations: self.seen.len() };
            }
            if self.seen.len() >= configurations_max {
                return Verdict::TooLong { configurations: self.seen.len() };
            }
            let latest = frame.latest_call_us;
            match frame.options.pop() {
                Some((position, state)) => {
                    self.lift(position);
                    if self.seen.insert(self.placed_hash ^ hash_of(&state)) {
                        let latest = latest.max(self.operations[position].called_us());
                        self.enter(Some(position), state, latest);
                    } else {
                        self.put_back(position);
                    }
                }
                None => {
                    let left = self.frames.pop().and_then(|frame| frame.placed);
                    if let Some(position) = left {
                        self.put_back(position);
                    }
                }
            }
        }
        let (longest, state) = self.longest;
        Verdict::Violated { longest, state }
    }

    fn order(&self) -> Vec<usize> {
        self.frames.iter().filter_map(|frame| frame.placed).collect()
    }

    fn enter(&mut self, placed: Option<usize>, state: M::State, latest_call_us: u64) {
        let mut options = self.options(&state, latest_call_us);
        options.reverse();
        self.frames.push(Frame { placed, options, latest_call_us });
        if self.frames.len() > self.longest.0.len() + 1 {
            self.longest = (self.order(), state);
        }
    }

    /// What can come next: everything called before the first end of an unplaced definite operation.
    fn options(&self, state: &M::State, latest_call_us: u64) -> Vec<(usize, M::State)> {
        // An answer mostly fits at one place only, what has none fits nearly everywhere: the answered are tried first.
        let (mut options, mut unanswered) = (Vec::new(), Vec::new());
        let mut first_end_us = u64::MAX;
        // The first end of an optional one that could still be placed: what is called later would rule it out.
        let mut first_optional_end_us = u64::MAX;
        let mut place = self.links[0];
        while place != 0 {
            let operation = &self.operations[place - 1];
            if operation.called_us() > first_end_us {
                break;
            }
            let is_over = operation.until_us() < latest_call_us;
            if operation.is_definite() || !is_over {
                match self.model.step(state, operation) {
                    Step::Unchanged
                        if operation.is_definite()
                            && operation.called_us() <= first_optional_end_us =>
                    {
                        return vec![(place - 1, state.clone())];
                    }
                    Step::Unchanged if operation.is_definite() => {
                        options.push((place - 1, state.clone()));
                    }
                    // An optional one without an effect is as good as left out.
                    Step::Unchanged | Step::Refused => {}
                    Step::Changed(states) => {
                        let options =
                            if operation.is_definite() { &mut options } else { &mut unanswered };
                        options.extend(states.into_iter().map(|state| (place - 1, state)));
                    }
                }
            }
            if operation.is_definite() {
                first_end_us = first_end_us.min(operation.until_us());
            } else if !is_over {
                first_optional_end_us = first_optional_end_us.min(operation.until_us());
            }
            place = self.links[place];
        }
        options.append(&mut unanswered);
        options
    }

    fn lift(&mut self, position: usize) {
        let place = position + 1;
        let (before, after) = (self.back[place], self.links[place]);
        self.links[before] = after;
        self.back[after] = before;
        self.definite_left -= usize::from(self.operations[position].is_definite());
        self.placed_hash ^= hash_of(&position);
    }

    /// The reverse of [`Search::lift`], in the reverse order of lifts: its own links still say where it was.
    fn put_back(&mut self, position: usize) {
        let place = position + 1;
        let (before, after) = (self.back[place], self.links[place]);
        self.links[before] = place;
        self.back[after] = place;
        self.definite_left += usize::from(self.operations[position].is_definite());
        self.placed_hash ^= hash_of(&position);
    }
}

/// 128 bits from two differently begun hashers.
fn hash_of(value: &impl Hash) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0x9E37_79B9_7F4A_7C15) << 64 | half(0xC2B2_AE3D_27D4_EB4F)
}
