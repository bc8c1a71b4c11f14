//! `run`: seeds, each with every invariant checked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::Args;
use highwater_sim::marks;
use highwater_sim::outcome::{Outcome, Verdict};
use highwater_sim::plan::Plan;
use highwater_sim::report::Counts;
use highwater_sim::run::{catch_panics, run_plan, run_taped};
use highwater_sim::seed::SeedString;
use highwater_sim::tape::Print;

use super::batch::{Batch, Next};
use super::output::{Case, Format, Output};
use super::seeds::{OptionArgs, Seeds};
use super::{Exit, Usage, folder};

/// Run seeds and check every invariant.
///
/// Without a seed a random one is run; with a budget and no end, as many as it lasts for.
#[derive(Debug, Clone, Args)]
pub(super) struct Run {
    #[command(flatten)]
    batch: BatchArgs,
    /// Print every input, effect and fact of a single seed.
    #[arg(long)]
    trace: bool,
}

/// What all commands take that run seeds.
#[derive(Debug, Clone, Args)]
pub(super) struct BatchArgs {
    /// One seed, decimal or 0x..., or a seed string: seed@commit@profile.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<SeedString>,
    /// Seeds A..B, without B.
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,
    #[command(flatten)]
    pub(super) options: OptionArgs,
    /// Processes that share out the seeds.
    #[arg(long, default_value_t = 1)]
    jobs: u16,
    /// Begin no seed after this long: 60s, 5m, 2h.
    #[arg(long, value_name = "TIME")]
    budget: Option<Budget>,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Fail if the batch did not reach an event or a mark that a large one should.
    #[arg(long)]
    require_marks: bool,
    /// Where failures leave their folders.
    #[arg(long, value_name = "DIR", default_value = "sim-out")]
    out: PathBuf,
    /// Some of the seeds, for a process that another one waits for.
    #[arg(long, hide = true)]
    worker: Option<Seeds>,
}

/// A length of real time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(pub(super) Duration);

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err("a time is a number and ms, s, m or h".to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| format!("`{number}` is no number"))?;
        Ok(Self(Duration::from_millis(number.saturating_mul(millis))))
    }
}

/// Failures of a command that leave a folder.
const FOLDERS_MAX: u64 = 3;

/// How to run a plan again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repro<'a> {
    pub(super) command: &'static str,
    /// Where the plan is written, if the seed does not say it all.
    pub(super) file: Option<&'a Path>,
}

impl Repro<'_> {
    pub(super) fn command(&self, plan: &Plan) -> String {
        let flags = OptionArgs::flags(plan.options);
        match self.file {
            Some(file) => format!("highwater-sim {} {}", self.command, file.display()),
            None => format!("highwater-sim {} --seed {}{flags}", self.command, plan.seed_string()),
        }
    }
}

/// What is done with one plan.
pub(super) type One = fn(&Plan) -> Outcome;

impl Run {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        if !self.trace {
            return self.batch.run("run", |plan| Outcome::new(plan, &run_plan(plan)));
        }
        if self.batch.seeds()?.count() > 1 {
            return Err(Usage("--trace is for one seed".to_owned()));
        }
        self.batch.run("run", |plan| {
            Outcome::new(plan, &run_taped(plan, std::rc::Rc::new(std::cell::RefCell::new(Print))))
        })
    }
}

impl BatchArgs {
    fn seeds(&self) -> Result<Seeds, Usage> {
        match (&self.worker, &self.seed, self.seeds) {
            (Some(worker), ..) => Ok(*worker),
            (None, Some(seed), _) => {
                seed.check_build()?;
                Seeds::one(seed.seed)
            }
            (None, None, Some(seeds)) if seeds.end == u64::MAX && self.budget.is_none() => {
                Err(Usage("seeds without an end need a --budget".to_owned()))
            }
            (None, None, Some(seeds)) => Ok(seeds),
            (None, None, None) => {
                // Small enough to be read aloud.
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let first = u64::from(since.subsec_nanos());
                if self.budget.is_some() { Ok(Seeds { first, end: u64::MAX }) } else { Seeds::one(first) }
            }
        }
    }

