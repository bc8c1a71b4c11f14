//! What was to be reached on one node, and whether results of the standard workloads reach it. Measures nothing; no figure here but the
//! goals themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use crate::args::GoalsArgs;
use crate::failure::Failure;
use crate::result::RunResult;
use crate::rounds::{ratios, spread, values};

/// What a goal is a multiple of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Other,
    DurableFloor,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Clone, Copy)]
struct Goal {
    standard: &'static str,
    figure: &'static str,
    against: Against,
    goal: Bound,
    /// Without this, nothing is released.
    stop: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Reached,
    Missed,
    StopShip,
    Unmeasured,
}

const fn most(
    standard: &'static str,
    figure: &'static str,
    against: Against,
    bounds: (f64, Option<f64>),
) -> Goal {
    let stop = match bounds.1 {
        Some(stop) => Some(Bound::AtMost(stop)),
        None => None,
    };
    Goal { standard, figure, against, goal: Bound::AtMost(bounds.0), stop }
}

const fn least(standard: &'static str, figure: &'static str, against: Against, bounds: (f64, f64)) -> Goal {
    let stop = Some(Bound::AtLeast(bounds.1));
    Goal { standard, figure, against, goal: Bound::AtLeast(bounds.0), stop }
}

/// Parts of the other's figure, multiples of the floor's, or figures as they are.
const GOALS: [Goal; 21] = [
    most("large-batches", "CPU-s/GB", Against::Other, (1.0 / 10.0, Some(1.0 / 4.0))),
    most("small-records", "CPU-s/million records", Against::Other, (1.0 / 6.0, Some(1.0 / 3.0))),
    most("unbatched", "CPU-us/request", Against::Other, (1.0 / 4.0, Some(1.0 / 2.0))),
    least("peak", "produce_ack MB/s", Against::Other, (4.0, 2.0)),
    most("durable-depth-1", "produce_ack p50 us", Against::DurableFloor, (1.3, Some(2.0))),
    most("durable-depth-1", "produce_ack p99 us", Against::DurableFloor, (1.3, Some(2.0))),
    least("durable-16x3", "produce_ack requests/s", Against::DurableFloor, (0.6, 0.3)),
    most("end-to-end", "end_to_end p50 us", Against::Other, (1.0 / 2.0, Some(1.0 / 1.5))),
    most("fetch-tail", "CPU-s/GB", Against::Other, (1.0 / 1.5, Some(1.0))),
    most("fetch-cold", "CPU-s/GB", Against::Other, (1.0, Some(1.0))),
    most("start", "first write after s", Against::Nothing, (0.035, Some(0.175))),
    most("restart-12gib", "first write after s", Against::Nothing, (1.0, Some(5.0))),
    most("restart-12gib", "each partition written after s", Against::Nothing, (1.0, Some(5.0))),
    most("partitions-100k", "B per empty partition", Against::Nothing, (1_024.0, Some(4_096.0))),
    most("partitions-100k", "B per written partition", Against::Nothing, (1_024.0, Some(4_096.0))),
    most("partitions-100k", "open files per written partition", Against::Nothing, (0.001, None)),
    most("partitions-100k", "throughput lost %", Against::Nothing, (10.0, None)),
    most("connections-10k", "B per idle connection", Against::Nothing, (1_024.0, Some(2_048.0))),
    most("idle", "idle CPU %", Against::Nothing, (0.1, None)),
    most("idle", "idle MiB resident", Against::Nothing, (64.0, None)),
    most("idle", "MB of program", Against::Nothing, (30.0, None)),
];

/// The rounds of each workload, by its name and the broker's.
type Results = BTreeMap<(String, String), Vec<RunResult>>;

/// The table, and how much of what must hold does not.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) text: String,
    pub(crate) stop_ships: usize,
}

pub(crate) fn run(args: &GoalsArgs) -> Result<ExitCode, Failure> {
    let table = table(args)?;
    print!("{}", table.text);
    Ok(if table.stop_ships > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

pub(crate) fn table(args: &GoalsArgs) -> Result<Table, Failure> {
    let mut results = Results::new();
    let unread = |error| Failure(format!("{}: {error}", args.results.display()));
    for entry in fs::read_dir(&args.results).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let result = RunResult::read(&path)?;
            if let Some(standard) = &result.standard {
                results.entry((standard.clone(), result.label.clone())).or_default().push(result);
            }
        }
    }
    results.values_mut().for_each(|rounds| rounds.sort_by_key(|result| result.round));
    Ok(judged(&results, args))
}

