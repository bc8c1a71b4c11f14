//! Every plan that once showed a failure, run again: none may show it any more. `highwater-sim pin` writes them.

use std::path::Path;

use highwater_sim::plan::Plan;
use highwater_sim::run::{catch_panics, run_plan};

#[test]
fn pinned_plans_are_clean() {
    catch_panics(|_, what| eprintln!("{what}"));
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pinned");
    let mut paths: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failures = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        let plan = Plan::from_text(&std::fs::read_to_string(path).unwrap()).unwrap();
        if let Some(violation) = run_plan(&plan).violation {
            failures.push(format!("{}: {violation}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
