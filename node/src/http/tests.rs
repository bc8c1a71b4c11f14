use std::io::{Read, Write};
use std::net::TcpStream;

use highwater_core::config::LogLevel;
use highwater_core::id::ShardId;
use highwater_core::shard::{Event, Halt, Input, Progress};

use super::*;
use crate::config::Written;
use crate::logs::{Loggers, Logs};
use crate::metrics::{Limits, Metrics};
use crate::notices::{Noticed, Notices};
use crate::observer::{Observer, Phase};
use crate::survey::{GroupLimits, Survey};

fn say(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask(address: SocketAddr, path: &str) -> String {
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
}

fn any_port() -> HostPort {
    HostPort { host: "127.0.0.1".into(), port: 0 }
}

fn served(observer: &Arc<Observer>, written: Vec<Written>) -> SocketAddr {
    let groups = GroupLimits { groups_max: 1, offsets_max: 1 };
    let limits = Limits { topics_max: 1, partitions_max: 1, groups };
    let metrics = Metrics { observer: Arc::clone(observer), facts: Arc::default(), limits };
    let survey = Arc::new(Survey::new(1));
    let data_dir = std::env::temp_dir();
    let (notices, logs) = (Arc::new(Notices::default()), Logs::detached());
    notices.open(keep_levels(Arc::clone(&notices), Arc::clone(&logs.loggers)));
    let pages = Arc::new(Pages { metrics, survey, notices, logs, written, data_dir });
    serve(bind(&any_port(), HttpIfBusy::Fail).unwrap(), pages).unwrap()
}

/// A shard 0 that knows nothing of levels but the last one.
fn keep_levels(notices: Arc<Notices>, loggers: Arc<Loggers>) -> impl Fn() + Send + Sync {
    move || {
        let mut noticed = Noticed::new(Arc::clone(&notices), ShardId(0));
        for news in noticed.take() {
            let Input::LogLevel { logger, level } = news else { panic!("{news:?} is no level") };
            loggers.set(logger, level.unwrap_or(LogLevel::Info));
        }
        noticed.done();
    }
}

#[test]
fn readyz_says_what_a_start_is_at() {
    let observer = Arc::new(Observer::new(1));
    let address = served(&observer, Vec::new());
    observer.on_progress(Progress { streams: 1, streams_read: 1, partitions: 9, partitions_read: 4 });
    let answer = ask(address, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("[-] phase: starting") && answer.ends_with("\nnot ready\n"), "{answer}");
    assert!(answer.contains("[-] recovery: 1 of 1 write-ahead logs and 4 of 9 partitions"), "{answer}");
    assert!(!answer.contains("[+]"), "{answer}");
    observer.on_event(ShardId(0), &Event::StorageFull);
    let answer = ask(address, "/readyz?verbose");
    assert!(answer.contains("[-] storage: full for 1 of 1 shards"), "{answer}");
    assert!(answer.contains("[+] shards: 1 of 1 run"), "{answer}");
}

#[test]
fn livez_fails_once_a_shard_ended_by_itself() {
    let observer = Arc::new(Observer::new(1));
    let address = served(&observer, Vec::new());
    assert!(ask(address, "/livez").starts_with("HTTP/1.1 200 "));
    observer.enter(Phase::Serving);
    observer.on_event(ShardId(0), &Event::Halted(Halt::ForeignDirectory));
    assert!(ask(address, "/livez").starts_with("HTTP/1.1 503 "));
}

#[test]
fn metrics_are_prometheus_text() {
    let address = served(&Arc::new(Observer::new(1)), Vec::new());
    let answer = ask(address, "/metrics");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{answer}");
    assert!(answer.contains("\nhighwater_appended_records_total 0\n"), "{answer}");
    assert!(ask(address, "/nothing").starts_with("HTTP/1.1 404 "));
}

#[test]
fn config_hides_secrets() {
    let written =
        |name: &str, value: &str| Written { name: name.into(), value: value.into(), source: "--set".into() };
    let address = served(
        &Arc::new(Observer::new(1)),
        vec![written("num.partitions", "3"), written("ssl.keystore.password", "hunter2")],
    );
    let answer = ask(address, "/config");
    assert!(answer.contains("\"num.partitions\"") && answer.contains("\"3\""), "{answer}");
    assert!(answer.contains("\"ssl.keystore.password\"") && !answer.contains("hunter2"), "{answer}");
}

#[test]
fn requests_are_bounded() {
    let address = served(&Arc::new(Observer::new(1)), Vec::new());
    let long = "x".repeat(2 * HEAD_BYTES_MAX);
    let mut stream = TcpStream::connect(address).unwrap();
    // The node may close before it has read all.
    let _ = write!(stream, "GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains(" 200 ") && !answer.contains(" 404 "), "{answer}");
    let body = "D".repeat(4096);
    let put = format!(
        "PUT /loggers/highwater.log HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(say(address, &put).starts_with("HTTP/1.1 413 "));
}

#[test]
fn levels_are_shown_and_changed() {
    let address = served(&Arc::new(Observer::new(1)), Vec::new());
    let put = |name: &str, level: &str| {
        let len = level.len();
        say(
            address,
            &format!(
                "PUT /loggers/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{level}"
            ),
        )
    };
    assert!(put("highwater.storage", "debug").starts_with("HTTP/1.1 204 "));
    assert!(put("highwater.storage", "loud").starts_with("HTTP/1.1 400 "));
    assert!(put("kafka", "INFO").starts_with("HTTP/1.1 404 "));
    let answer = ask(address, "/loggers");
    assert!(answer.contains("\"highwater.storage\":\"DEBUG\"") && answer.contains("\"root\":\"INFO\""));
    let delete = |name: &str| {
        say(address, &format!("DELETE /loggers/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    };
    assert!(delete("highwater.storage").starts_with("HTTP/1.1 204 "));
    assert!(delete("root").starts_with("HTTP/1.1 400 "));
    assert!(ask(address, "/loggers").contains("\"highwater.storage\":\"INFO\""));
}

#[test]
fn busy_port_fails_or_gives_way_as_told() {
    let taken = bind(&any_port(), HttpIfBusy::Fail).unwrap();
    let at = HostPort { port: taken.local_addr().unwrap().port(), ..any_port() };
    let failure = bind(&at, HttpIfBusy::Fail).unwrap_err();
    assert_eq!(failure.place, at.to_string());
    let other = bind(&at, HttpIfBusy::UseFreePort).unwrap();
    assert_ne!(other.local_addr().unwrap().port(), at.port);
}
