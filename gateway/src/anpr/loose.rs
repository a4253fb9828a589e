//! Values as makers send them: a number here is a text there, and null or `""` when it is not known; and lists of
//! which the beginning is kept, because four megabytes of `{}` would be a hundred times that in memory.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A text, a number, or anything else, which is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Loose<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Number(f64),
}

impl Loose<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nothing | Self::Number(_) => None,
        }
    }

    /// The number, or the one that the text says.
    pub(super) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing => None,
        };
        number.filter(|number: &f64| number.is_finite())
    }

    /// A text or a whole number as a name.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim().to_owned()),
            Self::Number(number) if number.fract() == 0.0 => Some(format!("{number:.0}")),
            Self::Number(_) | Self::Nothing => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Nothing => true,
            Self::Number(_) => false,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Loose<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Loose::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Loose::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Loose::Number(number))
            }

            // Instants in milliseconds and numbers of cameras are far below 2^53.
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Loose::Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Loose::Number(number as f64))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Loose::Nothing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose::Nothing)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Loose::Nothing)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The first `N` of a list, and how many it had; null is an empty one.
#[derive(Clone, Debug)]
pub(super) struct Few<T, const N: usize> {
    pub(super) kept: Vec<T>,
    pub(super) found: usize,
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { kept: Vec::new(), found: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
            type Value = Few<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Few::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut few = Few::default();
                while few.kept.len() < N {
                    let Some(one) = seq.next_element()? else { break };
                    few.kept.push(one);
                }
                few.found = few.kept.len();
                while few.found >= N && seq.next_element::<IgnoredAny>()?.is_some() {
                    few.found += 1;
                }
                Ok(few)
            }
        }

        deserializer.deserialize_any(List(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_taken_for_what_it_says() {
        for (json, text, number, name) in [
            (r#""a b ""#, Some("a b "), None, Some("a b")),
            (r#""\u0061""#, Some("a"), None, Some("a")),
            (r#"" 1.5""#, Some(" 1.5"), Some(1.5), Some("1.5")),
            ("7", None, Some(7.0), Some("7")),
            ("-7", None, Some(-7.0), Some("-7")),
            ("1562681124479", None, Some(1_562_681_124_479.0), Some("1562681124479")),
            ("7.5", None, Some(7.5), None),
            (r#""inf""#, Some("inf"), None, Some("inf")),
            ("null", None, None, None),
            ("true", None, None, None),
            (r#"[1,["x"]]"#, None, None, None),
            (r#"{"a":{"b":1}}"#, None, None, None),
        ] {
            let loose: Loose<'_> = serde_json::from_str(json).unwrap();
            assert_eq!((loose.text(), loose.number()), (text, number), "{json}");
            assert_eq!(loose.name().as_deref(), name, "{json}");
        }
    }

    #[test]
    fn the_beginning_of_a_list_is_kept_and_all_of_it_counted() {
        for (json, kept, found) in [
            ("null", vec![], 0),
            ("[]", vec![], 0),
            ("[1]", vec![1], 1),
            ("[1,2]", vec![1, 2], 2),
            (r#"[1,2,"x",[4]]"#, vec![1, 2], 4),
        ] {
            let few: Few<u8, 2> = serde_json::from_str(json).unwrap();
            assert_eq!((few.kept, few.found), (kept, found), "{json}");
        }
        for json in ["{}", "1", r#""x""#, "[1", "[1,2,3", r#"["x"]"#] {
            assert!(serde_json::from_str::<Few<u8, 2>>(json).is_err(), "{json}");
        }
    }
}
