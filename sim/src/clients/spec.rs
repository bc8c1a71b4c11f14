//! What the clients of a run do and with which settings, as drawn from the seed. Runs nothing.

use highwater_core::client::{
    Acks, Address, Assignor, ClientConfig, GroupConfig, Idempotence, MemberProtocol, ResetPolicy, Retries,
};
use highwater_core::prng::Prng;
use highwater_core::time::Duration;

use crate::draw::{Draw, Stream};
use crate::history::{Edge, Place, Promise};
use crate::params::{PORT, TopicParams, host};
use crate::profile::{TopicKind, Tuning};

#[derive(Debug, Clone)]
pub struct ProducerSpec {
    pub places: Vec<Place>,
    pub acks: Acks,
    pub idempotence: Idempotence,
    pub retries: Retries,
    pub in_flight_max: usize,
    pub batch_bytes: usize,
    pub buffer_bytes: usize,
    pub delivery_timeout: Duration,
    /// How often it produces, and how many records at most at a time.
    pub bursts: u64,
    pub records_max: u64,
    pub value_bytes_max: u64,
    pub value_bytes_huge: u64,
    pub pause_micros_max: u64,
    /// Of a million bursts, how many are followed by the end of the process.
    pub crash_per_million: u64,
}

impl ProducerSpec {
    pub fn promise(&self) -> Promise {
        match (self.idempotence, self.retries, self.acks) {
            (Idempotence::On, ..) => Promise::InOrderOnce,
            (Idempotence::Off, Retries::Never, _) | (Idempotence::Off, _, Acks::None) => Promise::Once,
            (Idempotence::Off, Retries::UntilDeliveryTimeout, Acks::Leader | Acks::All) => Promise::Repeated,
        }
    }
}

#[derive(Debug, Clone)]
pub struct ConsumerSpec {
    pub places: Vec<Place>,
    pub from: Edge,
    pub wait_millis: u64,
    pub bytes_min: i32,
    pub bytes_max: i32,
    pub partition_bytes_max: i32,
    pub out_of_range: ResetPolicy,
    pub jump_per_million: u64,
    pub pause_micros_max: u64,
    pub crash_per_million: u64,
}

/// Settings of the topic that a steward writes times to, under Kafka's names.
#[derive(Debug, Clone)]
pub struct StewardSpec {
    pub timed: Vec<(String, String)>,
}

/// What becomes of a member once the faults have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Leaves,
    Stays,
    /// It stays, and its process is gone when the node ends for the last time.
    Vanishes,
    /// It comes when the others go, and leaves when it has everything.
    Last,
}

#[derive(Debug, Clone)]
pub struct MemberSpec {
    pub config: GroupConfig,
    /// The same in the other protocol, if it may come back with that.
    pub other: Option<Box<GroupConfig>>,
    /// Its group may have members of both protocols.
    pub is_mixed: bool,
    /// How long a coordinator may hear nothing of it.
    pub session: Duration,
    pub exit: Exit,
    pub pause_micros_max: u64,
    /// Of a million rests, how many end in each of these.
    pub crash_per_million: u64,
    pub leave_per_million: u64,
    pub stall_per_million: u64,
    pub delay_per_million: u64,
    /// Of a million fetches, after how many it commits by itself.
    pub commit_per_million: u64,
}

#[derive(Debug, Clone)]
pub enum Role {
    Admin,
    Producer(ProducerSpec),
    Consumer(ConsumerSpec),
    Lister { places: Vec<Place> },
    Prober { places: Vec<Place> },
    Steward(StewardSpec),
    FinalReader { places: Vec<Place> },
    Member(MemberSpec),
}

#[derive(Debug, Clone)]
pub struct ClientParams {
    /// The node that it asks.
    pub node: usize,
    pub role: Role,
    /// How long it waits for an answer, and before it tries again.
    pub patience: Duration,
    pub retry_backoff: Duration,
    pub metadata_age_max: Duration,
}

impl ClientParams {
    pub(crate) fn draw(prng: &mut Prng, node: usize, role: Role, tuning: &Tuning) -> Self {
        let patience = Duration::from_millis(prng.pick(&[700, 1_000, 2_000]));
        Self {
            node,
            role,
            patience,
            retry_backoff: prng.micros(5_000, 100_000),
            metadata_age_max: prng.micros(100_000 * tuning.rest_factor, 10_000_000 * tuning.rest_factor),
        }
    }

    /// The one that reads everything once all is over.
    pub fn final_reader(node: usize, places: Vec<Place>) -> Self {
        let (patience, retry_backoff) = (Duration::from_secs(5), Duration::from_millis(5));
        let metadata_age_max = Duration::from_secs(10);
        Self { node, role: Role::FinalReader { places }, patience, retry_backoff, metadata_age_max }
    }
}

