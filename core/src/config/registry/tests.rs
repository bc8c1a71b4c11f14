use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::limits::{
    CLEAN_BYTES_PER_SECOND, CLEAN_CHECK_INTERVAL, CLEAN_MAP_BYTES_MAX, CLEAN_MAP_MEMORY_PART, CLEAN_RUN_BYTES,
};

/// Names, types and defaults of Kafka 4.3.1; `\N` is null, or computed when the broker starts.
const KAFKA: &str = include_str!("../../../tests/data/kafka-4.3.1-configs.tsv");

fn of_kafka() -> impl Iterator<Item = (Scope, &'static str, &'static str, Option<&'static str>)> {
    KAFKA.lines().map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap();
        let scope = match next() {
            "topic" => Scope::Topic,
            "broker" => Scope::Broker,
            "group" => Scope::Group,
            other => panic!("{other}"),
        };
        let (name, kind, default) = (next(), next(), next());
        (scope, name, kind, Some(default).filter(|default| *default != "\\N"))
    })
}

#[test]
fn registry_knows_what_kafka_knows() {
    assert_eq!(of_kafka().count(), 33 + 340 + 17);
    for (scope, name, kind, default) in of_kafka() {
        let known = find(scope, name).unwrap_or_else(|| panic!("{scope:?} {name}"));
        assert_eq!((known.kind.name(), known.default), (kind, default), "{scope:?} {name}");
    }
    let theirs: BTreeSet<&str> = of_kafka().map(|(_, name, _, _)| name).collect();
    let ours = AREAS.iter().flat_map(|area| area.definitions).filter(|known| !theirs.contains(known.name));
    assert_eq!(
        ours.count(),
        1 + ours::DEFINITIONS.len() + throttles::DEFINITIONS.len() + client_metrics::DEFINITIONS.len(),
        "what is ours stands in an area of its own, and batch.validation with the topics"
    );
}

#[test]
fn areas_are_sorted_and_disjoint() {
    for area in &AREAS {
        assert!(area.definitions.is_sorted_by(|a, b| a.name < b.name), "{}", area.title);
        for definition in area.definitions {
            assert!(definition.name.len() <= NAME_BYTES_MAX);
            assert_eq!(find(area.scope, definition.name), Some(definition), "{}", definition.name);
        }
    }
}

#[test]
fn defaults_are_allowed_and_words_are_whole_sentences() {
    for definition in AREAS.iter().flat_map(|area| area.definitions) {
        let default = definition.default.unwrap_or_default();
        assert!(definition.default.is_none() || check(definition, default), "{}", definition.name);
        let text = definition.documentation();
        assert!(text.ends_with('.') && definition.about.ends_with('.'), "{}: {text}", definition.name);
    }
}

#[test]
fn defaults_of_topics_and_groups_are_settings_of_brokers_of_their_type() {
    for scope in [Scope::Topic, Scope::Group] {
        for definition in all(scope) {
            for name in defaults_of(scope, definition.name) {
                let broker = find(Scope::Broker, name).unwrap_or_else(|| panic!("{name}"));
                let units = units_of(broker.name);
                assert!(units.is_empty() || units == defaults_of(scope, definition.name), "{name}");
                assert!(broker.kind == definition.kind || !units.is_empty(), "{name}");
                assert!(
                    broker.default.is_none() || !units.is_empty() || broker.default == definition.default
                );
            }
        }
    }
    assert_eq!(topic_setting_of("log.retention.ms"), Some("retention.ms"));
    assert_eq!(topic_setting_of("log.retention.hours"), None);
}

