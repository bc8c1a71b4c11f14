//! The rules of the house that no compiler holds: who may import whom, sizes, words, and what a fresh reader must find.
//!
//! Each rule is a function from a [`Tree`] to [`Problem`]s and knows nothing of the disk, so its test is a tree of two files.

mod dependencies;
mod imports;
mod shape;
mod tokens;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

pub(crate) use tree::{File, Tree};

/// A broken rule: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl Problem {
    fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }

    fn of_tree(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.into(), line: 1, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Every problem of a tree, in the order of its files.
pub(crate) fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    shape::check(tree, &mut problems);
    words::check(tree, &mut problems);
    imports::check(tree, &mut problems);
    dependencies::check(tree, &mut problems);
    problems.sort();
    problems
}

/// Checks the tree at `root`; prints the problems, or what was checked.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let problems = problems(&tree);
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("tidy: {} files, no problem", tree.files.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} problems")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest tree without a problem; each rule's test breaks one thing of it.
    pub(super) fn clean() -> Tree {
        let package = |name: &str, rest: &str| {
            format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{rest}")
        };
        Tree::of(&[
            ("README.md", "```\ncargo run --release -- dev\ncargo xtask test\n```\n"),
            (".ci/run", "exec cargo xtask ci\n"),
            (".clippy.toml", "too-many-lines-threshold = 70\n"),
            ("Cargo.toml", "[workspace]\n[workspace.lints.clippy]\ntoo_many_lines = \"warn\"\n"),
            ("core/Cargo.toml", &package("highwater-core", "")),
            ("core/src/lib.rs", "//! Core.\n#![no_std]\n#![forbid(unsafe_code)]\npub mod log;\n"),
            ("core/src/log.rs", "//! Log.\nuse crate::{batch::Batch, id::Offset};\n"),
            ("io/Cargo.toml", &package("highwater-io", "highwater-core.workspace = true\n")),
            ("io/src/lib.rs", "//! Drivers.\nuse std::time::Instant;\n"),
        ])
    }

    /// Asserts that the clean tree with `path` replaced has exactly one problem, whose text contains `what`.
    #[track_caller]
    pub(super) fn check(path: &str, text: &str, what: &str) {
        let mut tree = clean();
        tree.put(path, text);
        let found = problems(&tree);
        assert_eq!(found.len(), 1, "{found:#?}");
        let shown = found[0].to_string();
        assert!(shown.contains(path) && shown.contains(what), "{shown}");
    }

    /// Asserts that the clean tree with `path` replaced has no problem.
    #[track_caller]
    pub(super) fn check_clean(path: &str, text: &str) {
        let mut tree = clean();
        tree.put(path, text);
        assert_eq!(problems(&tree), []);
    }

    #[test]
    fn clean_tree_passes() {
        assert_eq!(problems(&clean()), []);
    }

    #[test]
    fn this_repository_passes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tree = Tree::read(&root).unwrap();
        assert!(tree.files.len() > 20, "the walk finds the repository");
        let problems = problems(&tree);
        assert!(problems.is_empty(), "{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>());
    }
}
