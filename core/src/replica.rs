//! Replicas of partitions. So far only what one may be asked; knows nothing of connections, requests or Kafka's error codes.

pub mod op;

pub use op::{
    Acks, FetchOp, Isolation, ListOffsetsOp, Minimum, OffsetReply, OffsetTarget, PartitionError, PartitionOp,
    PartitionReply, ProduceOp, ProduceReply, ReadReply,
};
