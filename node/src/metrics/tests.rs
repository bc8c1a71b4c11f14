use highwater_core::id::ShardId;
use highwater_core::shard::Event;
use highwater_core::time::Duration;

use super::*;

const LIMITS: Limits =
    Limits { topics_max: 10, partitions_max: 100, groups: GroupLimits { groups_max: 10, offsets_max: 100 } };

fn metrics(observer: Observer) -> Metrics {
    Metrics { observer: Arc::new(observer), facts: Arc::default(), limits: LIMITS }
}

fn families() -> impl Iterator<Item = &'static Family> {
    families::ALL.iter().copied().chain(Count::FAMILIES)
}

#[test]
fn page_names_what_happened() {
    let metrics = metrics(Observer::new(2));
    assert!(!metrics.page(&View::default(), &View::default()).contains("driver="));
    let facts = Facts {
        node: 4,
        address: "a:1".into(),
        io_driver: "epoll".into(),
        io_reason: "a \"quoted\"\nreason".into(),
        seconds_to_ready: 0.25,
    };
    metrics.facts.set(facts).unwrap();
    for (key, error) in [(3, 0), (3, 0), (0, 7)] {
        let took = Duration::from_millis(1);
        let event = Event::Answered { key, version: 12, error, request_bytes: 10, response_bytes: 20, took };
        metrics.observer.on_event(ShardId(1), &event);
    }
    let page = metrics.page(&View::default(), &View::default());
    for line in [
        "highwater_requests_total{api=\"Metadata\",error=\"NONE\"} 2",
        "highwater_requests_total{api=\"Produce\",error=\"REQUEST_TIMED_OUT\"} 1",
        "highwater_request_duration_seconds_bucket{api=\"Metadata\",le=\"0.0005\"} 0",
        "highwater_request_duration_seconds_bucket{api=\"Metadata\",le=\"0.001\"} 2",
        "highwater_request_duration_seconds_sum{api=\"Metadata\"} 0.002",
        "highwater_response_bytes_total{api=\"Metadata\"} 40",
        "highwater_connections_closed_total{reason=\"malformed\"} 0",
        "highwater_io_driver_info{driver=\"epoll\",reason=\"a \\\"quoted\\\"\\nreason\"} 1",
        "highwater_time_to_ready_seconds 0.25",
        "kafka_broker_info{id=\"4\",address=\"a:1\"} 1",
        "highwater_shards 2",
        "highwater_ready 0",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is missing in\n{page}");
    }
    assert!(!page.contains("api=\"Fetch\""));
}

#[test]
fn every_family_is_on_the_page_once() {
    let page = metrics(Observer::new(1)).page(&View::default(), &View::default());
    let mut shown: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    shown.sort_unstable();
    let mut known: Vec<String> =
        families().map(|family| format!("{} {}", family.name, family.kind.name())).collect();
    known.sort_unstable();
    assert_eq!(shown, known);
}

/// The document, made anew. `UPDATE_SNAPSHOT=1` writes it.
#[test]
fn document_lists_every_metric() {
    let unit = |name: &str| match name.trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "seconds",
        name if name.ends_with("_bytes") => "bytes",
        _ => "",
    };
    let mut rows: Vec<String> = families()
        .map(|family| {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = family.kind.name();
            let labels = labels.join(", ");
            format!("| `{}` | {kind} | {labels} | {} | {} |\n", family.name, unit(family.name), family.help)
        })
        .collect();
    rows.sort_unstable();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let head = "| Name | Type | Labels | Unit | Meaning |\n|---|---|---|---|---|\n";
    let before = text.split_once(head).map_or(text.as_str(), |(before, _)| before);
    let made = format!("{before}{head}{}", rows.concat());
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        return std::fs::write(path, &made).unwrap();
    }
    assert_eq!(text, made, "write it anew with UPDATE_SNAPSHOT=1");
}
