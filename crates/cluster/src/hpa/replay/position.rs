//! Finds the key that a fault of a JSON text belongs to.

use super::ReplayError;

/// One level of nesting on the way to a position.
enum Level {
    Object(Option<String>),
    Array(usize),
}

/// The fault with the path of the key at its position.
pub(super) fn locate(text: &str, error: &serde_json::Error) -> ReplayError {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let path = path_at(text, line_start + error.column());
    let path = if path.is_empty() { "file" } else { &path };
    ReplayError::new(path, error.to_string())
}

/// Path of the value that is being read at byte `end`.
fn path_at(text: &str, end: usize) -> String {
    let bytes = &text.as_bytes()[..end.min(text.len())];
    let mut levels: Vec<Level> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let close = string_end(bytes, at + 1);
                // The first string after a brace or a comma is a key.
                if let Some(Level::Object(key @ None)) = levels.last_mut() {
                    *key = Some(String::from_utf8_lossy(&bytes[at + 1..close]).into_owned());
                }
                at = close;
            }
            b'{' => levels.push(Level::Object(None)),
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Object(key)) => *key = None,
                Some(Level::Array(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    render(&levels)
}

/// Byte after the content of the string that starts at `from`.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn render(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Level::Object(None) => {}
            Level::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_gives_the_path_of_the_value_read_there() {
        let text = r#"{"a": [{"b": "x\"]"}, {"b": 1, "c": 2}], "d": 3}"#;
        let at = |needle: &str| path_at(text, text.find(needle).unwrap_or(0) + needle.len());
        assert_eq!(at("x\\\"]\""), "a[0].b");
        assert_eq!(at(r#", "c""#), "a[1].c");
        assert_eq!(at("2}"), "a[1]");
        assert_eq!(at(r#""d": 3"#), "d");
        assert_eq!(path_at(text, 0), "");
    }
}
