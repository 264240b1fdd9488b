//! The whole analysis.

use karma_cluster::action::ALPHA;
use karma_marl::Trajectories;
use karma_moise::{Organization, RawOrganization};
use serde::Serialize;

use crate::{
    agreement::{Alignment, adjusted_rand_index, alignment, purity, violations},
    clustering::{Clustering, Condensed, Merge},
    distance::dtw_distance,
    error::AnalysisError,
    fit::{Fit, fit},
    goals::{self, Goal, States},
    hierarchy::{self, AbstractRole},
    histories::{History, Which, action_tokens, histories, rounds},
    inferred,
    roles::{self, Role},
};

/// Most histories whose fit is computed: the chance draws repeat every pair hundreds of times.
const MOST_FITTED: usize = 96;

/// What a team does, and how well it fits what was asked for: the content of `roles.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// Version of this structure; 1.
    pub format: u32,
    /// How it was found, in words, for a reader of the file.
    pub method: Vec<String>,
    /// Roles that the trained team plays, the most played first.
    pub roles: Vec<Role>,
    /// What groups of these roles have in common; nobody plays it.
    pub abstract_roles: Vec<AbstractRole>,
    /// States that the trained team passes through, the most visited first.
    pub goals: Vec<Goal>,
    /// Figures of the trained team.
    pub trained: Figures,
    /// The same of an untrained team under the same masks.
    pub untrained: Figures,
    /// The dendrogram of the trained team's histories, lowest merge first.
    pub dendrogram: Vec<Merge>,
    /// Agent of each leaf of the dendrogram.
    pub leaves: Vec<String>,
    /// The inferred organization, as an organization file says it.
    #[serde(skip)]
    pub inferred: RawOrganization,
}

/// Figures of one team.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Episodes analyzed.
    pub episodes: usize,
    /// Windows analyzed.
    pub windows: usize,
    /// Agreement of the unmasked policy with the guides.
    pub alignment: Alignment,
    /// Majority-role share of clusters made from the actions taken, without agent or role ids and
    /// with the cut chosen without the roles, in percent.
    pub purity_percent: f64,
    /// The same with single episodes instead of rounds over all contexts.
    pub purity_of_episodes_percent: f64,
    /// The same with the actions that the policy would take without masks.
    pub purity_unmasked_percent: f64,
    /// Clusters found.
    pub clusters: usize,
    /// Mean silhouette of the cut.
    pub silhouette: f64,
    /// Agreement of clusters and roles beyond chance.
    pub adjusted_rand_index: f64,
    /// Structural fit: of action labels.
    pub structural: Fit,
    /// Functional fit: of the states passed through.
    pub functional: Fit,
    /// Mean of both; absent where one is.
    pub organizational: Option<f64>,
    /// Actions taken outside a mask; always 0.
    pub mask_violations: u64,
}

/// Analyzes a trained team beside an untrained one that played the same cluster under the same
/// masks. Without an `organization` labels and alignment are empty.
///
/// # Errors
/// [`AnalysisError`] when there is nothing to analyze or the teams cannot be compared.
pub fn analyze(
    trained: &Trajectories,
    untrained: &Trajectories,
    organization: Option<&Organization>,
    seed: u64,
) -> Result<Analysis, AnalysisError> {
    comparable(trained, untrained)?;
    let (trained, untrained) = (&in_order(trained), &in_order(untrained));
    let units = rounds(trained);
    let made = histories(trained, &units, Which::Made);
    let clustering = cluster(&made, trained.services.len());
    let states = goals::states(trained, seed)?;
    let mut roles = roles::describe(trained, &made, &clustering);
    let abstract_roles = hierarchy::add(trained, &made, &clustering, &mut roles);
    let goals = goals::describe(trained, &states, &successful(trained));
    let inferred =
        inferred::organization("inferred", &roles, &abstract_roles, &goals, organization);
    let untrained_states = goals::states(untrained, seed)?;
    Ok(Analysis {
        format: 1,
        method: method(),
        trained: figures(trained, &states, seed),
        untrained: figures(untrained, &untrained_states, seed),
        dendrogram: clustering.merges,
        leaves: made
            .iter()
            .map(|h| trained.agents[h.agent].clone())
            .collect(),
        roles,
        abstract_roles,
        goals,
        inferred,
    })
}

fn comparable(trained: &Trajectories, untrained: &Trajectories) -> Result<(), AnalysisError> {
    for team in [trained, untrained] {
        if team.episodes.is_empty() || team.episodes.iter().all(|e| e.windows.is_empty()) {
            return Err(AnalysisError::Empty);
        }
    }
    let differ = [
        (trained.services != untrained.services, "services"),
        (trained.agents != untrained.agents, "agents"),
        (trained.labels != untrained.labels, "labels"),
    ];
    match differ.iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(AnalysisError::Different(what)),
        None => Ok(()),
    }
}