#[test]
fn check_judges_type_and_range() {
    let cases = [
        ("segment.bytes", "1048576", true),
        ("segment.bytes", "1048575", false),
        ("segment.bytes", "2147483648", false),
        ("retention.ms", "-1", true),
        ("retention.ms", " 5 ", true),
        ("retention.ms", "-2", false),
        ("retention.ms", "soon", false),
        ("max.message.bytes", "67108865", false),
        ("min.insync.replicas", "0", false),
        ("min.cleanable.dirty.ratio", "1.0", true),
        ("min.cleanable.dirty.ratio", "1.1", false),
        ("preallocate", "TRUE", true),
        ("preallocate", "yes", false),
        ("compression.type", "brotli", false),
        ("compression.gzip.level", "-1", true),
        ("compression.gzip.level", "0", false),
        ("message.timestamp.type", "createtime", false),
        ("cleanup.policy", "", true),
        ("cleanup.policy", "delete,delete", false),
        ("cleanup.policy", "forget", false),
    ];
    for (name, value, allowed) in cases {
        let definition = find(Scope::Topic, name).unwrap();
        assert_eq!(check(definition, value), allowed, "{name}={value}");
    }
    let cases = [
        ("", true),
        ("client_id=a.*", true),
        ("client_id=a.*, client_source_port=9", true),
        ("client_id", false),
        ("client_id=", false),
        ("colour=red", false),
    ];
    for (value, allowed) in cases {
        let definition = find(Scope::ClientMetrics, "match").unwrap();
        assert_eq!(check(definition, value), allowed, "match={value}");
    }
    let long: String = core::iter::repeat_n('a', 32_768).collect();
    let text = find(Scope::Topic, "leader.replication.throttled.replicas").unwrap();
    assert!(!check(text, &long) && check(text, &long[1..]));
}

#[test]
fn bounds_of_groups_are_found_by_name() {
    let bounds = |name| bounds_of(name).map(|(bound, _)| bound.name).collect::<Vec<_>>();
    assert_eq!(
        bounds("consumer.session.timeout.ms"),
        ["group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"]
    );
    assert_eq!(bounds("streams.num.standby.replicas"), ["group.streams.max.standby.replicas"]);
    assert!(bounds("share.isolation.level").is_empty());
    let bounded = all(Scope::Group).filter(|known| bounds_of(known.name).next().is_some());
    let bounds_of_brokers = all(Scope::Broker).filter(|known| {
        let name = known.name.strip_prefix("group.").unwrap_or_default();
        name.split('.').nth(1).is_some_and(|side| ["min", "max"].contains(&side))
    });
    let of_sessions_and_sizes = 4;
    assert_eq!(
        bounded.flat_map(|known| bounds_of(known.name)).count(),
        bounds_of_brokers.count() - of_sessions_and_sizes
    );
}

#[test]
fn nearest_names_what_was_meant() {
    assert_eq!(distance("retention.ms", "retention.ms"), 0);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("kitten", "sitting"), 3);
    assert_eq!(nearest(Scope::Topic, "retenton.ms"), Some("retention.ms"));
    assert_eq!(nearest(Scope::Topic, "cleanup.polici"), Some("cleanup.policy"));
    assert_eq!(nearest(Scope::Broker, "log.retention.hour"), Some("log.retention.hours"));
    assert_eq!(nearest(Scope::Topic, "quite.something.else.altogether"), None);
}

#[test]
fn must_be_says_the_range() {
    let must_be = |name| find(Scope::Topic, name).unwrap().must_be();
    assert_eq!(must_be("segment.ms"), "a whole number of at least 1");
    assert_eq!(must_be("preallocate"), "true or false");
    assert_eq!(must_be("batch.validation"), "one of full, crc");
    assert_eq!(must_be("remote.storage.enable"), "false");
}

#[test]
fn words_about_the_cleaner_name_its_bounds() {
    let says = |name: &str, what: String| {
        let text = find(Scope::Broker, name).unwrap().documentation();
        assert!(text.contains(&what), "{name}: {text} has no {what}");
    };
    says("log.cleaner.backoff.ms", format!("{} seconds", CLEAN_CHECK_INTERVAL.as_millis() / 1000));
    says("log.cleaner.dedupe.buffer.size", format!("{} MiB", CLEAN_MAP_BYTES_MAX >> 20));
    says("log.cleaner.dedupe.buffer.size", format!("a {CLEAN_MAP_MEMORY_PART}th of memory.bytes"));
    says("log.cleaner.io.buffer.size", format!("{} KiB", CLEAN_RUN_BYTES >> 10));
    says("log.cleaner.io.max.bytes.per.second", format!("{} MiB", CLEAN_BYTES_PER_SECOND >> 20));
}
