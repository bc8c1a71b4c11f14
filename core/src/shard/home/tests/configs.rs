//! The APIs of settings, from bytes to bytes.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{World, body};
use crate::config::{LOGGERS, registry};
use crate::wire::messages::alter_configs_request as plain;
use crate::wire::messages::alter_configs_response::AlterConfigsResponse;
use crate::wire::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::wire::messages::describe_configs_response::DescribeConfigsResponse;
use crate::wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use crate::wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::messages::list_config_resources_response::ListConfigResourcesResponse;
use crate::wire::{ApiKey, ErrorCode};

type Change<'a> = (&'a str, i8, Option<&'a str>);

/// Code and message.
type Answer = (i16, String);

fn resource<'a>(kind: i8, name: &'a str, changes: &[Change<'a>]) -> AlterConfigsResource<'a> {
    let config = |&(name, config_operation, value): &Change<'a>| AlterableConfig {
        name,
        config_operation,
        value,
        ..AlterableConfig::default()
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name,
        configs: changes.iter().map(config).collect(),
        ..AlterConfigsResource::default()
    }
}

fn send(world: &mut World, request: &IncrementalAlterConfigsRequest<'_>) -> Vec<Answer> {
    let bytes = body(|writer| request.encode(1, writer));
    world.ask(ApiKey::IncrementalAlterConfigs, 1, &bytes, |reader| {
        let response = IncrementalAlterConfigsResponse::decode(1, reader).expect("a response");
        let answers = response.responses.iter();
        answers.map(|r| (r.error_code, String::from(r.error_message.unwrap_or_default()))).collect()
    })
}

fn alter(world: &mut World, kind: i8, name: &str, changes: &[Change<'_>]) -> Answer {
    let resources = vec![resource(kind, name, changes)];
    send(world, &IncrementalAlterConfigsRequest { resources, ..IncrementalAlterConfigsRequest::default() })
        .pop()
        .expect("one resource, one answer")
}

/// Value, source and whether it is read-only.
type Shown = (String, Option<String>, i8, bool);

fn describe(
    world: &mut World,
    version: i16,
    kind: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> (i16, Vec<Shown>) {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: keys.map(<[&str]>::to_vec),
        ..DescribeConfigsResource::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: version >= 3,
        ..DescribeConfigsRequest::default()
    };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::DescribeConfigs, version, &bytes, |reader| {
        let response = DescribeConfigsResponse::decode(version, reader).expect("a response");
        let result = &response.results[0];
        let shown = result.configs.iter().map(|config| {
            assert!(version < 3 || kind == 8 || config.documentation.is_some_and(|text| text.ends_with('.')));
            (
                String::from(config.name),
                config.value.map(String::from),
                config.config_source,
                config.read_only,
            )
        });
        (result.error_code, shown.collect())
    })
}

#[test]
fn altered_topic_is_described_as_altered() {
    let mut world = World::with_topic();
    for version in 1..=4 {
        let (error, shown) = describe(&mut world, version, 2, "t", None);
        assert_eq!((error, shown.len()), (0, 34), "version {version}");
    }
    assert_eq!(alter(&mut world, 2, "t", &[("retention.ms", 0, Some("7"))]), (0, String::new()));
    let (_, shown) = describe(&mut world, 4, 2, "t", Some(&["retention.ms", "no.such"]));
    assert_eq!(shown, [("retention.ms".into(), Some("7".into()), 1, false)]);
    assert_eq!(alter(&mut world, 2, "t", &[("retention.ms", 1, None)]), (0, String::new()));
    let (_, shown) = describe(&mut world, 4, 2, "t", Some(&["retention.ms"]));
    assert_eq!(shown, [("retention.ms".into(), Some("604800000".into()), 5, false)]);
    assert_eq!(describe(&mut world, 4, 2, "u", None), (3, Vec::new()));
    assert_eq!(describe(&mut world, 4, 2, "a b", None), (17, Vec::new()));
}

