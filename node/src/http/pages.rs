//! The pages: what each address answers. Knows no connection.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use highwater_core::config::{LOGGER_ROOT, LOGGERS, LogLevel};
use highwater_core::controller::TopicImage;
use highwater_core::id::PartitionId;
use serde_json::{Value, json};

use super::readiness::{self, Detail};
use super::retention;
use crate::config::Written;
use crate::logs::{HTTP, Logs};
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::notices::Notices;
use crate::survey::{Scope, Survey, View};

const INDEX: &str = "Highwater\n
/livez               whether the process should be kept
/readyz?verbose      whether it serves, and why not
/metrics             Prometheus
/topics              topics and their settings, as JSON
/partitions?topic=   partitions, their offsets and sizes, as JSON
/retention?topic=    why a topic has the segments that it has, and what becomes of each, as JSON
/shards              what each shard holds, as JSON
/config              the settings that were given, as JSON, without secrets
/loggers             levels; PUT /loggers/NAME with a level changes one, DELETE lets it follow the root
/logs                the newest log lines
/system              the machine, as far as it matters here
";

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 1024;

/// Topics or partitions of one answer.
const ROWS_MAX: usize = 10_000;

/// What the pages are made of.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) metrics: Metrics,
    pub(crate) survey: Arc<Survey>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) logs: Logs,
    pub(crate) written: Vec<Written>,
    pub(crate) data_dir: PathBuf,
}

type Shared = State<Arc<Pages>>;

pub(super) fn router(pages: Arc<Pages>) -> Router {
    Router::new()
        .route("/", get(INDEX))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/topics", get(topics))
        .route("/partitions", get(partitions))
        .route("/retention", get(retention))
        .route("/shards", get(shards))
        .route("/config", get(config))
        .route("/loggers", get(loggers))
        .route("/loggers/{name}", put(set_level).delete(unset_level))
        .route("/logs", get(logs))
        .route("/system", get(system))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(pages)
}

/// Alive unless a shard ended by itself: then only a restart helps.
async fn livez(State(pages): Shared) -> impl IntoResponse {
    if pages.metrics.observer.failed().is_empty() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a shard ended; see /readyz?verbose\n")
    }
}

async fn readyz(State(pages): Shared, RawQuery(query): RawQuery) -> impl IntoResponse {
    let view = pages.survey.take(Scope::Sums).await;
    let checks = readiness::checks(&pages.metrics.observer, &view);
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = parameter(query.as_deref(), "verbose").is_some();
    (status, readiness::text(&checks, if verbose { Detail::All } else { Detail::Failed }))
}

async fn metrics(State(pages): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], pages.metrics.take(&pages.survey).await)
}

/// The value of a parameter; empty if it has none. Topic names need no decoding.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?.split('&').find_map(|part| match part.split_once('=') {
        Some((found, value)) => (found == name).then_some(value),
        None => (part == name).then_some(""),
    })
}

async fn topics(State(pages): Shared) -> Json<Value> {
    let view = pages.survey.take(Scope::Sums).await;
    let Some(image) = view.image() else { return Json(json!({ "topics": [], "more": 0 })) };
    let rows: Vec<Value> = image.topics().take(ROWS_MAX).map(|topic| topic_row(topic)).collect();
    let more = image.topic_count() - rows.len();
    Json(json!({ "topics": rows, "more": more }))
}

fn topic_row(topic: &TopicImage) -> Value {
    json!({
        "name": &*topic.name,
        "id": topic.id.0.to_string(),
        "partitions": topic.partitions.len(),
        "configs": topic.configs,
    })
}

async fn partitions(State(pages): Shared, RawQuery(query): RawQuery) -> Response {
    let view = pages.survey.take(Scope::Partitions).await;
    let wanted = parameter(query.as_deref(), "topic").filter(|topic| !topic.is_empty());
    let Some(image) = view.image() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the node is starting\n").into_response();
    };
    let topics: Vec<&Arc<TopicImage>> = match wanted.map(|name| image.topic(name)) {
        Some(Some(topic)) => vec![topic],
        Some(None) => return (StatusCode::NOT_FOUND, "no topic has this name\n").into_response(),
        None => image.topics().collect(),
    };
    let all: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
    let ids = topics.iter().flat_map(|topic| topic.partitions().map(|(id, _)| (&topic.name, id)));
    let rows: Vec<Value> = ids.take(ROWS_MAX).map(|(topic, id)| partition_row(&view, topic, id)).collect();
    let more = all - rows.len();
    Json(json!({ "partitions": rows, "more": more })).into_response()
}

/// Offsets and sizes are null if the partition's shard was silent.
fn partition_row(view: &View, topic: &str, id: PartitionId) -> Value {
    let report = view.partition(id);
    json!({
        "topic": topic,
        "partition": id.index,
        "leader_epoch": report.and_then(|report| report.leader_epoch).map(|epoch| epoch.0),
        "log_start_offset": report.map(|report| report.log_start.0),
        "high_watermark": report.map(|report| report.high_watermark.0),
        "log_end_offset": report.map(|report| report.log_end.0),
        "size_bytes": report.map(|report| report.bytes),
        "segments": report.map(|report| report.segments),
        "faulty_ranges": report.map(|report| report.faulty_ranges),
    })
}

