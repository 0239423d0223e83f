//! Layers depend in one direction only: reads the `use crate::` lines and says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may use of the crate, beside itself.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("plugin", &[] as &[_]),
        ("clock", &[]),
        ("planted", &[]),
        ("telemetry", &[]),
        ("access", &["plugin", "store", "clock"]),
        ("registry", &["plugin", "access", "store", "clock", "planted", "telemetry"]),
        ("store", &["plugin", "access", "registry", "planted"]),
        ("webhook", &["plugin", "registry", "store", "clock", "telemetry"]),
        ("client", &["plugin", "registry", "telemetry"]),
        ("liveness", &["plugin", "registry", "webhook", "client", "clock", "planted"]),
        ("http", &["plugin", "access", "registry", "webhook", "liveness", "clock", "telemetry"]),
        ("server", &["http"]),
        (
            "cli",
            &[
                "access",
                "client",
                "clock",
                "http",
                "liveness",
                "plugin",
                "registry",
                "server",
                "store",
                "telemetry",
                "webhook",
            ],
        ),
    ])
}

#[test]
fn layers_use_only_what_they_may() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("a file of src");
        let layer = relative.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs");
        if ["lib", "main"].contains(&layer) {
            continue;
        }
        let may = allowed.get(layer).unwrap_or_else(|| panic!("the layer {layer} is not in the list"));
        for used in used_layers(&fs::read_to_string(&file).expect("a readable file")) {
            if used != layer && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The layers that a text names as `crate::layer`.
fn used_layers(text: &str) -> Vec<String> {
    let named = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    // A layer's own unit tests may use what they need.
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    shipped.split("crate::").skip(1).map(named).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
