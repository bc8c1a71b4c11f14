//! `shrink`: the smallest plan that fails as a seed does, and its story.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use clap::Args;
use highwater_sim::plan::Plan;
use highwater_sim::run::{catch_panics, run_taped};
use highwater_sim::shrink::{Shrunk, shrink};
use highwater_sim::story::Story;
use serde_json::json;

use super::output::{Case, Format, Output};
use super::run::{Budget, Repro};
use super::seeds::OptionArgs;
use super::target::Target;
use super::{Exit, Usage, folder};

/// Make a failing plan as small as it can be and still fail in the same way, and tell its story.
#[derive(Debug, Clone, Args)]
pub(super) struct Shrink {
    /// A seed string, or the file of a plan.
    #[arg(value_name = "SEED|FILE")]
    target: Target,
    #[command(flatten)]
    options: OptionArgs,
    /// Begin no run after this long.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    budget: Budget,
    /// Where failures leave their folders.
    #[arg(long, value_name = "DIR", default_value = "sim-out")]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The story of a plan, from one more run of it.
pub(super) fn story(plan: &Plan) -> String {
    let story = Rc::new(RefCell::new(Story::default()));
    let report = run_taped(plan, story.clone());
    let story = story.borrow();
    story.tell(plan, report.violation.as_ref())
}

impl Shrink {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let plan = self.target.plan(&self.options)?;
        catch_panics(|_, what| println!("panic: {what}"));
        let mut output = Output::new(self.format, "shrink");
        let began = Instant::now();
        let ended = shrink(&plan, |best| {
            output.progress(|| progress(best));
            began.elapsed() < self.budget.0
        });
        let Ok(shrunk) = ended else {
            output.say(&format!("{} does not fail: there is nothing to shrink", plan.seed_string()));
            output.end();
            return Ok(Exit::Clean);
        };
        let folder = folder::path(&self.out, &plan);
        let told = story(&shrunk.plan);
        self.write(&folder, &shrunk, &told).map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = folder.join("minimal.toml");
        let (seconds, faults) = (began.elapsed().as_secs_f64(), shrunk.plan.faults.len());
        let text = format!(
            "{} in {} runs and {seconds:.1} s, {} faults of {}\n\n{told}\n\n  plan   {}\n  page   {}\n  again  highwater-sim replay {}",
            plan.seed_string(),
            shrunk.runs,
            faults,
            plan.faults.len(),
            file.display(),
            folder.join("minimal/report.html").display(),
            file.display(),
        );
        output.case(Case {
            name: plan.seed_string().to_string(),
            failure: Some((shrunk.class.clone(), told.clone())),
            seconds,
            text,
            json: json!({
                "seed": plan.seed, "seed_string": plan.seed_string().to_string(), "outcome": "failed", "class": shrunk.class,
                "runs": shrunk.runs, "faults_before": plan.faults.len(), "faults": faults,
                "operations_max": shrunk.plan.operations_max, "without_clients": shrunk.plan.without_clients,
                "fingerprint": format!("{:016x}", shrunk.report.fingerprint), "story": told, "plan": file,
            }),
        });
        output.end();
        Ok(Exit::Failed)
    }

    fn write(&self, folder: &std::path::Path, shrunk: &Shrunk, story: &str) -> std::io::Result<()> {
        let minimal = folder.join("minimal");
        let file = minimal.join("plan.toml");
        folder::write(&minimal, &shrunk.plan, &Repro { command: "replay", file: Some(&file) })?;
        fs::write(folder.join("minimal.toml"), shrunk.plan.to_text(&format!("\n{story}")))?;
        folder::make_latest(folder)
    }
}

fn progress(best: &Shrunk) -> String {
    let clients = best.plan.params().clients.len() - best.plan.without_clients.len();
    let operations = best.plan.operations_max.unwrap_or(best.report.requests);
    format!(
        "{} runs: {} faults, {clients} clients, {operations} operations",
        best.runs,
        best.plan.faults.len()
    )
}