/// Draws what the clients of a node do, which has all these partitions.
pub(crate) fn draw_roles(
    prng: &mut Prng,
    all: &[Place],
    topics: &[TopicParams],
    tuning: &Tuning,
) -> Vec<Role> {
    let lasting: Vec<Place> = all.iter().copied().filter(|place| !topics[place.topic].churns).collect();
    let mut roles = vec![Role::Admin];
    for _ in 0..prng.between(tuning.producers.0, tuning.producers.1) {
        roles.push(Role::Producer(draw_producer(prng, all, &lasting, tuning)));
    }
    for _ in 0..prng.between(tuning.consumers.0, tuning.consumers.1) {
        roles.push(Role::Consumer(draw_consumer(prng, all, tuning)));
    }
    if prng.coin() {
        roles.push(Role::Lister { places: some_of(prng, &lasting) });
    }
    // What a prober writes has no key.
    if prng.coin() && tuning.topics == TopicKind::Kept {
        roles.push(Role::Prober { places: some_of(prng, &lasting) });
    }
    roles
}

/// What is drawn of the groups of a node: settings of the broker and the members.
pub(crate) struct Groups {
    /// How long offsets are kept, and how often that is looked at.
    pub(crate) retention: Duration,
    pub(crate) check_interval: Duration,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) members: Vec<MemberSpec>,
}

pub(crate) fn draw_groups(seed: u64, node: usize, topics: &[String], tuning: &Tuning) -> Groups {
    let (prng, migration) = (&mut Stream::Groups(node).of(seed), &mut Stream::Migration(node).of(seed));
    let session = Duration::from_millis(prng.pick(&[300, 600, 1_500]));
    let beat = Duration::from_millis(session.as_millis() / prng.between(3, 8));
    let (retention, check_interval) = (offsets_retention(seed), Duration::from_millis(2_500));
    let settings = [
        ("offsets.retention.minutes", retention.as_millis() / 60_000),
        ("offsets.topic.num.partitions", prng.between(1, 4)),
        ("offsets.topic.replication.factor", 1),
        ("offsets.retention.check.interval.ms", check_interval.as_millis()),
        ("group.min.session.timeout.ms", 100),
        ("group.initial.rebalance.delay.ms", prng.pick(&[0, 0, 50, 300])),
        ("group.consumer.session.timeout.ms", session.as_millis()),
        ("group.consumer.heartbeat.interval.ms", beat.as_millis()),
    ];
    let mut members = Vec::new();
    for number in 0..prng.between(1, tuning.groups_max) {
        let group = draw_group(prng, &format!("group-{node}-{number}"), topics);
        let other = migration.chance(350_000).then(|| draw_other(migration, &group));
        for member in 0..prng.between(tuning.members.0, tuning.members.1) {
            let mut member = draw_member(prng, &group, member, (session, beat));
            if let Some(other) = &other {
                draw_mixed(migration, other, &mut member);
            }
            member.delay_per_million = migration.pick(&[0, 20_000, 100_000]);
            members.push(member);
        }
        if migration.chance(150_000) {
            draw_twins(&mut members);
        }
    }
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_string())).to_vec();
    Groups { retention, check_interval, settings, members }
}

/// The shortest that Kafka knows, which a run may wait for, or its default. All nodes of a run have the same.
fn offsets_retention(seed: u64) -> Duration {
    let minutes = if Stream::Expiry.of(seed).chance(250_000) { 1 } else { 7 * 24 * 60 };
    Duration::from_secs(60 * minutes)
}

fn draw_group(prng: &mut Prng, name: &str, topics: &[String]) -> GroupConfig {
    let protocols =
        [MemberProtocol::ClassicEager, MemberProtocol::ClassicCooperative, MemberProtocol::Consumer];
    let some: Vec<String> = topics.iter().filter(|_| prng.coin()).cloned().collect();
    let topics = if some.is_empty() { topics.to_vec() } else { some };
    let group = GroupConfig::new(name, prng.pick(&protocols), topics);
    let mut group = draw_assignors(prng, group);
    // What began at the end would leave records out before anything is committed.
    group.auto_offset_reset = ResetPolicy::Earliest;
    group.rebalance_timeout = Duration::from_secs(prng.pick(&[6, 10]));
    group
}