    /// Runs all seeds and prints what they came to.
    pub(super) fn run(&self, command: &'static str, one: One) -> Result<Exit, Usage> {
        let (seeds, options) = (self.seeds()?, self.options.options(self.seed.as_ref())?);
        let format = self.format;
        catch_panics(move |seed, what| {
            let mut outcome = Outcome::died(seed, what.to_owned());
            outcome.seed_string = Plan::draw(seed, options).seed_string().to_string();
            println!("{}", failure_text(&outcome));
        });
        let one = |seed| {
            let plan = Plan::draw(seed, options);
            let mut outcome = one(&plan);
            if outcome.outcome == Verdict::Failed {
                let flags = OptionArgs::flags(options);
                outcome.repro =
                    Some(format!("highwater-sim {command} --seed {}{flags}", outcome.seed_string));
            }
            outcome
        };
        if self.worker.is_some() {
            return Ok(self.work(seeds, one));
        }
        let batch = Batch { seeds, jobs: self.jobs.max(1), budget: self.budget.map(|budget| budget.0) };
        let mut output = Output::new(format, command);
        if seeds.count() == 1 {
            output.say(&header(&Plan::draw(seeds.first, options)));
        }
        let (mut sum, began) = (Sum::default(), cpu_time());
        batch.run(one, |mut done| {
            sum.add(&done.outcome);
            let failed = done.outcome.outcome == Verdict::Failed;
            if failed {
                let plan = Plan::draw(done.outcome.seed, options);
                self.write_down(&mut done.outcome, &plan, Repro { command, file: None }, sum.failed);
            }
            output.case(case(done.outcome, done.seconds));
            output.progress(|| sum.progress(seeds));
            if failed && !self.keep_going { Next::Stop } else { Next::GoOn }
        });
        output.say(&sum.text(began.zip(cpu_time()).map(|(began, ended)| ended - began)));
        let missing = if self.require_marks {
            marks::missing(&sum.events, options.profile, options.rot)
        } else {
            Vec::new()
        };
        if !missing.is_empty() {
            output.say(&format!("marks that were required: {}", missing.join(" ")));
        }
        output.end();
        Ok(if sum.failed == 0 && missing.is_empty() { Exit::Clean } else { Exit::Failed })
    }

    /// Leaves a folder for one of the first failures.
    fn write_down(&self, outcome: &mut Outcome, plan: &Plan, repro: Repro<'_>, failures: u64) {
        outcome.seed_string = plan.seed_string().to_string();
        outcome.repro = Some(repro.command(plan));
        // One that killed its process would kill this one too.
        if failures > FOLDERS_MAX || outcome.steps == 0 {
            return;
        }
        let folder = folder::path(&self.out, plan);
        match folder::write(&folder, plan, &repro).and_then(|_| folder::make_latest(&folder)) {
            Ok(()) => outcome.folder = Some(folder.display().to_string()),
            Err(error) => eprintln!("highwater-sim: no folder {}: {error}", folder.display()),
        }
    }

    /// Does some of the seeds for another process.
    fn work(&self, seeds: Seeds, one: impl Fn(u64) -> Outcome) -> Exit {
        Batch { seeds, jobs: 1, budget: None }.run(one, |done| {
            println!("{}", serde_json::to_string(&done).expect("numbers and words"));
            Next::GoOn
        });
        Exit::Clean
    }
}

/// All that the seed has drawn, a line for each part.
pub(super) fn header(plan: &Plan) -> String {
    let (_, params) = highwater_sim::tape::to_named(&plan.params());
    let mut text = format!("seed {}", plan.seed_string());
    for (name, value) in &params {
        match value.as_array() {
            Some(list) if list.iter().any(serde_json::Value::is_object) => {
                for (number, value) in list.iter().enumerate() {
                    write!(text, "\n  {:<14} {}", format!("{name} {number}"), flat(value)).expect("a string");
                }
            }
            _ => write!(text, "\n  {name:<14} {}", flat(value)).expect("a string"),
        }
    }
    text
}

