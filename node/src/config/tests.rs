use std::path::Path;

use highwater_cli::{Exit, Pair};
use highwater_core::config::TopicConfig;
use highwater_core::id::NodeId;
use highwater_core::time::Duration;

use highwater_core::controller::Image;

use super::keys::KEYS;
use super::*;

fn topics(settings: &Settings) -> TopicConfig {
    Image::empty().topic_defaults(&settings.core)
}

fn dev(sets: &[(&str, &str)]) -> Result<Settings, Failure> {
    let sets = sets.iter().map(|(key, value)| Pair { key: (*key).into(), value: (*value).into() }).collect();
    for_dev(DevArgs { sets, ..DevArgs::default() })
}

fn from_toml(text: &str) -> Result<Settings, Failure> {
    let mut settings = defaults();
    apply(&collect(file::parse(text, Path::new("a.toml"))?)?, &mut settings)?;
    Ok(settings)
}

#[test]
fn dev_needs_nothing() {
    let settings = dev(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:9092");
    assert_eq!(settings.http_if_busy, HttpIfBusy::UseFreePort);
    assert_eq!(settings.data_dir, Path::new("highwater-data"));
}

#[test]
fn dev_has_a_group_wait_for_no_more_members_unless_asked_to() {
    let delay = |settings: Settings| {
        settings.written.into_iter().find(|each| each.name == REBALANCE_DELAY).map(|each| each.value)
    };
    assert_eq!(delay(dev(&[]).unwrap()).as_deref(), Some("0"));
    assert_eq!(delay(dev(&[(REBALANCE_DELAY, "7")]).unwrap()).as_deref(), Some("7"));
}

#[test]
fn dev_fails_on_a_busy_http_port_that_was_asked_for() {
    assert_eq!(dev(&[("http.listen", "127.0.0.1:1")]).unwrap().http_if_busy, HttpIfBusy::Fail);
}

#[test]
fn file_sets_what_the_core_is_told() {
    let settings = from_toml(
        "node.id = 7\ncluster.id = \"MkU3OEVBNTcwNTJENDM2Qg\"\nlisteners = [\"PLAINTEXT://:19092\"]\nadvertised.listeners = \"PLAINTEXT://[fe80::1]:9\"\n\
         io = \"epoll\"\nnum.partitions = 0x10\nauto.create.topics.enable = false\nmessage.max.bytes = 1_000\n\
         [log]\ndirs = \"/data\"\nretention.bytes = -1\nsegment.bytes = 1048576\n",
    )
    .unwrap();
    assert_eq!(settings.core.node, NodeId(7));
    assert_eq!(settings.core.cluster.map(|id| id.to_string()).as_deref(), Some("MkU3OEVBNTcwNTJENDM2Qg"));
    assert_eq!(settings.listen.to_string(), "0.0.0.0:19092");
    assert_eq!(settings.core.advertised, Some(("fe80::1".into(), 9)));
    assert_eq!(settings.io, IoDriver::Epoll);
    assert_eq!(settings.core.partitions_default, 16);
    assert!(!settings.core.auto_create_topics);
    assert_eq!(topics(&settings).batch_bytes_max, 1000);
    assert_eq!(settings.data_dir, Path::new("/data"));
    assert_eq!(topics(&settings).retention_bytes, None);
    assert_eq!(topics(&settings).segment_bytes, 1 << 20);
}

#[test]
fn finest_unit_of_a_time_wins_whatever_the_order() {
    let settings = dev(&[("log.retention.ms", "5"), ("log.retention.hours", "1")]).unwrap();
    assert_eq!(topics(&settings).retention, Some(Duration::from_millis(5)));
    let settings = dev(&[("log.retention.minutes", "2"), ("log.retention.hours", "1")]).unwrap();
    assert_eq!(topics(&settings).retention, Some(Duration::from_secs(120)));
    let settings = dev(&[("log.retention.hours", "-1")]).unwrap();
    assert_eq!(topics(&settings).retention, None);
}

#[test]
fn unknown_key_names_the_nearest_and_its_line() {
    let failure = from_toml("# a comment\nnum.partition = 3\n").unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.place, "a.toml:2");
    assert_eq!(failure.fix, "did you mean num.partitions?");
    let failure = dev(&[("log.retention.msec", "3")]).unwrap_err();
    assert_eq!(failure.fix, "did you mean log.retention.ms?");
    let failure = dev(&[("zzz", "3")]).unwrap_err();
    assert!(failure.fix.contains("config explain"), "{}", failure.fix);
}

