//! What an attacker that plays the game does, on top of what the scenario does by itself.

use serde::{Deserialize, Serialize};

use crate::given::Given;

/// What is done to one service of a game during one window. The default is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assault {
    /// Attack requests per request that would arrive anyway; entries only.
    pub flood: f32,
    /// Work of an attack request over that of a legitimate one.
    pub payload: f32,
    /// Pods deleted.
    pub kills: f32,
    /// Share of every pod's rate taken away.
    pub cpu_stress: f32,
}

impl Default for Assault {
    fn default() -> Self {
        Self {
            flood: 0.0,
            payload: 1.0,
            kills: 0.0,
            cpu_stress: 0.0,
        }
    }
}

/// Adds to what is `given` to the services of one game what is done by `assaults`, one per service.
/// `arrivals` are those that would come anyway, NaN where none do.
pub(super) fn add(assaults: &[Assault], arrivals: &[f32], given: &mut [Given]) {
    if assaults.iter().all(|a| *a == Assault::default()) {
        return;
    }
    for (given, assault) in given.iter_mut().zip(assaults) {
        given.kills += assault.kills;
        given.cpu_stress = 1.0 - (1.0 - given.cpu_stress) * (1.0 - assault.cpu_stress);
    }
    // Heavy requests spread over the pipeline: their share of all requests is what counts.
    let (mut anyway, mut flood, mut work) = (0.0, 0.0, 0.0);
    for (assault, arriving) in assaults.iter().zip(arrivals) {
        if !arriving.is_nan() {
            anyway += arriving;
            flood += arriving * assault.flood;
            work += arriving * assault.flood * assault.payload;
        }
    }
    if flood > 0.0 {
        for given in given {
            given.payload = (given.payload * anyway + work) / (anyway + flood);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_requests_weigh_by_their_share() {
        let flood = Assault {
            flood: 3.0,
            payload: 2.0,
            ..Assault::default()
        };
        let mut given = [Given::default(); 2];
        add(&[flood, Assault::default()], &[100.0, f32::NAN], &mut given);
        // 100 requests of work 1 and 300 of work 2.
        assert_eq!(given.map(|g| g.payload), [1.75; 2]);
    }

    #[test]
    fn stress_and_kills_come_on_top() {
        let assault = Assault {
            kills: 1.0,
            cpu_stress: 0.5,
            ..Assault::default()
        };
        let mut given = [Given {
            kills: 1.0,
            cpu_stress: 0.5,
            ..Given::default()
        }];
        add(&[assault], &[f32::NAN], &mut given);
        assert_eq!((given[0].kills, given[0].cpu_stress), (2.0, 0.75));
        assert_eq!(given[0].payload, 1.0);
    }
}
