//! Every plan that once showed a failure, run again: none may show it any more. In a build with planted bugs, those that name one
//! must show it with that. `highwater-sim pin` writes them.

use std::path::Path;

use highwater_sim::run::catch_panics;
use highwater_sim::scenario::{self, Outcome};

#[test]
fn pinned_plans_are_clean() {
    catch_panics(|_, what| eprintln!("{what}"));
    let scenarios = scenario::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pinned")).unwrap();
    assert!(!scenarios.is_empty(), "there are pinned plans");
    let mut failures = Vec::new();
    for scenario in scenarios {
        if let Outcome::Failed(why) = scenario::judge(&scenario.plan) {
            failures.push(format!("{}: {why}", scenario.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