#[test]
fn broker_is_described_with_what_cannot_change() {
    let mut world = World::with_topic();
    let (error, shown) = describe(&mut world, 4, 4, "1", None);
    let always = registry::all(registry::Scope::Broker).filter(|known| !registry::is_throttle(known.name));
    assert_eq!((error, shown.len()), (0, always.count()));
    let of = |name: &str| shown.iter().find(|(known, ..)| known == name).expect("known").clone();
    assert_eq!(of("num.partitions"), ("num.partitions".into(), Some("1".into()), 5, true));
    assert_eq!(of("log.retention.ms"), ("log.retention.ms".into(), None, 5, false));
    assert_eq!(describe(&mut world, 4, 4, "", None), (0, Vec::new()), "nothing is set for all");
    assert_eq!(alter(&mut world, 4, "", &[("log.retention.ms", 0, Some("9"))]).0, 0);
    let all = describe(&mut world, 4, 4, "", None);
    assert_eq!(all, (0, vec![("log.retention.ms".into(), Some("9".into()), 3, false)]));
    let (_, shown) = describe(&mut world, 4, 2, "t", Some(&["retention.ms"]));
    assert_eq!(shown, [("retention.ms".into(), Some("9".into()), 3, false)]);
    for (kind, name) in [(4, "2"), (4, "one"), (8, ""), (8, "2"), (16, ""), (99, "x"), (32, "")] {
        assert_eq!(describe(&mut world, 4, kind, name, None), (42, Vec::new()), "{kind} {name}");
    }
}

#[test]
fn each_wrong_change_has_its_code_and_names_the_setting() {
    let mut world = World::with_topic();
    let cases: [(i8, &str, Change<'_>, ErrorCode, &str); 18] = [
        (2, "t", ("retention.msec", 0, Some("7")), ErrorCode::InvalidConfig, "did you mean 'retention.ms'?"),
        (
            2,
            "t",
            ("retention.ms", 0, Some("soon")),
            ErrorCode::InvalidConfig,
            "retention.ms=soon: must be a whole number of at least -1",
        ),
        (2, "t", ("retention.ms", 0, None), ErrorCode::InvalidRequest, "'retention.ms' has no value"),
        (2, "t", ("retention.ms", 2, Some("7")), ErrorCode::InvalidConfig, "retention.ms is no list"),
        (2, "t", ("retention.ms", 9, Some("7")), ErrorCode::InvalidRequest, "9 is no operation"),
        (2, "u", ("retention.ms", 0, Some("7")), ErrorCode::UnknownTopicOrPartition, "no topic"),
        (2, "", ("retention.ms", 0, Some("7")), ErrorCode::InvalidTopicException, "empty"),
        (4, "1", ("num.partitions", 0, Some("7")), ErrorCode::InvalidRequest, "num.partitions is read when"),
        (4, "3", ("log.retention.ms", 0, Some("7")), ErrorCode::InvalidRequest, "broker 3"),
        (4, "1", ("num.io.threads", 0, Some("0")), ErrorCode::InvalidRequest, "num.io.threads=0: must be"),
        (4, "1", ("num.io.thread", 0, Some("1")), ErrorCode::InvalidConfig, "did you mean 'num.io.threads'?"),
        (
            32,
            "g",
            ("consumer.session.timeout.ms", 0, Some("1")),
            ErrorCode::InvalidConfig,
            "consumer.session.timeout.ms=1: the broker's group.consumer.min.session.timeout.ms=45000 bounds it",
        ),
        (16, "m", ("interval.ms", 0, Some("99")), ErrorCode::InvalidRequest, "from 100 to 3600000"),
        (16, "m", ("match", 0, Some("colour=red")), ErrorCode::InvalidRequest, "client_id"),
        (16, "m", ("interval", 0, Some("99")), ErrorCode::InvalidRequest, "did you mean 'interval.ms'?"),
        (8, "1", ("root", 0, Some("LOUD")), ErrorCode::InvalidConfig, "root=LOUD: must be one of FATAL"),
        (8, "1", ("no.such", 0, Some("INFO")), ErrorCode::InvalidConfig, "no logger 'no.such'"),
        (8, "1", ("root", 1, None), ErrorCode::InvalidRequest, "root logger"),
    ];
    for (kind, name, change, code, says) in cases {
        let (found, message) = alter(&mut world, kind, name, &[change]);
        assert_eq!(found, code.code(), "{change:?}: {message}");
        assert!(message.contains(says), "{change:?}: {message}");
    }
}

#[test]
fn what_is_not_set_is_taken_away_without_a_word() {
    let mut world = World::with_topic();
    for (kind, name, setting) in [
        (2, "t", "no.such.config"),
        (2, "t", "retention.ms"),
        (4, "", "no.such.config"),
        (4, "1", "leader.replication.throttled.rate"),
        (4, "1", "node.id"),
        (32, "g", "no.such.config"),
        (16, "m", "interval.ms"),
    ] {
        let answer = alter(&mut world, kind, name, &[(setting, 1, None)]);
        assert_eq!(answer, (0, String::new()), "{kind} {name} {setting}");
    }
}

#[test]
fn throttle_is_shown_while_it_is_set() {
    let mut world = World::with_topic();
    let throttle = "replica.alter.log.dirs.io.max.bytes.per.second";
    let mut shown = |op, value| {
        assert_eq!(alter(&mut world, 4, "1", &[(throttle, op, value)]).0, 0);
        describe(&mut world, 4, 4, "1", Some(&[throttle])).1
    };
    assert_eq!(shown(0, Some("5")), [(throttle.into(), Some("5".into()), 2, false)]);
    assert_eq!(shown(1, None), []);
}

#[test]
fn resource_described_twice_is_answered_twice() {
    let mut world = World::with_topic();
    let one = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t",
        configuration_keys: Some(vec!["retention.ms"]),
        ..DescribeConfigsResource::default()
    };
    let resources = vec![one.clone(), one];
    let request = DescribeConfigsRequest { resources, ..DescribeConfigsRequest::default() };
    let bytes = body(|writer| request.encode(4, writer));
    let answers = world.ask(ApiKey::DescribeConfigs, 4, &bytes, |reader| {
        let response = DescribeConfigsResponse::decode(4, reader).expect("a response");
        response.results.iter().map(|result| (result.error_code, result.configs.len())).collect::<Vec<_>>()
    });
    assert_eq!(answers, [(0, 1), (0, 1)]);
}

