//! Guides of a team, compiled to flat code.

use serde::{Deserialize, Serialize};

/// Compiled guides of a team.
#[derive(Clone, Debug)]
pub struct Guides {}

/// What guides remember of one game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {}

/// What guides say about one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {}
