//! Which crate of ours may depend on which, and what the core takes from outside.

use super::{File, Problem, Tree};

/// Our packages and those of ours that they may depend on.
const TABLE: [(&str, &[&str]); 10] = [
    ("highwater-core", &[]),
    ("highwater-io", &["highwater-core"]),
    ("highwater-cli", &["highwater-core"]),
    ("highwater", &["highwater-core", "highwater-io", "highwater-cli"]),
    ("highwater-jepsen", &[]),
    ("highwater-sim", &["highwater-core", "highwater-io", "highwater-jepsen"]),
    ("highwater-bench", &["highwater-core"]),
    ("highwater-counts", &["highwater-core", "highwater-io"]),
    ("highwater-fuzz", &["highwater-core"]),
    ("xtask", &["highwater-core"]),
];

/// Third-party crates the core may use; whoever adds one argues for it in the commit.
const CORE_ALLOWED: [&str; 10] = [
    "crc-fast",
    "crc32fast",
    "lz4_flex",
    "miniz_oxide",
    "regex-automata",
    "regex-syntax",
    "rkyv",
    "ruzstd",
    "twox-hash",
    "zerocopy",
];

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        match file.text.parse::<toml::Table>() {
            Ok(manifest) => check_manifest(file, &manifest, problems),
            Err(error) => problems.push(Problem::new(file, 1, error.message())),
        }
    }
}

fn check_manifest(file: &File, manifest: &toml::Table, problems: &mut Vec<Problem>) {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let name = name.unwrap_or_default();
    let Some((_, allowed)) = TABLE.iter().find(|(package, _)| *package == name) else {
        let what = format!("package `{name}` is not in the dependency table of tidy");
        return problems.push(Problem::new(file, 1, what));
    };
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    let is_own_workspace = manifest.contains_key("workspace");
    if inherits != Some(true) && !is_own_workspace {
        problems.push(Problem::new(file, 1, "must inherit the workspace's lints"));
    }
    for (dependency, kind) in dependencies(manifest) {
        let line = 1 + file.text.lines().take_while(|line| !line.starts_with(dependency)).count();
        let is_ours = TABLE.iter().any(|(package, _)| *package == dependency);
        // A package may name itself among its dev-dependencies, to see in its tests what a feature opens.
        let is_itself = dependency == name && kind == "dev-dependencies";
        if is_ours && !is_itself && !allowed.contains(&dependency) {
            problems.push(Problem::new(file, line, format!("`{name}` must not depend on `{dependency}`")));
        }
        let is_foreign_in_core = name == "highwater-core" && !is_ours && kind != "dev-dependencies";
        if is_foreign_in_core && !CORE_ALLOWED.contains(&dependency) {
            let what = format!("core takes `{dependency}` from outside, which tidy's list does not name");
            problems.push(Problem::new(file, line, what));
        }
    }
}

/// All dependencies of a manifest with the kind of their table, those for one target included.
fn dependencies(manifest: &toml::Table) -> Vec<(&str, &str)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table);
    let mut found = Vec::new();
    for table in targets.chain([manifest]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(listed) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in listed {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                found.push((renamed.unwrap_or(key), kind));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_clean};

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}")
    }

    #[test]
    fn dependency_against_the_table_is_a_problem() {
        let core_on_io = manifest("highwater-core", "[dev-dependencies]\nhighwater-io.workspace = true\n");
        check("core/Cargo.toml", &core_on_io, "must not depend on `highwater-io`");
        let io_on_node = manifest("highwater-io", "[target.'cfg(unix)'.dependencies]\nhighwater = \"1\"\n");
        check("io/Cargo.toml", &io_on_node, "must not depend on `highwater`");
        let renamed = manifest("highwater-jepsen", "[dependencies]\nx = { package = \"highwater-core\" }\n");
        check("jepsen/Cargo.toml", &renamed, "must not depend on `highwater-core`");
    }

    #[test]
    fn dependency_by_the_table_is_none() {
        let rest = "[dependencies]\nhighwater-io = { path = \"../io\" }\nserde = \"1\"\n";
        check_clean("sim/Cargo.toml", &manifest("highwater-sim", rest));
    }

    #[test]
    fn package_may_depend_on_itself_for_its_tests_only() {
        let itself = manifest("highwater-core", "[dev-dependencies]\nhighwater-core = { path = \".\" }\n");
        check_clean("core/Cargo.toml", &itself);
        check("core/Cargo.toml", &itself.replace("dev-dep", "dep"), "must not depend on `highwater-core`");
    }

    #[test]
    fn core_takes_from_outside_only_what_is_listed() {
        let serde = manifest("highwater-core", "[dependencies]\nserde = \"1\"\n");
        check("core/Cargo.toml", &serde, "takes `serde` from outside");
        check_clean("core/Cargo.toml", &serde.replace("[dep", "[dev-dep"));
    }

    #[test]
    fn package_outside_the_table_is_a_problem() {
        check("extra/Cargo.toml", &manifest("extra", ""), "not in the dependency table");
    }

    #[test]
    fn package_without_the_lints_is_a_problem() {
        check("io/Cargo.toml", "[package]\nname = \"highwater-io\"\n", "inherit the workspace's lints");
    }
}
