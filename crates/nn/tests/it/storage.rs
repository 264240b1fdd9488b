//! Parameters and moments in files.

use karma_nn::{
    Activation, AdamStep, Learner, Mlp, MlpShape, NnError, Objective, SLOTS,
    store::{Archive, from_bytes, to_bytes},
};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn shape() -> MlpShape {
    MlpShape {
        inputs: 5,
        hidden: vec![20],
        outputs: 3,
        activation: Activation::Relu,
        recurrent: false,
    }
}

struct One;

impl Objective for One {
    type Work = ();
    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        buffer.fill(row as f32);
        buffer
    }
    fn loss(&self, _: std::ops::Range<usize>, out: &[f32], d_out: &mut [f32], (): &mut ()) {
        d_out.copy_from_slice(out);
    }
}

const ADAM: AdamStep = AdamStep {
    learning_rate: 0.01,
    clip_norm: 0.5,
};

#[test]
fn a_stored_network_goes_on_learning_with_the_same_bits() {
    let mut mlp = Mlp::new(shape(), &mut Xoshiro256PlusPlus::seed_from_u64(2), 1.0);
    let mut learner = Learner::new(&mlp);
    learner.gradient(&mlp, 10, &One, &mut [(); SLOTS]);
    learner.step(&mut mlp, ADAM).unwrap();
    let mut archive = Archive {
        metadata: "{\"a\":1}".to_owned(),
        ..Archive::default()
    };
    mlp.export("net", &mut archive);
    learner.export("adam", &mut archive);
    let bytes = to_bytes(&archive).unwrap();
    assert_eq!(bytes, to_bytes(&archive).unwrap());
    let read = from_bytes(&bytes).unwrap();
    assert_eq!(read, archive);
    let mut again = Mlp::import(shape(), "net", &read).unwrap();
    assert_eq!(again, mlp);
    let mut resumed = Learner::import(&again, "adam", learner.steps(), &read).unwrap();
    learner.gradient(&mlp, 10, &One, &mut [(); SLOTS]);
    learner.step(&mut mlp, ADAM).unwrap();
    resumed.gradient(&again, 10, &One, &mut [(); SLOTS]);
    resumed.step(&mut again, ADAM).unwrap();
    assert_eq!(again, mlp);
}

#[test]
fn refusals_name_the_tensor() {
    let mlp = Mlp::new(shape(), &mut Xoshiro256PlusPlus::seed_from_u64(2), 1.0);
    let mut archive = Archive::default();
    mlp.export("net", &mut archive);
    let mut wider = shape();
    wider.inputs = 6;
    let fault = Mlp::import(wider, "net", &archive).unwrap_err().to_string();
    assert_eq!(
        fault,
        "tensor \"net.0.weight\" has shape [5, 20], expected [6, 20]"
    );
    assert!(matches!(
        Mlp::import(shape(), "other", &archive),
        Err(NnError::Missing(name)) if name == "other.0.weight"
    ));
    let mut bytes = to_bytes(&archive).unwrap();
    bytes.truncate(bytes.len() - 1);
    assert!(matches!(from_bytes(&bytes), Err(NnError::Format(_))));
    archive.insert("net.1.bias", vec![3], vec![0.0, f32::NAN, 0.0]);
    assert!(matches!(
        Mlp::import(shape(), "net", &archive),
        Err(NnError::NotFinite(_))
    ));
}
