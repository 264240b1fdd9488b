use proptest::prelude::*;

use super::*;

/// Takes one step.
fn take<const L: usize>(program: &Program, memory: &mut Memory<L>, inputs: &[[f32; L]]) {
    program.inputs(memory).copy_from_slice(inputs);
    program.step(memory);
}

#[test]
fn a_chain_of_one_operation_is_computed_in_order() {
    let mut graph = Graph::default();
    let inputs: Vec<Slot> = (0..5).map(|i| graph.input(format!("x{i}"))).collect();
    let mut sum = inputs[0];
    for input in &inputs[1..] {
        sum = graph.node(Op::Add, sum, *input);
    }
    let (program, place) = Program::new(&graph, &[sum]);
    let mut memory = program.memory();
    take(&program, &mut memory, &[[1.0], [2.0], [4.0], [8.0], [16.0]]);
    assert_eq!(memory.value(place[usize::from(sum)]), &[31.0]);
}

#[test]
fn series_remember_exactly_what_they_say() {
    let mut graph = Graph::default();
    let x = graph.input("x".to_owned());
    let delta = graph.node(Op::Delta { steps: 2 }, x, x);
    let mean = graph.node(Op::Mean { steps: 3 }, x, x);
    let (program, place) = Program::new(&graph, &[delta, mean]);
    let (delta, mean) = (place[usize::from(delta)], place[usize::from(mean)]);
    let mut memory = program.memory();
    let xs = [1.0, 2.0, 4.0, 8.0, f32::NAN, 32.0];
    let expected = [
        (0.0, 1.0),
        (1.0, 1.5),
        (3.0, 7.0 / 3.0),
        (6.0, 14.0 / 3.0),
        (f32::NAN, 6.0),
        (24.0, 20.0),
    ];
    for (x, (d, m)) in xs.iter().zip(expected) {
        take(&program, &mut memory, &[[*x]]);
        let [got] = *memory.value(delta);
        assert!(got == d || (got.is_nan() && d.is_nan()), "{got} {d}");
        let [got] = *memory.value(mean);
        assert!((got - m).abs() < 1e-6);
    }
    program.reset(&mut memory, 0);
    assert_eq!(memory.steps(), &[0]);
    take(&program, &mut memory, &[[5.0]]);
    assert_eq!(memory.value(delta), &[0.0]);
}

const GAMES: usize = 16;

/// Operation, operands (taken modulo the slots there are) and steps of a series.
type Written = (usize, usize, usize, usize, u16);

fn grow(graph: &mut Graph, (op, a, b, c, steps): Written) {
    let at = |slot: usize| (slot % graph.slots().len()) as Slot;
    let (a, b, c) = (at(a), at(b), at(c));
    let op = match op {
        0 => Op::Add,
        1 => Op::Sub,
        2 => Op::Mul,
        3 => Op::Div,
        4 => Op::Min,
        5 => Op::Max,
        6 => Op::Abs,
        7 => Op::Less,
        8 => Op::LessEqual,
        9 => Op::Equal,
        10 => Op::And,
        11 => Op::Or,
        12 => Op::Not,
        13 => Op::Choose(c),
        14 => Op::Delta { steps },
        _ => Op::Mean { steps },
    };
    graph.node(op, a, b);
}

fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -20.0_f32..20.0,
        2 => (-3_i8..3).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => Just(f32::INFINITY),
        1 => Just(-0.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn games_side_by_side_have_the_bits_that_each_has_alone(
        nodes in prop::collection::vec((0_usize..16, 0_usize..999, 0_usize..999, 0_usize..999, 1_u16..7), 1..40),
        windows in prop::collection::vec(
            (prop::array::uniform4(prop::array::uniform16(any_number())), any::<u16>(), any::<u16>(), any::<u16>()),
            1..24,
        ),
    ) {
        let mut graph = Graph::default();
        for name in ["w", "x", "y", "z"] {
            graph.input(name.to_owned());
        }
        graph.constant(2.0);
        for node in nodes {
            grow(&mut graph, node);
        }
        let wanted: Vec<Slot> = (0..graph.slots().len() as Slot).collect();
        let (program, _) = Program::new(&graph, &wanted);
        let mut together = program.memory::<GAMES>();
        let mut alone = vec![program.memory::<1>(); GAMES];
        for (numbers, a, b, c) in windows {
            // One game in eight begins anew.
            let ended = a & b & c;
            for (game, alone) in alone.iter_mut().enumerate() {
                if (ended >> game) & 1 == 1 {
                    program.reset(&mut together, game);
                    program.reset(alone, 0);
                }
                take(&program, alone, &numbers.map(|lanes| [lanes[game]]));
            }
            take(&program, &mut together, &numbers);
            for (game, alone) in alone.iter().enumerate() {
                prop_assert_eq!(together.steps()[game], alone.steps()[0]);
                for slot in 0..program.template.len() as Slot {
                    let (got, [expected]) = (together.value(slot)[game], *alone.value(slot));
                    // Nothing can tell one NaN from another.
                    let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
                    prop_assert!(same, "slot {} of game {}: {} {}", slot, game, got, expected);
                }
            }
        }
    }
}
