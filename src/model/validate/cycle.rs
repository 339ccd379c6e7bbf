//! Cycles in what depends on what.

use std::collections::{BTreeMap, BTreeSet};

use super::super::name::Name;

/// The cycles of a graph, each as the names along it, without the first one repeated at the end.
pub fn find<'a>(edges: &BTreeMap<&'a Name, Vec<&'a Name>>) -> Vec<Vec<&'a Name>> {
    let mut search = Search { edges, done: BTreeSet::new(), trail: Vec::new(), cycles: Vec::new() };
    for start in edges.keys() {
        search.visit(start);
    }
    search.cycles
}

/// A cycle in words: `a → b → a`.
pub fn in_words(cycle: &[&Name]) -> String {
    let names: Vec<_> = cycle.iter().chain(cycle.first()).map(|name| name.as_str()).collect();
    names.join(" → ")
}

struct Search<'a, 'b> {
    edges: &'b BTreeMap<&'a Name, Vec<&'a Name>>,
    done: BTreeSet<&'a Name>,
    trail: Vec<&'a Name>,
    cycles: Vec<Vec<&'a Name>>,
}

impl<'a> Search<'a, '_> {
    fn visit(&mut self, name: &'a Name) {
        if let Some(start) = self.trail.iter().position(|seen| *seen == name) {
            self.cycles.push(self.trail[start..].to_vec());
            return;
        }
        if self.done.contains(name) {
            return;
        }
        self.trail.push(name);
        for next in self.edges.get(name).into_iter().flatten() {
            self.visit(next);
        }
        self.trail.pop();
        self.done.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(edges: &[(&str, &[&str])]) -> Vec<String> {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let owned: Vec<(Name, Vec<Name>)> =
            edges.iter().map(|(from, to)| (name(from), to.iter().map(|to| name(to)).collect())).collect();
        let edges = owned.iter().map(|(from, to)| (from, to.iter().collect())).collect();
        find(&edges).iter().map(|cycle| in_words(cycle)).collect()
    }

    #[test]
    fn shows_each_cycle_once() {
        assert_eq!(words(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"])]), ["a → b → c → a"]);
        assert_eq!(words(&[("a", &["a"])]), ["a → a"]);
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        assert!(words(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]).is_empty());
    }
}
