//! Columns: numbers and texts whose absence is explicit.

use std::collections::BTreeMap;

/// Numbers of which some may be null. A null holds no value, and is not 0.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    values: Vec<f64>,
    present: Vec<bool>,
}

/// Two columns are equal when the same rows are present with the same values; what lies behind a
/// null is nothing.
impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        self.present == other.present && self.iter().eq(other.iter())
    }
}

impl Numbers {
    /// Takes whole vectors over; a value that is not finite becomes null.
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn from_parts(mut values: Vec<f64>, mut present: Vec<bool>) -> Self {
        assert_eq!(values.len(), present.len(), "one flag per value");
        for (value, present) in values.iter_mut().zip(&mut present) {
            *present &= value.is_finite();
            if !*present {
                *value = 0.0;
            }
        }
        Self { values, present }
    }

    /// A column of `len` nulls.
    #[must_use]
    pub fn nulls(len: usize) -> Self {
        Self {
            values: vec![0.0; len],
            present: vec![false; len],
        }
    }

    /// A column of `value` in all of `len` rows; `None` where there are none.
    pub(super) fn constant(value: f64, len: usize) -> Option<Self> {
        (len > 0).then(|| Self::from_parts(vec![value; len], vec![true; len]))
    }

    /// Whether anything is not null.
    pub(super) fn is_known(&self) -> bool {
        self.present.contains(&true)
    }

    /// Appends the rows of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
        self.present.extend_from_slice(&other.present);
    }

    /// Appends `rows` nulls.
    pub(super) fn append_nulls(&mut self, rows: usize) {
        self.values.resize(self.len() + rows, 0.0);
        self.present.resize(self.values.len(), false);
    }

    /// Appends a value; what is not finite is null.
    pub fn push(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        self.values.push(value.unwrap_or(0.0));
        self.present.push(value.is_some());
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<f64> {
        self.present[row].then(|| self.values[row])
    }

    /// Replaces the value of `row`.
    pub fn set(&mut self, row: usize, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        self.values[row] = value.unwrap_or(0.0);
        self.present[row] = value.is_some();
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.values
            .iter()
            .zip(&self.present)
            .map(|(value, present)| present.then_some(*value))
    }

    /// Raw values (0 behind a null) and which of them are present.
    #[must_use]
    pub fn parts(&self) -> (&[f64], &[bool]) {
        (&self.values, &self.present)
    }
}

/// Texts of which some may be null, each distinct text kept once.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    dictionary: Vec<String>,
    index: BTreeMap<String, u32>,
    /// For every distinct text the one that last followed it: rows go round services and runs, so
    /// the next text is mostly known without a search.
    followers: Vec<u32>,
    codes: Vec<u32>,
}

/// Equal texts row by row, whatever the order of the dictionary.
impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|row| self.get(row) == other.get(row))
    }
}

impl Texts {
    /// The code of null.
    pub(super) const NULL: u32 = u32::MAX;

    /// A column of `len` nulls.
    #[must_use]
    pub fn nulls(len: usize) -> Self {
        Self {
            codes: vec![Self::NULL; len],
            ..Self::default()
        }
    }

    /// A column of `text` in all of `len` rows; `None` where there are none.
    pub(super) fn constant(text: &str, len: usize) -> Option<Self> {
        let mut column = Self::default();
        let code = column.code(text);
        column.codes = vec![code; len];
        (len > 0).then_some(column)
    }

    /// Appends the rows of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        // By the codes of `other`.
        let mut codes = vec![Self::NULL; other.dictionary.len()];
        for &theirs in &other.codes {
            let ours = match codes.get_mut(theirs as usize) {
                None => Self::NULL,
                Some(code) => {
                    if *code == Self::NULL {
                        *code = self.code(&other.dictionary[theirs as usize]);
                    }
                    *code
                }
            };
            self.codes.push(ours);
        }
    }

    /// Appends `rows` nulls.
    pub(super) fn append_nulls(&mut self, rows: usize) {
        self.codes.resize(self.codes.len() + rows, Self::NULL);
    }

    /// Appends a text.
    pub fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(Self::NULL, |text| self.code(text));
        self.codes.push(code);
    }

    /// Replaces the text of the last row.
    pub fn replace_last(&mut self, text: &str) {
        self.codes.pop();
        self.push(Some(text));
    }

    /// The code of a text for the next row.
    fn code(&mut self, text: &str) -> u32 {
        let last = self.codes.last().map_or(Self::NULL, |code| *code) as usize;
        if let Some(&follower) = self.followers.get(last)
            && self.dictionary[follower as usize] == text
        {
            return follower;
        }
        let code = self.index.get(text).copied().unwrap_or_else(|| {
            let code = self.dictionary.len() as u32;
            self.dictionary.push(text.to_owned());
            self.index.insert(text.to_owned(), code);
            self.followers.push(code);
            code
        });
        if let Some(follower) = self.followers.get_mut(last) {
            *follower = code;
        }
        code
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The text of `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        let code = self.codes[row];
        (code != Self::NULL).then(|| self.dictionary[code as usize].as_str())
    }

    /// For every row the place of its text in [`Self::distinct`], or [`Self::NULL`].
    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Distinct texts in order of first appearance.
    #[must_use]
    pub fn distinct(&self) -> &[String] {
        &self.dictionary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_order_whatever_follows_what() {
        let mut texts = Texts::default();
        let rows = ["a", "b", "a", "b", "b", "a", "c", "a", "a", "", "b"];
        for (row, text) in rows.iter().enumerate() {
            texts.push(Some(text));
            if row % 3 == 0 {
                texts.push(None);
            }
        }
        let kept: Vec<&str> = (0..texts.len()).filter_map(|row| texts.get(row)).collect();
        assert_eq!(kept, rows);
        assert_eq!(texts.distinct(), ["a", "b", "c", ""]);
    }
}
