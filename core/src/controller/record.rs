//! The records of `__cluster_metadata` and their encoding. Each value is a type, a version of that type, and the type's fields:
//! what is written once can be read for ever, and what a newer node wrote is refused by name instead of being misread.

use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{LeaderEpoch, NodeId, PartitionId, ProducerId, TopicId, Uuid};

/// One change of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The first record of every cluster.
    ClusterCreated {
        cluster_id: Uuid,
    },
    TopicCreated(TopicCreated),
    PartitionCreated(PartitionCreated),
    TopicDeleted {
        id: TopicId,
    },
    /// All producer ids below `next` are handed out.
    ProducerIdsAllocated {
        next: ProducerId,
    },
    ConfigsAltered(ConfigsAltered),
}

/// Settings of one resource that are set from now on, or, without a value, not set any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigsAltered {
    pub resource: AlteredResource,
    pub changes: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlteredResource {
    Topic(TopicId),
    /// One broker, or what holds for all that set nothing themselves.
    Broker(Option<NodeId>),
    Group(String),
    ClientMetrics(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCreated {
    pub id: TopicId,
    pub name: String,
    pub configs: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCreated {
    pub partition: PartitionId,
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
}

/// Why a value of the metadata log cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordError {
    UnknownType {
        kind: u16,
    },
    /// A node of a later version wrote it.
    UnknownVersion {
        kind: u16,
        version: u16,
    },
    /// It ends too early, goes on too long, or holds what cannot be.
    Malformed {
        kind: u16,
    },
    /// The batch around the records is not one.
    Batch,
    /// A record without a value.
    NoValue,
}

const CLUSTER_CREATED: u16 = 1;
const TOPIC_CREATED: u16 = 2;
const PARTITION_CREATED: u16 = 3;
const TOPIC_DELETED: u16 = 4;
const PRODUCER_IDS_ALLOCATED: u16 = 5;
const CONFIGS_ALTERED: u16 = 6;

/// How the resource of altered settings is written: the numbers that Kafka has for their types.
const RESOURCE_TOPIC: u8 = 2;
const RESOURCE_BROKER: u8 = 4;
const RESOURCE_CLIENT_METRICS: u8 = 16;
const RESOURCE_GROUP: u8 = 32;

/// The version that is written, of every type so far.
const VERSION: u16 = 0;

/// How nobody is written where a node is expected.
const NO_NODE: i32 = -1;

impl MetadataRecord {
    fn kind(&self) -> u16 {
        match self {
            Self::ClusterCreated { .. } => CLUSTER_CREATED,
            Self::TopicCreated(_) => TOPIC_CREATED,
            Self::PartitionCreated(_) => PARTITION_CREATED,
            Self::TopicDeleted { .. } => TOPIC_DELETED,
            Self::ProducerIdsAllocated { .. } => PRODUCER_IDS_ALLOCATED,
            Self::ConfigsAltered(_) => CONFIGS_ALTERED,
        }
    }

    /// Appends the record's value to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.kind().to_be_bytes());
        out.extend(VERSION.to_be_bytes());
        match self {
            Self::ClusterCreated { cluster_id } => out.extend(cluster_id.0),
            Self::TopicCreated(created) => {
                out.extend(created.id.0.0);
                put_text(out, &created.name);
                put_count(out, created.configs.len());
                for (name, value) in &created.configs {
                    put_text(out, name);
                    put_text(out, value);
                }
            }
            Self::PartitionCreated(created) => {
                out.extend(created.partition.topic.0.0);
                out.extend(created.partition.index.to_be_bytes());
                out.extend(created.leader.map_or(NO_NODE, |node| node.0).to_be_bytes());
                out.extend(created.leader_epoch.0.to_be_bytes());
                put_nodes(out, &created.replicas);
                put_nodes(out, &created.isr);
            }
            Self::TopicDeleted { id } => out.extend(id.0.0),
            Self::ProducerIdsAllocated { next } => out.extend(next.0.to_be_bytes()),
            Self::ConfigsAltered(altered) => altered.encode(out),
        }
    }

    /// Reads what [`Self::encode`] wrote, all of it.
    pub fn decode(value: &[u8]) -> Result<Self, RecordError> {
        let mut rest = Rest { bytes: value };
        let kind = u16::from_be_bytes(rest.array().ok_or(RecordError::Malformed { kind: 0 })?);
        let version = u16::from_be_bytes(rest.array().ok_or(RecordError::Malformed { kind })?);
        if !(CLUSTER_CREATED..=CONFIGS_ALTERED).contains(&kind) {
            return Err(RecordError::UnknownType { kind });
        }
        if version > VERSION {
            return Err(RecordError::UnknownVersion { kind, version });
        }
        let record = Self::decode_fields(kind, &mut rest).ok_or(RecordError::Malformed { kind })?;
        if rest.bytes.is_empty() { Ok(record) } else { Err(RecordError::Malformed { kind }) }
    }

    fn decode_fields(kind: u16, rest: &mut Rest<'_>) -> Option<Self> {
        Some(match kind {
            CLUSTER_CREATED => Self::ClusterCreated { cluster_id: Uuid(rest.array()?) },
            TOPIC_CREATED => {
                let id = TopicId(Uuid(rest.array()?));
                let name = rest.text()?;
                let mut configs = Vec::new();
                for _ in 0..rest.count()? {
                    configs.push((rest.text()?, rest.text()?));
                }
                Self::TopicCreated(TopicCreated { id, name, configs })
            }
            PARTITION_CREATED => {
                let topic = TopicId(Uuid(rest.array()?));
                let index = i32::from_be_bytes(rest.array()?);
                let leader = i32::from_be_bytes(rest.array()?);
                let leader_epoch = LeaderEpoch(i32::from_be_bytes(rest.array()?));
                Self::PartitionCreated(PartitionCreated {
                    partition: PartitionId { topic, index },
                    leader: (leader != NO_NODE).then_some(NodeId(leader)),
                    leader_epoch,
                    replicas: rest.nodes()?,
                    isr: rest.nodes()?,
                })
            }
            TOPIC_DELETED => Self::TopicDeleted { id: TopicId(Uuid(rest.array()?)) },
            PRODUCER_IDS_ALLOCATED => {
                Self::ProducerIdsAllocated { next: ProducerId(i64::from_be_bytes(rest.array()?)) }
            }
            CONFIGS_ALTERED => Self::ConfigsAltered(ConfigsAltered::decode(rest)?),
            _ => return None,
        })
    }
}

impl ConfigsAltered {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.resource {
            AlteredResource::Topic(id) => {
                out.push(RESOURCE_TOPIC);
                out.extend(id.0.0);
            }
            AlteredResource::Broker(node) => {
                out.push(RESOURCE_BROKER);
                out.extend(node.map_or(NO_NODE, |node| node.0).to_be_bytes());
            }
            AlteredResource::Group(name) => {
                out.push(RESOURCE_GROUP);
                put_text(out, name);
            }
            AlteredResource::ClientMetrics(name) => {
                out.push(RESOURCE_CLIENT_METRICS);
                put_text(out, name);
            }
        }
        put_count(out, self.changes.len());
        for (name, value) in &self.changes {
            put_text(out, name);
            out.push(u8::from(value.is_some()));
            put_text(out, value.as_deref().unwrap_or_default());
        }
    }

    fn decode(rest: &mut Rest<'_>) -> Option<Self> {
        let [resource] = rest.array()?;
        let resource = match resource {
            RESOURCE_TOPIC => AlteredResource::Topic(TopicId(Uuid(rest.array()?))),
            RESOURCE_BROKER => {
                let node = i32::from_be_bytes(rest.array()?);
                AlteredResource::Broker((node != NO_NODE).then_some(NodeId(node)))
            }
            RESOURCE_CLIENT_METRICS => AlteredResource::ClientMetrics(rest.text()?),
            RESOURCE_GROUP => AlteredResource::Group(rest.text()?),
            _ => return None,
        };
        let mut changes = Vec::new();
        for _ in 0..rest.count()? {
            let name = rest.text()?;
            let [is_set] = rest.array()?;
            let value = rest.text()?;
            let value = match is_set {
                1 => Some(value),
                0 if value.is_empty() => None,
                _ => return None,
            };
            changes.push((name, value));
        }
        Some(Self { resource, changes })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).expect("a record is far below 4 GiB").to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend(text.as_bytes());
}

