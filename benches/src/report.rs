//! `report`: several results as one page that needs nothing else, and a histogram as other tools plot it. Runs nothing.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use self::chart::{Axis, Chart, Line};
use crate::args::{ExportArgs, ReportArgs};
use crate::failure::Failure;
use crate::measure::Latencies;
use crate::result::{QUANTILES, RunResult, StageResult, is_settled, micros, read_hdr};

/// How finely a curve over the quantiles is drawn: steps between one nine and the next.
const STEPS_PER_NINE: i32 = 20;
const NINES_MAX: i32 = 5;

/// Ticks of the export in each half of what is left.
const EXPORT_TICKS: u32 = 5;

pub(crate) fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let mut results = Vec::new();
    for path in &args.results {
        results.extend(RunResult::read_all(path)?);
    }
    let page = page(&args.title, &[Section { title: String::new(), results }])?;
    fs::write(&args.out, page).map_err(|error| Failure(format!("{}: {error}", args.out.display())))?;
    println!("{}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Runs that are drawn over each other.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) results: Vec<RunResult>,
}

/// All in one page.
pub(crate) fn page(title: &str, sections: &[Section]) -> Result<String, Failure> {
    let mut page = String::from(HEAD);
    let _ = write!(page, "<h1>{}</h1>", escaped(title));
    for Section { title, results } in sections {
        let _ = write!(page, "<h2>{}</h2>", escaped(title));
        page += &conditions(results);
        page += &figures(results);
        let stages: BTreeSet<&String> = results.iter().flat_map(|result| result.stages.keys()).collect();
        for stage in stages {
            let of: Vec<(&RunResult, &StageResult)> =
                results.iter().filter_map(|result| Some((result, result.stages.get(stage)?))).collect();
            let _ = write!(page, "<h3>{}</h3>", escaped(stage));
            page += &table(&of);
            page += &charts(&of)?;
        }
    }
    Ok(page + "</body></html>\n")
}