/// The episodes in one order, whoever recorded them in which.
fn in_order(trajectories: &Trajectories) -> Trajectories {
    let mut ordered = trajectories.clone();
    ordered
        .episodes
        .sort_by(|a, b| (&a.context, a.seed).cmp(&(&b.context, b.seed)));
    ordered
}

fn method() -> Vec<String> {
    [
        "A history is what one agent did in one round, every context once.",
        "Roles: average linkage of histories by dynamic time warping of their changes of replicas, \
         cut at the best mean silhouette, one cluster below 0.1. Agents and roles are not used.",
        "Inheritance: the dendrogram above the cut. What a role and its super-role have in common is \
         the longest common sub-sequence of action labels, merged pair by pair; exact for pairs, \
         possibly not the longest for more.",
        "Goals: K-means of the encoded observations, the number of states by silhouette. An \
         episode is successful when its return is at least the median of its context.",
        "Fit: 1 minus the mean LCS distance within clusters over the same of shuffled tokens that \
         went through the same clustering; 0 is noise, 1 perfect structure. Structural: action \
         labels per agent and episode. Functional: states per episode.",
        "Alignment: share of agent-windows in which a guide fired where the unmasked policy's most \
         likely action is allowed.",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Whether each episode's return is at least the median of its context.
fn successful(trajectories: &Trajectories) -> Vec<bool> {
    let returns: Vec<f64> = trajectories
        .episodes
        .iter()
        .map(|e| e.windows.iter().map(|w| f64::from(w.reward)).sum())
        .collect();
    trajectories
        .episodes
        .iter()
        .zip(&returns)
        .map(|(episode, own)| {
            let mut of_context: Vec<f64> = trajectories
                .episodes
                .iter()
                .zip(&returns)
                .filter(|(other, _)| other.context == episode.context)
                .map(|(_, r)| *r)
                .collect();
            of_context.sort_by(f64::total_cmp);
            *own >= of_context[of_context.len() / 2]
        })
        .collect()
}

fn cluster(histories: &[History], services: usize) -> Clustering {
    let changes: Vec<Vec<f32>> = histories.iter().map(History::changes).collect();
    // Two agents are farthest apart when one raises and the other lowers everything by the most.
    let reach = f64::from(2 * ALPHA) * (services as f64).sqrt();
    Clustering::new(&Condensed::new(changes.len(), |i, j| {
        dtw_distance(&changes[i], &changes[j], services, reach)
    }))
}

/// Numbers of the roles of the histories' agents.
fn role_numbers(trajectories: &Trajectories, histories: &[History]) -> Vec<usize> {
    let number = |role: &str| trajectories.roles.iter().position(|r| r == role);
    histories
        .iter()
        .map(|h| number(&trajectories.roles[h.agent]).unwrap_or_default())
        .collect()
}

fn purity_percent(trajectories: &Trajectories, histories: &[History]) -> (f64, Clustering) {
    let clustering = cluster(histories, trajectories.services.len());
    let roles = role_numbers(trajectories, histories);
    let share = purity(&clustering.labels, &roles).unwrap_or(0.0);
    (100.0 * share, clustering)
}

fn figures(trajectories: &Trajectories, states: &States, seed: u64) -> Figures {
    let services = trajectories.services.len();
    let units = rounds(trajectories);
    let made = histories(trajectories, &units, Which::Made);
    let (purity, clustering) = purity_percent(trajectories, &made);
    let unmasked = histories(trajectories, &units, Which::Unmasked);
    let most = (MOST_FITTED / trajectories.agents.len().max(1)).max(2);
    let stride = trajectories.episodes.len().div_ceil(most).max(1);
    let episodes: Vec<Vec<usize>> = (0..trajectories.episodes.len())
        .step_by(stride)
        .map(|episode| vec![episode])
        .collect();
    let single = histories(trajectories, &episodes, Which::Made);
    let tokens = action_tokens(&single, services);
    let of_episode: Vec<usize> = single.iter().map(|h| h.unit).collect();
    let structural = fit(&tokens.sequences, &of_episode, tokens.alphabet.len(), seed);
    let all: Vec<usize> = (0..states.of_episode.len()).collect();
    let functional = fit(&states.of_episode, &all, states.count, seed);
    Figures {
        episodes: trajectories.episodes.len(),
        windows: trajectories.episodes.iter().map(|e| e.windows.len()).sum(),
        alignment: alignment(trajectories),
        purity_percent: purity,
        purity_of_episodes_percent: purity_percent(trajectories, &single).0,
        purity_unmasked_percent: purity_percent(trajectories, &unmasked).0,
        clusters: clustering.clusters,
        silhouette: clustering.silhouette,
        adjusted_rand_index: adjusted_rand_index(
            &clustering.labels,
            &role_numbers(trajectories, &made),
        ),
        organizational: structural
            .score
            .zip(functional.score)
            .map(|(s, f)| f64::midpoint(s, f)),
        structural,
        functional,
        mask_violations: violations(trajectories),
    }
}
