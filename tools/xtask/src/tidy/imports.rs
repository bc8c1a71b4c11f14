//! The import table of core: which module may name which.

use super::tokens::{Tests, Token, tokens};
use super::{File, Problem, Tree};

/// What every module may import.
const BASE: [&str; 6] = ["buf", "id", "limits", "mutant", "prng", "time"];

/// What each module may import besides [`BASE`] and itself. A module that is not here has no place in the design yet.
const TABLE: [(&str, &[&str]); 19] = [
    ("buf", &[]),
    ("id", &[]),
    ("limits", &[]),
    ("mutant", &[]),
    ("prng", &[]),
    ("time", &[]),
    ("batch", &[]),
    ("config", &["batch"]),
    ("log", &["batch"]),
    ("replica", &["log", "batch"]),
    ("coordinator", &["batch"]),
    ("group", &["coordinator", "replica", "log", "batch"]),
    ("controller", &["replica", "log", "batch", "config"]),
    ("txn", &["replica", "log", "batch"]),
    ("wire", &["batch"]),
    ("client", &["wire", "batch"]),
    ("storage", &["log", "batch"]),
    ("api", &["wire", "group", "controller", "txn", "replica", "log", "batch", "config"]),
    (
        "shard",
        &["api", "storage", "coordinator", "group", "controller", "txn", "replica", "log", "batch", "config"],
    ),
];

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in tree.rust() {
        let Some(inside) = file.path.strip_prefix("core/src/") else { continue };
        if inside == "lib.rs" || file.is_test() {
            continue;
        }
        let depth = inside.matches('/').count() + 1;
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        check_file(file, module, depth, problems);
    }
}

fn check_file(file: &File, module: &str, depth: usize, problems: &mut Vec<Problem>) {
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
        let what = format!("module `{module}` is not in the import table of tidy");
        return problems.push(Problem::new(file, 1, what));
    };
    // What does not lex is reported by another rule.
    let Ok(tokens) = tokens(&file.text, Tests::Dropped) else { return };
    for (line, name) in imports(&tokens) {
        let may = name == module || allowed.contains(&name) || BASE.contains(&name);
        if !may {
            problems.push(Problem::new(file, line, format!("`{module}` must not import `{name}`")));
        }
    }
    for line in climbs(&tokens, depth) {
        problems.push(Problem::new(file, line, "leave a module by crate::, not by super::"));
    }
}

/// The modules named right after `crate::`, alone or in braces.
fn imports(tokens: &[Token]) -> Vec<(usize, &str)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if text(at) != "crate" || text(at + 1) != ":" || text(at + 2) != ":" {
            continue;
        }
        if text(at + 3) != "{" {
            found.push((tokens[at].line, text(at + 3)));
            continue;
        }
        let mut depth = 0;
        for (at, token) in tokens.iter().enumerate().skip(at + 3) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                name if depth == 1 && matches!(text(at - 1), "{" | ",") => found.push((token.line, name)),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// Lines with as many `super::` in a row as lead out of a module whose file lies `depth` deep.
fn climbs(tokens: &[Token], depth: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut climbed = 0;
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "super" {
            climbed += 1;
            if climbed == depth {
                found.push(tokens[at].line);
            }
            at += 3;
        } else {
            climbed = 0;
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_clean};
    use super::*;

    #[test]
    fn import_against_the_table_is_a_problem() {
        check(
            "core/src/log.rs",
            "//! Log.\nuse crate::replica::Replica;\n",
            "`log` must not import `replica`",
        );
        check(
            "core/src/log.rs",
            "//! Log.\nuse crate::{id::Id, wire::{A, B}};\n",
            "`log` must not import `wire`",
        );
        check(
            "core/src/log/a.rs",
            "//! A.\nfn a() -> crate::shard::Shard {}\n",
            "`log` must not import `shard`",
        );
        check("core/src/shard/a.rs", "//! A.\nuse crate::wire::Frame;\n", "`shard` must not import `wire`");
        check("core/src/id.rs", "//! Id.\nuse crate::log::Log;\n", "`id` must not import `log`");
    }

    #[test]
    fn import_by_the_table_is_none() {
        check_clean(
            "core/src/log/a.rs",
            "//! A.\nuse crate::{batch::{B, id}, log::Log, time::Now};\nuse super::C;\n",
        );
        check_clean("core/src/shard/a.rs", "//! A.\nuse crate::api;\nuse crate::storage::Storage;\n");
        check_clean("core/src/api/a.rs", "//! A.\nuse crate::wire;\n");
        check_clean("core/src/client.rs", "//! A.\nuse crate::wire::{self, Frame};\n");
    }

    #[test]
    fn test_code_may_import_what_it_likes() {
        check_clean(
            "core/src/log.rs",
            "//! Log.\n#[cfg(test)]\nmod tests { use crate::wire::W; use super::*; }\n",
        );
        check_clean("core/src/log/tests.rs", "//! Tests.\nuse crate::wire::W;\n");
    }

    #[test]
    fn module_outside_the_table_is_a_problem() {
        check("core/src/magic.rs", "//! Magic.\n", "not in the import table");
    }

    #[test]
    fn leaving_a_module_by_super_is_a_problem() {
        check("core/src/log.rs", "//! Log.\nuse super::wire::W;\n", "not by super::");
        check("core/src/log/a.rs", "//! A.\nuse super::super::wire::W;\n", "not by super::");
    }

    #[test]
    fn table_has_no_cycle() {
        let rank = |name: &str| TABLE.iter().position(|(module, _)| *module == name).unwrap();
        for (module, allowed) in TABLE {
            for import in allowed {
                let wrong_way = TABLE[rank(import)].1.contains(&module);
                assert!(!wrong_way, "{module} and {import} import each other");
            }
        }
    }
}
