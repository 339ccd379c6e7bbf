//! Figures of several rounds in a cell of the table.

use super::samples::Share;

/// Median and worst of some seconds, such as `0.31 / 1.20`; of no seconds, a dash.
pub fn spread(seconds: impl IntoIterator<Item = f64>) -> String {
    let mut seconds: Vec<f64> = seconds.into_iter().collect();
    seconds.sort_by(f64::total_cmp);
    match seconds.last() {
        Some(worst) => format!("{} / {}", shown(median(&seconds)), shown(*worst)),
        None => "–".to_owned(),
    }
}

/// The sum of what failed, such as `3 of 500`.
pub fn sum(shares: impl IntoIterator<Item = Share>) -> String {
    let (failed, of) = shares.into_iter().fold((0, 0), |(failed, of), share| (failed + share.failed, of + share.of));
    format!("{failed} of {of}")
}

/// The middle of sorted figures, of which there are some.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn shown(seconds: f64) -> String {
    match seconds {
        f64::INFINITY => "never".to_owned(),
        short if short < 9.995 => format!("{short:.2}"),
        long => format!("{long:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_worst() {
        assert_eq!(spread([0.5, 12.34, 0.25]), "0.50 / 12.3");
        assert_eq!(spread([1.0, 2.0, 4.0, 3.0]), "2.50 / 4.00");
        assert_eq!(spread([0.124]), "0.12 / 0.12");
        assert_eq!(spread([9.999]), "10.0 / 10.0");
    }

    #[test]
    fn what_never_came_is_worse_than_all_that_came() {
        assert_eq!(spread([f64::INFINITY, 3.0, 5.0]), "5.00 / never");
        assert_eq!(spread([f64::INFINITY, 3.0]), "never / never");
    }

    #[test]
    fn nothing_measured_is_a_dash() {
        assert_eq!(spread([]), "–");
    }

    #[test]
    fn failures_are_summed() {
        assert_eq!(sum([Share { failed: 1, of: 10 }, Share { failed: 2, of: 20 }]), "3 of 30");
        assert_eq!(sum([]), "0 of 0");
    }
}
