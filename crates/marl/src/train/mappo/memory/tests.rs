use karma_cluster::seed::derive;
use karma_nn::Heads;
use rand::Rng;

use super::*;

/// One environment, one agent, hand-made rewards, values and ends.
fn memory(ends: &[End], seed: u64) -> Memory {
    let mut stream = derive(seed, "gae", 0);
    let steps = ends.len();
    let lasts = ends
        .iter()
        .filter(|e| matches!(e, End::Truncated(_)))
        .count();
    let mut draw = |n: usize| (0..n).map(|_| stream.gen_range(-1.0..1.0)).collect();
    let shape = Shape {
        agents: 1,
        heads: Heads {
            heads: 1,
            choices: 2,
        },
        state: 1,
        own: 0,
    };
    let (mut seen, mut last) = (Seen::default(), Seen::default());
    seen.resize(shape, steps + 1);
    last.resize(shape, lasts);
    Memory {
        seen,
        last,
        rewards: draw(steps),
        values: draw(steps + 1 + lasts),
        advantages: vec![0.0; steps],
        returns: vec![0.0; steps],
        ends: ends.to_vec(),
        ..Memory::new(shape, 1, 0)
    }
}

/// Advantages from their definition: a sum over all later surprises, step by step.
fn naive(memory: &Memory, gamma: f64, lambda: f64) -> Vec<f64> {
    let steps = memory.ends.len();
    let value = |at: usize| f64::from(memory.values[at]);
    let surprise = |t: usize| {
        let future = match memory.ends[t] {
            End::No => value(t + 1),
            End::Terminated => 0.0,
            End::Truncated(last) => value(steps + 1 + last as usize),
        };
        f64::from(memory.rewards[t]) + gamma * future - value(t)
    };
    (0..steps)
        .map(|t| {
            let mut sum = 0.0;
            for later in t..steps {
                sum += (gamma * lambda).powi((later - t) as i32) * surprise(later);
                if memory.ends[later] != End::No {
                    break;
                }
            }
            sum
        })
        .collect()
}

#[test]
fn advantages_equal_the_sum_that_defines_them() {
    let mut ends = vec![End::No; 40];
    ends[7] = End::Terminated;
    ends[19] = End::Truncated(0);
    ends[39] = End::Truncated(1);
    for seed in 0..5 {
        let mut memory = memory(&ends, seed);
        memory.estimate(&ValueNorm::default(), 0.97, 0.9);
        for (t, exact) in naive(&memory, 0.97, 0.9).iter().enumerate() {
            assert!((f64::from(memory.advantages[t]) - exact).abs() < 1e-5);
            let target = exact + f64::from(memory.values[t]);
            assert!((f64::from(memory.returns[t]) - target).abs() < 1e-5);
        }
    }
}

#[test]
fn a_cut_off_episode_is_worth_its_future_and_a_finished_one_is_not() {
    for (end, expected) in [
        (End::Terminated, 1.0 - 0.5),
        (End::Truncated(0), 1.0 + 0.9 * 4.0 - 0.5),
    ] {
        let mut memory = memory(&[end], 1);
        memory.rewards = vec![1.0];
        memory.values = vec![0.5, 100.0, 4.0];
        memory.estimate(&ValueNorm::default(), 0.9, 0.95);
        assert!((memory.advantages[0] - expected).abs() < 1e-6);
    }
}

#[test]
fn a_value_that_is_no_number_is_told_with_its_step() {
    let mut ends = vec![End::No; 12];
    ends[3] = End::Truncated(0);
    ends[11] = End::Truncated(1);
    for (at, step) in [(0, 0), (3, 3), (12, 12), (13, 3), (14, 11)] {
        let mut memory = memory(&ends, 1);
        memory.values[at] = f32::NAN;
        let fault = memory.check_values().unwrap_err();
        assert_eq!((fault.step, fault.agent), (step, Some(0)));
    }
}
