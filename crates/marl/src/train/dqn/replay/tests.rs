use karma_nn::Heads;

use super::*;

/// One environment with one agent that counts its steps; episodes of five, cut off or over in turn.
struct Clock {
    time: u32,
}

impl VecEnv for Clock {
    fn envs(&self) -> usize {
        1
    }
    fn agents(&self) -> usize {
        1
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 2,
        }
    }
    fn width(&self) -> usize {
        1
    }
    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        out[0] = self.time as f32;
    }
    fn masks(&mut self, out: &mut [u8]) {
        out[0] = 1 + (self.time % 3) as u8;
    }
    fn step(&mut self, _: &[u8], outcome: &mut Outcome) {
        self.time += 1;
        outcome.rewards[0] = self.time as f32;
        outcome.terminated[0] = self.time.is_multiple_of(10);
        outcome.truncated[0] = self.time.is_multiple_of(5);
    }
    fn reset_ended(&mut self) {}
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restore(&mut self, _: &[u8]) -> Result<(), crate::train::env::SnapshotError> {
        Ok(())
    }
}

fn remembered(steps: usize, capacity: usize) -> Replay {
    let mut clock = Clock { time: 0 };
    let mut replay = Replay::new(Shape::of(&clock), 1, capacity);
    let mut outcome = Outcome::new(1, 1);
    for step in 0..steps {
        let slot = replay.begin(&mut clock);
        clock.step(&[0], &mut outcome);
        replay.end(slot, step, &outcome, &clock).unwrap();
    }
    replay
}

/// State and target of the sample at a share of what is remembered, with a value of 100 ahead.
fn target(replay: &Replay, at: f64, n: usize) -> (f32, f32, Future) {
    let sample = replay.sample(0, at, n).unwrap();
    let (mut seen, mut masks) = (Seen::default(), [0]);
    seen.resize(replay.shape, 1);
    replay.future(&sample, 0, &mut seen, &mut masks);
    let mut target = [100.0];
    replay.add_rewards(&sample, 0.5, &mut target);
    let mut row = [0.0];
    let view = crate::train::view::View::team(replay.shape);
    view.write(&replay.seen, sample.cell, 0, &mut row);
    (row[0], target[0], sample.future)
}

#[test]
fn targets_are_the_sums_that_define_them() {
    let replay = remembered(40, 20);
    // Steps 20 to 39 are remembered; reward of step t is t + 1.
    assert_eq!(
        target(&replay, 0.0, 1),
        (20.0, 21.0 + 50.0, Future::Cell(1))
    );
    let three = 21.0 + 0.5 * (22.0 + 0.5 * (23.0 + 0.5 * 100.0));
    assert_eq!(target(&replay, 0.0, 3), (20.0, three, Future::Cell(3)));
    // From step 23 a time limit comes after two steps: its own state is valued.
    let at = 3.0 / 17.0 + 1e-9;
    let two = 24.0 + 0.5 * (25.0 + 0.5 * 100.0);
    assert_eq!(target(&replay, at, 3), (23.0, two, Future::After(4)));
    // From step 28 the episode is over after two steps: nothing is.
    let at = 8.0 / 17.0 + 1e-9;
    assert_eq!(
        target(&replay, at, 3),
        (28.0, 29.0 + 0.5 * 30.0, Future::None)
    );
    // The newest usable step looks at the newest of all.
    let (state, _, future) = target(&replay, 1.0, 3);
    assert_eq!((state, future), (36.0, Future::Cell(19)));
    assert!(remembered(3, 20).sample(0, 0.5, 3).is_none());
}
