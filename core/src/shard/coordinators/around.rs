//! The node as coordinators of groups see it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::config::Config;
use crate::config::registry::{self, parse_list};
use crate::controller::{ConfigResource, Image, configs};
use crate::group::settings::{ConsumerSettings, GroupSettings, Migration};
use crate::group::topics::{Surroundings, Topic};
use crate::id::TopicId;
use crate::time::Duration;

#[derive(Debug)]
pub(in crate::shard) struct Around {
    pub(super) config: Arc<Config>,
    pub(super) image: Arc<Image>,
    /// The version of the metadata in which topics last changed.
    pub(super) topics_version: u64,
    /// Of groups that set nothing.
    settings: GroupSettings,
    /// The least and the most that a group may set, for each of `OF_GROUPS`.
    bounds: [(Duration, Duration); 3],
}

/// What a group may set for itself.
const OF_GROUPS: [&str; 3] =
    ["consumer.assignment.interval.ms", "consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"];

impl Around {
    pub(in crate::shard) fn new(config: Arc<Config>, image: Arc<Image>, topics_version: u64) -> Self {
        let settings = resolve(&config, &image);
        let bounds = OF_GROUPS.map(|name| bounds(&config, &image, name));
        Self { config, image, topics_version, settings, bounds }
    }
}

impl Surroundings for Around {
    fn topic(&self, name: &str) -> Option<Topic> {
        let topic = self.image.topic(name)?;
        let partitions = i32::try_from(topic.partitions.len()).expect("partitions are counted in 32 bits");
        Some(Topic { id: topic.id, partitions, racks: Vec::new() })
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.image.topic_by_id(id).map(|topic| &*topic.name)
    }

    fn names(&self) -> Vec<&str> {
        self.image.topics().map(|topic| &*topic.name).collect()
    }

    fn version(&self) -> u64 {
        self.topics_version
    }

    fn settings(&self, group: &str) -> GroupSettings {
        let mut settings = self.settings.clone();
        let Some(own) = self.image.group_configs(group) else { return settings };
        let consumer = &mut settings.consumer;
        let values = [
            &mut consumer.assignment_interval,
            &mut consumer.heartbeat_interval,
            &mut consumer.session_timeout,
        ];
        for ((name, value), (min, max)) in OF_GROUPS.into_iter().zip(values).zip(self.bounds) {
            if let Some(own) = own.get(name).and_then(|own| own.trim().parse().ok()) {
                // What the broker lets a group set may have changed since.
                *value = Duration::from_millis(own).min(max).max(min);
            }
        }
        settings
    }
}

/// What the broker's settings come to. Values were checked when they were set.
fn resolve(config: &Config, image: &Image) -> GroupSettings {
    let broker = ConfigResource::Broker(Some(config.node));
    let text = |name: &str| configs::value(config, image, &broker, name);
    let number = |name: &str| text(name).trim().parse::<u64>().unwrap_or_default();
    let millis = |name: &str| Duration::from_millis(number(name));
    let count = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
    GroupSettings {
        session_timeout: (millis("group.min.session.timeout.ms"), millis("group.max.session.timeout.ms")),
        initial_rebalance_delay: millis("group.initial.rebalance.delay.ms"),
        size_max: count("group.max.size"),
        metadata_bytes_max: count("offset.metadata.max.bytes"),
        offsets_retention: Duration::from_secs(number("offsets.retention.minutes").saturating_mul(60)),
        offsets_check_interval: millis("offsets.retention.check.interval.ms"),
        consumer: ConsumerSettings {
            session_timeout: millis("group.consumer.session.timeout.ms"),
            heartbeat_interval: millis("group.consumer.heartbeat.interval.ms"),
            assignment_interval: millis("group.consumer.assignment.interval.ms"),
            size_max: count("group.consumer.max.size"),
            assignors: assignors(&text("group.consumer.assignors")),
            migration: match text("group.consumer.migration.policy").as_str() {
                "disabled" => Migration::Disabled,
                "upgrade" => Migration::Upgrade,
                "downgrade" => Migration::Downgrade,
                _ => Migration::Bidirectional,
            },
        },
    }
}

fn bounds(config: &Config, image: &Image, name: &str) -> (Duration, Duration) {
    let broker = ConfigResource::Broker(Some(config.node));
    let (mut least, mut most) = (Duration::ZERO, Duration::from_nanos(u64::MAX));
    for (bound, allowed) in registry::bounds_of(name) {
        let limit = configs::value(config, image, &broker, bound.name).trim().parse();
        let limit = Duration::from_millis(limit.unwrap_or_default());
        if allowed.contains(&Ordering::Greater) { least = limit } else { most = limit }
    }
    (least, most)
}

fn assignors(list: &str) -> Arc<[String]> {
    parse_list(list).map(|name| name.to_string()).collect()
}
