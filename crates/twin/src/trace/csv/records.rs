//! The records of a CSV text, as RFC 4180 has them.

use std::borrow::Cow;

/// Reads one record after the other. Lines without anything are left out; lines end in LF or CRLF.
pub(super) struct Records<'a> {
    rest: &'a str,
    line: usize,
}

/// Why a text is no CSV.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Line of the quotation mark without a fellow, from 1.
    pub(super) line: usize,
}

impl<'a> Records<'a> {
    /// The records of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 0,
        }
    }

    /// Puts the cells of the next record into `cells` and tells its line, from 1; `None` at the end.
    pub(super) fn next(
        &mut self,
        cells: &mut Vec<Cow<'a, str>>,
    ) -> Result<Option<usize>, Unclosed> {
        cells.clear();
        while !self.rest.is_empty() {
            self.line += 1;
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            if line.contains('"') {
                return self.quoted(cells).map(Some);
            }
            self.rest = rest;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() {
                cells.extend(line.split(',').map(Cow::Borrowed));
                return Ok(Some(self.line));
            }
        }
        Ok(None)
    }

    /// A record with quotation marks, which may hold commas, line feeds and, doubled, themselves.
    fn quoted(&mut self, cells: &mut Vec<Cow<'a, str>>) -> Result<usize, Unclosed> {
        let first = self.line;
        loop {
            let cell = match self.rest.strip_prefix('"') {
                Some(rest) => {
                    self.rest = rest;
                    Cow::Owned(self.until_closed(first)?)
                }
                None => Cow::Borrowed(""),
            };
            // What is not quoted, or follows the closing mark.
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (plain, rest) = self.rest.split_at(end);
            let is_last = !rest.starts_with(',');
            let plain = if is_last {
                plain.strip_suffix('\r').unwrap_or(plain)
            } else {
                plain
            };
            cells.push(if cell.is_empty() {
                Cow::Borrowed(plain)
            } else {
                cell + plain
            });
            self.rest = rest.get(1..).unwrap_or_default();
            if is_last {
                return Ok(first);
            }
        }
    }

    /// The text up to the closing mark, which is left behind.
    fn until_closed(&mut self, first: usize) -> Result<String, Unclosed> {
        let mut text = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                return Err(Unclosed { line: first });
            };
            text.push_str(part);
            self.line += part.matches('\n').count();
            self.rest = rest;
            match rest.strip_prefix('"') {
                Some(rest) => {
                    text.push('"');
                    self.rest = rest;
                }
                None => return Ok(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(usize, Vec<String>)>, Unclosed> {
        let mut records = Records::new(text);
        let (mut cells, mut found) = (Vec::new(), Vec::new());
        while let Some(line) = records.next(&mut cells)? {
            found.push((line, cells.iter().map(|cell| cell.to_string()).collect()));
        }
        Ok(found)
    }

    fn record(line: usize, cells: &[&str]) -> (usize, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn plain_records_are_split_at_commas() {
        let found = all("\u{feff}a,b\r\n1,\r\n\n,2");
        let expected = [
            record(1, &["a", "b"]),
            record(2, &["1", ""]),
            record(4, &["", "2"]),
        ];
        assert_eq!(found.as_deref(), Ok(&expected[..]));
        assert_eq!(all(""), Ok(Vec::new()));
    }

    #[test]
    fn quoted_cells_hold_commas_lines_and_marks() {
        let found = all("\"a,1\",b\n\"two\nlines\",\"say \"\"no\"\"\"\r\nlast,\"\"\n3,\"4\"");
        let expected = [
            record(1, &["a,1", "b"]),
            record(2, &["two\nlines", "say \"no\""]),
            record(4, &["last", ""]),
            record(5, &["3", "4"]),
        ];
        assert_eq!(found.as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_mark_without_a_fellow_is_told_by_its_line() {
        assert_eq!(all("a,b\n1,\"2\n3,4\n"), Err(Unclosed { line: 2 }));
    }
}
