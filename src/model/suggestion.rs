//! "Did you mean": the nearest of what was possible.

/// How many possibilities are listed before the list would bury the message.
const LISTED: usize = 20;

/// The candidate that was probably meant, if one is near enough.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = (given.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint with the nearest candidate and the list of all: `did you mean `a`? known services: a, b`.
pub fn choice<'a>(given: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    candidates.sort_unstable();
    candidates.dedup();
    let guess = nearest(given, candidates.iter().copied());
    let mut list = match candidates.len() {
        0 => format!("there are no {what}"),
        _ => format!("{what}: {}", candidates[..candidates.len().min(LISTED)].join(", ")),
    };
    if candidates.len() > LISTED {
        list.push_str(", …");
    }
    match guess {
        Some(guess) => format!("did you mean `{guess}`? {list}"),
        None => list,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_but_does_not_guess_wildly() {
        assert_eq!(nearest("netwrok", ["network", "region"]), Some("network"));
        assert_eq!(nearest("Keystone", ["keystone"]), Some("keystone"));
        assert_eq!(nearest("banana", ["network", "region"]), None);
    }

    #[test]
    fn lists_what_is_possible() {
        assert_eq!(
            choice("centoss", "allowed", ["debian", "centos"]),
            "did you mean `centos`? allowed: centos, debian"
        );
        assert_eq!(choice("x", "known services", []), "there are no known services");
    }
}
