//! Did you mean …?

/// A hint for an unknown name: the closest known one if it is close, else all of them.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|&k| {
            let (name, known) = (name.to_lowercase(), k.to_lowercase());
            (strsim::osa_distance(&name, &known), k)
        })
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
