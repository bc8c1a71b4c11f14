//! Results for who reads the terminal.

use std::io::IsTerminal;
use std::time::Duration;

use crate::result::{QUANTILES, RunResult, StageResult, is_settled, micros};

/// What stands where too few samples lie beyond a quantile.
const UNSETTLED: &str = "-";

pub(crate) fn result(result: &RunResult) {
    if result.stages.is_empty() {
        println!("{}: {}", result.label, result.kind);
    } else {
        stages(result);
    }
    if let Some(used) = &result.broker {
        print!("broker: {:.2} CPU-s, {:.1} us per request", used.cpu_seconds, used.cpu_micros_per_request);
        if let (Some(gb), Some(million)) = (used.cpu_seconds_per_gb, used.cpu_seconds_per_million_records) {
            print!(", {gb:.3} per GB, {million:.3} per million records");
        }
        println!(", {:.1} MiB resident", mib(used.resident_bytes));
    }
    for (name, value) in &result.figures {
        println!("{name:<36}{value:>14.3}");
    }
    for (count, what) in [
        (result.refused, "answered with an error"),
        (result.unsent, "due but never sent: the broker did not keep up, and their latency is in no figure"),
        (result.unanswered, "never answered"),
    ] {
        if count > 0 {
            println!("{}", warning(&format!("{count} requests were {what}")));
        }
    }
}

fn stages(result: &RunResult) {
    let looped = match result.workload.rate {
        Some(rate) => format!("open loop, {rate} records/s"),
        None => "closed loop".to_owned(),
    };
    let workload = &result.workload;
    println!(
        "{}: {}, {looped}, {} s after {} s of warm-up",
        result.label, result.kind, workload.seconds, workload.warmup_seconds
    );
    print!("{:<12}{:>10}{:>14}{:>10}", "us", "requests", "records/s", "MB/s");
    for (name, _) in QUANTILES {
        print!("{name:>11}");
    }
    println!("{:>11}", "max");
    for (name, stage) in &result.stages {
        line(name, stage, workload.seconds);
    }
    if result.load_late.requests > 0 {
        line("load late", &result.load_late, workload.seconds);
    }
}

fn line(name: &str, stage: &StageResult, seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let (records, bytes) = (stage.records as f64, stage.bytes as f64);
    print!("{name:<12}{:>10}{:>14.0}{:>10.1}", stage.requests, records / seconds, bytes / seconds / 1e6);
    for (name, quantile) in QUANTILES {
        match stage.micros.get(name).filter(|_| is_settled(stage.requests, quantile)) {
            Some(told) => print!("{told:>11.1}"),
            None => print!("{UNSETTLED:>11}"),
        }
    }
    println!("{:>11.1}", stage.max_micros);
}

pub(crate) fn mib(bytes: u64) -> f64 {
    micros(bytes) * 1_000.0 / 1_048_576.0
}

fn warning(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[33m{text}\x1b[0m") } else { text.to_owned() }
}

/// Each of a few durations, shortest first.
pub(crate) fn durations(what: &str, durations: &[Duration]) {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    print!("  {what:<12}");
    for duration in sorted {
        print!("{:>10.1} ms", duration.as_secs_f64() * 1e3);
    }
    println!();
}