const HEAD: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>highwater-bench</title><style>\
body{font:14px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
.left td,.left th,td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}.few{color:#999}svg{display:block;margin:1rem 0}\
svg text{font:11px system-ui,sans-serif;fill:#444}</style></head><body>";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What each run was, without which its figures mean nothing.
fn conditions(results: &[RunResult]) -> String {
    let mut text = String::from(
        "<table><tr><th>run<th>what<th>loop<th>durability<th>connections x depth<th>partitions<th>batch</tr>",
    );
    for result in results {
        let workload = &result.workload;
        let looped = workload.rate.map_or("closed".to_owned(), |rate| format!("open, {rate}/s"));
        let _ = write!(
            text,
            "<tr><td>{}<td>{}<td>{looped}<td>{:?}<td>{} x {}<td>{}<td>{} x {} B</tr>",
            escaped(&result.label),
            escaped(&result.kind),
            result.durability,
            workload.connections,
            workload.depth,
            workload.partitions,
            workload.batch_records,
            workload.record_bytes
        );
    }
    text + "</table>" + &environments(results)
}

/// Where each run took place; what is not known is left empty.
fn environments(results: &[RunResult]) -> String {
    let mut text = String::from(
        "<table class=\"left\"><tr><th>run<th>commit of the load<th>machine<th>driver<th>data<th>settings of the broker</tr>",
    );
    let known = |part: &Option<String>| part.clone().unwrap_or_default();
    for result in results {
        let environment = &result.environment;
        let broker = &environment.broker;
        let data = [&broker.data_dir, &broker.file_system, &broker.device, &broker.write_cache].map(known);
        let settings = broker.configs.iter().flatten().map(|(name, value)| format!("{name}={value}"));
        let governor = environment.governor.as_ref().map_or_else(String::new, |name| format!(", {name}"));
        let cells = [
            result.label.clone(),
            known(&environment.commit),
            environment.machine() + &governor,
            known(&broker.io_driver),
            data.join(" "),
            settings.collect::<Vec<_>>().join("\n"),
        ];
        let cells = cells.map(|cell| escaped(&cell).replace('\n', "<br>"));
        let _ = write!(text, "<tr><td>{}</tr>", cells.join("<td>"));
    }
    text + "</table>"
}

fn table(of: &[(&RunResult, &StageResult)]) -> String {
    let mut text = String::from("<table><tr><th>us<th>requests<th>MB/s");
    for (name, _) in QUANTILES {
        let _ = write!(text, "<th>{name}");
    }
    text += "<th>max<th>load late p99<th>unsent<th>refused<th>broker CPU-us/request</tr>";
    for (result, stage) in of {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let megabytes = stage.bytes as f64 / result.workload.seconds / 1e6;
        let _ = write!(text, "<tr><td>{}<td>{}<td>{megabytes:.1}", escaped(&result.label), stage.requests);
        for (name, quantile) in QUANTILES {
            match stage.micros.get(name).filter(|_| is_settled(stage.requests, quantile)) {
                Some(told) => drop(write!(text, "<td>{told:.1}")),
                None => text += "<td class=\"few\">too few",
            }
        }
        let late = result.load_late.micros.get("p99").map_or("-".into(), |told| format!("{told:.1}"));
        let used = result.broker.map_or("-".into(), |used| format!("{:.1}", used.cpu_micros_per_request));
        let _ = write!(
            text,
            "<td>{:.1}<td>{late}<td>{}<td>{}<td>{used}</tr>",
            stage.max_micros, result.unsent, result.refused
        );
    }
    text + "</table>"
}

fn charts(of: &[(&RunResult, &StageResult)]) -> Result<String, Failure> {
    let (mut curves, mut p99, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for (result, stage) in of {
        let line = |points| Line { label: escaped(&result.label), points };
        let seconds: Vec<Latencies> =
            stage.seconds.iter().map(|second| read_hdr(&second.hdr)).collect::<Result<_, _>>()?;
        let of_each = |figure: fn(&Latencies) -> f64| {
            (0..).map(f64::from).zip(seconds.iter().map(figure)).collect::<Vec<(f64, f64)>>()
        };
        curves.push(line(curve(&stage.latencies()?)));
        p99.push(line(of_each(|second| micros(second.value_at_quantile(0.99)))));
        rate.push(line(of_each(|second| count(second.len()))));
    }
    let nines = (0..=NINES_MAX).map(|nines| (f64::from(nines), percent(nines))).collect();
    let by_quantile = Chart { title: "latency by percentile, us", x: Axis::Named(nines), y: Axis::Log };
    let over_time = Chart { title: "p99 of each second, us", x: Axis::Linear, y: Axis::Log };
    let throughput = Chart { title: "requests of each second", x: Axis::Linear, y: Axis::Linear };
    Ok(by_rate(of) + &by_quantile.draw(&curves) + &over_time.draw(&p99) + &throughput.draw(&rate))
}

/// Latency against rate, where runs differ in that: those of one sweep are one line.
fn by_rate(of: &[(&RunResult, &StageResult)]) -> String {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (result, stage) in of {
        let name = result.label.split(" at ").next().unwrap_or_default();
        for quantile in ["p50", "p99"] {
            if let (Some(rate), Some(told)) = (result.workload.rate, stage.micros.get(quantile)) {
                lines.entry(format!("{} {quantile}", escaped(name))).or_default().push((rate, *told));
            }
        }
    }
    lines.retain(|_, points| points.len() > 1);
    if lines.is_empty() {
        return String::new();
    }
    let lines: Vec<Line> = lines.into_iter().map(|(label, points)| Line { label, points }).collect();
    Chart { title: "latency by rate, us and records/s", x: Axis::Log, y: Axis::Log }.draw(&lines)
}

/// What is no latency.
fn figures(results: &[RunResult]) -> String {
    let mut text = String::new();
    for result in results.iter().filter(|result| !result.figures.is_empty()) {
        let _ =
            write!(text, "<tr><th colspan=\"2\">{} {}</tr>", escaped(&result.label), escaped(&result.kind));
        for (name, value) in &result.figures {
            let _ = write!(text, "<tr><td>{}<td>{value:.3}</tr>", escaped(name));
        }
    }
    if text.is_empty() { text } else { format!("<table>{text}</table>") }
}

fn count(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count
}

/// So many nines, as a percentage.
fn percent(nines: i32) -> String {
    match nines {
        0 => "0 %".into(),
        1 => "90 %".into(),
        2 => "99 %".into(),
        more => format!("99.{} %", "9".repeat(usize::try_from(more - 2).unwrap_or(0))),
    }
}

/// Latency over nines, as far as there are enough samples.
fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    let point = |step: i32| {
        let nines = f64::from(step) / f64::from(STEPS_PER_NINE);
        let quantile = 1.0 - 10_f64.powf(-nines);
        let told = micros(latencies.value_at_quantile(quantile));
        is_settled(latencies.len(), quantile).then_some((nines, told))
    };
    (0..=NINES_MAX * STEPS_PER_NINE).map_while(point).collect()
}

/// One stage of a result as HdrHistogram's own tools print it, in microseconds.
pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let result = RunResult::read(&args.result)?;
    let stage = result.stages.get(&args.stage).ok_or_else(|| {
        let names: Vec<&str> = result.stages.keys().map(String::as_str).collect();
        Failure(format!("no stage {}; there are {}", args.stage, names.join(", ")))
    })?;
    print!("{}", hgrm(&stage.latencies()?));
    Ok(ExitCode::SUCCESS)
}

fn hgrm(latencies: &Latencies) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for step in latencies.iter_quantiles(EXPORT_TICKS) {
        let quantile = step.quantile_iterated_to();
        let (value, seen) =
            (micros(step.value_iterated_to()), latencies.count_between(0, step.value_iterated_to()));
        let _ = write!(text, "{value:>12.3} {quantile:>14.12} {seen:>10}");
        if quantile < 1.0 {
            let _ = write!(text, " {:>14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let (mean, deviation) = (latencies.mean() / 1e3, latencies.stdev() / 1e3);
    let _ = writeln!(text, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let (max, total) = (micros(latencies.max()), latencies.len());
    let _ = writeln!(text, "#[Max     = {max:>12.3}, Total count    = {total:>12}]");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::empty;

    #[test]
    fn curve_ends_where_samples_are_too_few() {
        let mut latencies = empty();
        (1..=10_000_u64).for_each(|nanos| latencies.saturating_record(nanos * 1_000));
        let curve = curve(&latencies);
        let (nines, told) = curve[curve.len() - 1];
        assert!((nines - 3.0).abs() < 1e-9, "ten of ten thousand lie beyond three nines");
        assert!((told - 9_990.0).abs() < 10.0, "{told}");
        assert!(curve.is_sorted_by(|one, next| one.1 <= next.1));
    }

    #[test]
    fn export_counts_all_at_its_end() {
        let mut latencies = empty();
        (1..=1_000_u64).for_each(|nanos| latencies.saturating_record(nanos * 1_000));
        let text = hgrm(&latencies);
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let words: Vec<&str> = last.split_ascii_whitespace().collect();
        assert_eq!((words[1], words[2], words.len()), ("1.000000000000", "1000", 3));
    }

    #[test]
    fn labels_are_text() {
        assert_eq!(escaped("<a&b>"), "&lt;a&amp;b&gt;");
        assert_eq!([0, 1, 2, 3, 4].map(percent), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
