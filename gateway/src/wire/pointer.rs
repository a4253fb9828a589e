//! Where in a JSON document a parser stopped, as a JSON pointer (RFC 6901).
//!
//! serde tells line and column; people and forms want the path. Only a refused request pays for this.
//! The scanner follows keys and positions and checks nothing: the parser has done that already.

/// A longer path ends at the last step that fits: it goes into answers.
const PATH_BYTES_MAX: usize = 256;

/// One open object or array.
enum Frame {
    /// The key whose value is being read.
    Object(Option<String>),
    /// The position being read.
    Array(usize),
}

/// The path of the value that the parser was in, or had just left, at a line and column (from 1).
#[must_use]
pub fn at(body: &[u8], line: usize, column: usize) -> String {
    let end = offset(body, line, column);
    let mut frames: Vec<Frame> = Vec::new();
    let mut expects_key = false;
    let mut position = 0;
    while position < end {
        match body[position] {
            b'{' => {
                frames.push(Frame::Object(None));
                expects_key = true;
            }
            b'[' => frames.push(Frame::Array(0)),
            b'}' | b']' => {
                frames.pop();
            }
            b',' => match frames.last_mut() {
                Some(Frame::Array(index)) => *index += 1,
                Some(Frame::Object(_)) => expects_key = true,
                None => {}
            },
            b'"' => {
                let text = string_from(body, position);
                if expects_key && let Some(Frame::Object(key)) = frames.last_mut() {
                    *key = serde_json::from_slice(&body[position..position + text]).ok();
                    expects_key = false;
                }
                position += text;
                continue;
            }
            _ => {}
        }
        position += 1;
    }
    path(&frames)
}

/// Bytes of the string that begins at `start`, quotes included.
fn string_from(body: &[u8], start: usize) -> usize {
    let mut escaped = false;
    for (length, byte) in body[start..].iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return length + 1,
            _ => {}
        }
    }
    body.len() - start
}

fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let before = body.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = before.map(<[u8]>::len).sum();
    start.saturating_add(column).min(body.len())
}

fn path(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        let step = match frame {
            Frame::Object(None) => continue,
            Frame::Object(Some(key)) => key.replace('~', "~0").replace('/', "~1"),
            Frame::Array(index) => index.to_string(),
        };
        if path.len() + 1 + step.len() >= PATH_BYTES_MAX {
            // What leads here is still true, and a key may be as long as the body.
            break;
        }
        path.push('/');
        path.push_str(&step);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_names_the_value_the_parser_was_in() {
        for (body, column, pointer) in [
            (r#"{"a":1,"b":"x"}"#, 14, "/b"),
            (r#"{"a":[1,{"c":true}]}"#, 17, "/a/1/c"),
            (r#"{"a":[1,{"c":true}]}"#, 18, "/a/1"),
            (r#"{"a":[1,{"c":true}]}"#, 20, ""),
            (r#"{"a/b~":1}"#, 9, "/a~1b~0"),
            (r#"{"a":"}]{\"","b":2}"#, 18, "/b"),
            (r#"{"typo"#, 6, ""),
            ("", 0, ""),
        ] {
            assert_eq!(at(body.as_bytes(), 1, column), pointer, "{body} at {column}");
        }
        assert_eq!(at(b"{\n  \"a\": [\n    3]}", 3, 5), "/a/0");
    }

    #[test]
    fn a_path_that_is_too_long_ends_before() {
        let body = format!(r#"{{"a":{{"{}":1"#, "k".repeat(100_000));
        assert_eq!(at(body.as_bytes(), 1, body.len()), "/a");
        let deep = "[".repeat(1_000);
        let path = at(deep.as_bytes(), 1, deep.len());
        assert!(path.len() < PATH_BYTES_MAX && path.starts_with("/0/0"), "{path}");
    }
}