fn draw_assignors(prng: &mut Prng, mut group: GroupConfig) -> GroupConfig {
    match group.protocol {
        MemberProtocol::ClassicEager => {
            let both = [Assignor::Range, Assignor::RoundRobin];
            group.assignors = if prng.coin() { both.to_vec() } else { vec![prng.pick(&both)] };
        }
        MemberProtocol::ClassicCooperative => {}
        MemberProtocol::Consumer => {
            group.remote_assignor = prng.pick(&[None, Some("range"), Some("uniform")]).map(str::to_owned);
        }
    }
    group
}

/// What members of the same group are that speak the other protocol.
fn draw_other(prng: &mut Prng, group: &GroupConfig) -> GroupConfig {
    let protocol = match group.protocol {
        MemberProtocol::ClassicEager | MemberProtocol::ClassicCooperative => MemberProtocol::Consumer,
        MemberProtocol::Consumer => {
            prng.pick(&[MemberProtocol::ClassicEager, MemberProtocol::ClassicCooperative])
        }
    };
    let other = GroupConfig::new(&group.group, protocol, group.topics.clone());
    let other = draw_assignors(prng, other);
    let (auto_offset_reset, rebalance_timeout) = (group.auto_offset_reset, group.rebalance_timeout);
    GroupConfig { auto_offset_reset, rebalance_timeout, ..other }
}

/// The last two members have one name; one of them goes when the faults have ended.
fn draw_twins(members: &mut [MemberSpec]) {
    let [.., one, other] = members else { return };
    if one.config.group != other.config.group {
        return;
    }
    let name = Some(format!("{}-twin", one.config.group));
    for twin in [&mut *one, &mut *other] {
        twin.config.instance.clone_from(&name);
        twin.other.iter_mut().for_each(|config| config.instance.clone_from(&name));
    }
    other.exit = Exit::Leaves;
}

/// Some keep to one protocol, others come back with the other.
fn draw_mixed(prng: &mut Prng, other: &GroupConfig, member: &mut MemberSpec) {
    let own = &member.config;
    let mut other = GroupConfig {
        instance: own.instance.clone(),
        session_timeout: own.session_timeout,
        heartbeat_interval: own.heartbeat_interval,
        auto_commit: own.auto_commit,
        ..other.clone()
    };
    if prng.coin() {
        std::mem::swap(&mut member.config, &mut other);
    }
    member.is_mixed = true;
    member.other = prng.coin().then(|| Box::new(other));
}

fn draw_member(
    prng: &mut Prng,
    group: &GroupConfig,
    member: u64,
    (session, beat): (Duration, Duration),
) -> MemberSpec {
    let mut config = group.clone();
    (config.session_timeout, config.heartbeat_interval) = (session, beat);
    config.instance = prng.chance(300_000).then(|| format!("{}-member-{member}", group.group));
    config.auto_commit = prng.coin().then(|| prng.micros(20_000, 500_000));
    MemberSpec {
        config,
        other: None,
        is_mixed: false,
        session,
        exit: prng.pick(&[Exit::Leaves, Exit::Stays, Exit::Stays, Exit::Vanishes]),
        pause_micros_max: prng.scaled(5_000, 100_000),
        crash_per_million: prng.pick(&[0, 5_000, 20_000]),
        leave_per_million: prng.pick(&[0, 5_000, 20_000]),
        delay_per_million: 0,
        stall_per_million: prng.pick(&[0, 5_000, 20_000]),
        commit_per_million: prng.pick(&[0, 100_000, 500_000]),
    }
}

impl MemberSpec {
    /// Who comes after all others of this member's group, and sees what it has committed.
    pub(crate) fn last(&self) -> Self {
        let mut config = self.config.clone();
        (config.instance, config.auto_commit) = (None, None);
        Self {
            config,
            other: None,
            exit: Exit::Last,
            crash_per_million: 0,
            leave_per_million: 0,
            stall_per_million: 0,
            delay_per_million: 0,
            commit_per_million: 0,
            ..*self
        }
    }
}

/// Draws how the times of a steward are kept.
pub(crate) fn draw_steward(prng: &mut Prng) -> StewardSpec {
    let codec = prng.pick(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]);
    let retention = prng.pick(&["-1", "7200000", "86400000"]);
    let roll = prng.scaled(1_000, 40_000_000).to_string();
    let timed = [("compression.type", codec), ("retention.ms", retention), ("segment.ms", &roll)];
    StewardSpec { timed: timed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
}

