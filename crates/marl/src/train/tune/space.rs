//! What a search draws from.

use std::collections::BTreeMap;

use karma_cluster::{scenario::TrainSettings, seed::derive};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Why a space was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// A key that training has no setting for.
    #[error("{0}: there is no such setting of training")]
    Unknown(String),
    /// A range that holds nothing, or nothing that can be drawn.
    #[error("{0}: {1}")]
    Empty(String, &'static str),
    /// A value that a setting cannot have.
    #[error("{0}: {1}")]
    Value(String, String),
    /// Values that the settings cannot have.
    #[error("what was drawn does not fit the settings of training: {0}")]
    Unfit(String),
}

impl SpaceError {
    /// The setting that it is about, and what is wrong, where it is about one.
    #[must_use]
    pub fn at(&self) -> Option<(&str, &str)> {
        match self {
            Self::Unknown(key) => Some((key, "there is no such setting of training")),
            Self::Empty(key, why) => Some((key, why)),
            Self::Value(key, why) => Some((key, why)),
            Self::Unfit(_) => None,
        }
    }
}

/// Where one setting is drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Evenly between two numbers.
    Linear([f64; 2]),
    /// Evenly between the logarithms of two numbers above 0.
    Log([f64; 2]),
    /// One of these.
    Of(Vec<Value>),
}

/// A range for some of the settings of training, by the names that scenarios give them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(pub BTreeMap<String, Range>);

impl Space {
    /// Checks names and ranges against `settings`.
    ///
    /// # Errors
    /// [`SpaceError`] for the first that does not fit.
    pub fn check(&self, settings: &TrainSettings) -> Result<(), SpaceError> {
        let known = object(settings)?;
        for (key, range) in &self.0 {
            let empty = |why| SpaceError::Empty(key.clone(), why);
            if !known.contains_key(key) || !known[key].is_number() {
                return Err(SpaceError::Unknown(key.clone()));
            }
            match range {
                Range::Of(values) if values.is_empty() => {
                    return Err(empty("one value at least is needed"));
                }
                Range::Of(_) => {}
                Range::Linear([low, high]) | Range::Log([low, high]) => {
                    if !(low.is_finite() && high.is_finite() && low <= high) {
                        return Err(empty("the first number must not be above the second"));
                    }
                    if matches!(range, Range::Log(_)) && *low <= 0.0 {
                        return Err(empty("a logarithmic range lies above 0"));
                    }
                    let apart = match range {
                        Range::Log(_) => high / low,
                        _ => high - low,
                    };
                    if !apart.is_finite() {
                        return Err(empty("its ends are too far apart to draw between them"));
                    }
                }
            }
        }
        for (key, value) in self.extremes() {
            let drawn = BTreeMap::from([(key.to_owned(), value)]);
            apply(settings, &drawn).map_err(|error| match error {
                SpaceError::Unfit(why) => SpaceError::Value(key.to_owned(), why),
                other => other,
            })?;
        }
        Ok(())
    }

    /// Every value of a list and both ends of every range, each by itself: what limits have to hold.
    pub fn extremes(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().flat_map(|(key, range)| {
            let values = match range {
                Range::Linear(ends) | Range::Log(ends) => ends.map(Value::from).to_vec(),
                Range::Of(values) => values.clone(),
            };
            values.into_iter().map(move |value| (key.as_str(), value))
        })
    }

    /// The draws of one trial: each setting from a stream of its own, so that a range more or less
    /// changes no other.
    #[must_use]
    pub fn draw(&self, seed: u64, trial: u32) -> BTreeMap<String, Value> {
        let draws = self.0.iter().map(|(key, range)| {
            let mut stream = derive(seed, key, u64::from(trial));
            let share = stream.r#gen::<f64>();
            let value = match range {
                Range::Linear([low, high]) => Value::from(low + (high - low) * share),
                Range::Log([low, high]) => Value::from(low * (high / low).powf(share)),
                Range::Of(values) => {
                    let at = (share * values.len() as f64) as usize;
                    values.get(at).cloned().unwrap_or_default()
                }
            };
            (key.clone(), value)
        });
        draws.collect()
    }
}

fn object(settings: &TrainSettings) -> Result<serde_json::Map<String, Value>, SpaceError> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(SpaceError::Unfit("they are no object".to_owned())),
        Err(error) => Err(SpaceError::Unfit(error.to_string())),
    }
}

/// `value`, whole where `like` is.
fn number(value: f64, like: &Value) -> Value {
    if like.is_f64() {
        Value::from(value)
    } else {
        // Settings that count things are far below 2^53.
        Value::Number(Number::from(value.round().max(0.0) as u64))
    }
}

/// `settings` with what was drawn.
pub(super) fn apply(
    settings: &TrainSettings,
    drawn: &BTreeMap<String, Value>,
) -> Result<TrainSettings, SpaceError> {
    let mut map = object(settings)?;
    for (key, value) in drawn {
        let old = map
            .get(key)
            .ok_or_else(|| SpaceError::Unknown(key.clone()))?;
        let value = value
            .as_f64()
            .map_or_else(|| value.clone(), |v| number(v, old));
        map.insert(key.clone(), value);
    }
    serde_json::from_value(Value::Object(map)).map_err(|e| SpaceError::Unfit(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Space {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn draws_lie_in_their_ranges_and_repeat() {
        let space = space(
            r#"{"learning_rate": {"log": [1e-4, 1e-2]}, "gamma": {"linear": [0.9, 0.99]},
                "hidden": {"of": [32, 64]}}"#,
        );
        let settings = TrainSettings::default();
        space.check(&settings).unwrap();
        let mut low = 0;
        for trial in 0..200 {
            let drawn = space.draw(7, trial);
            assert_eq!(drawn, space.draw(7, trial));
            let settings = apply(&settings, &drawn).unwrap();
            assert!((1e-4..=1e-2).contains(&settings.learning_rate));
            assert!((0.9..=0.99).contains(&settings.gamma));
            assert!([32, 64].contains(&settings.hidden));
            low += u32::from(settings.learning_rate < 1e-3);
        }
        assert!((70..130).contains(&low), "{low} of 200 in the lower decade");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        for (text, expected) in [
            (r#"{"speed": {"of": [1]}}"#, "speed: there is no such"),
            (
                r#"{"flip_advantage": {"of": [1]}}"#,
                "flip_advantage: there is no such",
            ),
            (r#"{"hidden": {"of": []}}"#, "hidden: one value"),
            (r#"{"hidden": {"of": ["wide"]}}"#, "hidden: invalid type"),
            (r#"{"gamma": {"log": [1e-300, 1e300]}}"#, "gamma: its ends"),
            (
                r#"{"gamma": {"linear": [-1e308, 1e308]}}"#,
                "gamma: its ends",
            ),
            (r#"{"gamma": {"linear": [1, 0]}}"#, "gamma: the first"),
            (r#"{"clip": {"log": [0, 1]}}"#, "clip: a logarithmic"),
        ] {
            let refused = space(text).check(&TrainSettings::default()).unwrap_err();
            assert!(refused.to_string().contains(expected), "{refused}");
        }
    }
}
