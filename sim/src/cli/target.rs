//! An argument that means one plan: a seed string, or a file. Runs nothing.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use highwater_sim::plan::Plan;
use highwater_sim::seed::SeedString;

use super::Usage;
use super::seeds::OptionArgs;

/// A seed or a file.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Seed(SeedString),
    File(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::File(path.join("plan.toml")));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        text.parse().map(Self::Seed).map_err(|error| format!("{error}; and there is no such file"))
    }
}

impl Target {
    pub(super) fn plan(&self, options: &OptionArgs) -> Result<Plan, Usage> {
        match self {
            Self::Seed(seed) => {
                seed.check_build()?;
                Ok(Plan::draw(seed.seed, options.options(Some(seed))?))
            }
            Self::File(path) => read(path),
        }
    }
}

/// Reads a plan, and says so if it is of another build.
pub(super) fn read(path: &Path) -> Result<Plan, Usage> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let plan = Plan::from_text(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if plan.options.mutant.is_some() && !cfg!(feature = "mutants") {
        return Err(Usage(format!(
            "{}: a planted bug needs a build with the feature `mutants`",
            path.display()
        )));
    }
    if let Some(warning) = plan.warning() {
        eprintln!("highwater-sim: {}: {warning}", path.display());
    }
    Ok(plan)
}
