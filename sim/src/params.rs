//! Everything that a seed draws before a run begins: configuration, workload, speeds, and the plan of faults. Printable, all of
//! it. Runs nothing.

use std::collections::BTreeSet;
use std::str::FromStr;

use highwater_core::id::NodeId;
use highwater_core::limits::{
    BLOCK_BYTES, DESTAGE_BYTES_MAX, DESTAGE_RUN_BYTES_MIN, DESTAGE_WRITE_BYTES_MAX, WAL_BESIDE_BYTES_MIN,
};
use highwater_core::mutant::Mutant;
use highwater_core::prng::Prng;
use highwater_core::shard::{Config, TopicConfig, WalConfig};
use highwater_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::checker::TopicRule;
use crate::clients::spec;
pub use crate::clients::spec::{
    ClientParams, ConsumerSpec, Exit, MemberSpec, ProducerSpec, Role, StewardSpec,
};
use crate::disk::DiskSpeed;
use crate::draw::{Draw, Stream};
use crate::fault::{self, Planned, Sketch};
use crate::history::Place;
use crate::network::LinkSpeed;
pub use crate::profile::Profile;
use crate::profile::{Stewards, TopicKind, Tuning};

/// What the command line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    pub profile: Profile,
    #[serde(default)]
    pub tier: Tier,
    /// Bits rot too.
    #[serde(default)]
    pub rot: Rot,
    /// The bug that is planted; needs the feature `mutants`.
    #[serde(default, with = "mutant", skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

/// Mutants go by their names.
mod mutant {
    use highwater_core::mutant::Mutant;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        mutant: &Option<Mutant>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        mutant.map(Mutant::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Mutant>, D::Error> {
        let name = String::deserialize(deserializer)?;
        Mutant::named(&name)
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("no mutant is called `{name}`")))
    }
}