#[test]
fn subscription_to_metrics_is_kept_listed_and_forgotten() {
    let mut world = World::with_topic();
    let set = [("metrics", 0, Some("org.apache.kafka.producer.")), ("interval.ms", 0, Some("10000"))];
    assert_eq!(alter(&mut world, 16, "m", &set), (0, String::new()));
    let shown = describe(&mut world, 4, 16, "m", None);
    let row = |name: &str, value: &str, source| (name.into(), Some(value.into()), source, false);
    let rows = [
        row("interval.ms", "10000", 7),
        row("match", "", 5),
        row("metrics", "org.apache.kafka.producer.", 7),
    ];
    assert_eq!(shown, (0, rows.to_vec()));
    assert_eq!(listed(&mut world, 0, &[]), (0, vec![(16, "m".into())]));
    assert_eq!(alter(&mut world, 16, "m", &[("metrics", 1, None), ("interval.ms", 1, None)]).0, 0);
    assert_eq!(listed(&mut world, 0, &[]), (0, Vec::new()));
}

#[test]
fn resource_or_setting_named_again_is_refused_at_once() {
    let mut world = World::with_topic();
    let many: Vec<Change<'_>> = (0..10_000).map(|_| ("retention.ms", 0, Some("7"))).collect();
    let (code, message) = alter(&mut world, 2, "t", &many);
    assert_eq!((code, message.as_str()), (42, "the setting 'retention.ms' is named twice"));
    let once = resource(2, "t", &[("retention.ms", 0, Some("7"))]);
    let resources = vec![once.clone(), once];
    let request = IncrementalAlterConfigsRequest { resources, ..IncrementalAlterConfigsRequest::default() };
    let codes: Vec<i16> = send(&mut world, &request).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [42, 42]);
}

