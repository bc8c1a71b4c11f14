//! What coordinators have in common: each is a state machine over the records of one partition. Owns the seam between such a machine
//! and whoever hosts it; knows no groups, no requests and no storage.
//!
//! The host appends the records of a decision as one batch, replays them once they are appended, and lets the answers go once
//! the high watermark has passed them. While a decision waits for room, the machine is asked nothing more; if the log refuses it,
//! the machine is told before anything else and takes back that last decision alone. A start replays the partition from its beginning and then says [`Machine::on_loaded`].

use alloc::vec::Vec;

use crate::prng::Prng;
use crate::time::{Instant, Now};

/// Who waits for an answer. A machine keeps it and gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once all that the machine has decided so far is committed: the answer tells of it.
    Committed,
    /// It says nothing that a crash could take back.
    AtOnce,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<Reply> {
    pub to: Token,
    pub reply: Reply,
    pub when: When,
}

/// What one step of a machine comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<Record, Reply> {
    /// All of them are appended, or none.
    pub records: Vec<Record>,
    /// To the command of this step, and to commands of earlier ones.
    pub answers: Vec<Answer<Reply>>,
}

impl<Record, Reply> Default for Decision<Record, Reply> {
    fn default() -> Self {
        Self { records: Vec::new(), answers: Vec::new() }
    }
}

/// What a step may look at: the time, chance, and what the machine's kind wants to know of the node.
#[derive(Debug)]
pub struct Turn<'a, Surroundings: ?Sized> {
    pub now: Now,
    pub prng: &'a mut Prng,
    pub surroundings: &'a Surroundings,
}

/// A record as a log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRecord {
    pub key: Vec<u8>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// What is on disk is still being read.
    Loading,
    /// The partition is not here, or not any more.
    Elsewhere,
    /// What is on disk cannot be read, the log takes nothing, or too much waits for it already.
    Unable,
}

/// A coordinator.
pub trait Machine {
    type Command;
    type Reply;
    type Record;
    /// What is worth telling those who watch.
    type Event;
    type Surroundings: ?Sized;

    /// Decides on a command. What its records say is not in force before they are replayed.
    fn handle(
        &mut self,
        turn: &mut Turn<'_, Self::Surroundings>,
        from: Token,
        command: Self::Command,
    ) -> Decision<Self::Record, Self::Reply>;

    /// The only way in which what is on disk changes.
    fn replay(&mut self, record: Self::Record);

    /// The log has refused the records of the last decision, these: none of them is on disk, nor ever will be. What was to be answered
    /// with them is answered by the host.
    fn on_refused(&mut self, turn: &mut Turn<'_, Self::Surroundings>, records: &[Self::Record]);

    /// All that was on disk is replayed: timers begin anew.
    fn on_loaded(&mut self, turn: &mut Turn<'_, Self::Surroundings>) -> Decision<Self::Record, Self::Reply>;

    /// Topics came, went or changed.
    fn on_surroundings(
        &mut self,
        turn: &mut Turn<'_, Self::Surroundings>,
    ) -> Decision<Self::Record, Self::Reply>;

    /// How many commands it has not answered yet.
    fn owed(&self) -> usize;

    /// When it wants to be told the time.
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn on_deadline(&mut self, turn: &mut Turn<'_, Self::Surroundings>)
    -> Decision<Self::Record, Self::Reply>;

    /// What has happened since this was last asked.
    fn take_events(&mut self) -> Vec<Self::Event>;

    /// The answer instead of `reply` where the records of a decision are more than one batch may hold: none of them is appended.
    fn too_large(reply: Self::Reply) -> Self::Reply;

    /// The answer to a command that the machine is not asked, or whose decision the log refuses.
    fn unavailable(why: Unavailable) -> Self::Reply;

    fn encode(record: &Self::Record) -> KeyedRecord;

    /// `None` for a kind of record that is unknown, or says nothing any more.
    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self::Record>, Unreadable>;
}
