//! Did you mean …?

/// A hint for an unknown name: the closest known one if it is close, else all of them.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|&k| (distance(&name.to_lowercase(), &k.to_lowercase()), k))
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((distance, near)) if distance <= 1 + near.chars().count() / 4 => {
            format!("did you mean {near}?")
        }
        Some(_) => format!("known here: {}", listed(known)),
        None => String::new(),
    }
}

/// Names, separated by commas.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Edits that turn `a` into `b`: insertions, deletions, replacements, swaps of neighbors.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_suggested_and_a_far_one_lists_what_is_known() {
        let known = ["replicas", "rate_per_replica", "calls"];
        assert_eq!(suggestion("replcias", known), "did you mean replicas?");
        assert_eq!(
            suggestion("rate_per_replicas", known),
            "did you mean rate_per_replica?"
        );
        assert_eq!(
            suggestion("zebra", known),
            "known here: replicas, rate_per_replica, calls"
        );
    }
}