fn draw_producer(prng: &mut Prng, all: &[Place], lasting: &[Place], tuning: &Tuning) -> ProducerSpec {
    let idempotence = if prng.coin() { Idempotence::On } else { Idempotence::Off };
    let idempotent = idempotence == Idempotence::On;
    let acks = if idempotent {
        Acks::All
    } else {
        prng.pick(&[Acks::None, Acks::Leader, Acks::Leader, Acks::All, Acks::All])
    };
    let retries = if idempotent {
        Retries::UntilDeliveryTimeout
    } else {
        prng.pick(&[Retries::UntilDeliveryTimeout, Retries::Never])
    };
    ProducerSpec {
        places: some_of(prng, if idempotent { lasting } else { all }),
        acks,
        idempotence,
        retries,
        in_flight_max: prng.pick(&[1, 2, 5, 5]),
        batch_bytes: prng.pick(&tuning.batch_bytes),
        buffer_bytes: prng.pick(&[20_000, 32 << 20]),
        delivery_timeout: Duration::from_millis(prng.pick(&[500, 3_000, 120_000, 120_000])),
        bursts: prng.scaled(20, tuning.batches_max),
        records_max: prng.pick(&tuning.records_max),
        value_bytes_max: prng.scaled(10, tuning.value_bytes_max),
        value_bytes_huge: prng.pick(&[5_000, 200_000]),
        pause_micros_max: prng.scaled(500, tuning.pause_micros_max),
        crash_per_million: prng.pick(&[0, 0, 20_000]),
    }
}

fn draw_consumer(prng: &mut Prng, all: &[Place], tuning: &Tuning) -> ConsumerSpec {
    ConsumerSpec {
        places: some_of(prng, all),
        from: if prng.coin() { Edge::Earliest } else { Edge::Latest },
        wait_millis: prng.pick(&tuning.wait_millis),
        bytes_min: prng.pick(&[1, 1, 5_000]),
        bytes_max: prng.pick(&[1, 10_000, 1 << 20]),
        partition_bytes_max: prng.pick(&[1, 10_000, 1 << 18]),
        out_of_range: prng.pick(&[ResetPolicy::Earliest, ResetPolicy::Latest, ResetPolicy::Fail]),
        // Who jumps back reads all that follows again.
        jump_per_million: prng.pick(&[0, 10_000, 100_000]) / tuning.rest_factor,
        pause_micros_max: prng.scaled(1_000, 50_000),
        crash_per_million: prng.pick(&[0, 0, 5_000]),
    }
}

fn some_of(prng: &mut Prng, places: &[Place]) -> Vec<Place> {
    let chosen: Vec<Place> = places.iter().copied().filter(|_| prng.chance(600_000)).collect();
    if chosen.is_empty() { vec![prng.pick(places)] } else { chosen }
}

/// The settings of the real client.
pub(super) fn client_config(params: &ClientParams, prng: &mut Prng) -> ClientConfig {
    let mut config = ClientConfig::new(vec![Address::new(&host(params.node), PORT)]);
    config.connect_timeout = params.patience;
    config.request_timeout = params.patience;
    config.reconnect_backoff = prng.micros(200, 50_000);
    config.reconnect_backoff_max = prng.micros(50_000, 500_000);
    config.retry_backoff = params.retry_backoff;
    config.metadata_age_max = params.metadata_age_max;
    match &params.role {
        Role::Producer(spec) => {
            config.producer.acks = spec.acks;
            config.producer.idempotence = spec.idempotence;
            config.producer.retries = spec.retries;
            config.producer.in_flight_max = spec.in_flight_max;
            config.producer.batch_bytes = spec.batch_bytes;
            config.producer.buffer_bytes = spec.buffer_bytes;
            config.producer.delivery_timeout = spec.delivery_timeout;
            config.producer.answer_timeout = Duration::from_secs(1);
        }
        Role::Consumer(spec) => {
            config.consumer.wait_max = Duration::from_millis(spec.wait_millis);
            config.consumer.bytes_min = spec.bytes_min;
            config.consumer.bytes_max = spec.bytes_max;
            config.consumer.partition_bytes_max = spec.partition_bytes_max;
            config.consumer.out_of_range = spec.out_of_range;
        }
        Role::Member(_) => config.consumer.wait_max = Duration::from_millis(50),
        Role::FinalReader { .. } => {
            config.consumer.wait_max = Duration::from_millis(5);
            config.consumer.out_of_range = ResetPolicy::Earliest;
        }
        Role::Steward(_) => {
            config.producer.acks = Acks::All;
            config.producer.idempotence = Idempotence::Off;
            config.producer.retries = Retries::Never;
            config.producer.delivery_timeout = Duration::from_secs(3);
            config.producer.answer_timeout = Duration::from_secs(1);
        }
        Role::Admin | Role::Lister { .. } | Role::Prober { .. } => {}
    }
    config
}
