//! The pinned plans: each once showed a bug and is clean since. Where the bug can be planted again, the plan names it and what it
//! breaks, and must fail with it. Must not know how a run works.

use std::fs;
use std::io;
use std::path::Path;

use crate::params::Options;
use crate::plan::Plan;
use crate::report::Violation;
use crate::run::run_plan;

/// A plan under its name.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub plan: Plan,
}

/// How a scenario went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Clean,
    /// And the bug that is planted in it was found.
    Found,
    /// What is wrong.
    Failed(String),
}

/// All plans of a folder, by their names.
pub fn read(dir: &Path) -> io::Result<Vec<Scenario>> {
    let entries: Vec<_> = dir.read_dir()?.collect::<Result<_, _>>()?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let scenario = |path: std::path::PathBuf| {
        let plan = Plan::from_text(&fs::read_to_string(&path)?)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Scenario { name, plan })
    };
    paths.into_iter().map(scenario).collect()
}

/// The plan without what is planted in it.
pub fn sound(plan: &Plan) -> Plan {
    Plan { options: Options { mutant: None, ..plan.options }, breaks: None, ..plan.clone() }
}

/// Runs the plan as it must be clean, and with its bug if this build can plant one.
pub fn judge(plan: &Plan) -> Outcome {
    if let Some(violation) = run_plan(&sound(plan)).violation {
        return Outcome::Failed(violation.to_string());
    }
    let Some(mutant) = plan.options.mutant.filter(|_| cfg!(feature = "mutants")) else {
        return Outcome::Clean;
    };
    let found = run_plan(plan).violation;
    match (&plan.breaks, &found) {
        (Some(breaks), Some(Violation { invariant, .. })) if breaks == invariant => Outcome::Found,
        (breaks, Some(found)) => {
            let breaks = breaks.as_deref().unwrap_or("nothing that it says");
            Outcome::Failed(format!("{} breaks {breaks}, and here {found}", mutant.name()))
        }
        (_, None) => Outcome::Failed(format!("{} is not found", mutant.name())),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::mutant::Mutant;

    use super::{Outcome, judge, sound};
    use crate::params::{Options, Profile};
    use crate::plan::Plan;

    fn plan() -> Plan {
        Plan::draw(5, Options { profile: Profile::Smoke, ..Options::default() })
    }

    #[test]
    fn plan_that_fails_by_itself_is_no_scenario() {
        assert_eq!(judge(&plan()), Outcome::Clean);
        let Outcome::Failed(why) = judge(&Plan { steps_max: Some(100), ..plan() }) else {
            panic!("a hundred steps are too few")
        };
        assert!(why.contains("budget"), "{why}");
    }

    #[test]
    fn bug_is_taken_out_to_be_clean() {
        let mutant = Some(Mutant::ALL[0]);
        let planted =
            Plan { options: Options { mutant, ..plan().options }, breaks: Some("x".into()), ..plan() };
        assert_eq!(sound(&planted), plan());
    }
}
