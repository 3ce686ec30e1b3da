//! Circular dependencies between the modules of a crate.
//!
//! Without circles each module can be read once those below it are known. Only the modules that `lib.rs` declares are
//! compared. Inside of one of them circles are allowed: a parent may use its children, and the states of `client-flow`,
//! which form a circle by construction, share one folder.

use std::collections::{BTreeMap, VecDeque};

use crate::tidy::code_paths::crate_paths;
use crate::tidy::source::Source;
use crate::workspace::Error;

/// Crates that still have circles and are not checked.
const OPEN: &[&str] = &[
    "client-auth",
    "mcp-authz-keys",
    "mcp-authz-postgres",
    "mcp-authz-reqwest",
    "mcp-authz-sqlite",
];

/// Modules that each module uses, with the first place of use.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<String, String>>;

/// Returns a finding with the shortest circle of each crate.
pub(super) fn findings(sources: &[Source]) -> Result<Vec<String>, Error> {
    let mut graphs: BTreeMap<&str, Graph<'_>> = BTreeMap::new();
    for source in sources.iter().filter(|it| it.is_library_code()) {
        let Some(module) = source.module().filter(|it| !it.is_root()) else { continue };
        let Some(&top) = module.names.first() else { continue };
        let uses = graphs.entry(module.krate).or_default().entry(top).or_default();
        for path in crate_paths(&module.names, &source.body_text())? {
            if let Some(used) = path.names.into_iter().next().filter(|used| used != top) {
                uses.entry(used).or_insert_with(|| format!("{}:{}", source.path, path.line));
            }
        }
    }
    let closed = graphs.iter().filter(|(krate, _)| !OPEN.contains(krate));
    let circles = closed.filter_map(|(krate, graph)| {
        let circle = graph.keys().filter_map(|&start| circle(graph, start)).min_by_key(Vec::len)?;
        Some(format!("{krate}: modules use each other in a circle: {}", circle.join(", ")))
    });
    Ok(circles.collect())
}

/// Returns the shortest path from a module to itself, each step as `a uses b (place)`.
fn circle(graph: &Graph<'_>, start: &str) -> Option<Vec<String>> {
    let mut reached: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut waiting = VecDeque::from([(start, Vec::new())]);
    while let Some((module, way)) = waiting.pop_front() {
        for (used, place) in graph.get(module).into_iter().flatten() {
            let mut way = way.clone();
            way.push(format!("`{module}` uses `{used}` ({place})"));
            if used == start {
                return Some(way);
            }
            if graph.contains_key(used.as_str()) && !reached.contains_key(used.as_str()) {
                reached.insert(used, way.clone());
                waiting.push_back((used, way));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let source = |&(path, text): &(&str, &str)| Source::new(path.to_owned(), text.to_owned());
        findings(&files.iter().map(source).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_shortest_circle_is_named_with_its_places() {
        let found = of(&[
            ("crates/x/src/a.rs", "//! A.\nuse crate::b::B;\n"),
            ("crates/x/src/b.rs", "use super::c::{C, D};\n"),
            ("crates/x/src/c/deep.rs", "\nfn f() { crate::b::g() }\n"),
            ("crates/x/src/c.rs", "mod deep;\nuse crate::a::A;\n"),
        ]);
        assert_eq!(
            found,
            ["x: modules use each other in a circle: `b` uses `c` (crates/x/src/b.rs:1), \
             `c` uses `b` (crates/x/src/c/deep.rs:2)"]
        );
    }

    #[test]
    fn a_parent_a_test_and_the_surface_close_no_circle() {
        let found = of(&[
            ("crates/x/src/lib.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("crates/x/src/a.rs", "mod child;\nuse crate::b::B;\nuse crate::a::child::C;\n"),
            ("crates/x/src/a/child.rs", "use super::A;\n"),
            (
                "crates/x/src/b.rs",
                "pub struct B;\n#[cfg(test)]\nmod tests {\n use crate::a::A;\n}\n",
            ),
            ("crates/x/src/b/tests.rs", "use crate::a::A;\n"),
            ("crates/y/src/b.rs", "use crate::a::A;\n"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
