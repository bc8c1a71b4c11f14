//! Where log lines go and how they look: for people on a terminal, JSON elsewhere, always on standard error.

use std::io::{self, IsTerminal};

use highwater_cli::{Exit, Failure};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins logging. `filter` goes before `RUST_LOG`, and without either info is logged.
pub(crate) fn init(filter: Option<&str>) -> Result<(), Failure> {
    let from_env = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (text, place) = match (filter, &from_env) {
        (Some(text), _) => (text, "--log"),
        (None, Some(text)) => (text.as_str(), "RUST_LOG"),
        (None, None) => ("info", "the default"),
    };
    let targets: Targets = text.parse().map_err(|error: tracing_subscriber::filter::ParseError| Failure {
        exit: Exit::Usage,
        what: format!("\"{text}\" is no log filter"),
        place: place.into(),
        why: error.to_string(),
        fix: "give a level (error, warn, info, debug, trace) or targets with levels, such as warn,highwater=debug".into(),
    })?;
    let registry = tracing_subscriber::registry().with(targets);
    // A closed standard error must not end the node: lines that cannot be written are dropped in silence.
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    if io::stderr().is_terminal() {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        registry.with(layer.with_target(false).with_ansi(colours)).init();
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    }
    Ok(())
}
