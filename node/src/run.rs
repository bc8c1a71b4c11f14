//! The life of a node process: take the ports, start the shards, say so, wait for the end, end in order.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use highwater_cli::{Exit, Failure};
use highwater_io::files::Layout;

use crate::banner::{self, Banner, Style};
use crate::broker::{self, Broker, Stop};
use crate::config::{HostPort, Settings};
use crate::http::{self, Pages, readiness};
use crate::logs::{Logs, NODE};
use crate::metrics::{Facts, Metrics};
use crate::notices::Notices;
use crate::observer::{Observer, Phase};
use crate::signals;
use crate::survey::{Scope, Survey};

/// How long the shards may take to end in order. What they acknowledged is on disk, so to go on without them loses nothing.
const STOP_WITHIN: Duration = Duration::from_millis(900);

/// How long a start takes at most that is not spoken of.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// Why the node ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A signal asked for it.
    Asked { signal: &'static str },
    /// All shards have ended, for this reason if not because they were asked to.
    Shards(Result<(), Failure>),
}

/// How a node says that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    Banner,
    LogLine,
}

/// Runs a node until it ends.
pub(crate) fn run(mut settings: Settings, logs: Logs, greeting: Greeting) -> Result<(), Failure> {
    let started = Instant::now();
    let observer = Arc::new(Observer::new(settings.core.shards));
    observer.attach(Arc::clone(&logs.loggers));
    settings.core.log_levels = logs.loggers.own_levels();
    let facts = Arc::new(OnceLock::new());
    let (endings, ended) = mpsc::channel();
    signals::listen(Arc::clone(&observer), endings.clone()).map_err(|e| no_thread("signals", &e))?;
    let listener = http::bind(&settings.http, settings.http_if_busy)?;
    let survey = Arc::new(Survey::new(settings.core.shards));
    let metrics =
        Metrics { observer: Arc::clone(&observer), facts: Arc::clone(&facts), limits: settings.metrics };
    let notices = Arc::new(Notices::default());
    let pages = Arc::new(Pages {
        metrics,
        survey: Arc::clone(&survey),
        notices: Arc::clone(&notices),
        logs,
        written: settings.written.clone(),
        data_dir: settings.data_dir.clone(),
    });
    let http = http::serve(listener, pages).map_err(|e| no_thread("HTTP", &e))?;
    // Clients are told where it is, even if another port was asked for.
    settings.http.port = http.port();

    let broker = broker::start(&settings, &observer, &survey, &notices)?;
    let watched = Layout::create(&settings.data_dir).and_then(|layout| notices.watch_file_system(layout));
    watched.map_err(|e| no_thread("the file system", &e))?;
    observer.enter(Phase::Serving);
    let start = until_ready(&observer, &survey, &ended)?;
    let ready_after = started.elapsed();
    facts
        .set(Facts {
            node: settings.core.node.0,
            address: settings.core.advertised.as_ref().map_or_else(
                || broker.address.to_string(),
                |(host, port)| HostPort { host: host.clone(), port: *port }.to_string(),
            ),
            io_driver: broker.io_driver.to_owned(),
            io_reason: broker.io_reason.clone(),
            seconds_to_ready: ready_after.as_secs_f64(),
        })
        .expect("the facts are set here only");
    let first = match start {
        Started::Ready => {
            greet(&Greetings { broker: &broker, http, ready_after, data_dir: &settings.data_dir, greeting });
            None
        }
        Started::Asked(ending) => Some(ending),
        Started::Broken => None,
    };

    let ending = move |result| {
        // A failed send means that nobody waits any more.
        let _ = endings.send(Ending::Shards(result));
    };
    let stop = broker.when_ended(ending).map_err(|e| no_thread("the end of the shards", &e))?;
    let recv = || ended.recv().expect("the thread that waits for the shards sends before it ends");
    wait(&stop, &observer, &ended, first.unwrap_or_else(recv))
}

