//! `config explain`: all that is known of a setting, in words. Needs no broker.

use std::fmt::Write;
use std::path::Path;

use highwater_cli::{Exit, Failure};
use highwater_core::config::registry::{self, AREAS, Definition, Scope, Standing, Update};

use super::{Entries, canonical, collect, file, nearest, properties};

/// Which setting, and the file that a node is started with.
#[derive(Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) config: Option<&'a Path>,
    pub(crate) properties: Option<&'a Path>,
}

/// The answer as text with a line feed at its end.
pub(crate) fn explain(question: &Question<'_>) -> Result<String, Failure> {
    let written = match (question.config, question.properties) {
        (Some(path), _) => Some(collect(file::read(path)?)?),
        (None, Some(path)) => Some(collect(properties::read(path)?)?),
        (None, None) => None,
    };
    let Some(name) = question.key else { return Ok(list()) };
    let scopes = [Scope::Topic, Scope::Broker, Scope::Group, Scope::ClientMetrics];
    let mut found: Vec<(Scope, &Definition)> =
        scopes.iter().filter_map(|scope| Some((*scope, registry::find(*scope, name)?))).collect();
    if found.is_empty() {
        found.extend(canonical(name).map(|known| (Scope::Broker, known)));
    }
    if found.is_empty() {
        return Err(unknown(name));
    }
    let texts: Vec<String> =
        found.iter().map(|(scope, known)| one(*scope, known, written.as_ref())).collect();
    Ok(texts.join("\n"))
}

fn unknown(name: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: format!("there is no setting {name}"),
        place: "config explain".into(),
        why: "neither Kafka nor Highwater has one of this name, for topics, brokers, groups or metrics of clients".into(),
        fix: match nearest(name) {
            Some(name) => format!("did you mean {name}?"),
            None => "`highwater config explain` lists all settings".into(),
        },
    }
}

fn list() -> String {
    let mut text = String::new();
    for area in &AREAS {
        writeln!(text, "{}", area.title).expect("a text takes all");
        for known in area.definitions {
            let mark =
                if matches!(known.standing, Standing::NoEffect(_)) { "  (no effect here)" } else { "" };
            writeln!(text, "  {}{mark}", known.name).expect("a text takes all");
        }
        text.push('\n');
    }
    text.push_str("highwater config explain KEY says what a setting does and when to change it.\n");
    text
}

fn one(scope: Scope, known: &'static Definition, written: Option<&Entries>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        writeln!(text, "  {label:<9} {value}").expect("a text takes all");
    };
    line("type", known.kind.name());
    let default =
        known.default.map_or("null", |default| if default.is_empty() { "(empty)" } else { default });
    line("default", default);
    line("allowed", &known.must_be());
    line("changes", changes(scope, known));
    let synonyms = match scope {
        Scope::Topic | Scope::Group | Scope::ClientMetrics => registry::defaults_of(scope, known.name),
        Scope::Broker => registry::units_of(known.name),
    };
    if !synonyms.is_empty() {
        let before =
            if scope == Scope::Broker { "the first of these that is set holds" } else { "the broker's" };
        line("synonyms", &format!("{} ({before})", synonyms.join(", ")));
    }
    if let Some(topic) = registry::topic_setting_of(known.name).filter(|_| scope == Scope::Broker) {
        line("topics", &format!("set {topic} themselves"));
    }
    if let Some(written) = written {
        line("value", &value(scope, known, written));
    }
    let (heading, after) = match known.standing {
        Standing::InForce(change) => (format!("{} ({})", known.name, word(scope)), change.to_owned()),
        Standing::NoEffect(why) => (
            format!("{} ({}, no effect here)", known.name, word(scope)),
            format!("Has no effect here: {why}."),
        ),
    };
    format!("{heading}\n{text}\n{}\n{after}\n", known.about)
}

fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Topic => "topic",
        Scope::Broker => "broker",
        Scope::Group => "group",
        Scope::ClientMetrics => "client metrics",
    }
}

fn changes(scope: Scope, known: &Definition) -> &'static str {
    match (scope, known.update) {
        (Scope::Topic | Scope::Group | Scope::ClientMetrics, _) => "at any time, at once",
        (Scope::Broker, Update::ReadOnly) => "by a restart only",
        (Scope::Broker, Update::PerBroker) => "at any time, for one broker",
        (Scope::Broker, Update::ClusterWide) => "at any time, for one broker or for all",
    }
}

/// What a node that is started with the file would have, and which line says so.
fn value(scope: Scope, known: &'static Definition, written: &Entries) -> String {
    let names = match scope {
        Scope::Broker if registry::units_of(known.name).is_empty() => core::slice::from_ref(&known.name),
        Scope::Broker => registry::units_of(known.name),
        Scope::Topic | Scope::Group | Scope::ClientMetrics => registry::defaults_of(scope, known.name),
    };
    let set = names.iter().find_map(|name| written.get(name));
    match set {
        Some(_) if known.is_sensitive() => "set, and not shown".into(),
        Some(entry) => format!("{}={} at {}", entry.name, entry.text, entry.source),
        None => "the default: the file does not set it".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(key: &str) -> Result<String, Failure> {
        explain(&Question { key: Some(key), ..Question::default() })
    }

    #[test]
    fn setting_of_a_topic_names_the_brokers() {
        let text = ask("retention.ms").unwrap();
        for says in [
            "retention.ms (topic)\n",
            "type      long\n",
            "default   604800000\n",
            "a whole number of at least -1\n",
            "at any time, at once\n",
            "log.retention.ms, log.retention.minutes, log.retention.hours (the broker's)\n",
            "How long records are kept",
        ] {
            assert!(text.contains(says), "{says} is not in {text}");
        }
    }

    #[test]
    fn name_of_two_things_is_explained_twice() {
        let text = ask("min.insync.replicas").unwrap();
        assert!(
            text.contains("min.insync.replicas (topic)\n") && text.contains("min.insync.replicas (broker)\n")
        );
        assert!(ask("ssl.protocol").unwrap().contains("Has no effect here: TLS is not served yet."));
    }

    #[test]
    fn unknown_name_is_told_the_nearest() {
        assert_eq!(ask("retention.mss").unwrap_err().fix, "did you mean retention.ms?");
        assert_eq!(ask("zzz").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn list_has_every_setting() {
        let text = explain(&Question::default()).unwrap();
        for known in AREAS.iter().flat_map(|area| area.definitions) {
            assert!(text.contains(&format!("  {}", known.name)), "{}", known.name);
        }
    }

    #[test]
    fn file_says_where_the_value_comes_from() {
        let entries = properties::parse("a\\\n=1\n", Path::new("x"));
        assert_eq!(entries.unwrap().len(), 1);
        let written =
            collect(properties::parse("# c\nlog.retention.hours=2\n", Path::new("s.properties")).unwrap())
                .unwrap();
        let known = registry::find(Scope::Topic, "retention.ms").unwrap();
        assert_eq!(value(Scope::Topic, known, &written), "log.retention.hours=2 at s.properties:2");
        let known = registry::find(Scope::Topic, "segment.ms").unwrap();
        assert_eq!(value(Scope::Topic, known, &written), "the default: the file does not set it");
    }
}
