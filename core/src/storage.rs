//! A shard's disk as bytes: the write-ahead log, its recovery, checkpoints and the superblock. Knows partitions only as places
//! in segment files; what a batch means is `log`'s business.

pub mod checkpoint;
pub mod frame;
pub mod log_start;
pub mod points;
pub mod superblock;
#[cfg(test)]
mod tests;
pub mod wal;
pub mod walk;
mod wrap;
