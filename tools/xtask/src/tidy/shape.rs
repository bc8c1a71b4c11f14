//! Sizes, names and heads of files, and the files a fresh reader must find.

use super::{File, Problem, Tree};

/// Longest file that a person wrote, in lines.
const FILE_LINES_MAX: usize = 1000;

/// Longest function, in lines of code as clippy counts them.
const FUNCTION_LINES_MAX: i64 = 70;

/// The README's test command.
const COMMAND_TEST: &str = "cargo xtask test";

/// How the README's command that runs a broker begins.
const COMMAND_RUN: &str = "cargo run --release -- ";

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in &tree.files {
        check_path(file, problems);
        if file.is_rust() || file.path.ends_with(".py") {
            check_length(file, problems);
        }
    }
    for file in tree.rust().filter(|file| !file.is_test()) {
        check_head(file, problems);
    }
    check_lints(tree, problems);
    check_commands(tree, problems);
}

fn check_path(file: &File, problems: &mut Vec<Problem>) {
    let mut parts = file.path.split('/');
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if name == "mod.rs" {
        problems.push(Problem::new(file, 1, "name it after its module: foo.rs beside foo/, never mod.rs"));
    }
    parts.next();
    // Clippy takes the file nearest to the package, so a package that bans more has one of its own.
    if name != ".clippy.toml" && parts.any(|part| part.starts_with('.')) {
        problems.push(Problem::new(file, 1, "dotfiles live at the top level only"));
    }
}

fn check_length(file: &File, problems: &mut Vec<Problem>) {
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX && !file.is_generated() {
        problems.push(Problem::new(file, lines, format!("{lines} lines, the limit is {FILE_LINES_MAX}")));
    }
}

fn check_head(file: &File, problems: &mut Vec<Problem>) {
    let mut head = file.text.lines().take_while(|line| line.starts_with("//") || line.trim().is_empty());
    if !head.any(|line| line.starts_with("//!")) {
        problems.push(Problem::new(file, 1, "starts without //! saying what it owns and must not know"));
    }
}

/// Function length is clippy's to count; the limit must be set wherever clippy looks, and nobody may lift it.
fn check_lints(tree: &Tree, problems: &mut Vec<Problem>) {
    let table = |path| tree.file(path).and_then(|file| file.text.parse::<toml::Table>().ok());
    let settings =
        tree.files.iter().map(|file| file.path.as_str()).filter(|path| path.ends_with("/.clippy.toml"));
    for path in settings.chain([".clippy.toml"]) {
        let threshold = table(path)
            .and_then(|table| table.get("too-many-lines-threshold").and_then(toml::Value::as_integer));
        if threshold != Some(FUNCTION_LINES_MAX) {
            let what = format!("too-many-lines-threshold must be {FUNCTION_LINES_MAX}");
            problems.push(Problem::of_tree(path, what));
        }
    }
    let lints = table("Cargo.toml").and_then(|table| {
        table.get("workspace")?.get("lints")?.get("clippy")?.get("too_many_lines").map(|_| ())
    });
    if lints.is_none() {
        problems.push(Problem::of_tree("Cargo.toml", "workspace.lints.clippy must set too_many_lines"));
    }
    for file in tree.rust().filter(|file| !file.is_generated()) {
        for (index, line) in file.text.lines().enumerate() {
            let lifts = line.contains("allow(") || line.contains("expect(");
            if lifts && line.contains(concat!("too_many", "_lines")) {
                problems.push(Problem::new(file, index + 1, "nobody lifts the length limit of functions"));
            }
        }
    }
}

/// The README has two commands: one runs a broker, one runs the tests; CI runs the latter's twin.
fn check_commands(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(readme) = tree.file("README.md") else {
        problems.push(Problem::of_tree("README.md", "is missing"));
        return;
    };
    let commands = fenced(&readme.text);
    if !commands.contains(&COMMAND_TEST) {
        problems.push(Problem::new(readme, 1, format!("no code block with the line `{COMMAND_TEST}`")));
    }
    if !commands.iter().any(|line| line.starts_with(COMMAND_RUN)) {
        problems.push(Problem::new(readme, 1, format!("no code block with a line `{COMMAND_RUN}…`")));
    }
    if tree.file(".ci/run").is_none_or(|file| !file.text.contains("exec cargo xtask ci")) {
        problems.push(Problem::of_tree(".ci/run", "must run `cargo xtask ci`"));
    }
}

/// The lines inside code fences, without trailing comments.
fn fenced(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            lines.push(line.split(" #").next().unwrap_or_default().trim());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::problems;
    use super::super::tests::{check, check_clean, clean};
    use super::*;

    #[test]
    fn long_file_is_a_problem_unless_generated() {
        let body = "// a line\n".repeat(FILE_LINES_MAX);
        check("io/src/long.rs", &format!("//! Long.\n{body}"), "1001 lines");
        check_clean("io/src/long.rs", &format!("//! Long. @generated\n{body}"));
        check_clean("io/src/long.rs", &format!("//! Long.\n{}", &body[10..]));
    }

    #[test]
    fn mod_rs_is_a_problem() {
        check("io/src/a/mod.rs", "//! A.\n", "never mod.rs");
    }

    #[test]
    fn headless_module_is_a_problem() {
        check("io/src/a.rs", "/// Not of the module.\nfn a() {}\n", "without //!");
        check_clean("io/src/a/tests.rs", "use super::*;\n");
        check_clean("io/src/a.rs", "// @generated by a program\n\n//! A.\n");
    }

    #[test]
    fn dotfile_below_the_top_is_a_problem() {
        check("io/.rustfmt.toml", "", "top level only");
        check_clean(".rustfmt.toml", "");
    }

    #[test]
    fn function_length_limit_cannot_be_lifted() {
        check(".clippy.toml", "too-many-lines-threshold = 700\n", "must be 70");
        check("io/.clippy.toml", "", "must be 70");
        check_clean("io/.clippy.toml", "too-many-lines-threshold = 70\n");
        check("Cargo.toml", "[workspace]\n", "must set too_many_lines");
        let lifted = format!("//! A.\n#[allow(clippy::{}{})]\nfn a() {{}}\n", "too_many", "_lines");
        check("io/src/a.rs", &lifted, "nobody lifts");
    }

    #[test]
    fn readme_names_the_real_commands() {
        check("README.md", "```\ncargo run --release -- dev\ncargo test\n```\n", "cargo xtask test");
        check("README.md", "```\n./start\ncargo xtask test\n```\n", "cargo run --release");
        check("README.md", "```\ncargo run --release -- dev\n```\ncargo xtask test\n", "cargo xtask test");
        check(".ci/run", "cargo test\n", "cargo xtask ci");
        let mut tree = clean();
        tree.files.retain(|file| file.path != "README.md");
        assert_eq!(problems(&tree).len(), 1);
    }
}
