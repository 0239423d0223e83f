//! The imports of the source files, parsed as text: which file uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module as the code names it: `crate::http::router`, `domain::state`.
pub(crate) type Module = Vec<String>;

/// The source files of the service and of its crates, by module.
#[derive(Clone)]
pub(crate) struct Sources(BTreeMap<Module, File>);

#[derive(Clone)]
struct File {
    path: String,
    /// The code without comments and unit tests.
    code: String,
}

impl Sources {
    /// All files below `src` and `crates/*/src`.
    pub(crate) fn read() -> Sources {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = Sources(BTreeMap::new());
        sources.add(root, "crate", "src");
        for name in ["bounded-schema", "domain"] {
            sources.add(root, &name.replace('-', "_"), &format!("crates/{name}/src"));
        }
        sources
    }

    fn add(&mut self, root: &Path, name: &str, folder: &str) {
        for path in rust_files(&root.join(folder)) {
            let within = path.strip_prefix(root.join(folder)).expect("a file of the folder").with_extension("");
            let mut module = vec![name.to_owned()];
            module.extend(within.iter().map(|part| part.to_str().expect("a name in Unicode").to_owned()));
            if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                module.pop();
            }
            let shown = path.strip_prefix(root).expect("a file of the project").display().to_string();
            let text = fs::read_to_string(&path).expect("a readable file");
            if !shown.ends_with("tests.rs") && !shown.contains("/tests/") && !shown.ends_with("main.rs") {
                self.0.insert(module, File { path: shown, code: code_of(&text) });
            }
        }
    }

    /// A copy with one more line in one file.
    pub(crate) fn with(mut self, path: &str, line: &str) -> Sources {
        let file = self.0.values_mut().find(|file| file.path == path).expect("a file of the project");
        file.code.insert_str(0, line);
        self
    }

    /// The path of a module's file.
    pub(crate) fn path(&self, module: &Module) -> &str {
        &self.0[module].path
    }

    /// The modules whose items a module names, except itself and its parents: a child may extend its parent.
    pub(crate) fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let named = paths(&self.0[module].code);
        let used = named.iter().filter_map(|path| self.resolve(self.absolute(module, path)?, 0));
        used.filter(|used| !module.starts_with(used)).collect()
    }

    /// All modules.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.0.keys()
    }

    /// Whether the file of a module only declares and re-exports its children.
    pub(crate) fn is_face(&self, module: &Module) -> bool {
        let items = ["struct ", "enum ", "trait ", "fn ", "const ", "static ", "type ", "impl ", "impl<"];
        let defines = |line: &str| {
            let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("async ");
            items.iter().any(|item| line.starts_with(item))
        };
        !self.0[module].code.lines().any(defines)
    }

    /// A path from the root of its crate; `None` for a path out of the project.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let rest = |skipped: usize| path.iter().skip(skipped).cloned();
        match path.first()?.as_str() {
            "crate" => Some(module[..1].iter().cloned().chain(rest(1)).collect()),
            "self" => Some(module.iter().cloned().chain(rest(1)).collect()),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                Some(module[..module.len().checked_sub(up)?].iter().cloned().chain(rest(up)).collect())
            }
            first if self.0.contains_key([first.to_owned()].as_slice()) => Some(path.to_vec()),
            first => {
                let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
                self.0.contains_key(&child).then(|| module.iter().cloned().chain(rest(0)).collect())
            }
        }
    }

    /// The module that defines the item of a path, after re-exports.
    fn resolve(&self, path: Module, depth: usize) -> Option<Module> {
        let known = (1..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let module = path[..known].to_vec();
        let Some(item) = path.get(known).filter(|_| depth < 8) else { return Some(module) };
        let exported =
            paths(&self.0[&module].code).into_iter().find(|named| named.len() > 1 && named.last() == Some(item));
        let origin = exported.and_then(|named| self.absolute(&module, &named)).filter(|origin| *origin != path);
        match origin {
            Some(origin) if self.is_face(&module) => self.resolve(origin, depth + 1),
            _ => Some(module),
        }
    }
}

/// A file's code without comments and unit tests.
fn code_of(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    shipped.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// All imported paths, and all paths in code that begin with `crate::` or `super::`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let begin = statement.rfind('\n').map_or(statement, |_| statement);
        let Some((_, tree)) = begin.rsplit_once("use ").filter(|(before, _)| {
            let before = before.rsplit('\n').next().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub")
        }) else {
            continue;
        };
        expand(&tree.split_whitespace().collect::<Vec<_>>().join(" "), &[], &mut found);
    }
    for start in ["crate::", "super::", "domain::", "bounded_schema::"] {
        for (position, _) in code.match_indices(start) {
            let is_whole = !code[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let path: String =
                code[position..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            if is_whole && !path.ends_with("::") {
                found.push(path.split("::").map(str::to_owned).collect());
            }
        }
    }
    found
}

/// Flattens a tree of imports.
fn expand(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let mut prefix = before.to_vec();
        prefix.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
        let (mut depth, mut begin) = (0, 0);
        for (position, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !inner[begin..position].trim().is_empty() {
                        expand(&inner[begin..position], &prefix, found);
                    }
                    begin = position + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let path = tree.split(" as ").next().unwrap_or_default();
    let mut whole = before.to_vec();
    whole.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self").map(str::to_owned));
    if path.starts_with("self::") {
        whole.insert(before.len(), "self".to_owned());
    }
    found.push(whole);
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