fn put_nodes(out: &mut Vec<u8>, nodes: &[NodeId]) {
    put_count(out, nodes.len());
    for node in nodes {
        out.extend(node.0.to_be_bytes());
    }
}

/// What is left of a value. Nothing is allocated for a count: only for what is there.
struct Rest<'a> {
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let len = self.count()?;
        Some(String::from(core::str::from_utf8(self.take(len)?).ok()?))
    }

    fn nodes(&mut self) -> Option<Vec<NodeId>> {
        let count = self.count()?;
        let bytes = self.take(count.checked_mul(4)?)?;
        let (nodes, _) = bytes.as_chunks::<4>();
        Some(nodes.iter().map(|&node| NodeId(i32::from_be_bytes(node))).collect())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{
        AlteredResource, ConfigsAltered, MetadataRecord, PartitionCreated, RecordError, TopicCreated,
    };
    use crate::id::{LeaderEpoch, NodeId, PartitionId, ProducerId, TopicId, Uuid};
    use crate::prng::Prng;

    fn altered(resource: AlteredResource) -> MetadataRecord {
        let changes =
            vec![(String::from("retention.ms"), Some(String::from("7"))), (String::from("segment.ms"), None)];
        MetadataRecord::ConfigsAltered(ConfigsAltered { resource, changes })
    }

    fn samples() -> Vec<MetadataRecord> {
        let id = TopicId(Uuid([9; 16]));
        vec![
            MetadataRecord::ClusterCreated { cluster_id: Uuid([3; 16]) },
            MetadataRecord::TopicCreated(TopicCreated {
                id,
                name: String::from("orders"),
                configs: vec![(String::from("retention.ms"), String::from("-1"))],
            }),
            MetadataRecord::PartitionCreated(PartitionCreated {
                partition: PartitionId { topic: id, index: 4 },
                leader: None,
                leader_epoch: LeaderEpoch(7),
                replicas: vec![NodeId(1), NodeId(2)],
                isr: vec![NodeId(2)],
            }),
            MetadataRecord::TopicDeleted { id },
            MetadataRecord::ProducerIdsAllocated { next: ProducerId(2_000) },
            altered(AlteredResource::Topic(id)),
            altered(AlteredResource::Broker(None)),
            altered(AlteredResource::Broker(Some(NodeId(3)))),
            altered(AlteredResource::Group(String::from("readers"))),
            altered(AlteredResource::ClientMetrics(String::from("producers"))),
        ]
    }

    fn encoded(record: &MetadataRecord) -> Vec<u8> {
        let mut out = Vec::new();
        record.encode(&mut out);
        out
    }

    #[test]
    fn decode_reads_what_encode_writes() {
        for record in samples() {
            assert_eq!(MetadataRecord::decode(&encoded(&record)), Ok(record));
        }
    }

    /// Bytes that older builds wrote; they may never change.
    #[test]
    fn encoding_is_pinned() {
        let record = MetadataRecord::TopicCreated(TopicCreated {
            id: TopicId(Uuid([0xab; 16])),
            name: String::from("t"),
            configs: vec![(String::from("k"), String::new())],
        });
        let mut expected = vec![0, 2, 0, 0];
        expected.extend([0xab; 16]);
        expected.extend([0, 0, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 0]);
        assert_eq!(encoded(&record), expected);
        let record = MetadataRecord::ConfigsAltered(ConfigsAltered {
            resource: AlteredResource::Broker(None),
            changes: vec![(String::from("k"), Some(String::from("v"))), (String::from("l"), None)],
        });
        let mut expected = vec![0, 6, 0, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2];
        expected.extend([0, 0, 0, 1, b'k', 1, 0, 0, 0, 1, b'v', 0, 0, 0, 1, b'l', 0, 0, 0, 0, 0]);
        assert_eq!(encoded(&record), expected);
    }

    #[test]
    fn decode_refuses_every_truncation_and_any_junk() {
        for record in samples() {
            let whole = encoded(&record);
            for len in 0..whole.len() {
                assert!(MetadataRecord::decode(&whole[..len]).is_err(), "{record:?} cut to {len}");
            }
            let mut junk = whole.clone();
            junk.push(0);
            assert!(matches!(MetadataRecord::decode(&junk), Err(RecordError::Malformed { .. })));
        }
    }

    #[test]
    fn decode_names_what_it_does_not_know() {
        assert_eq!(MetadataRecord::decode(&[0, 99, 0, 0]), Err(RecordError::UnknownType { kind: 99 }));
        let newer = MetadataRecord::decode(&[0, 4, 0, 1]);
        assert_eq!(newer, Err(RecordError::UnknownVersion { kind: 4, version: 1 }));
    }

    #[test]
    fn decode_survives_noise() {
        let mut prng = Prng::new(5);
        for record in samples() {
            for _ in 0..2_000 {
                let mut bytes = encoded(&record);
                let at = usize::try_from(prng.below(bytes.len() as u64)).expect("fits");
                bytes[at] = bytes[at].wrapping_add(1 + u8::try_from(prng.below(255)).expect("fits"));
                drop(MetadataRecord::decode(&bytes));
            }
        }
    }
}
