//! Roles that agents really play: clusters of histories, with the evidence in words.

use karma_cluster::action::{HOLD, change};
use karma_marl::Trajectories;
use serde::Serialize;

use crate::{clustering::Clustering, histories::History};

/// Fewest times that something must be done to count as a habit.
const LEAST_SUPPORT: u64 = 5;

/// Least share of a habit that its condition must cover to be named.
const LEAST_COVER: f64 = 0.5;

/// A role as it was played.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Role {
    /// Name: the specified role that most of its players hold, with a number where two share it.
    pub name: String,
    /// What it does, in words.
    pub summary: String,
    /// The specified role that most of its histories come from.
    pub specified: String,
    /// Share of its histories whose agents hold that role.
    pub purity: f64,
    /// Histories in it.
    pub histories: usize,
    /// Who plays it.
    pub members: Vec<RoleMember>,
    /// Share of windows in which it changes nothing.
    pub holds: f64,
    /// What it does when, most frequent first.
    pub evidence: Vec<Evidence>,
    /// The abstract role that it shares with its nearest neighbors.
    pub inherits: Option<String>,
    /// Share of a mean history that all of its histories have in common, in order.
    pub common_share: f64,
    /// Actions in what they have in common, with how often.
    pub common: Vec<(String, usize)>,
    /// Cluster number that it came from.
    #[serde(skip)]
    pub(crate) cluster: usize,
}

/// An agent that plays a role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleMember {
    /// The agent.
    pub agent: String,
    /// Share of the agent's histories that are in the role.
    pub share: f64,
}

/// A habit of a role towards one service, and the label that it goes with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// In words.
    pub sentence: String,
    /// The service.
    pub service: String,
    /// Whether replicas are raised or lowered.
    pub raises: bool,
    /// Windows in which it was done.
    pub support: u64,
    /// Share of all windows in which it was done.
    pub rate: f64,
    /// Largest change made.
    pub most: u32,
    /// The observation label that goes with it best; none where no label covers half of it.
    pub label: Option<String>,
    /// Share of the habit's windows in which the label holds.
    pub covers: Option<f64>,
    /// P(action | label): share of the label's windows in which it was done.
    pub given_label: Option<f64>,
    /// Windows in which the label holds.
    pub label_support: Option<u64>,
}

/// Counts of one cluster: windows, label windows, and for each habit (service, direction) how often
/// it was done, how strongly, and with which labels.
struct Counts {
    windows: u64,
    idle: u64,
    labels: Vec<u64>,
    habits: Vec<Habit>,
}

#[derive(Clone)]
struct Habit {
    done: u64,
    most: u32,
    with_label: Vec<u64>,
}

impl Counts {
    fn of<'a>(trajectories: &Trajectories, histories: impl Iterator<Item = &'a History>) -> Self {
        let (services, labels) = (trajectories.services.len(), trajectories.labels.len());
        let habit = Habit {
            done: 0,
            most: 0,
            with_label: vec![0; labels],
        };
        let mut counts = Self {
            windows: 0,
            idle: 0,
            labels: vec![0; labels],
            habits: vec![habit; services * 2],
        };
        for history in histories {
            let windows = history
                .episodes
                .iter()
                .flat_map(|e| &trajectories.episodes[*e].windows);
            for (window, choices) in windows.zip(history.choices.chunks_exact(services)) {
                counts.add(&window.labels, choices);
            }
        }
        counts
    }

    fn add(&mut self, labels: &[bool], choices: &[u8]) {
        self.windows += 1;
        self.idle += u64::from(choices.iter().all(|c| *c == HOLD));
        count(&mut self.labels, labels);
        for (service, choice) in choices.iter().enumerate() {
            let change = change(*choice);
            if change != 0 {
                let habit = &mut self.habits[2 * service + usize::from(change > 0)];
                habit.done += 1;
                habit.most = habit.most.max(change.unsigned_abs());
                count(&mut habit.with_label, labels);
            }
        }
    }
}

fn count(counts: &mut [u64], labels: &[bool]) {
    for (count, holds) in counts.iter_mut().zip(labels) {
        *count += u64::from(*holds);
    }
}

/// Describes each cluster, the one with most histories first.
pub(crate) fn describe(
    trajectories: &Trajectories,
    histories: &[History],
    clustering: &Clustering,
) -> Vec<Role> {
    let mut roles: Vec<Role> = (0..clustering.clusters)
        .map(|cluster| {
            let members: Vec<&History> = histories
                .iter()
                .zip(&clustering.labels)
                .filter(|(_, label)| **label == cluster)
                .map(|(history, _)| history)
                .collect();
            role(trajectories, histories, &members, cluster)
        })
        .collect();
    roles.sort_by(|a, b| (b.histories, &a.specified).cmp(&(a.histories, &b.specified)));
    for index in 0..roles.len() {
        let earlier = roles[..index]
            .iter()
            .filter(|r| r.specified == roles[index].specified)
            .count();
        if earlier > 0 {
            roles[index].name = format!("{}_{}", roles[index].specified, earlier + 1);
        }
    }
    roles
}

