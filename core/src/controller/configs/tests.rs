use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::config::TopicConfig;
use crate::controller::{Command, Controller, ControllerReply, CreateTopics, NewTopic};
use crate::id::Offset;
use crate::prng::Prng;
use crate::time::Duration;

struct Host {
    controller: Controller,
    prng: Prng,
    next: Offset,
    records: Vec<MetadataRecord>,
}

impl Host {
    fn new(statics: &[(&str, &str)]) -> Self {
        let config = Arc::new(Config { statics: configs(statics), ..Config::default() });
        let controller = Controller::new(config);
        let mut host = Self { controller, prng: Prng::new(1), next: Offset::ZERO, records: Vec::new() };
        for name in ["t", "u"] {
            let topic = NewTopic {
                name: name.to_string(),
                partitions: 1,
                replication_factor: 1,
                assignments: Vec::new(),
                configs: vec![("segment.ms".to_string(), Some("77".to_string()))],
            };
            host.run(Command::CreateTopics(CreateTopics { topics: vec![topic], intent: Intent::Apply }));
        }
        host
    }

    fn run(&mut self, command: Command) -> ControllerReply {
        let (records, reply) = self.controller.handle(command, &mut self.prng);
        for record in records {
            self.records.push(record.clone());
            self.controller.replay(self.next, record);
            self.next = self.next.next();
        }
        self.controller.on_committed(self.next);
        reply
    }

    fn alter(&mut self, resource: &ConfigResource, edit: ConfigsEdit) -> Result<(), AlterConfigsError> {
        let changes = vec![ConfigsChange { resource: resource.clone(), edit }];
        let alter = AlterConfigs { changes, loggers: Vec::new(), intent: Intent::Apply };
        let ControllerReply::AlterConfigs(mut results) = self.run(Command::AlterConfigs(alter)) else {
            panic!("another reply")
        };
        results.pop().expect("one result")
    }

    fn each(&mut self, resource: &ConfigResource, name: &str, op: ConfigOp) -> Result<(), AlterConfigsError> {
        self.alter(resource, ConfigsEdit::Each(vec![(name.to_string(), op)]))
    }

    fn set(&mut self, resource: &ConfigResource, name: &str, value: &str) -> Result<(), AlterConfigsError> {
        self.each(resource, name, ConfigOp::Set(value.to_string()))
    }

    fn topic(&self, name: &str) -> TopicConfig {
        self.controller.image().topic(name).expect("it exists").config.clone()
    }

    /// Value, source and synonyms of one setting.
    fn shown(
        &self,
        resource: &ConfigResource,
        name: &str,
    ) -> (Option<String>, Source, Vec<(String, Source)>) {
        let image = self.controller.image();
        let own = resource.configs(&image).cloned().unwrap_or_default();
        let mut found = describe(self.controller.config(), &image, resource, &own, &|known| known == name);
        let found = found.pop().expect("it is known");
        let synonyms = found.synonyms.iter();
        let synonyms =
            synonyms.map(|s| (s.name.to_string() + "=" + s.value.as_deref().unwrap_or("null"), s.source));
        (found.value, found.source, synonyms.collect())
    }
}