#[test]
fn validation_alone_changes_nothing() {
    let mut world = World::with_topic();
    let resources = vec![resource(2, "t", &[("retention.ms", 0, Some("7"))]), resource(2, "u", &[])];
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only: true,
        ..IncrementalAlterConfigsRequest::default()
    };
    let codes: Vec<i16> = send(&mut world, &request).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [0, 3]);
    let (_, shown) = describe(&mut world, 4, 2, "t", Some(&["retention.ms"]));
    assert_eq!(shown[0].2, 5, "it is still the default");
}

#[test]
fn plain_alter_replaces_all() {
    let mut world = World::with_topic();
    assert_eq!(alter(&mut world, 2, "t", &[("segment.ms", 0, Some("7"))]).0, 0);
    let mut send = |version, value| {
        let config =
            plain::AlterableConfig { name: "retention.ms", value, ..plain::AlterableConfig::default() };
        let resource = plain::AlterConfigsResource {
            resource_type: 2,
            resource_name: "t",
            configs: vec![config],
            ..plain::AlterConfigsResource::default()
        };
        let request =
            plain::AlterConfigsRequest { resources: vec![resource], ..plain::AlterConfigsRequest::default() };
        let bytes = body(|writer| request.encode(version, writer));
        world.ask(ApiKey::AlterConfigs, version, &bytes, |reader| {
            AlterConfigsResponse::decode(version, reader).expect("a response").responses[0].error_code
        })
    };
    assert_eq!(send(0, None), 42);
    for version in 0..=2 {
        assert_eq!(send(version, Some("9")), 0);
    }
    let (_, shown) = describe(&mut world, 4, 2, "t", Some(&["retention.ms", "segment.ms"]));
    let sources: Vec<i8> = shown.iter().map(|(_, _, source, _)| *source).collect();
    assert_eq!(sources, [1, 5], "segment.ms is not set any more");
}

#[test]
fn loggers_have_levels() {
    let mut world = World::with_topic();
    let (error, shown) = describe(&mut world, 4, 8, "1", None);
    assert_eq!((error, shown.len()), (0, LOGGERS.len()));
    for change in [("root", 0, Some("debug")), ("highwater.log", 1, None)] {
        assert_eq!(alter(&mut world, 8, "1", &[change]), (0, String::new()));
    }
}

#[test]
fn resources_with_settings_are_listed() {
    let mut world = World::with_topic();
    assert_eq!(alter(&mut world, 32, "g", &[("consumer.session.timeout.ms", 0, Some("46000"))]).0, 0);
    assert_eq!(listed(&mut world, 0, &[]), (0, Vec::new()), "metrics of clients only");
    let all = [(2, "t".into()), (4, "1".into()), (8, "1".into()), (32, "g".into())];
    assert_eq!(listed(&mut world, 1, &[]), (0, all.to_vec()));
    assert_eq!(listed(&mut world, 1, &[32]), (0, vec![(32, "g".into())]));
    assert_eq!(listed(&mut world, 1, &[3]), (35, Vec::new()));
}

fn listed(world: &mut World, version: i16, resource_types: &[i8]) -> (i16, Vec<(i8, String)>) {
    let request = ListConfigResourcesRequest {
        resource_types: resource_types.to_vec(),
        ..ListConfigResourcesRequest::default()
    };
    let bytes = body(|writer| request.encode(version, writer));
    world.ask(ApiKey::ListConfigResources, version, &bytes, |reader| {
        let response = ListConfigResourcesResponse::decode(version, reader).expect("a response");
        let resources = response.config_resources.iter();
        let resources = resources.map(|found| (found.resource_type, String::from(found.resource_name)));
        (response.error_code, resources.collect())
    })
}
