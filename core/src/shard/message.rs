//! What shards of one node tell each other over the mesh. Opaque to the driver.

/// A message between two shards.
#[derive(Debug)]
pub enum ShardMessage {}
