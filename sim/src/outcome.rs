//! What one seed came to, in a form that goes over a pipe and into reports. Judges nothing.

use serde::{Deserialize, Serialize};

use crate::params::Options;
use crate::plan::Plan;
use crate::report::{Counts, Report};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Clean,
    Failed,
}

/// A run, its plan and its report as one flat object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub seed: u64,
    /// All that is needed to see it again: `seed@commit@profile`.
    pub seed_string: String,
    pub outcome: Verdict,
    /// The invariant that is broken; `panic` and the like for what has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invariant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    pub fingerprint: String,
    pub steps: u64,
    pub virtual_nanos: u64,
    pub cpu_millis: u64,
    pub operations: Counts,
    pub faults: Counts,
    pub events: Counts,
    /// How to see it again, and where it is written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repro: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl Outcome {
    pub fn new(plan: &Plan, report: &Report) -> Self {
        let violation = report.violation.as_ref();
        Self {
            seed: plan.seed,
            seed_string: plan.seed_string().to_string(),
            outcome: if violation.is_some() { Verdict::Failed } else { Verdict::Clean },
            invariant: violation.map(|violation| violation.invariant.to_owned()),
            story: violation.map(|violation| violation.story.clone()),
            fingerprint: format!("{:016x}", report.fingerprint),
            steps: report.steps,
            virtual_nanos: report.virtual_time.as_nanos(),
            cpu_millis: 0,
            operations: report.operations.clone(),
            faults: report.faults.clone(),
            events: report.coverage.clone(),
            repro: None,
            folder: None,
        }
    }

    /// The process ended before there was a report.
    pub fn died(seed: u64, story: String) -> Self {
        let plan = Plan::draw(seed, Options::default());
        let mut outcome = Self::new(&plan, &Report::default());
        outcome.fail("panic", story);
        outcome
    }

    /// Makes a failure of it, unless it is one.
    pub fn fail(&mut self, invariant: &str, story: String) {
        if self.outcome == Verdict::Clean {
            self.outcome = Verdict::Failed;
            self.invariant = Some(invariant.to_owned());
            self.story = Some(story);
        }
    }
}
