//! Several brokers measured in turns, round by round, and what is said of the ratios between them. Knows no workload.

use crate::args::Measure;
use crate::broker::Broker;
use crate::failure::Failure;
use crate::result::RunResult;
use crate::run;

/// One figure of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// Several values of one figure: the middle one, and those at a quarter and at three quarters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How often each is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) count: u32,
    /// The first is longer and counts like the others.
    pub(crate) first_warmup_seconds: f64,
}

/// Measures each broker once in each round, in turns.
pub(crate) fn measure(
    brokers: &[&Broker],
    what: &Measure,
    rounds: Rounds,
    mut tell: impl FnMut(&mut RunResult) -> Result<(), Failure>,
) -> Result<Vec<Vec<RunResult>>, Failure> {
    let mut results: Vec<Vec<RunResult>> = brokers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds.count {
        for (broker, results) in brokers.iter().zip(&mut results) {
            // What another one has left to the page cache goes to the disk before, not in this one's time.
            rustix::fs::sync();
            let mut what = what.clone();
            let target = what.target_mut();
            broker.describe(target);
            if round == 0 {
                target.warmup_seconds = target.warmup_seconds.max(rounds.first_warmup_seconds);
            }
            let mut result = run::measure(&what)?;
            result.round = Some(round + 1);
            tell(&mut result)?;
            results.push(result);
        }
    }
    Ok(results)
}

/// The figures of a run by which it is compared.
pub(crate) fn figures(result: &RunResult) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name: String, value: f64| figures.push(Figure { name, value });
    for (name, stage) in &result.stages {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let (requests, bytes) = (stage.requests as f64, stage.bytes as f64);
        let seconds = result.workload.seconds;
        add(format!("{name} requests/s"), requests / seconds);
        if stage.bytes > 0 {
            add(format!("{name} MB/s"), bytes / seconds / 1e6);
        }
        for quantile in ["p50", "p99"] {
            if let Some(micros) = stage.micros.get(quantile) {
                add(format!("{name} {quantile} us"), *micros);
            }
        }
    }
    if let Some(used) = &result.broker {
        if let (Some(gb), Some(million)) = (used.cpu_seconds_per_gb, used.cpu_seconds_per_million_records) {
            add("CPU-s/GB".into(), gb);
            add("CPU-s/million records".into(), million);
        }
        add("CPU-us/request".into(), used.cpu_micros_per_request);
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        let resident = used.resident_bytes as f64;
        add("MiB resident".into(), resident / 1_048_576.0);
    }
    for (name, value) in &result.figures {
        add(name.clone(), *value);
    }
    figures
}

/// `None` of nothing.
pub(crate) fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    // What lies between two values is between them.
    let quarter = |quarters: usize| {
        let (below, part) = (last * quarters / 4, last * quarters % 4);
        let share = [0.0, 0.25, 0.5, 0.75][part];
        values[below] + share * (values[(below + 1).min(last)] - values[below])
    };
    Some(Spread { median: quarter(2), low: quarter(1), high: quarter(3) })
}

/// The values of one figure, over the rounds.
pub(crate) fn values(results: &[RunResult], name: &str) -> Vec<f64> {
    let of = |result: &RunResult| figures(result).into_iter().find(|figure| figure.name == name);
    results.iter().filter_map(of).map(|figure| figure.value).collect()
}

/// What `other` has of what `one` has, pair by pair.
pub(crate) fn ratios(one: &[RunResult], other: &[RunResult], name: &str) -> Option<Spread> {
    let pairs = values(one, name).into_iter().zip(values(other, name));
    spread(pairs.map(|(one, other)| other / one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_middle_and_its_neighbours() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(spread(vec![2.0]), Some(Spread { median: 2.0, low: 2.0, high: 2.0 }));
        let five = spread(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(five, Some(Spread { median: 3.0, low: 2.0, high: 4.0 }));
        let two = spread(vec![2.0, 1.0]);
        assert_eq!(two, Some(Spread { median: 1.5, low: 1.25, high: 1.75 }), "neither is preferred");
    }
}
