//! Words that must not be in the tree: unfinished work, paths of one machine, and what core and safe crates must not say.

use super::tokens::{Tests, occurrences, tokens};
use super::{File, Problem, Tree};

/// Words banned in every file, in two halves so that this file is not its own first victim.
const BANNED: [(&str, &str); 10] = [
    ("/wo", "rk/"),
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/tmp", "/hw"),
    ("to", "do!"),
    ("unimple", "mented!"),
    ("db", "g!("),
    ("#[ig", "nore"),
    ("FIX", "ME"),
    ("XX", "X"),
];

/// What the core must not say outside its tests: clock, entropy, threads, async, I/O, unordered maps.
const CORE_BANNED: [&[&str]; 13] = [
    &["std"],
    &["Instant", ":", ":", "now"],
    &["SystemTime"],
    &["async"],
    &["await"],
    &["Future"],
    &["rand"],
    &["getrandom"],
    &["HashMap"],
    &["HashSet"],
    &["thread_local"],
    &["println"],
    &["Mutex"],
];

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in &tree.files {
        check_banned(file, problems);
    }
    for file in tree.rust() {
        if file.path.starts_with("core/src/") && !file.is_test() {
            check_core(file, problems);
        }
        if !file.path.starts_with("io/") {
            check_safe(file, problems);
        }
    }
    check_core_head(tree, problems);
}

fn check_banned(file: &File, problems: &mut Vec<Problem>) {
    for (head, tail) in BANNED {
        let word = format!("{head}{tail}");
        for (index, line) in file.text.lines().enumerate() {
            if contains_word(line, &word) {
                problems.push(Problem::new(file, index + 1, format!("`{word}` must not be in the tree")));
            }
        }
    }
}

/// Whether `line` has `word` not as a part of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let starts_inside =
        |at: usize| word.starts_with(is_part) && line[..at].chars().next_back().is_some_and(is_part);
    let ends_inside = |at: usize| word.ends_with(is_part) && line[at..].starts_with(is_part);
    line.match_indices(word).any(|(at, _)| !starts_inside(at) && !ends_inside(at + word.len()))
}

fn check_core(file: &File, problems: &mut Vec<Problem>) {
    let tokens = match tokens(&file.text, Tests::Dropped) {
        Ok(tokens) => tokens,
        Err((line, error)) => return problems.push(Problem::new(file, line, error)),
    };
    for words in CORE_BANNED {
        for at in occurrences(&tokens, words) {
            let what = format!("core does not say `{}`", words.concat());
            problems.push(Problem::new(file, tokens[at].line, what));
        }
    }
}

fn check_safe(file: &File, problems: &mut Vec<Problem>) {
    let tokens = match tokens(&file.text, Tests::Kept) {
        Ok(tokens) => tokens,
        Err((line, error)) => return problems.push(Problem::new(file, line, error)),
    };
    for at in occurrences(&tokens, &["unsafe"]) {
        problems.push(Problem::new(file, tokens[at].line, "`unsafe` lives in io only"));
    }
}

fn check_core_head(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(file) = tree.file("core/src/lib.rs") else {
        return problems.push(Problem::of_tree("core/src/lib.rs", "is missing"));
    };
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !file.text.lines().any(|line| line == attribute) {
            problems.push(Problem::new(file, 1, format!("core must say {attribute}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_clean};
    use super::*;

    #[test]
    fn each_banned_word_is_a_problem_in_any_file() {
        for (head, tail) in BANNED {
            check("io/src/notes.txt", &format!("see {head}{tail} here\n"), "must not be in the tree");
            check("io/src/lib.rs", &format!("//! Lib.\n// see {head}{tail}\n"), "lib.rs:2");
        }
    }

    #[test]
    fn banned_word_inside_a_longer_word_is_none() {
        let (head, tail) = BANNED[9];
        check_clean("io/src/notes.txt", &format!("A{head}{tail}A {head}{tail}_a\n"));
    }

    #[test]
    fn each_word_banned_in_core_is_a_problem_outside_tests() {
        for words in CORE_BANNED {
            let code = format!("fn a() {{ {} }}\n", words.concat());
            check("core/src/log.rs", &format!("//! Log.\n{code}"), "log.rs:2: core does not say");
            check_clean("core/src/log.rs", &format!("//! Log.\n#[cfg(test)]\nmod tests {{ {code} }}\n"));
            check_clean("core/src/log/tests.rs", &format!("//! Tests of the log.\n{code}"));
            check_clean("core/src/log.rs", &format!("//! Log, not {}.\n", words.concat()));
        }
    }

    #[test]
    fn unsafe_outside_io_is_a_problem() {
        let code = "//! A.\nfn a() { unsafe { b() } }\n";
        check("sim/src/a.rs", code, "io only");
        check_clean("io/src/a.rs", code);
        check_clean("sim/src/a.rs", "//! Nothing unsafe.\n");
    }

    #[test]
    fn core_must_be_no_std_and_safe() {
        check("core/src/lib.rs", "//! Core.\n#![no_std]\n", "forbid(unsafe_code)");
        check("core/src/lib.rs", "//! Core.\n#![forbid(unsafe_code)]\n", "no_std");
    }

    #[test]
    fn file_that_is_not_rust_is_a_problem() {
        check("sim/src/a.rs", "//! A.\nfn a() {\n", "a.rs");
    }
}
