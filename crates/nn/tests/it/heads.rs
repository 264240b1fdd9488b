//! Masked categorical heads.

use karma_nn::{Heads, Level, categorical::Distributions};

const HEADS: Heads = Heads {
    heads: 2,
    choices: 7,
};

fn evaluated(level: Level, masks: &[u8]) -> Distributions {
    let rows = masks.len() / 2;
    let logits: Vec<f32> = (0..rows * 14)
        .map(|i| (i as f32 * 0.7).sin() * 5.0)
        .collect();
    let mut of = Distributions::default();
    HEADS.evaluate(level, &logits, masks, &mut of);
    of
}

#[test]
fn probabilities_sum_to_one_over_what_is_allowed() {
    let masks: Vec<u8> = (0..70).map(|i| (i * 37 % 127 + 1) as u8).collect();
    for level in Level::available() {
        let of = evaluated(level, &masks);
        for (slot, mask) in masks.iter().enumerate() {
            let p = |c: u8| HEADS.probability(&of, slot / 2, slot % 2, c);
            let sum: f32 = (0..7).map(p).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            for choice in 0..7 {
                assert_eq!(p(choice) == 0.0, mask >> choice & 1 == 0);
            }
        }
    }
}

#[test]
fn masked_choices_are_never_drawn_and_have_exactly_zero_gradient() {
    let masks: Vec<u8> = (0..70).map(|i| (i * 37 % 127 + 1) as u8).collect();
    for level in Level::available() {
        let mut of = evaluated(level, &masks);
        let mut chosen = vec![0; masks.len()];
        for uniform in [0.0, 0.1, 0.5, 0.9, 0.999_999_9] {
            HEADS.sample(&of, &vec![uniform; masks.len()], &mut chosen);
            assert!(chosen.iter().zip(&masks).all(|(c, m)| m >> c & 1 == 1));
        }
        HEADS.mode(&of, &mut chosen);
        assert!(chosen.iter().zip(&masks).all(|(c, m)| m >> c & 1 == 1));
        let mut d = vec![f32::NAN; masks.len() * 7];
        HEADS.gradient(&mut of, &chosen, &[0.3; 35], &[0.2; 35], &mut d);
        for (slot, mask) in masks.iter().enumerate() {
            for choice in (0..7).filter(|c| mask >> c & 1 == 0) {
                assert_eq!(d[slot * 7 + choice], 0.0);
            }
        }
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let of = evaluated(Level::best(), &[0x7f, 0x55]);
    let mut counts = [0_u32; 7];
    let mut chosen = [0; 2];
    for i in 0..10_000 {
        let uniform = i as f32 / 10_000.0;
        HEADS.sample(&of, &[uniform, uniform], &mut chosen);
        counts[usize::from(chosen[1])] += 1;
    }
    for (choice, count) in counts.iter().enumerate() {
        let expected = HEADS.probability(&of, 0, 1, choice as u8) * 10_000.0;
        assert!((*count as f32 - expected).abs() < 2.0);
    }
}

#[test]
fn scores_are_sums_over_heads() {
    let of = evaluated(Level::best(), &[0x7f, 0x7f]);
    let (mut log_prob, mut entropy) = ([0.0], [0.0]);
    HEADS.score(&of, &[1, 4], &mut log_prob, &mut entropy);
    let p = |head, choice| f64::from(HEADS.probability(&of, 0, head, choice));
    let expected = p(0, 1).ln() + p(1, 4).ln();
    assert!((f64::from(log_prob[0]) - expected).abs() < 1e-5);
    let spread: f64 = (0..2)
        .flat_map(|h| (0..7).map(move |c| (h, c)))
        .map(|(h, c)| -p(h, c) * p(h, c).ln())
        .sum();
    assert!((f64::from(entropy[0]) - spread).abs() < 1e-5);
}
