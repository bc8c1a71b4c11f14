//! Makes a failing plan small: fewer faults, clients and requests, and the same failure. Must not know what the faults do.

use crate::params::Role;
use crate::plan::Plan;
use crate::report::{Report, Violation};
use crate::run::run_plan;

/// A run of a smaller plan gets this many times the steps of the first: one that takes longer is not simpler.
const STEPS_FACTOR: u64 = 2;
const STEPS_MORE: u64 = 50_000;

/// What tells one failure from another: its invariant; for panics the place, and for broad invariants the words of the story.
/// A plan that fails in another way is another finding and not a smaller form of this one.
pub fn class_of(violation: &Violation) -> String {
    let Violation { invariant, story } = violation;
    match *invariant {
        "panic" => {
            format!("panic at {}", story.rsplit_once(" at ").map_or(story.as_str(), |(_, place)| place))
        }
        "contract" | "liveness" | "wire" | "budget" => {
            let words = story.split(['{', '(', '[']).next().unwrap_or_default();
            let words = words
                .split_whitespace()
                .filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
            format!("{invariant}: {}", words.take(6).collect::<Vec<_>>().join(" "))
        }
        _ => (*invariant).to_owned(),
    }
}

/// What one shrinking came to.
#[derive(Debug, Clone)]
pub struct Shrunk {
    pub plan: Plan,
    pub report: Report,
    pub class: String,
    /// Runs that it took.
    pub runs: u64,
}

/// Why there is nothing to shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoesNotFail;

/// Shrinks `plan`. `go_on` is asked before each run, with what there is so far.
pub fn shrink(plan: &Plan, go_on: impl FnMut(&Shrunk) -> bool) -> Result<Shrunk, DoesNotFail> {
    let report = run_plan(plan);
    let class = class_of(report.violation.as_ref().ok_or(DoesNotFail)?);
    let best = Shrunk { plan: plan.clone(), report, class, runs: 1 };
    let mut shrinker = Shrinker { best, steps_max: plan.steps_max, go_on };
    loop {
        let before = shrinker.best.plan.clone();
        shrinker.faults_in_time();
        shrinker.faults();
        shrinker.clients();
        shrinker.operations();
        if shrinker.best.plan == before {
            break;
        }
    }
    shrinker.best.plan.steps_max = plan.steps_max;
    Ok(shrinker.best)
}

struct Shrinker<F> {
    best: Shrunk,
    /// As the first plan has it.
    steps_max: Option<u64>,
    go_on: F,
}

impl<F: FnMut(&Shrunk) -> bool> Shrinker<F> {
    /// Takes the candidate if it fails as the first plan did.
    fn fails(&mut self, mut candidate: Plan) -> bool {
        candidate.steps_max = self.best.plan.steps_max;
        if candidate == self.best.plan || !(self.go_on)(&self.best) {
            return false;
        }
        let given = self.steps_max.unwrap_or(u64::MAX);
        candidate.steps_max = Some(given.min(self.best.report.steps * STEPS_FACTOR + STEPS_MORE));
        let report = run_plan(&candidate);
        self.best.runs += 1;
        let same = report.violation.as_ref().is_some_and(|violation| class_of(violation) == self.best.class);
        if same {
            self.best.plan = candidate;
            self.best.report = report;
        }
        same
    }

    /// Faults after the failure had no part in it.
    fn faults_in_time(&mut self) {
        let mut candidate = self.best.plan.clone();
        let end = self.best.report.virtual_time.as_nanos();
        candidate.faults.retain(|planned| planned.at.as_nanos() <= end);
        self.fails(candidate);
    }

    fn faults(&mut self) {
        let take_away = |plan: &Plan, from: usize, to: usize| {
            let mut plan = plan.clone();
            plan.faults.drain(from..to);
            plan
        };
        self.ddmin(|plan| plan.faults.len(), take_away);
    }

    /// Those that make the topics stay: without topics nobody can finish, which is another failure of the same class.
    fn clients(&mut self) {
        let clients = self.best.plan.params().clients;
        let others = clients.iter().enumerate().filter(|(_, client)| !matches!(client.role, Role::Admin));
        let others: Vec<usize> = others.map(|(number, _)| number).collect();
        let present = move |plan: &Plan| -> Vec<usize> {
            others.iter().copied().filter(|client| !plan.without_clients.contains(client)).collect()
        };
        self.ddmin(
            |plan| present(plan).len(),
            |plan, from, to| {
                let mut smaller = plan.clone();
                smaller.without_clients.extend(&present(plan)[from..to]);
                smaller
            },
        );
    }

    /// Halves the requests, then looks for the edge between too few and enough.
    fn operations(&mut self) {
        let mut enough = self.best.plan.operations_max.unwrap_or(self.best.report.requests);
        let mut too_few = 0;
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            let candidate = Plan { operations_max: Some(middle), ..self.best.plan.clone() };
            if self.fails(candidate) { enough = middle } else { too_few = middle }
        }
    }

    /// Zeller's ddmin: takes stretches away, long ones first, as long as that helps.
    fn ddmin(&mut self, len: impl Fn(&Plan) -> usize, take_away: impl Fn(&Plan, usize, usize) -> Plan) {
        let mut stretch = len(&self.best.plan);
        while stretch > 0 {
            let mut from = 0;
            let mut helped = false;
            while from < len(&self.best.plan) {
                let to = (from + stretch).min(len(&self.best.plan));
                if self.fails(take_away(&self.best.plan, from, to)) {
                    helped = true;
                } else {
                    from = to;
                }
            }
            stretch = if helped && stretch == 1 { 1 } else { stretch / 2 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::class_of;
    use crate::report::Violation;

    fn class(invariant: &'static str, story: &str) -> String {
        class_of(&Violation::new(invariant, story.to_owned()))
    }

    #[test]
    fn classes_keep_failures_apart() {
        assert_eq!(class("panic", "index 3 out of range at core/src/a.rs:7"), "panic at core/src/a.rs:7");
        assert_eq!(class("acked_is_durable", "batch 3"), class("acked_is_durable", "batch 4"));
        assert_ne!(
            class("liveness", "client 3: 2 requests without answer"),
            class("liveness", "the node is not up")
        );
        assert_eq!(
            class("liveness", "client 3: 2 requests without answer: Fetch {"),
            class("liveness", "client 12: 1 requests without answer: Produce {").replace("Produce", "Fetch")
        );
    }
}
