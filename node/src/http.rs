//! Health and metrics over HTTP, on a thread of its own. Reads the observer; tells the shards nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use highwater_cli::{Exit, Failure};

use crate::config::{HostPort, HttpIfBusy};
use crate::metrics::Metrics;
use crate::observer::{Check, Observer};

const INDEX: &str = "Highwater\n\n/livez            whether the process should be kept\n\
    /readyz?verbose   whether it serves, and why not\n/metrics          OpenMetrics\n";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages are made of.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) observer: Arc<Observer>,
    pub(crate) metrics: Metrics,
}

/// Takes the port, so that a busy one is known before anything else starts.
pub(crate) fn bind(at: &HostPort, if_busy: HttpIfBusy) -> Result<TcpListener, Failure> {
    let host = at.host.as_str();
    let listener = match (TcpListener::bind((host, at.port)), if_busy) {
        (Err(error), HttpIfBusy::UseFreePort) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((host, 0))
        }
        (result, HttpIfBusy::UseFreePort | HttpIfBusy::Fail) => result,
    };
    listener
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .map_err(|error| Failure {
            exit: Exit::Failed,
            what: "cannot listen for HTTP".into(),
            place: at.to_string(),
            why: error.to_string(),
            fix: "stop what uses the port, or choose another with --http HOST:PORT (http.listen in a file); port 0 is any free one".into(),
        })
}

/// Serves the pages until the process ends.
pub(crate) fn serve(listener: TcpListener, pages: Arc<Pages>) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let router = Router::new()
        .route("/", get(INDEX))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages);
    std::thread::Builder::new().name("http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(async { axum::serve(listener, router).await }) {
            tracing::error!(%error, "the HTTP server ended; Kafka clients are still served");
        }
    })?;
    Ok(address)
}

/// Alive unless a shard ended by itself: then only a restart helps.
async fn livez(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    if pages.observer.failed().is_empty() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a shard ended; see /readyz?verbose\n")
    }
}

async fn readyz(State(pages): State<Arc<Pages>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let checks = pages.observer.checks();
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose =
        query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    (status, readiness(&checks, if verbose { Detail::All } else { Detail::Failed }))
}

/// Which checks are listed.
enum Detail {
    All,
    Failed,
}

fn readiness(checks: &[Check], detail: Detail) -> String {
    let mut text = String::new();
    for check in checks {
        let listed = match detail {
            Detail::All => true,
            Detail::Failed => !check.ok,
        };
        if listed {
            let mark = if check.ok { '+' } else { '-' };
            text.push_str(&format!("[{mark}] {}: {}\n", check.name, check.reason));
        }
    }
    text.push_str(if checks.iter().all(|check| check.ok) { "ready\n" } else { "not ready\n" });
    text
}

async fn metrics(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], pages.metrics.page())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use highwater_core::id::ShardId;
    use highwater_core::shard::{Event, Halt};

    use super::*;
    use crate::observer::Phase;

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn any_port() -> HostPort {
        HostPort { host: "127.0.0.1".into(), port: 0 }
    }

    fn served(observer: &Arc<Observer>) -> SocketAddr {
        let metrics = Metrics::new(Arc::clone(observer), Arc::default());
        let pages = Arc::new(Pages { observer: Arc::clone(observer), metrics });
        serve(bind(&any_port(), HttpIfBusy::Fail).unwrap(), pages).unwrap()
    }

    #[test]
    fn readyz_follows_the_node_and_says_why() {
        let observer = Arc::new(Observer::new(1));
        let address = served(&observer);
        let answer = ask(address, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("[-] phase: starting"), "{answer}");
        observer.enter(Phase::Serving);
        let answer = ask(address, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nready\n"), "{answer}");
        let answer = ask(address, "/readyz?verbose");
        assert!(answer.contains("[+] storage: has room\n"), "{answer}");
        observer.on_event(ShardId(0), &Event::StorageFull);
        assert!(ask(address, "/readyz").contains("[-] storage: full for 1 of 1 shards"));
    }

    #[test]
    fn livez_fails_once_a_shard_ended_by_itself() {
        let observer = Arc::new(Observer::new(1));
        let address = served(&observer);
        assert!(ask(address, "/livez").starts_with("HTTP/1.1 200 "));
        observer.on_event(ShardId(0), &Event::Halted(Halt::ForeignDirectory));
        assert!(ask(address, "/livez").starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn metrics_are_open_metrics() {
        let address = served(&Arc::new(Observer::new(1)));
        let answer = ask(address, "/metrics");
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("\nhighwater_wal_groups_total 0\n"), "{answer}");
        assert!(ask(address, "/nothing").starts_with("HTTP/1.1 404 "));
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
}