/// How a start went.
#[derive(Debug)]
enum Started {
    Ready,
    /// It was asked to end before.
    Asked(Ending),
    /// A shard ended by itself before; the thread that waits for the shards says why.
    Broken,
}

/// Waits for what makes `/readyz` answer that the node is ready.
fn until_ready(observer: &Observer, survey: &Survey, ended: &Receiver<Ending>) -> Result<Started, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| no_thread("readiness", &e))?;
    let began = Instant::now();
    let mut said = None;
    loop {
        if let Ok(ending) = ended.try_recv() {
            return Ok(Started::Asked(ending));
        }
        let is_slow = began.elapsed() >= SLOW_AFTER;
        let view = runtime.block_on(async {
            if is_slow { survey.take(Scope::Sums).await } else { survey.take_at_start().await }
        });
        let unmet = readiness::checks(observer, &view).into_iter().find(|check| !check.ok);
        let Some(unmet) = unmet else { return Ok(Started::Ready) };
        if !observer.failed().is_empty() {
            return Ok(Started::Broken);
        }
        if is_slow && said.as_ref() != Some(&unmet.reason) {
            tracing::warn!(target: NODE, condition = unmet.name, reason = unmet.reason, "not ready yet");
            said = Some(unmet.reason);
        }
    }
}

fn wait(stop: &Stop, observer: &Observer, ended: &Receiver<Ending>, first: Ending) -> Result<(), Failure> {
    observer.enter(Phase::Stopping);
    let signal = match first {
        Ending::Shards(result) => return result,
        Ending::Asked { signal } => signal,
    };
    tracing::info!(target: NODE, signal, "stopping");
    let asked = Instant::now();
    stop.ask();
    loop {
        match ended.recv_timeout(STOP_WITHIN.saturating_sub(asked.elapsed())) {
            Ok(Ending::Shards(result)) => {
                if result.is_ok() {
                    tracing::info!(target: NODE, "stopped");
                }
                return result;
            }
            Ok(Ending::Asked { .. }) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(too_slow()),
        }
    }
}

fn too_slow() -> Failure {
    Failure {
        exit: Exit::Timeout,
        what: "the node ended before its shards had".into(),
        place: "the shards".into(),
        why: format!("they did not end within {} ms; the disk may be slow", STOP_WITHIN.as_millis()),
        fix: "nothing: every acknowledged record is on disk, and the next start reads it back".into(),
    }
}

fn no_thread(name: &str, error: &io::Error) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("cannot start the thread for {name}"),
        place: "this process".into(),
        why: error.to_string(),
        fix: "look at the limits on processes and open files (ulimit -u, ulimit -n)".into(),
    }
}

struct Greetings<'a> {
    broker: &'a Broker,
    http: std::net::SocketAddr,
    ready_after: Duration,
    data_dir: &'a Path,
    greeting: Greeting,
}

fn greet(about: &Greetings<'_>) {
    let Greetings { broker, http, ready_after, data_dir, greeting } = about;
    tracing::info!(
        target: NODE,
        version = env!("CARGO_PKG_VERSION"),
        kafka = %broker.address,
        %http,
        data_dir = %data_dir.display(),
        durability = broker.durability,
        io_driver = broker.io_driver,
        io_reason = broker.io_reason,
        limits = broker.capacity,
        shards = broker.shards,
        ready_ms = u64::try_from(ready_after.as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    if *greeting == Greeting::LogLine {
        return;
    }
    let command = banner::own_command();
    let banner = Banner {
        kafka: broker.address,
        http: *http,
        data_dir,
        durability: broker.durability,
        io: &broker.io_reason,
        limits: &broker.capacity,
        shards: broker.shards,
        ready_after: *ready_after,
        command: &command,
    };
    let mut out = io::stdout().lock();
    let style = if out.is_terminal() { Style::Terminal } else { Style::Plain };
    // A reader that went away is no reason to end a broker.
    let _ = out.write_all(banner.text(style).as_bytes()).and_then(|()| out.flush());
}