/// In Markdown.
fn judged(results: &Results, args: &GoalsArgs) -> Table {
    let mut text = format!(
        "| workload | figure | {} | {} | {} | {} | ratio | goal | must hold | |\n|---|---|---|---|---|---|---|---|---|---|\n",
        args.ours, args.other, args.floor, args.durable_floor
    );
    let mut stop_ships = 0;
    for goal in &GOALS {
        let of = |label: &String| results.get(&(goal.standard.to_owned(), label.clone()));
        let median = |label: &String| Some(spread(values(of(label)?, goal.figure))?.median);
        let told = |label: &String| median(label).map_or_else(String::new, number);
        let against = match goal.against {
            Against::Other => Some(&args.other),
            Against::DurableFloor => Some(&args.durable_floor),
            Against::Nothing => None,
        };
        let ratio = against.and_then(|label| ratios(of(label)?, of(&args.ours)?, goal.figure));
        let judged = if against.is_some() { ratio.map(|ratio| ratio.median) } else { median(&args.ours) };
        let verdict = goal.verdict(judged);
        stop_ships += usize::from(verdict == Verdict::StopShip);
        let ratio = ratio.map_or_else(String::new, |ratio| {
            format!("{} ({} to {})", number(ratio.median), number(ratio.low), number(ratio.high))
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {ratio} | {} | {} | {} |",
            goal.standard,
            goal.figure,
            told(&args.ours),
            told(&args.other),
            told(&args.floor),
            told(&args.durable_floor),
            goal.goal.words(goal.against),
            goal.stop.map_or_else(String::new, |stop| stop.words(goal.against)),
            match verdict {
                Verdict::Reached => "reached",
                Verdict::Missed => "missed",
                Verdict::StopShip => "**STOP-SHIP**",
                Verdict::Unmeasured => "not measured",
            }
        );
    }
    Table { text, stop_ships }
}

impl Goal {
    fn verdict(&self, value: Option<f64>) -> Verdict {
        match value {
            None => Verdict::Unmeasured,
            Some(value) if self.goal.holds(value) => Verdict::Reached,
            Some(value) if self.stop.is_none_or(|stop| stop.holds(value)) => Verdict::Missed,
            Some(_) => Verdict::StopShip,
        }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn words(self, against: Against) -> String {
        let times = match against {
            Against::Other | Against::DurableFloor => " ×",
            Against::Nothing => "",
        };
        match self {
            Self::AtMost(bound) => format!("≤ {}{times}", number(bound)),
            Self::AtLeast(bound) => format!("≥ {}{times}", number(bound)),
        }
    }
}

/// Three digits or so, whatever the size.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::TargetArgs;
    use crate::run::unmeasured;

    fn results(figures: &[(&str, &str, &str, f64)]) -> Results {
        let mut results = Results::new();
        for (standard, label, figure, value) in figures {
            let mut result =
                unmeasured("idle", &TargetArgs { label: Some((*label).into()), ..TargetArgs::default() });
            result.figures.insert((*figure).into(), *value);
            results.entry(((*standard).into(), (*label).into())).or_default().push(result);
        }
        results
    }

    fn line_of(table: &Table, standard: &str) -> String {
        table.text.lines().find(|line| line.contains(standard)).unwrap().into()
    }

    #[test]
    fn ratio_is_judged_where_there_is_another_and_the_figure_where_there_is_none() {
        let held = results(&[
            ("large-batches", "highwater", "CPU-s/GB", 0.4),
            ("large-batches", "kafka", "CPU-s/GB", 4.1),
            ("peak", "highwater", "produce_ack MB/s", 300.0),
            ("peak", "kafka", "produce_ack MB/s", 100.0),
            ("start", "highwater", "first write after s", 0.176),
            ("unbatched", "highwater", "CPU-us/request", 1.0),
        ]);
        let table = judged(&held, &GoalsArgs::default());
        let ends = |standard: &str, verdict: &str| {
            let line = line_of(&table, standard);
            assert!(line.ends_with(&format!("| {verdict} |")), "{line}");
        };
        ends("large-batches", "reached");
        ends("peak", "missed");
        ends("start", "**STOP-SHIP**");
        ends("unbatched", "not measured");
        assert_eq!(table.stop_ships, 1);
        assert!(line_of(&table, "large-batches").contains("| 0.400 | 4.10 |"));
    }

    #[test]
    fn goals_are_about_workloads_that_there_are() {
        for goal in &GOALS {
            assert!(crate::suite::has(goal.standard), "{}", goal.standard);
        }
    }
}
