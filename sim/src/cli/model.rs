//! `model`: searches the model of the replication rules.

use std::time::Instant;

use clap::Args;
use highwater_sim::model::rule::Rule;
use highwater_sim::model::search::{End, search};
use highwater_sim::model::walk::{Walks, walk};
use highwater_sim::model::{Bounds, Doubt, Model, Story};
use serde_json::json;

use super::output::{Case, Format, Output};
use super::{Exit, Usage};

/// Search the model of the replication rules: all of it within bounds, or by random walks.
#[derive(Debug, Clone, Args)]
pub(super) struct Search {
    #[command(flatten)]
    limits: Limits,
    /// Break this rule, or each of them in turn (all), within bounds that suffice: the model must notice.
    #[arg(long, value_name = "NAME|all")]
    rule: Option<String>,
    /// Walk at random so often instead of looking at all states.
    #[arg(long)]
    walks: Option<u64>,
    /// The length of a walk at most.
    #[arg(long, default_value_t = 200, requires = "walks")]
    steps: u64,
    #[arg(long, default_value_t = 1, requires = "walks")]
    seed: u64,
    /// States to look at before giving up.
    #[arg(long, default_value_t = 200_000_000)]
    states_max: usize,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Bounds other than the usual ones. Given any, only one model is searched.
#[derive(Debug, Clone, Args)]
struct Limits {
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=4))]
    replicas: Option<u8>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    min_insync_replicas: Option<u8>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    records: Option<u8>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=12))]
    crashes: Option<u8>,
    /// Fences of brokers that live.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=12))]
    fences: Option<u8>,
    /// AlterPartition requests.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=12))]
    alters: Option<u8>,
    /// Moves of the leadership without need.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=12))]
    moves: Option<u8>,
    /// Crashes that take what was durable; fewer than the min ISR, or loss is no finding.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3))]
    rots: Option<u8>,
    /// Crashes may tear the last write.
    #[arg(long)]
    doubt: bool,
}

impl Limits {
    fn given(&self) -> bool {
        let counts = [self.replicas, self.min_insync_replicas, self.records, self.crashes, self.fences];
        let more = [self.alters, self.moves, self.rots];
        self.doubt || counts.iter().chain(&more).any(Option::is_some)
    }

    fn over(&self, usual: &Bounds) -> Bounds {
        Bounds {
            replicas: self.replicas.unwrap_or(usual.replicas),
            min_insync_replicas: self.min_insync_replicas.unwrap_or(usual.min_insync_replicas),
            records: self.records.unwrap_or(usual.records),
            crashes: self.crashes.unwrap_or(usual.crashes),
            fences: self.fences.unwrap_or(usual.fences),
            alters: self.alters.unwrap_or(usual.alters),
            moves: self.moves.unwrap_or(usual.moves),
            rots: self.rots.unwrap_or(usual.rots),
            doubt: if self.doubt { Doubt::Possible } else { usual.doubt },
        }
    }
}

/// What came of one model.
struct Outcome {
    looked_at: String,
    states: Option<usize>,
    story: Option<Story>,
    /// Nothing that was asked for was left out.
    complete: bool,
}

impl Search {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let models = self.models()?;
        let mut output = Output::new(self.format, "model");
        let mut failed = 0;
        for model in &models {
            let case = self.one(model);
            failed += usize::from(case.failure.is_some());
            output.case(case);
        }
        output.say(&format!("{} models, {failed} failed", models.len()));
        output.end();
        Ok(if failed == 0 { Exit::Clean } else { Exit::Failed })
    }

    fn models(&self) -> Result<Vec<Model>, String> {
        let bounds = match self.rule {
            None if self.limits.given() => vec![self.limits.over(&Bounds::USUAL[0])],
            None if self.walks.is_some() => vec![Bounds::WIDE],
            None => Bounds::USUAL.to_vec(),
            Some(_) => Vec::new(),
        };
        let mut models: Vec<Model> = bounds.into_iter().map(|bounds| Model { rule: None, bounds }).collect();
        for rule in self.rules()? {
            models.push(Model { rule: Some(rule), bounds: self.limits.over(&rule.bounds()) });
        }
        let senseless = models.iter().find(|model| model.bounds.min_insync_replicas > model.bounds.replicas);
        match senseless {
            None => Ok(models),
            Some(_) => Err("the min ISR is larger than the number of replicas".to_owned()),
        }
    }

    fn rules(&self) -> Result<Vec<Rule>, String> {
        match self.rule.as_deref() {
            None => Ok(Vec::new()),
            Some("all") => Ok(Rule::ALL.to_vec()),
            Some(name) => match Rule::named(name) {
                Some(rule) => Ok(vec![rule]),
                None => {
                    let names: Vec<String> = Rule::ALL.iter().map(|rule| rule.name()).collect();
                    Err(format!("no rule is called {name}; there are: {}", names.join(", ")))
                }
            },
        }
    }

    /// The model does as it must if nothing breaks while all rules hold, and something does when one is broken.
    fn one(&self, model: &Model) -> Case {
        let began = Instant::now();
        let Outcome { looked_at, states, story, complete } = self.look(model);
        let seconds = began.elapsed().as_secs_f64();
        let told = story.as_ref().map(Story::to_string).unwrap_or_default();
        let (verdict, failure) = match (model.rule, &story) {
            (None, None) if complete => ("holds".to_owned(), None),
            (None, None) => ("FAILED: not searched to the end".to_owned(), Some("not searched to the end")),
            (None, Some(story)) => (format!("FAILED: {} is broken", story.broken), Some("broken")),
            (Some(_), None) => ("FAILED: nothing broke".to_owned(), Some("unnoticed")),
            (Some(_), Some(story)) => {
                (format!("refuted by {} in {} steps", story.broken, story.lines.len()), None)
            }
        };
        let name = model.rule.map_or_else(|| model.bounds.to_string(), Rule::name);
        let meaning = model.rule.map(|rule| format!(" ({})", rule.sentence())).unwrap_or_default();
        let mut text = format!("{name}{meaning}: {verdict}, {looked_at}, {seconds:.1} s");
        if story.is_some() && self.rule.as_deref() != Some("all") {
            text = format!("{text}\n{told}");
        }
        let json = json!({
            "model": name, "verdict": verdict, "bounds": model.bounds.to_string(), "looked_at": looked_at,
            "states": states, "seconds": seconds, "story": story.map(|story| story.lines),
        });
        Case { name, failure: failure.map(|class| (class.to_owned(), told)), seconds, text, json }
    }

    fn look(&self, model: &Model) -> Outcome {
        if let Some(count) = self.walks {
            let walked = walk(model, Walks { count, steps: self.steps, seed: self.seed });
            let looked_at = format!("{} walks, {} steps", walked.walks, walked.steps);
            return Outcome { looked_at, states: None, story: walked.story, complete: true };
        }
        let found = search(model, self.states_max);
        let odds = found.collision_odds_max();
        let looked_at = format!("{} states, depth {}, collision odds {odds:.0e}", found.states, found.depth);
        let (story, complete) = match found.end {
            End::Exhausted => (None, true),
            End::Capped => (None, false),
            End::Broken(story) => (Some(story), true),
        };
        Outcome { looked_at, states: Some(found.states), story, complete }
    }
}
