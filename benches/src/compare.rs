//! Two results beside each other: how much each percentile changed, how sure that is, and what to make of it. Runs nothing.

use std::process::ExitCode;

use highwater_core::prng::Prng;

use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::measure::{Latencies, empty};
use crate::result::{QUANTILES, RunResult, StageResult, is_settled, micros, read_hdr};

/// How often the seconds of both runs are drawn anew.
const DRAWS: usize = 400;

/// How much of the drawn ratios lies within the interval that is told, in thousandths.
const WITHIN: usize = 950;

/// The seed of the draws: the same two files are compared alike each time.
const SEED: u64 = 1;

/// What a percentile did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    Worse,
}

/// A ratio of after to before, and where it lies with some certainty.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    value: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    /// What changes by less than the threshold, or may as well not have changed, is the same.
    fn verdict(self, threshold: f64) -> Verdict {
        if self.low > 1.0 && self.value > 1.0 + threshold {
            Verdict::Worse
        } else if self.high < 1.0 && self.value < 1.0 - threshold {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let (before, after) = (RunResult::read(&args.before)?, RunResult::read(&args.after)?);
    if let Some(why) = unlike(&before, &after) {
        if !args.force {
            return Err(Failure(format!("{why}: not comparable, unless with --force")));
        }
        println!("compared all the same: {why}");
    }
    println!("{} -> {}", before.label, after.label);
    let mut worse = false;
    for (name, one) in &before.stages {
        let Some(other) = after.stages.get(name) else { continue };
        worse |= compare(name, one, other, args.threshold / 100.0)?;
    }
    Ok(if worse { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Why two results say nothing about each other.
fn unlike(before: &RunResult, after: &RunResult) -> Option<String> {
    if before.kind != after.kind {
        return Some(format!("one is {}, the other {}", before.kind, after.kind));
    }
    if before.durability != after.durability {
        let (one, other) = (before.durability, after.durability);
        return Some(format!("one acknowledges with {one:?}, the other with {other:?}"));
    }
    (before.workload != after.workload).then(|| "the workloads differ".into())
}

/// Prints a line for each percentile that both have enough samples for. Says whether one is worse.
fn compare(name: &str, before: &StageResult, after: &StageResult, threshold: f64) -> Result<bool, Failure> {
    let (one, other) = (before.latencies()?, after.latencies()?);
    let (ones, others) = (seconds(before)?, seconds(after)?);
    let ratios = ratios((&one, &ones), (&other, &others));
    let mut worse = false;
    for (ratio, (quantile_name, quantile)) in ratios.into_iter().zip(QUANTILES) {
        if !is_settled(one.len(), quantile) || !is_settled(other.len(), quantile) {
            continue;
        }
        let verdict = ratio.verdict(threshold);
        worse |= verdict == Verdict::Worse;
        println!(
            "{name:<12}{quantile_name:>7}{:>12.1} us{:>12.1} us   x{:.3} ({:.3} to {:.3})   {}",
            micros(one.value_at_quantile(quantile)),
            micros(other.value_at_quantile(quantile)),
            ratio.value,
            ratio.low,
            ratio.high,
            match verdict {
                Verdict::Same => "no difference",
                Verdict::Better => "better",
                Verdict::Worse => "regression",
            }
        );
    }
    Ok(worse)
}

fn seconds(stage: &StageResult) -> Result<Vec<Latencies>, Failure> {
    stage.seconds.iter().map(|second| read_hdr(&second.hdr)).collect()
}

/// How each of the quantiles changed. Latencies of neighbours depend on each other, so whole seconds are drawn and not single ones
/// (block bootstrap).
fn ratios(before: (&Latencies, &[Latencies]), after: (&Latencies, &[Latencies])) -> Vec<Ratio> {
    let mut prng = Prng::new(SEED);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); QUANTILES.len()];
    for _ in 0..DRAWS {
        let (one, other) = (draw(before.1, &mut prng), draw(after.1, &mut prng));
        for (ratios, (_, quantile)) in drawn.iter_mut().zip(QUANTILES) {
            ratios.push(nanos_at(&other, quantile) / nanos_at(&one, quantile));
        }
    }
    let beyond = DRAWS * (1_000 - WITHIN) / 2_000;
    let ratio = |(mut ratios, (_, quantile)): (Vec<f64>, (&str, f64))| {
        ratios.sort_by(f64::total_cmp);
        let value = nanos_at(after.0, quantile) / nanos_at(before.0, quantile);
        Ratio { value, low: ratios[beyond], high: ratios[DRAWS - 1 - beyond] }
    };
    drawn.into_iter().zip(QUANTILES).map(ratio).collect()
}

fn nanos_at(latencies: &Latencies, quantile: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an hour has fewer nanoseconds than 2^52")]
    let nanos = latencies.value_at_quantile(quantile).max(1) as f64;
    nanos
}

/// As many seconds as there are, some of them twice and some not at all.
fn draw(seconds: &[Latencies], prng: &mut Prng) -> Latencies {
    let count = u64::try_from(seconds.len()).expect("a run has few seconds");
    let mut drawn: Option<Latencies> = None;
    for _ in seconds {
        let mut bytes = [0; 8];
        prng.fill(&mut bytes);
        let nth = usize::try_from(u64::from_le_bytes(bytes) % count).expect("less than a length");
        match &mut drawn {
            Some(drawn) => drawn.add(&seconds[nth]).expect("all seconds have the same bounds"),
            None => drawn = Some(seconds[nth].clone()),
        }
    }
    drawn.unwrap_or_else(empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Done, Stage};

    /// Thirty seconds of latencies of about 100 us times `factor`, each seed its own.
    fn stage(seed: u64, factor: f64) -> StageResult {
        let mut prng = Prng::new(seed);
        let mut stage = Stage::new();
        for nth in 0..30_000_u64 {
            let mut bytes = [0; 2];
            prng.fill(&mut bytes);
            let nanos = (80_000.0 + f64::from(u16::from_le_bytes(bytes))) * factor;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below a second")]
            let nanos = nanos as u64;
            let intended_nanos = nth * 1_000_000;
            let done = Done { intended_nanos, ended_nanos: intended_nanos + nanos, records: 1, bytes: 1 };
            stage.record(0, done);
        }
        StageResult::of(&stage)
    }

    #[test]
    fn run_does_not_differ_from_itself_nor_from_its_like() {
        assert!(!compare("x", &stage(1, 1.0), &stage(1, 1.0), 0.05).unwrap());
        assert!(!compare("x", &stage(1, 1.0), &stage(2, 1.0), 0.05).unwrap());
    }

    #[test]
    fn delay_of_a_fifth_is_a_regression_and_its_end_none() {
        assert!(compare("x", &stage(1, 1.0), &stage(2, 1.2), 0.05).unwrap());
        assert!(!compare("x", &stage(1, 1.2), &stage(2, 1.0), 0.05).unwrap());
    }

    #[test]
    fn what_is_within_chance_is_the_same() {
        let sure = Ratio { value: 1.2, low: 1.1, high: 1.3 };
        let unsure = Ratio { value: 1.2, low: 0.9, high: 1.5 };
        assert_eq!((sure.verdict(0.05), unsure.verdict(0.05)), (Verdict::Worse, Verdict::Same));
        assert_eq!(Ratio { value: 0.8, low: 0.7, high: 0.9 }.verdict(0.05), Verdict::Better);
    }
}