#[test]
fn wrong_value_says_the_allowed_range() {
    let failure = dev(&[("num.partitions", "0")]).unwrap_err();
    assert_eq!(failure.what, "num.partitions cannot be \"0\"");
    assert_eq!(failure.fix, "give it a whole number from 1 to 100000");
    for (key, value) in [
        ("shards", "257"),
        ("node.id", "-1"),
        ("cluster.id", "short"),
        ("io", "iocp"),
        ("listeners", "9092"),
        ("listeners", "SASL_SSL://a:1"),
        ("listeners", "a:1,b:2"),
        ("listeners", "::1:9092"),
        ("listeners", "a:65536"),
        ("advertised.listeners", "0.0.0.0:9092"),
        ("log.dirs", "/a,/b"),
        ("message.max.bytes", "67108865"),
        ("log.retention.ms", "-2"),
        ("log.retention.hours", "9223372036854775807"),
        ("log.roll.ms", "0"),
        ("wal.file.bytes.min", "1048577"),
        ("auto.create.topics.enable", "yes"),
    ] {
        let failure = dev(&[(key, value)]).expect_err(key);
        assert_eq!((failure.exit, failure.place.as_str()), (Exit::Usage, "--set"), "{key}={value}");
    }
}

#[test]
fn settings_of_groups_that_do_not_go_together_are_refused() {
    for (sets, what, fix) in [
        (
            &[("group.consumer.session.timeout.ms", "44999")][..],
            "group.consumer.session.timeout.ms cannot be \"44999\"",
            "it must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            &[("group.consumer.max.heartbeat.interval.ms", "4999")],
            "group.consumer.heartbeat.interval.ms cannot be \"5000\"",
            "it must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        ),
        (
            &[
                ("group.consumer.min.assignment.interval.ms", "20"),
                ("group.consumer.max.assignment.interval.ms", "10"),
                ("group.consumer.assignment.interval.ms", "20"),
            ],
            "group.consumer.assignment.interval.ms cannot be \"20\"",
            "it must be less than or equal to group.consumer.max.assignment.interval.ms",
        ),
        (
            &[
                ("group.consumer.min.session.timeout.ms", "100"),
                ("group.consumer.session.timeout.ms", "5000"),
            ],
            "group.consumer.session.timeout.ms cannot be \"5000\"",
            "it must be greater than group.consumer.heartbeat.interval.ms",
        ),
    ] {
        let failure = dev(sets).unwrap_err();
        assert_eq!((failure.exit, failure.what.as_str(), failure.fix.as_str()), (Exit::Usage, what, fix));
        assert_eq!(failure.place, "--set", "{failure}");
    }
    dev(&[("group.consumer.max.session.timeout.ms", "45000")]).unwrap();
}

#[test]
fn every_key_is_reachable_by_each_of_its_names() {
    for key in KEYS {
        for name in [key.name].iter().chain(key.aliases) {
            assert!(std::ptr::eq(Key::named(name).unwrap(), key), "{name}");
        }
    }
}

#[test]
fn key_said_twice_is_refused_under_any_of_its_names() {
    let failure = dev(&[("broker.id", "1"), ("node.id", "2")]).unwrap_err();
    assert_eq!(failure.what, "node.id is set twice");
    let args = DevArgs {
        listen: Some("a:1".into()),
        sets: vec![Pair { key: "listeners".into(), value: "b:2".into() }],
        ..DevArgs::default()
    };
    assert_eq!(for_dev(args).unwrap_err().place, "--set and --listen");
}

#[test]
fn set_goes_before_the_file() {
    let path = std::env::temp_dir().join(format!("highwater-config-{}.toml", std::process::id()));
    std::fs::write(&path, "log.dirs = \"/data\"\nnum.partitions = 3\n").unwrap();
    let sets = vec![Pair { key: "num.partitions".into(), value: "5".into() }];
    let settings =
        for_serve(ServeArgs { config: Some(path.clone()), properties: None, sets, log: None }).unwrap();
    assert_eq!(settings.core.partitions_default, 5);
    std::fs::write(&path, "num.partitions = 3\n").unwrap();
    let failure =
        for_serve(ServeArgs { config: Some(path.clone()), properties: None, sets: Vec::new(), log: None })
            .unwrap_err();
    assert!(failure.why.contains("log.dirs"), "{failure}");
    std::fs::remove_file(&path).unwrap();
    let failure = for_serve(ServeArgs { config: Some(path), properties: None, sets: Vec::new(), log: None })
        .unwrap_err();
    assert!(failure.what.contains("cannot be read"), "{failure}");
}

#[test]
fn file_that_is_not_toml_says_the_line() {
    assert_eq!(from_toml("a = 1\nb =\n").unwrap_err().place, "a.toml:2");
    assert_eq!(from_toml("node.id = 1.5\n").unwrap_err().why, "node.id is a float");
    assert_eq!(from_toml("node.id = [[1.5]]\n").unwrap_err().why, "node.id is a array");
}

#[test]
fn properties_of_kafka_are_taken() {
    let text = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=EXTERNAL://localhost:9092,CONTROLLER://localhost:9093\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT\n\
        num.network.threads=3\nsocket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\n\
        num.partitions=1\noffsets.topic.replication.factor=1\nlog.retention.hours=168\n\
        log.cleanup.policy=delete\nlistener.name.external.ssl.keystore.location=f\n";
    let mut settings = defaults();
    let written = collect(properties::parse(text, Path::new("p")).unwrap()).unwrap();
    apply(&written, &mut settings).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:9092");
    assert_eq!(settings.core.advertised, Some(("localhost".into(), 9092)));
    assert_eq!(settings.core.statics.get("num.network.threads").map(String::as_str), Some("3"));
}

#[test]
fn core_is_told_what_the_node_runs_with() {
    let told = |settings: &Settings, name: &str| settings.of_core(19092).statics.get(name).cloned();
    let settings = dev(&[("listeners", "127.0.0.1:0"), ("node.id", "7")]).unwrap();
    for (name, value) in [
        ("listeners", "PLAINTEXT://127.0.0.1:19092"),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:19092"),
        ("log.dirs", "highwater-data"),
        ("process.roles", "broker,controller"),
        ("broker.id", "7"),
        ("node.id", "7"),
    ] {
        assert_eq!(told(&settings, name).as_deref(), Some(value), "{name}");
    }
    let settings = dev(&[("listeners", "PLAINTEXT://:19092")]).unwrap();
    assert_eq!(told(&settings, "listeners").as_deref(), Some("PLAINTEXT://0.0.0.0:19092"));
    assert_eq!(told(&settings, "advertised.listeners"), None, "each client is told what it dialled");
    let settings = dev(&[("advertised.listeners", "[fe80::1]:9")]).unwrap();
    assert_eq!(told(&settings, "advertised.listeners").as_deref(), Some("PLAINTEXT://[fe80::1]:9"));
}

#[test]
fn wrong_value_of_a_setting_without_effect_is_refused_too() {
    let failure = dev(&[("num.network.threads", "many")]).unwrap_err();
    assert_eq!(failure.fix, "give it a whole number of at least 1");
}

#[test]
fn name_of_a_topics_setting_stands_for_the_brokers() {
    let settings = dev(&[("retention.ms", "5"), ("cleanup.policy", "")]).unwrap();
    assert_eq!(topics(&settings).retention, Some(Duration::from_millis(5)));
    assert_eq!(settings.core.statics.get("log.cleanup.policy").map(String::as_str), Some(""));
    assert_eq!(
        dev(&[("retention.ms", "5"), ("log.retention.ms", "6")]).unwrap_err().what,
        "log.retention.ms is set twice"
    );
}

/// Coordinators of groups resolve these themselves, for they may be set while a node runs.
const OF_GROUPS: [&str; 21] = [
    "group.consumer.assignment.interval.ms",
    "group.consumer.assignors",
    "group.consumer.heartbeat.interval.ms",
    "group.consumer.max.assignment.interval.ms",
    "group.consumer.max.heartbeat.interval.ms",
    "group.consumer.max.session.timeout.ms",
    "group.consumer.max.size",
    "group.consumer.migration.policy",
    "group.consumer.min.assignment.interval.ms",
    "group.consumer.min.heartbeat.interval.ms",
    "group.consumer.min.session.timeout.ms",
    "group.consumer.session.timeout.ms",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.max.size",
    "group.min.session.timeout.ms",
    "offset.metadata.max.bytes",
    "offsets.retention.check.interval.ms",
    "offsets.retention.minutes",
    "offsets.topic.num.partitions",
    "offsets.topic.segment.bytes",
];

/// What nobody reads says that it has no effect, and what says that it is in force is read.
#[test]
fn broker_setting_in_force_is_read() {
    let in_force = |known: &Definition| matches!(known.standing, Standing::InForce(_));
    for known in registry::all(Scope::Broker) {
        let mut topics = registry::all(Scope::Topic).filter(|topic| in_force(topic));
        let of_topics =
            topics.any(|topic| registry::defaults_of(Scope::Topic, topic.name).contains(&known.name));
        let is_read = Key::named(known.name).is_some() || of_topics || OF_GROUPS.contains(&known.name);
        assert_eq!(is_read, in_force(known), "{}", known.name);
    }
}
