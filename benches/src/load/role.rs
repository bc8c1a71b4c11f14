//! What a connection asks for, one request after the other. Knows neither sockets nor time.

use std::sync::Arc;

use crate::failure::Failure;
use crate::frame::{self, FetchBounds, Position};
use crate::groups::ask::Reply;

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Option<Arc<[u8]>>,
    /// What is to be remembered of it.
    pub(crate) tag: u32,
}

/// The beginnings of produce requests, each with its partition.
pub(crate) type Heads = Arc<[(i32, Vec<u8>)]>;

/// Sends one batch to one partition after the other.
#[derive(Debug)]
pub(crate) struct Producing {
    pub(crate) heads: Heads,
    /// Which of them, in order, again and again.
    pub(crate) picks: Arc<[u32]>,
    pub(crate) next: usize,
    pub(crate) batch: Arc<[u8]>,
    pub(crate) records: u32,
}

/// Reads on from where it is.
#[derive(Debug)]
pub(crate) struct Consuming {
    pub(crate) topic: Arc<str>,
    pub(crate) positions: Vec<Position>,
    pub(crate) bounds: FetchBounds,
    /// From where to where again and again, each of `positions`; without, what is new is waited for.
    pub(crate) rounds: Option<Vec<(i64, i64)>>,
}

/// Asks the same things again and again.
#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) requests: Arc<[Vec<u8>]>,
    pub(crate) next: usize,
    /// How many there are that ask by turns.
    pub(crate) step: usize,
    pub(crate) reply: Reply,
}

#[derive(Debug)]
pub(crate) enum Role {
    Producer(Producing),
    Consumer(Consuming),
    Caller(Calling),
}

impl Role {
    pub(crate) fn is_consumer(&self) -> bool {
        matches!(self, Self::Consumer(_))
    }

    /// The partition, if it is only one.
    pub(crate) fn partition(&self) -> Option<usize> {
        let partition = match self {
            Self::Producer(Producing { heads, .. }) => match heads.as_ref() {
                [(partition, _)] => *partition,
                _ => return None,
            },
            Self::Consumer(Consuming { positions, .. }) => match positions.as_slice() {
                [position] => position.partition,
                _ => return None,
            },
            Self::Caller(_) => return None,
        };
        usize::try_from(partition).ok()
    }

    /// The next request.
    pub(crate) fn request(&mut self) -> Result<Request, Failure> {
        match self {
            Self::Producer(producing) => {
                let pick = producing.picks[producing.next % producing.picks.len()];
                producing.next += 1;
                let (partition, head) = &producing.heads[usize::try_from(pick).unwrap_or_default()];
                let tag = u32::try_from(*partition).unwrap_or_default();
                Ok(Request { head: head.clone(), body: Some(Arc::clone(&producing.batch)), tag })
            }
            Self::Consumer(consuming) => {
                let head = frame::fetch(&consuming.topic, &consuming.positions, consuming.bounds)?;
                Ok(Request { head, body: None, tag: 0 })
            }
            Self::Caller(calling) => {
                let head = calling.requests[calling.next % calling.requests.len()].clone();
                calling.next += calling.step;
                Ok(Request { head, body: None, tag: 0 })
            }
        }
    }
}

impl Consuming {
    pub(crate) fn on_read(&mut self, partition: i32, end_offset: i64) {
        let Some(at) = self.positions.iter().position(|position| position.partition == partition) else {
            return;
        };
        let position = &mut self.positions[at];
        position.offset = position.offset.max(end_offset);
        if let Some((start, end)) = self.rounds.as_ref().map(|rounds| rounds[at])
            && position.offset >= end
        {
            position.offset = start;
        }
    }
}
