//! What members of groups did and were told. Judges nothing.

use highwater_core::time::{Duration, Instant};

use super::{Place, Process};

/// A member of a group, in one life of its client.
#[derive(Debug, Clone)]
pub struct Member {
    pub node: usize,
    pub process: Process,
    pub act: Act,
}

/// What a member has in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub group: String,
    /// Its generation, where members agree on one.
    pub generation: Option<i32>,
    /// Its name as a static member.
    pub instance: Option<String>,
    /// With what it is giving up.
    pub places: Vec<Place>,
}

#[derive(Debug, Clone)]
pub enum Act {
    /// It has these and nothing else from now on. A coordinator that has heard nothing of it for `session` gives them to others.
    Has { at: Instant, session: Duration, share: Share },
    /// It has nothing any more, and asks nothing.
    Gone,
    /// The coordinator has answered what it sent then, and knows it. The answer came at that time.
    Heard { sent: Instant, at: Instant },
    /// It asks that these be committed for its group.
    Commits { group: String, question: u64, offsets: Vec<(Place, i64)> },
    /// What became of that, each with its error code. What is asked from here on has a higher number than `until`.
    Committed { question: u64, until: u64, results: Vec<(Place, i16)> },
    /// It is told that logs begin there.
    LogStarts { offsets: Vec<(Place, i64)> },
    /// What the group has committed. The question has a number among those of commits.
    Finds { group: String, asked: u64, offsets: Vec<(Place, Option<i64>)> },
}