fn role(
    trajectories: &Trajectories,
    all: &[History],
    members: &[&History],
    cluster: usize,
) -> Role {
    let counts = Counts::of(trajectories, members.iter().copied());
    let mut evidence = evidence(trajectories, &counts);
    evidence.sort_by_key(|e| std::cmp::Reverse(e.support));
    let of_role = |role: &str| {
        let plays = |h: &&&History| trajectories.roles[h.agent] == role;
        members.iter().filter(plays).count()
    };
    // The first of the roles with most histories, in the order of the team.
    let specified = trajectories
        .roles
        .iter()
        .rev()
        .max_by_key(|role| of_role(role))
        .cloned()
        .unwrap_or_default();
    let holds = ratio(counts.idle, counts.windows);
    Role {
        name: specified.clone(),
        summary: summary(holds, &evidence),
        purity: ratio(of_role(&specified) as u64, members.len() as u64),
        specified,
        histories: members.len(),
        members: role_members(trajectories, all, members),
        holds,
        evidence,
        inherits: None,
        common_share: 0.0,
        common: Vec::new(),
        cluster,
    }
}

fn role_members(
    trajectories: &Trajectories,
    all: &[History],
    members: &[&History],
) -> Vec<RoleMember> {
    let of_agent = |agent: usize| {
        let own = members.iter().filter(|h| h.agent == agent).count() as u64;
        let total = all.iter().filter(|h| h.agent == agent).count() as u64;
        (own, total)
    };
    trajectories
        .agents
        .iter()
        .enumerate()
        .map(|(agent, name)| (name, of_agent(agent)))
        .filter(|(_, (own, _))| *own > 0)
        .map(|(name, (own, total))| RoleMember {
            agent: name.clone(),
            share: ratio(own, total),
        })
        .collect()
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn evidence(trajectories: &Trajectories, counts: &Counts) -> Vec<Evidence> {
    let mut found = Vec::new();
    for (index, habit) in counts.habits.iter().enumerate() {
        if habit.done < LEAST_SUPPORT {
            continue;
        }
        let (service, raises) = (&trajectories.services[index / 2], index % 2 == 1);
        let label = best_label(trajectories, counts, habit, service);
        let covers = label.map(|l| ratio(habit.with_label[l], habit.done));
        let given_label = label.map(|l| ratio(habit.with_label[l], counts.labels[l]));
        let verb = if raises { "raises" } else { "lowers" };
        let amount = if habit.most == 1 {
            "1".to_owned()
        } else {
            format!("up to {}", habit.most)
        };
        let sentence = match (label, covers) {
            (Some(l), Some(covers)) => format!(
                "{verb} {service} by {amount} while {}; {} of its {} ({} windows)",
                trajectories.labels[l],
                percent(covers),
                if raises { "raises" } else { "cuts" },
                habit.done,
            ),
            _ => format!("{verb} {service} by {amount} ({} windows)", habit.done),
        };
        found.push(Evidence {
            sentence,
            service: service.clone(),
            raises,
            support: habit.done,
            rate: ratio(habit.done, counts.windows),
            most: habit.most,
            label: label.map(|l| trajectories.labels[l].clone()),
            covers,
            given_label,
            label_support: label.map(|l| counts.labels[l]),
        });
    }
    found
}

/// The label whose presence tells most about the habit: the largest difference between its share
/// with and without the habit; of equals the one about the same service.
fn best_label(
    trajectories: &Trajectories,
    counts: &Counts,
    habit: &Habit,
    service: &str,
) -> Option<usize> {
    let about = format!("({service})");
    let score = |label: usize| {
        let with = ratio(habit.with_label[label], habit.done);
        let rest = counts.labels[label] - habit.with_label[label];
        let without = ratio(rest, counts.windows - habit.done);
        let own = trajectories.labels[label].ends_with(&about);
        (with, with - without + if own { 1e-9 } else { 0.0 })
    };
    (0..trajectories.labels.len())
        .map(|label| (label, score(label)))
        .filter(|(_, (with, difference))| *with >= LEAST_COVER && *difference > 0.05)
        .max_by(|(a, (_, x)), (b, (_, y))| x.total_cmp(y).then(b.cmp(a)))
        .map(|(label, _)| label)
}

fn summary(holds: f64, evidence: &[Evidence]) -> String {
    let first: Vec<&str> = evidence
        .iter()
        .take(3)
        .map(|e| e.sentence.as_str())
        .collect();
    if first.is_empty() {
        return format!("holds in {} of windows", percent(holds));
    }
    format!(
        "{}; holds in {} of windows",
        first.join("; "),
        percent(holds)
    )
}