async fn retention(State(pages): Shared, RawQuery(query): RawQuery) -> Response {
    let Some(name) = parameter(query.as_deref(), "topic").filter(|name| !name.is_empty()) else {
        return (StatusCode::BAD_REQUEST, "name a topic: /retention?topic=NAME\n").into_response();
    };
    let view = pages.survey.take(Scope::Sums).await;
    let Some(image) = view.image() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the node is starting\n").into_response();
    };
    let Some(topic) = image.topic(name) else {
        return (StatusCode::NOT_FOUND, "no topic has this name\n").into_response();
    };
    let view = pages.survey.take(Scope::Retention(topic.id)).await;
    Json(retention::page(topic, &view, ROWS_MAX)).into_response()
}

async fn shards(State(pages): Shared) -> Json<Value> {
    let view = pages.survey.take(Scope::Sums).await;
    let rows = view.shards.iter().map(|report| {
        let Some(report) = report else { return Value::Null };
        let pools = report.pools.iter().map(|pool| {
            let figures = json!({ "bytes_in_use": pool.bytes_in_use, "bytes_max": pool.bytes_max });
            (pool.name.to_owned(), figures)
        });
        json!({
            "pools": pools.collect::<serde_json::Map<String, Value>>(),
            "cache_bytes": report.cache_bytes,
            "wal_live_bytes": report.wal_live_bytes,
            "wal_live_bytes_max": report.wal_live_bytes_max,
            "connections": report.connections,
            "requests": report.requests,
            "connections_starved": report.connections_starved,
            "produces_parked": report.produces_parked,
            "reads_starved": report.reads_starved,
            "segment_jobs": report.keep_jobs,
            "events_dropped": report.events_dropped,
            "metadata_version": report.image.version,
        })
    });
    Json(json!({ "shards": rows.collect::<Vec<Value>>() }))
}

async fn config(State(pages): Shared) -> Json<Value> {
    let rows = pages
        .written
        .iter()
        .map(|written| json!({ "name": written.name, "value": written.shown(), "source": written.source }));
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "given": rows.collect::<Vec<Value>>() }))
}

async fn loggers(State(pages): Shared) -> Json<Value> {
    let levels = pages.logs.loggers.levels();
    Json(levels.into_iter().map(|(name, level)| (name.to_owned(), json!(level.name()))).collect())
}

async fn set_level(State(pages): Shared, Path(name): Path<String>, body: String) -> Response {
    let Some(level) = LogLevel::named(body.trim()) else {
        let names = LogLevel::ALL.map(LogLevel::name).join(", ");
        return (StatusCode::BAD_REQUEST, format!("a level is one of {names}\n")).into_response();
    };
    change_level(&pages, &name, Some(level)).await
}

async fn unset_level(State(pages): Shared, Path(name): Path<String>) -> Response {
    change_level(&pages, &name, None).await
}

/// Through the shard that keeps the levels, as a client of the broker changes them: there is one state, whoever looks at it.
async fn change_level(pages: &Pages, name: &str, level: Option<LogLevel>) -> Response {
    let Some(name) = LOGGERS.iter().copied().find(|known| *known == name) else {
        return (StatusCode::NOT_FOUND, "no logger has this name; see /loggers\n").into_response();
    };
    if name == LOGGER_ROOT && level.is_none() {
        return (StatusCode::BAD_REQUEST, "the root logger always has a level\n").into_response();
    }
    if pages.notices.set_level(name, level).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the node does not serve\n").into_response();
    }
    let level = level.map_or("that of the root", LogLevel::name);
    tracing::info!(target: HTTP, logger = name, level, "the level of a logger was changed");
    StatusCode::NO_CONTENT.into_response()
}

async fn logs(State(pages): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/jsonl; charset=utf-8")], pages.logs.ring.text())
}

/// Kernel, processors, memory, the file system of the data and the limits of this process. No command line and no environment:
/// they may hold secrets.
async fn system(State(pages): Shared) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}\n"));
    let lines = |path: &str, names: &[&str]| -> String {
        let text = read(path);
        let wanted = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        wanted.map(|line| format!("{line}\n")).collect()
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "version: {}\narchitecture: {}\nkernel: {}processors of this process: {processors}\n{}data: {}\n\n{}\n{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        read("/proc/version"),
        lines("/proc/meminfo", &["MemTotal", "MemAvailable", "SwapTotal"]),
        mount_of(&pages.data_dir, &read("/proc/self/mounts")),
        lines("/proc/self/status", &["VmRSS", "VmPeak", "VmLck", "Threads", "Seccomp"]),
        read("/proc/self/limits"),
    )
}

/// Where the file system of `dir` is mounted and its type; its options may hold names and passwords.
fn mount_of(dir: &std::path::Path, mounts: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let longest = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| dir.starts_with(at))
        .max_by_key(|(at, _)| at.len());
    longest.map_or_else(|| "unknown file system".into(), |(at, kind)| format!("{kind}, mounted at {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_on_the_longest_mount_that_holds_it() {
        let mounts = "a / ext4 rw 0 0\nb /nowhere xfs rw,password=x 0 0\nc /nowhere/else tmpfs rw 0 0\n";
        let found = |dir: &str| mount_of(std::path::Path::new(dir), mounts);
        assert_eq!(found("/nowhere/data"), "xfs, mounted at /nowhere");
        assert_eq!(found("/nowhere/elsewhere"), "xfs, mounted at /nowhere");
        assert_eq!(found("/other"), "ext4, mounted at /");
    }

    #[test]
    fn parameters_are_found_by_their_names() {
        let query = Some("a=1&topic=x.y&verbose");
        assert_eq!(parameter(query, "topic"), Some("x.y"));
        assert_eq!(parameter(query, "verbose"), Some(""));
        assert_eq!((parameter(query, "top"), parameter(None, "topic")), (None, None));
    }
}
