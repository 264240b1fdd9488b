//! The metrics of a run as an event file, for TensorBoard to draw.
//!
//! `tensorboard/events.out.tfevents.0.karma` holds one event per line of `metrics.jsonl`: every
//! number of the line but its iteration, which is the step. It is made from those lines and from
//! nothing else, so that a resumed run, which writes it anew, leaves the same bytes as one that was
//! never stopped. For the same reason the time of an event is its step, in seconds since 1970:
//! TensorBoard's axis "relative" counts iterations, its axis "wall" means nothing.
//!
//! TensorBoard keeps 32-bit floats; `metrics.jsonl` has all digits.

mod proto;
mod record;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use karma_cluster::files;
use prost::Message;
use serde_json::{Map, Value};

use crate::error::{MarlError, Result};
use proto::{Event, Scalar, Summary};

/// Name of the step in a line of metrics.
const STEP: &str = "iteration";

/// What every event file starts with.
const VERSION: &str = "brain.Event:2";

fn path(dir: &Path) -> PathBuf {
    dir.join("tensorboard/events.out.tfevents.0.karma")
}

/// Brings the event file of a run in `dir` to what its `metrics.jsonl` holds, `metrics`.
///
/// A file that goes on from there, as a stopped run leaves it, is cut in its place: a TensorBoard that
/// has it open waits for the bytes to come again, which are the same, and would miss a new file.
pub(super) fn begin(dir: &Path, metrics: &str) -> Result<()> {
    let path = path(dir);
    let version = Event {
        file_version: Some(VERSION.to_owned()),
        ..Event::default()
    };
    let mut bytes = record::framed(&version.encode_to_vec());
    for line in metrics.lines() {
        bytes.extend(event(line).map_err(|e| MarlError::broken(&path, e))?);
    }
    let written = match fs::read(&path) {
        Ok(found) if found.starts_with(&bytes) => cut(&path, bytes.len()),
        _ => files::replace(&path, |file| file.write_all(&bytes)),
    };
    written.map_err(|e| MarlError::file(&path, e))
}

fn cut(path: &Path, length: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length as u64)?;
    file.sync_all()
}

/// Appends the event of one line of metrics, in one write.
pub(super) fn append(dir: &Path, line: &str) -> Result<()> {
    let path = path(dir);
    let bytes = event(line).map_err(|e| MarlError::broken(&path, e))?;
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(|e| MarlError::file(&path, e))
}

/// The framed event of one line of metrics. It is always made from the text, since a number that
/// went through decimal text may differ in its last bit from the one that was written.
fn event(line: &str) -> serde_json::Result<Vec<u8>> {
    let metrics: Map<String, Value> = serde_json::from_str(line)?;
    let step = metrics.get(STEP).and_then(Value::as_i64).unwrap_or(0);
    let value = metrics
        .iter()
        .filter(|(name, _)| *name != STEP)
        .filter_map(|(name, value)| {
            Some(Scalar {
                tag: name.clone(),
                simple_value: Some(value.as_f64()? as f32),
            })
        })
        .collect();
    let event = Event {
        wall_time: step as f64,
        step,
        file_version: None,
        summary: Some(Summary { value }),
    };
    Ok(record::framed(&event.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_every_number_of_its_line_but_the_step() {
        let line = r#"{"iteration":3,"env_steps":4800,"reward":0.1,"validation":null}"#;
        let framed = event(line).unwrap();
        let event = Event::decode(record::payload(&framed)).unwrap();
        assert_eq!((event.step, event.wall_time), (3, 3.0));
        let told: Vec<(String, Option<f32>)> = event
            .summary
            .unwrap()
            .value
            .into_iter()
            .map(|scalar| (scalar.tag, scalar.simple_value))
            .collect();
        let expected = [("env_steps", 4800.0), ("reward", 0.1)];
        let expected = expected.map(|(tag, value)| (tag.to_owned(), Some(value)));
        assert_eq!(told, expected);
    }

    #[test]
    fn who_has_the_file_open_sees_the_run_go_on() {
        let dir = std::env::temp_dir().join(format!("karma-marl-events-{}", std::process::id()));
        let lines = [0, 1, 2].map(|i| format!("{{\"iteration\":{i},\"reward\":0.{i}}}\n"));
        fs::create_dir_all(path(&dir).parent().unwrap()).unwrap();
        fs::write(path(&dir), "of something else").unwrap();
        begin(&dir, &lines.concat()).unwrap();
        let expected = fs::read(path(&dir)).unwrap();
        let mut open = fs::File::open(path(&dir)).unwrap();
        begin(&dir, &lines[0]).unwrap();
        assert!(fs::read(path(&dir)).unwrap().len() < expected.len());
        for line in &lines[1..] {
            append(&dir, line).unwrap();
        }
        let mut seen = Vec::new();
        io::Read::read_to_end(&mut open, &mut seen).unwrap();
        assert!(seen == expected && fs::read(path(&dir)).unwrap() == expected);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_zero_is_written_too() {
        let framed = event(r#"{"iteration":0,"clip_fraction":0.0}"#).unwrap();
        let event = Event::decode(record::payload(&framed)).unwrap();
        assert_eq!(event.summary.unwrap().value[0].simple_value, Some(0.0));
    }
}
