//! The layers depend in one direction only, and no two files import each other in a loop.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{Module, Sources};

/// The layers from bottom to top: each may use those before it.
///
/// The pure layers are crates, so that Cargo keeps them pure. `clock`, `failpoints` and `telemetry` use no other layer.
const LAYERS: &[&str] = &[
    "clock",
    "failpoints",
    "telemetry",
    "store",
    "access",
    "registry",
    "net",
    "webhook",
    "client",
    "liveness",
    "dashboard",
    "http",
    "server",
    "cli",
];

/// Layers side by side, which must not use each other although their order would allow it.
const APART: &[(&str, &str)] =
    &[("http", "client"), ("webhook", "access"), ("registry", "access"), ("client", "store"), ("client", "access")];

/// Imports that go upwards or sideways.
fn upward_imports(sources: &Sources) -> Vec<String> {
    let place = |layer: &str| LAYERS.iter().position(|known| *known == layer);
    let mut wrong = Vec::new();
    for module in sources.modules() {
        let [root, layer, ..] = module.as_slice() else { continue };
        for used in sources.used_by(module) {
            match used.as_slice() {
                [other, ..] if other != root && root != "crate" && !(root == "domain" && other == "bounded_schema") => {
                    wrong.push(format!("{} uses the crate {other}", sources.path(module)));
                }
                [same, used, ..] if same == root && root == "crate" && used != layer => {
                    let (Some(own), Some(below)) = (place(layer), place(used)) else {
                        wrong.push(format!("{layer} or {used} is not in the list of layers"));
                        continue;
                    };
                    if below >= own || APART.contains(&(layer.as_str(), used.as_str())) {
                        wrong.push(format!("{} uses {used}", sources.path(module)));
                    }
                }
                _ => {}
            }
        }
    }
    wrong
}

/// Groups of files that import each other in a loop.
fn loops(sources: &Sources) -> Vec<BTreeSet<String>> {
    let edges: BTreeMap<&Module, BTreeSet<Module>> = sources
        .modules()
        .map(|module| (module, if sources.is_face(module) { BTreeSet::new() } else { sources.used_by(module) }))
        .collect();
    let reached = |from: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for used in &edges[&module] {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = edges.keys().map(|module| (*module, reached(module))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (module, seen) in &reach {
        let group: BTreeSet<String> = seen
            .iter()
            .filter(|other| reach[other].contains(*module))
            .map(|other| sources.path(other).to_owned())
            .collect();
        if group.len() > 1 && !found.contains(&group) {
            found.push(group);
        }
    }
    found
}

#[test]
fn layers_use_only_lower_layers() {
    let wrong = upward_imports(&Sources::read());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_two_files_import_each_other_in_a_loop() {
    let found = loops(&Sources::read());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_import_that_goes_upwards_is_found() {
    let planted = Sources::read().with("src/store/head.rs", "use crate::registry::Registry;\n");
    assert_eq!(upward_imports(&planted), ["src/store/head.rs uses registry"]);
    let planted = Sources::read().with("src/http/problem.rs", "use crate::client::Client;\n");
    assert_eq!(upward_imports(&planted), ["src/http/problem.rs uses client"]);
}

#[test]
fn a_loop_of_files_is_found() {
    let planted = Sources::read().with("crates/domain/src/revision.rs", "use crate::State;\n");
    let found = loops(&planted);
    assert!(found.iter().any(|group| group.contains("crates/domain/src/revision.rs")), "{found:#?}");
}
