//! The loop of every shell: observe → decide → scale → advance, whatever fails.

use karma_cluster::Cluster;

use crate::{
    decider::Decider,
    decision::Decision,
    guarded::Guarded,
    inject::{Injected, Veiled},
};

/// Runs `guarded` on `cluster` until its episode ends, with faults on purpose, and gives what was
/// decided. The guard must have been made, or reset, for this episode.
///
/// Failing calls are survived: a window that cannot be read changes nothing, a write that fails is
/// told to the guard and comes again with the next decision.
pub fn run_controller<D: Decider>(
    cluster: &mut dyn Cluster,
    guarded: &mut Guarded<D>,
    injected: &[Injected],
) -> Vec<Decision> {
    let window_s = guarded.guard().window_s();
    let mut cluster = Veiled::new(cluster, injected);
    let mut current = guarded.guard().initial().to_vec();
    let mut window = 0;
    loop {
        cluster.time_s = f64::from(window) * window_s;
        let active = injected.iter().filter(|i| i.on(cluster.time_s));
        guarded.sabotage(active.filter_map(|i| i.kind.sabotage()).next());
        match cluster.observe() {
            Ok(observation) => {
                window = observation.window;
                for (current, metrics) in current.iter_mut().zip(&observation.services) {
                    // What the API server says is desired, where it says so.
                    if metrics.replicas_desired.is_finite() {
                        *current = metrics.replicas_desired as u32;
                    }
                }
                let decision = guarded.step(&observation, &current);
                let desired = decision.desired.clone();
                for (service, (desired, current)) in desired.iter().zip(&mut current).enumerate() {
                    if desired == current {
                        continue;
                    }
                    if cluster.scale(service, *desired).is_ok() {
                        *current = *desired;
                    } else {
                        guarded.guard_mut().write_failed(service);
                    }
                }
            }
            Err(_) => {
                guarded.blind(window, cluster.time_s, &current);
            }
        }
        if !cluster.advance() {
            return guarded.take_decisions();
        }
        window += 1;
    }
}