/// What stands between the machines and the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Nothing: the fastest.
    #[default]
    T0,
    /// The real driver on an executor of our own.
    T1,
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "t0" => Ok(Self::T0),
            "t1" => Ok(Self::T1),
            _ => Err(format!("`{text}` is no tier: t0, t1")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rot {
    #[default]
    Off,
    On,
}

/// A topic of the run.
#[derive(Debug, Clone)]
pub struct TopicParams {
    pub name: String,
    /// The node that has it: each is a cluster of its own.
    pub node: usize,
    pub partitions: i32,
    pub churns: bool,
    /// Settings under Kafka's names.
    pub settings: Vec<(String, String)>,
}

impl TopicParams {
    /// Whether old segments may go.
    pub fn retains_less(&self) -> bool {
        self.settings.iter().any(|(name, value)| name.starts_with("retention.") && value != "-1")
    }

    /// Whether of each key the newest record stays.
    pub fn compacts(&self) -> bool {
        self.settings.iter().any(|(name, value)| name == "cleanup.policy" && value.starts_with("compact"))
    }

    /// What it promises.
    pub(crate) fn rule(&self) -> TopicRule {
        let retention = self.settings.iter().find(|(name, _)| name == "delete.retention.ms");
        TopicRule {
            name: self.name.clone(),
            churns: self.churns,
            retains_less: self.retains_less(),
            compacts: self.compacts(),
            tombstones_go: retention.is_some_and(|(_, millis)| *millis != FOR_EVER_MILLIS),
        }
    }

    /// What all brokers are set to shall not touch topics that others judge; and nobody shall ask in vain for hours for a topic
    /// that is gone.
    fn settle(&mut self) {
        self.churns = false;
        for name in ["retention.ms", "retention.bytes"] {
            if !self.settings.iter().any(|(set, _)| set == name) {
                self.settings.push((name.to_owned(), "-1".to_owned()));
            }
        }
    }

    fn places(&self, topic: usize) -> impl Iterator<Item = Place> {
        (0..self.partitions).map(move |index| Place { topic, index })
    }
}

/// Longer than any clock of a run jumps.
const FOR_EVER_MILLIS: &str = "9000000000000";

/// How long the parts of the world take.
#[derive(Debug, Clone)]
pub struct Speeds {
    pub link: LinkSpeed,
    /// Until a shard that has something to do gets the core.
    pub turn_micros: u64,
    pub mesh_micros: u64,
    /// Effects that the driver takes in one turn.
    pub effects_per_turn: u64,
}

/// A node, which is a cluster of its own.
#[derive(Debug, Clone)]
pub struct NodeParams {
    pub config: Config,
    /// The shard count is drawn again at each start.
    pub reshards: bool,
    pub disk: DiskSpeed,
    /// How much faster its monotonic clock runs than time does, in parts of a million.
    pub drift_per_million: i64,
}

/// All that is drawn from a seed.
#[derive(Debug, Clone)]
pub struct Params {
    pub seed: u64,
    pub options: Options,
    pub nodes: Vec<NodeParams>,
    pub topics: Vec<TopicParams>,
    pub clients: Vec<ClientParams>,
    pub speeds: Speeds,
    /// How many times as long clients rest as they usually would.
    pub rest_factor: u64,
    pub(crate) stewards: Stewards,
    /// How long offsets of groups are kept, and how often coordinators look at them.
    pub(crate) offsets: Option<(Duration, Duration)>,
    /// How long nodes are left alone at the end.
    pub linger: Duration,
    /// When the faults end.
    pub faults_end: Duration,
    pub faults: Vec<Planned>,
    /// Clients that never wake up.
    pub without_clients: BTreeSet<usize>,
    /// Requests after which clients only finish what is open.
    pub operations_max: Option<u64>,
    /// Steps after which a run counts as a loop without end.
    pub steps_max: u64,
}

/// What is kept no longer than this is seen to go, and how long that takes at most.
const LINGER_MAX: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(75);

/// Steps of the longest run.
const STEPS_MAX: u64 = 20_000_000;

impl Params {
    pub fn draw(seed: u64, options: Options) -> Self {
        let mut prng = Stream::Params.of(seed);
        let tuning = options.profile.tuning();
        let faults_end = prng.micros(tuning.span_micros_max / 10, tuning.span_micros_max);
        let speeds = draw_speeds(&mut prng);
        let nodes = prng.pick(tuning.nodes);
        let (mut drawn, mut topics, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        for node in 0..nodes {
            let mut prng = Stream::NodeParams(node).of(seed);
            drawn.push(draw_node(&mut prng, node, &tuning));
            let memory_bytes = drawn[node].config.memory_bytes;
            let places = draw_topics(&mut prng, (node, memory_bytes), tuning.topics, &mut topics);
            let roles = spec::draw_roles(&mut prng, &places, &topics, &tuning);
            clients.extend(roles.into_iter().map(|role| ClientParams::draw(&mut prng, node, role, &tuning)));
        }
        if tuning.stewards == Stewards::OneEach {
            topics.iter_mut().for_each(TopicParams::settle);
            for node in 0..nodes {
                let mut prng = Stream::Steward(node).of(seed);
                let role = Role::Steward(spec::draw_steward(&mut prng));
                clients.push(ClientParams::draw(&mut prng, node, role, &tuning));
            }
        }
        let (mut offsets, mut linger) = (None, Duration::ZERO);
        if tuning.groups_max > 0 {
            topics.iter_mut().for_each(TopicParams::settle);
            for (node, params) in drawn.iter_mut().enumerate() {
                let of_node = topics.iter().filter(|topic| topic.node == node);
                let names: Vec<String> = of_node.map(|topic| topic.name.clone()).collect();
                let groups = spec::draw_groups(seed, node, &names, &tuning);
                params.config.statics.extend(groups.settings);
                offsets = Some((groups.retention, groups.check_interval));
                if groups.retention <= LINGER_MAX {
                    linger = LINGER;
                }
                for member in groups.members {
                    clients.push(ClientParams::draw(&mut prng, node, Role::Member(member), &tuning));
                }
            }
        }
        Self {
            seed,
            options,
            nodes: drawn,
            clients,
            topics,
            speeds,
            rest_factor: tuning.rest_factor,
            stewards: tuning.stewards,
            offsets,
            linger,
            faults_end,
            faults: fault::draw_plan(Sketch { seed, options, nodes, until: faults_end }),
            without_clients: BTreeSet::new(),
            operations_max: None,
            steps_max: STEPS_MAX,
        }
    }

    /// The last member of each group.
    pub(crate) fn last_members(&self) -> Vec<ClientParams> {
        let mut groups = BTreeSet::new();
        let mut last = Vec::new();
        for client in &self.clients {
            if let Role::Member(spec) = &client.role
                && groups.insert(&spec.config.group)
            {
                last.push(ClientParams { role: Role::Member(spec.last()), ..client.clone() });
            }
        }
        last
    }

    /// Every partition of a node whose offsets keep their meaning.
    pub fn lasting_places(&self, node: usize) -> Vec<Place> {
        let topics = self.topics.iter().enumerate();
        let lasting = topics.filter(|(_, topic)| topic.node == node && !topic.churns);
        lasting.flat_map(|(index, topic)| topic.places(index)).collect()
    }
}

/// The name under which a node's clients find it.
pub fn host(node: usize) -> String {
    format!("node-{node}")
}

/// The port of every node.
pub const PORT: u16 = 9092;

fn draw_node(prng: &mut Prng, node: usize, tuning: &Tuning) -> NodeParams {
    let config = Config {
        node: NodeId(i32::try_from(node).expect("few nodes") + 1),
        advertised: Some((host(node), PORT)),
        ..draw_config(prng, tuning)
    };
    let disk = DiskSpeed {
        write_micros: prng.scaled(30, 3_000),
        sync_micros: prng.scaled(100, 10_000),
        read_micros: prng.scaled(30, 3_000),
        factor: 1,
    };
    let reshards = prng.coin();
    NodeParams {
        config,
        reshards,
        disk,
        drift_per_million: prng.pick(&[0, 0, 0, -50, 200, -100_000, 100_000]),
    }
}

/// A node reads and writes segments in pages of at most an eighth of its memory: with next to none it must have small ones only.
fn segment_bytes_max(memory_bytes: usize) -> u64 {
    u64::try_from(memory_bytes / 8).expect("64 bits")
}

fn draw_config(prng: &mut Prng, tuning: &Tuning) -> Config {
    let file_bytes_min = 65_536 << prng.between(0, tuning.wal_doublings_max);
    let file_bytes_max = file_bytes_min << prng.between(0, tuning.wal_doublings_max);
    let (shards, auto_create_topics) = (prng.pick(&[1, 1, 2, 3, 4]), prng.coin());
    let memory_bytes = prng.pick(&tuning.memory_bytes);
    let segment_bytes = prng.scaled(8 << 10, segment_bytes_max(memory_bytes).min(512 << 10));
    Config {
        shards,
        auto_create_topics,
        memory_bytes,
        // Kafka lets a topic ask for no less than a MiB, so that tiny segments are only to be had as the node's default.
        topic_defaults: TopicConfig {
            segment_bytes: u32::try_from(segment_bytes).expect("small"),
            retention: None,
            ..TopicConfig::default()
        },
        wal: WalConfig {
            file_bytes_min,
            file_bytes_max,
            bytes_max: file_bytes_max * prng.between(4, 10),
            // Short runs bring most data to segments within the seconds of a run. Not drawn for itself, so that plans keep their draws.
            run_bytes_max: if prng.clone().chance(200_000) {
                DESTAGE_BYTES_MAX
            } else {
                DESTAGE_RUN_BYTES_MIN
            },
            // Nor is this: runs are too short here for the pieces that a node makes of them.
            write_bytes_max: if prng.clone().chance(500_000) {
                8 * BLOCK_BYTES
            } else {
                DESTAGE_WRITE_BYTES_MAX
            },
            // Nor this: groups are shorter here than a node's would have to be.
            beside_bytes_min: match Prng::keyed(prng.clone().next_u64(), 0).below(3) {
                0 => 1,
                1 => 4 * BLOCK_BYTES,
                _ => WAL_BESIDE_BYTES_MIN,
            },
            // A node that has a few bytes to destage looks at them at each interval, for as long as the run lasts.
            destage_interval: prng
                .micros(5_000, 2_000_000)
                .max(Duration::from_micros(2_500 * tuning.rest_factor)),
            seal_after: prng.micros(500, 50_000),
        },
        // Runs last seconds: retention is looked after as often as that makes sense.
        retention_check_interval: Duration::from_nanos(
            prng.micros(10_000, 1_000_000).as_nanos() * tuning.rest_factor,
        ),
        ..Config::default()
    }
}

/// Draws a node's topics; their partitions.
fn draw_topics(
    prng: &mut Prng,
    (node, memory_bytes): (usize, usize),
    kind: TopicKind,
    topics: &mut Vec<TopicParams>,
) -> Vec<Place> {
    let first = topics.len();
    let count = prng.between(1, 3);
    let churns = prng.chance(300_000) && kind == TopicKind::Kept;
    for _ in 0..count {
        let name = format!("topic-{}", topics.len());
        topics.push(match kind {
            TopicKind::Kept => draw_topic(prng, (node, memory_bytes), name),
            TopicKind::Compacted => draw_compacted(prng, node, name),
        });
    }
    if churns {
        let topic = draw_topic(prng, (node, memory_bytes), format!("churn-{node}"));
        topics.push(TopicParams { churns: true, ..topic });
    }
    topics.iter().enumerate().skip(first).flat_map(|(index, topic)| topic.places(index)).collect()
}

fn draw_topic(prng: &mut Prng, (node, memory_bytes): (usize, usize), name: String) -> TopicParams {
    let mut settings = Vec::new();
    if prng.chance(200_000) && segment_bytes_max(memory_bytes) >= 1 << 20 {
        settings.push(("segment.bytes".to_owned(), (1_u64 << 20).to_string()));
    }
    if prng.chance(200_000) {
        settings.push(("retention.bytes".to_owned(), prng.scaled(10_000, 1_000_000).to_string()));
    }
    if prng.chance(100_000) {
        settings.push(("retention.ms".to_owned(), prng.scaled(100, 5_000).to_string()));
    }
    if prng.chance(200_000) {
        settings.push(("segment.ms".to_owned(), prng.scaled(50, 5_000).to_string()));
    }
    let partitions = i32::try_from(prng.scaled(1, 8)).expect("small");
    TopicParams { name, node, partitions, churns: false, settings }
}

/// One that is cleaned within seconds.
fn draw_compacted(prng: &mut Prng, node: usize, name: String) -> TopicParams {
    let mut settings = Vec::new();
    let mut set = |name: &str, value: String| settings.push((name.to_owned(), value));
    if prng.chance(150_000) {
        set("cleanup.policy", "compact,delete".to_owned());
        set("retention.ms", prng.scaled(500, 5_000).to_string());
    } else {
        set("cleanup.policy", "compact".to_owned());
    }
    set("min.cleanable.dirty.ratio", prng.pick(&["0", "0.1", "0.5"]).to_owned());
    set("segment.ms", prng.scaled(30, 1_000).to_string());
    if prng.coin() {
        set("delete.retention.ms", FOR_EVER_MILLIS.to_owned());
    } else {
        set("delete.retention.ms", prng.scaled(1, 2_000).to_string());
    }
    if prng.chance(200_000) {
        set("min.compaction.lag.ms", prng.scaled(10, 300).to_string());
    }
    if prng.chance(200_000) {
        set("max.compaction.lag.ms", prng.scaled(500, 2_000).to_string());
    }
    let partitions = i32::try_from(prng.scaled(1, 4)).expect("small");
    TopicParams { name, node, partitions, churns: false, settings }
}

/// Mostly that of a data centre; now and then next to nothing, or across the world.
fn draw_latency_micros(prng: &mut Prng) -> u64 {
    match prng.below(10) {
        0 | 1 => prng.below(5),
        2 => prng.scaled(5_000, 100_000),
        _ => prng.scaled(20, 2_000),
    }
}

fn draw_speeds(prng: &mut Prng) -> Speeds {
    Speeds {
        link: LinkSpeed {
            latency_micros: draw_latency_micros(prng),
            split_per_million: prng.pick(&[0, 50_000, 500_000]),
            resend_micros: prng.scaled(1_000, 200_000),
            give_up_millis: prng.scaled(1_000, 10_000),
            send_buffer_bytes: prng.pick(&[0, 16_384, 262_144]),
        },
        turn_micros: prng.scaled(1, 50),
        mesh_micros: prng.scaled(1, 200),
        effects_per_turn: prng.pick(&[3, 100, 10_000]),
    }
}