fn configs(pairs: &[(&str, &str)]) -> Configs {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn topic() -> ConfigResource {
    ConfigResource::Topic("t".to_string())
}

const ALL: ConfigResource = ConfigResource::Broker(None);
const ONE: ConfigResource = ConfigResource::Broker(Some(NodeId(1)));

#[test]
fn topic_follows_its_own_setting_at_once() {
    let mut host = Host::new(&[]);
    host.set(&topic(), "max.message.bytes", "500").unwrap();
    assert_eq!((host.topic("t").batch_bytes_max, host.topic("u").batch_bytes_max), (500, 1_048_588));
    assert_eq!(host.topic("t").segment_age_max, Duration::from_millis(77), "what was set before stays");
    host.each(&topic(), "max.message.bytes", ConfigOp::Delete).unwrap();
    assert_eq!(host.topic("t").batch_bytes_max, 1_048_588);
    assert_eq!(host.topic("t").segment_age_max, Duration::from_millis(77));
}

#[test]
fn broker_sets_what_topics_do_not() {
    let mut host = Host::new(&[("log.retention.hours", "1"), ("log.segment.bytes", "2000000")]);
    assert_eq!(host.topic("t").retention, Some(Duration::from_secs(3600)));
    assert_eq!(host.topic("t").segment_bytes, 2_000_000);
    host.set(&ALL, "log.retention.ms", "5000").unwrap();
    assert_eq!(host.topic("t").retention, Some(Duration::from_secs(5)));
    host.set(&ONE, "log.retention.ms", "6000").unwrap();
    assert_eq!(host.topic("t").retention, Some(Duration::from_secs(6)));
    host.set(&topic(), "retention.ms", "-1").unwrap();
    assert_eq!(host.topic("t").retention, None);
    assert_eq!(host.topic("u").retention, Some(Duration::from_secs(6)));
    host.set(&ALL, "log.roll.ms", "9").unwrap();
    assert_eq!(host.topic("t").segment_age_max, Duration::from_millis(77), "its own goes before");
    for resource in [&ONE, &ALL] {
        host.each(resource, "log.retention.ms", ConfigOp::Delete).unwrap();
    }
    assert_eq!(host.topic("u").retention, Some(Duration::from_secs(3600)));
    assert_eq!(host.controller.image().broker_configs(Some(NodeId(1))), None, "nothing is left of it");
}

#[test]
fn codec_and_level_come_from_different_layers() {
    let mut host = Host::new(&[("compression.gzip.level", "2")]);
    host.set(&ALL, "compression.type", "gzip").unwrap();
    assert_eq!(host.topic("t").compression, crate::config::Compression::Gzip { level: 2 });
    host.set(&topic(), "compression.gzip.level", "7").unwrap();
    assert_eq!(host.topic("t").compression, crate::config::Compression::Gzip { level: 7 });
}

#[test]
fn description_says_where_a_value_comes_from() {
    let mut host = Host::new(&[("log.segment.bytes", "2000000"), ("log.retention.hours", "2")]);
    let (value, source, synonyms) = host.shown(&topic(), "segment.bytes");
    assert_eq!((value.as_deref(), source), (Some("2000000"), Source::Static));
    let statics = ("log.segment.bytes=2000000".to_string(), Source::Static);
    let defaults = ("log.segment.bytes=1073741824".to_string(), Source::Default);
    assert_eq!(synonyms, [statics.clone(), defaults.clone()]);
    host.set(&ALL, "log.segment.bytes", "3000000").unwrap();
    host.set(&ONE, "log.segment.bytes", "4000000").unwrap();
    host.set(&topic(), "segment.bytes", "5000000").unwrap();
    let (value, source, synonyms) = host.shown(&topic(), "segment.bytes");
    assert_eq!((value.as_deref(), source), (Some("5000000"), Source::Topic));
    let own = ("segment.bytes=5000000".to_string(), Source::Topic);
    let one = ("log.segment.bytes=4000000".to_string(), Source::Broker);
    let all = ("log.segment.bytes=3000000".to_string(), Source::ClusterDefault);
    assert_eq!(synonyms, [own, one.clone(), all.clone(), statics.clone(), defaults.clone()]);
    assert_eq!(
        host.shown(&ONE, "log.segment.bytes"),
        (Some("4000000".into()), Source::Broker, vec![one, all.clone(), statics, defaults])
    );
    assert_eq!(
        host.shown(&ALL, "log.segment.bytes"),
        (Some("3000000".into()), Source::ClusterDefault, vec![all])
    );
    let (value, source, _) = host.shown(&topic(), "retention.ms");
    assert_eq!((value.as_deref(), source), (Some("7200000"), Source::Static), "hours in milliseconds");
    assert_eq!(host.shown(&ONE, "log.retention.ms"), (None, Source::Default, Vec::new()));
    let unset = Host::new(&[]).shown(&topic(), "retention.ms");
    assert_eq!(unset, (Some("604800000".into()), Source::Default, Vec::new()));
}

#[test]
fn lists_take_and_lose_elements() {
    let mut host = Host::new(&[]);
    let throttled = "leader.replication.throttled.replicas";
    host.each(&topic(), throttled, ConfigOp::Append("0:1".into())).unwrap();
    host.each(&topic(), throttled, ConfigOp::Append("1:1,0:1".into())).unwrap();
    assert_eq!(host.shown(&topic(), throttled).0.as_deref(), Some("0:1,1:1"));
    host.each(&topic(), throttled, ConfigOp::Subtract("0:1,9:9".into())).unwrap();
    assert_eq!(host.shown(&topic(), throttled).0.as_deref(), Some("1:1"));
    host.each(&topic(), "cleanup.policy", ConfigOp::Subtract("delete".into())).unwrap();
    assert_eq!(host.shown(&topic(), "cleanup.policy").0.as_deref(), Some(""), "of the default");
    let refused = host.each(&topic(), "retention.ms", ConfigOp::Append("1".into()));
    assert!(matches!(refused, Err(AlterConfigsError::NotAList { .. })));
}

#[test]
fn replacing_takes_away_what_is_not_named() {
    let mut host = Host::new(&[]);
    host.alter(&topic(), ConfigsEdit::Replace(configs(&[("retention.ms", "5")]))).unwrap();
    let image = host.controller.image();
    assert_eq!(topic().configs(&image), Some(&configs(&[("retention.ms", "5")])));
    let before = host.records.len();
    host.alter(&topic(), ConfigsEdit::Replace(configs(&[("retention.ms", "5")]))).unwrap();
    assert_eq!(host.records.len(), before, "no difference, no record");
}

#[test]
fn nothing_of_a_refused_change_is_made() {
    let mut host = Host::new(&[]);
    let before = host.records.len();
    let mut refused = |resource: &ConfigResource, pairs: &[(&str, &str)]| {
        let ops = pairs.iter().map(|(name, value)| (name.to_string(), ConfigOp::Set(value.to_string())));
        host.alter(resource, ConfigsEdit::Each(ops.collect())).unwrap_err()
    };
    use AlterConfigsError::Config;
    let wrong = refused(&topic(), &[("retention.ms", "5"), ("segment.ms", "0")]);
    assert!(matches!(wrong, Config(ConfigError::Invalid { .. })), "{wrong:?}");
    let wrong = refused(&topic(), &[("retention.ms", "5"), ("retention.ms", "5")]);
    assert!(matches!(wrong, Config(ConfigError::Repeated { .. })), "{wrong:?}");
    let wrong = refused(&topic(), &[("log.retention.ms", "5")]);
    assert!(matches!(wrong, Config(ConfigError::UnknownName { .. })), "{wrong:?}");
    let wrong = refused(&topic(), &[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]);
    assert!(matches!(wrong, Config(ConfigError::LagsCross { .. })), "{wrong:?}");
    let wrong = refused(&ONE, &[("num.partitions", "5")]);
    assert!(matches!(wrong, AlterConfigsError::ReadOnly { .. }), "{wrong:?}");
    let wrong = refused(&ALL, &[("ssl.keystore.location", "f")]);
    assert!(matches!(wrong, AlterConfigsError::PerBroker { .. }), "{wrong:?}");
    let wrong = refused(&ConfigResource::Topic("v".into()), &[("retention.ms", "5")]);
    assert_eq!(wrong, AlterConfigsError::UnknownTopic);
    let wrong = refused(&ConfigResource::Group("g".into()), &[("retention.ms", "5")]);
    assert!(matches!(wrong, Config(ConfigError::UnknownName { .. })), "{wrong:?}");
    assert_eq!(host.records.len(), before);
}

#[test]
fn groups_have_settings_of_their_own() {
    let mut host = Host::new(&[("group.consumer.session.timeout.ms", "50000")]);
    let group = ConfigResource::Group("g".into());
    let (value, source, _) = host.shown(&group, "consumer.session.timeout.ms");
    assert_eq!((value.as_deref(), source), (Some("50000"), Source::Static));
    host.set(&group, "consumer.session.timeout.ms", "46000").unwrap();
    let (value, source, synonyms) = host.shown(&group, "consumer.session.timeout.ms");
    assert_eq!((value.as_deref(), source, synonyms.len()), (Some("46000"), Source::Group, 3));
    assert_eq!(host.controller.image().groups().collect::<Vec<_>>(), ["g"]);
    host.each(&group, "consumer.session.timeout.ms", ConfigOp::Delete).unwrap();
    assert_eq!(host.controller.image().groups().count(), 0);
    let (_, _, synonyms) = host.shown(&group, "share.auto.offset.reset");
    assert_eq!(synonyms, [("share.auto.offset.reset=latest".to_string(), Source::Default)]);
}

#[test]
fn groups_with_settings_are_counted_within_a_request_too() {
    let mut host = Host::new(&[]);
    let change = |group: usize| ConfigsChange {
        resource: ConfigResource::Group(group.to_string()),
        edit: ConfigsEdit::Each(vec![("share.auto.offset.reset".into(), ConfigOp::Set("earliest".into()))]),
    };
    let mut alter = |groups: core::ops::Range<usize>| {
        let changes = groups.map(change).collect();
        let alter = AlterConfigs { changes, loggers: Vec::new(), intent: Intent::Apply };
        let ControllerReply::AlterConfigs(results) = host.run(Command::AlterConfigs(alter)) else {
            panic!("another reply")
        };
        results
    };
    assert!(alter(0..GROUP_CONFIGS_MAX - 2).iter().all(Result::is_ok));
    let many = Err(AlterConfigsError::TooMany { max: GROUP_CONFIGS_MAX });
    let fresh = GROUP_CONFIGS_MAX - 3;
    assert_eq!(alter(fresh..fresh + 5), [Ok(()), Ok(()), Ok(()), many.clone(), many.clone()]);
    assert_eq!(alter(0..1), [Ok(())], "it exists already");
    assert_eq!(alter(fresh + 3..fresh + 4), [many]);
}

#[test]
fn groups_stay_within_what_the_broker_allows() {
    let statics = [
        ("group.consumer.min.session.timeout.ms", "100"),
        ("group.consumer.min.heartbeat.interval.ms", "50"),
        ("group.consumer.heartbeat.interval.ms", "50"),
        ("group.streams.max.standby.replicas", "7"),
    ];
    let mut host = Host::new(&statics);
    let group = ConfigResource::Group("g".into());
    for (name, value, allowed) in [
        ("consumer.session.timeout.ms", "100", true),
        ("consumer.session.timeout.ms", "99", false),
        ("consumer.session.timeout.ms", "60000", true),
        ("consumer.session.timeout.ms", "60001", false),
        ("streams.num.standby.replicas", "7", true),
        ("streams.num.standby.replicas", "8", false),
        ("share.partition.max.record.locks", "4001", false),
        ("share.isolation.level", "read_committed", true),
    ] {
        let result = host.set(&group, name, value);
        let out_of_bounds = matches!(result, Err(AlterConfigsError::Config(ConfigError::OutOfBounds { .. })));
        assert_eq!((result.is_ok(), out_of_bounds), (allowed, !allowed), "{name}={value}: {result:?}");
    }
}

#[test]
fn groups_have_sessions_longer_than_the_time_between_heartbeats() {
    let statics = [
        ("group.consumer.min.session.timeout.ms", "100"),
        ("group.consumer.min.heartbeat.interval.ms", "10"),
        ("group.consumer.max.heartbeat.interval.ms", "60000"),
    ];
    let mut host = Host::new(&statics);
    let group = ConfigResource::Group("g".into());
    let clash = |result| match result {
        Ok(()) => None,
        Err(AlterConfigsError::Config(ConfigError::Clash { values, .. })) => Some(values),
        Err(error) => panic!("{error:?}"),
    };
    let (session, heartbeat) = ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms");
    assert_eq!(clash(host.set(&group, session, "5000")), Some([5_000, 5_000]), "of the broker's heartbeat");
    assert_eq!(clash(host.set(&group, heartbeat, "45000")), Some([45_000, 45_000]));
    assert_eq!(clash(host.set(&group, heartbeat, "900")), None);
    assert_eq!(clash(host.set(&group, session, "900")), Some([900, 900]));
    assert_eq!(clash(host.set(&group, session, "901")), None);
    assert_eq!(clash(host.set(&group, heartbeat, "901")), Some([901, 901]));
}

#[test]
fn broker_stays_within_its_own_bounds() {
    let mut host = Host::new(&[("group.consumer.max.assignment.interval.ms", "2000")]);
    let name = "group.consumer.assignment.interval.ms";
    let result = host.set(&ONE, name, "2001");
    assert!(matches!(result, Err(AlterConfigsError::Config(ConfigError::OutOfBounds { limit: 2000, .. }))));
    host.set(&ONE, name, "2000").unwrap();
}

#[test]
fn log_levels_follow_the_root_unless_they_are_set() {
    let levels = [("root", LogLevel::Warn), ("highwater.log", LogLevel::Debug)];
    let mut controller = Controller::new(Arc::new(Config { log_levels: levels.into(), ..Config::default() }));
    let mut altered = |logger, level| {
        let altered = controller.alter_log_levels(vec![(logger, level)]);
        (altered.len(), altered.get("highwater.log").copied())
    };
    let others = crate::config::LOGGERS.len() - 1;
    assert_eq!(altered("root", Some(LogLevel::Info)), (others, None), "its own stays");
    assert_eq!(altered("highwater.log", None), (1, Some(LogLevel::Info)));
    assert_eq!(altered("highwater.log", None), (0, None));
    assert_eq!(altered("root", Some(LogLevel::Trace)), (others + 1, Some(LogLevel::Trace)));
}

#[test]
fn secrets_are_not_shown() {
    let mut host = Host::new(&[]);
    host.set(&ONE, "ssl.key.password", "hush").unwrap();
    let (value, source, synonyms) = host.shown(&ONE, "ssl.key.password");
    assert_eq!((value, source), (None, Source::Broker));
    assert_eq!(synonyms, [("ssl.key.password=null".to_string(), Source::Broker)]);
}