/// A value in one line, without quotes.
fn flat(value: &serde_json::Value) -> String {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String as Text};
    match value {
        Object(fields) => {
            let name = fields.get("is").map(|name| flat(name) + " ").unwrap_or_default();
            let fields = fields.iter().filter(|(field, _)| *field != "is");
            let fields: Vec<String> =
                fields.map(|(field, value)| format!("{field}={}", flat(value))).collect();
            format!("{name}{}", fields.join(" "))
        }
        Array(list) => format!("[{}]", list.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Text(text) => text.clone(),
        Null | Bool(_) | Number(_) => value.to_string(),
    }
}

pub(super) fn case(outcome: Outcome, seconds: f64) -> Case {
    let failed = outcome.outcome == Verdict::Failed;
    Case {
        name: outcome.seed_string.clone(),
        failure: failed.then(|| {
            let story = outcome.story.clone().unwrap_or_default();
            let repro = outcome.repro.as_deref().unwrap_or_default();
            (outcome.invariant.clone().unwrap_or_default(), format!("{story}\nrepro: {repro}"))
        }),
        seconds,
        text: if failed { failure_text(&outcome) } else { String::new() },
        json: serde_json::to_value(&outcome).expect("numbers and words"),
    }
}

fn failure_text(outcome: &Outcome) -> String {
    let mut text = format!(
        "FAILED {}\n  {}: {}",
        outcome.seed_string,
        outcome.invariant.as_deref().unwrap_or_default(),
        outcome.story.as_deref().unwrap_or_default()
    );
    for (name, value) in [("repro", &outcome.repro), ("folder", &outcome.folder)] {
        if let Some(value) = value {
            write!(text, "\n  {name:<6} {value}").expect("a string");
        }
    }
    text
}

/// Seeds from which on it is worth saying what a batch did not reach.
const LARGE: u64 = 50;

/// What all seeds of a batch came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    failed: u64,
    steps: u64,
    virtual_nanos: u64,
    operations: Counts,
    faults: Counts,
    events: Counts,
    fingerprint: u64,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.failed += u64::from(outcome.outcome == Verdict::Failed);
        self.steps += outcome.steps;
        self.virtual_nanos += outcome.virtual_nanos;
        self.operations.merge(&outcome.operations);
        self.faults.merge(&outcome.faults);
        self.events.merge(&outcome.events);
        let fingerprint = u64::from_str_radix(&outcome.fingerprint, 16).unwrap_or_default();
        self.fingerprint =
            if self.seeds == 1 { fingerprint } else { self.fingerprint.rotate_left(7) ^ fingerprint };
    }

    fn progress(&self, seeds: Seeds) -> String {
        let of = if seeds.end == u64::MAX { String::new() } else { format!(" of {}", seeds.count()) };
        let millis = self.virtual_nanos / 1_000_000;
        format!(
            "{}{of} seeds, {} failed, {}.{:03} s simulated",
            self.seeds,
            self.failed,
            millis / 1_000,
            millis % 1_000
        )
    }

    fn text(&self, cpu_millis: Option<u64>) -> String {
        let millis = self.virtual_nanos / 1_000_000;
        let mut text = format!("{} seeds, {} failed\n", self.seeds, self.failed);
        write!(text, "  virtual time {}.{:03} s in {} steps", millis / 1_000, millis % 1_000, self.steps)
            .expect("a string");
        if let Some(cpu) = cpu_millis {
            let cpu = cpu.max(1);
            write!(
                text,
                "\n  CPU time     {}.{:03} s: {} times as fast, {}.{} seeds per second",
                cpu / 1_000,
                cpu % 1_000,
                millis / cpu,
                self.seeds * 1_000 / cpu,
                self.seeds * 10_000 / cpu % 10
            )
            .expect("a string");
        }
        write!(
            text,
            "\n  operations   {}\n  faults       {}\n  events       {}\n  fingerprint  {:016x}",
            self.operations, self.faults, self.events, self.fingerprint
        )
        .expect("a string");
        if self.seeds >= LARGE {
            write!(text, "\n  not reached  {}", marks::unreached(&self.events).join(" ")).expect("a string");
        }
        text
    }
}

/// CPU time of this process and of those that it has waited for, in milliseconds, where the system tells.
pub(super) fn cpu_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1;
    let ticks = fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok());
    // Linux counts in hundredths of a second for user space, whatever the kernel's own tick.
    Some(ticks.sum::<Option<u64>>()? * 10)
}
