//! How alike two compact plates are: what a camera may have misread, and what a finger may have mistyped.
//!
//! Invariants: likeness is symmetric; it never takes two edits for one. It says how alike two texts are and
//! nothing else: whether a rule of the lot lets somebody in on that is the rule's business.

/// Characters that cameras take for each other: drawn alike on plates, or alike once dirt or the dark has taken a
/// stroke away. Each pair counts both ways; pairs are not chained (`0` for `D`, `D` for `O`: two errors).
pub const CONFUSED: &[(char, char)] = &[
    ('0', 'O'),
    ('0', 'D'),
    ('0', 'Q'),
    ('O', 'D'),
    ('O', 'Q'),
    ('D', 'Q'),
    ('1', 'I'),
    ('1', 'L'),
    ('1', '7'),
    ('1', 'T'),
    ('I', 'L'),
    ('I', 'T'),
    ('2', 'Z'),
    ('4', 'A'),
    ('5', 'S'),
    ('6', 'G'),
    ('7', 'T'),
    ('8', 'B'),
    ('8', '3'),
    ('C', 'G'),
    ('E', 'F'),
    ('H', 'N'),
    ('K', 'X'),
    ('M', 'N'),
    ('P', 'R'),
    ('U', 'V'),
    ('V', 'Y'),
    ('V', 'W'),
    // Dots that the camera did not see.
    ('A', 'Ä'),
    ('O', 'Ö'),
    ('U', 'Ü'),
];

/// How alike two plates are, the likest first: `likeness(a, b) <= Likeness::Confused` asks for that or better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Likeness {
    /// The same.
    Same,
    /// One character is another one that cameras take for it.
    Confused,
    /// One character is another, is missing, is too many, or two neighbours have changed places.
    OneEdit,
    /// Two plates.
    Different,
}

/// How alike two compact plates are.
#[must_use]
pub fn likeness(a: &str, b: &str) -> Likeness {
    match first_edit(a, b) {
        None => Likeness::Different,
        Some(Edit::None) => Likeness::Same,
        Some(Edit::Replaced(x, y)) if is_confused(x, y) => Likeness::Confused,
        Some(Edit::Replaced(..) | Edit::Other) => Likeness::OneEdit,
    }
}

/// Whether at most one edit leads from one compact plate to the other: a Damerau-Levenshtein distance of one.
#[must_use]
pub fn one_edit(a: &str, b: &str) -> bool {
    first_edit(a, b).is_some()
}

fn is_confused(x: char, y: char) -> bool {
    CONFUSED.contains(&(x, y)) || CONFUSED.contains(&(y, x))
}

enum Edit {
    None,
    Replaced(char, char),
    Other,
}

/// The one edit, if one is enough. What is equal at both ends falls away; the rest tells.
fn first_edit(a: &str, b: &str) -> Option<Edit> {
    let mut left = a.chars().peekable();
    let mut right = b.chars().peekable();
    while left.peek().is_some() && left.peek() == right.peek() {
        left.next();
        right.next();
    }
    let (mut left, mut right): (Vec<char>, Vec<char>) = (left.collect(), right.collect());
    while !left.is_empty() && left.last() == right.last() {
        left.pop();
        right.pop();
    }
    match (&left[..], &right[..]) {
        ([], []) => Some(Edit::None),
        ([x], [y]) => Some(Edit::Replaced(*x, *y)),
        ([_], []) | ([], [_]) => Some(Edit::Other),
        ([a, b], [c, d]) if a == d && b == c => Some(Edit::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plates_are_as_alike_as_they_look() {
        for (a, b, wanted) in [
            ("BXY123", "BXY123", Likeness::Same),
            ("", "", Likeness::Same),
            ("BXY123", "8XY123", Likeness::Confused),
            ("BXY120", "BXY12O", Likeness::Confused),
            ("WÜX1", "WUX1", Likeness::Confused),
            ("BXY123", "BXY124", Likeness::OneEdit),
            ("BXY123", "BXY12", Likeness::OneEdit),
            ("BXY123", "XY123", Likeness::OneEdit),
            ("BXY123", "BXXY123", Likeness::OneEdit),
            ("BXY123", "BYX123", Likeness::OneEdit),
            ("BXY123", "BXY132", Likeness::OneEdit),
            ("A", "", Likeness::OneEdit),
            ("BXY123", "8XYI23", Likeness::Different),
            ("BXY123", "BYZ123", Likeness::Different),
            ("AB", "", Likeness::Different),
            ("ABCD", "BADC", Likeness::Different),
            // Not chained: 0 is taken for D, D for Q, but never B for 0.
            ("B1", "01", Likeness::OneEdit),
        ] {
            assert_eq!(likeness(a, b), wanted, "{a} {b}");
            assert_eq!(likeness(b, a), wanted, "{b} {a}");
            assert_eq!(one_edit(a, b), wanted <= Likeness::OneEdit, "{a} {b}");
        }
    }

    #[test]
    fn the_table_has_each_pair_once_and_nothing_with_itself() {
        for (index, (x, y)) in CONFUSED.iter().enumerate() {
            assert_ne!(x, y);
            let again =
                CONFUSED[index + 1..].iter().any(|pair| *pair == (*x, *y) || *pair == (*y, *x));
            assert!(!again, "{x} {y}");
        }
    }

    /// The distance by the book: optimal string alignment.
    fn distance(a: &[char], b: &[char]) -> usize {
        let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
        for i in 1..=a.len() {
            let mut row = vec![i];
            for j in 1..=b.len() {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                row.push(best);
            }
            rows.push(row);
        }
        rows[a.len()][b.len()]
    }

    proptest! {
        // Few letters, so that texts of one edit are common.
        #[test]
        fn one_edit_is_the_distance_by_the_book(a in "[AB1Ö]{0,6}", b in "[AB1Ö]{0,6}") {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            let distance = distance(&chars(&a), &chars(&b));
            prop_assert_eq!(one_edit(&a, &b), distance <= 1);
            prop_assert_eq!(likeness(&a, &b) == Likeness::Same, distance == 0);
            prop_assert_eq!(likeness(&a, &b), likeness(&b, &a));
        }
    }
}
