//! Groups under measurement: their members are made here, and what those ask again and again is put together. Knows the requests of
//! members, and neither sockets nor figures.

pub(crate) mod ask;
pub(crate) mod rebalance;
pub(crate) mod recovery;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use highwater_core::wire::ErrorCode;

use self::ask::Reply;
use crate::args::{CallArgs, Protocol};
use crate::failure::Failure;
use crate::load::Calling;
use crate::setup::Setup;

/// How long a coordinator may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Members and what they ask, in a run of its own: groups of earlier runs are not met again.
#[derive(Debug)]
pub(crate) struct Population {
    pub(crate) names: Vec<String>,
    members: Vec<Member>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) epoch: i32,
}

impl Population {
    /// So many groups that nobody has heard of.
    pub(crate) fn new(count: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let names = (0..count).map(|nth| format!("bench-{}-{nth}", since.as_nanos())).collect();
        Self { names, members: Vec::new() }
    }

    /// Each group gets one member.
    pub(crate) fn join(&mut self, setup: &mut Setup, topic: &str, protocol: Protocol) -> Result<(), Failure> {
        setup.wait_for_coordinators(&self.names)?;
        match protocol {
            Protocol::Classic => self.join_classic(setup),
            Protocol::Consumer => self.join_consumer(setup, topic),
        }
    }

    fn join_classic(&mut self, setup: &mut Setup) -> Result<(), Failure> {
        let joins =
            self.names.iter().map(|name| ask::join(name, "", b"any")).collect::<Result<Vec<_>, _>>()?;
        let mut members = vec![Member::default(); joins.len()];
        setup.exchange_all(&joins, |nth, frame| {
            let joined = ask::joined(frame)?;
            succeeded("a join", joined.error_code)?;
            members[nth] = Member { id: joined.member, epoch: joined.generation };
            Ok(())
        })?;
        let sync = |(name, member): (&String, &Member)| {
            ask::sync(name, member, &[(member.id.clone(), b"all".to_vec())])
        };
        let syncs = self.names.iter().zip(&members).map(sync).collect::<Result<Vec<_>, _>>()?;
        setup.exchange_all(&syncs, |_, frame| succeeded("a sync", ask::synced(frame)?.error_code))?;
        self.members = members;
        Ok(())
    }

    fn join_consumer(&mut self, setup: &mut Setup, topic: &str) -> Result<(), Failure> {
        let mut members: Vec<Member> =
            (0..self.names.len()).map(|nth| Member { id: format!("m{nth}"), epoch: 0 }).collect();
        let join =
            |(name, member): (&String, &Member)| ask::consumer_heartbeat(name, member, Some(topic), None);
        let joins = self.names.iter().zip(&members).map(join).collect::<Result<Vec<_>, _>>()?;
        let mut owned = vec![Vec::new(); members.len()];
        setup.exchange_all(&joins, |nth, frame| {
            let beaten = ask::consumer_beaten(frame)?;
            succeeded("a join", beaten.error_code)?;
            members[nth].epoch = beaten.epoch;
            owned[nth] = beaten.assignment.unwrap_or_default();
            Ok(())
        })?;
        // What they were given they have.
        let confirm = |((name, member), owned): ((&String, &Member), &ask::Owned)| {
            ask::consumer_heartbeat(name, member, None, Some(owned))
        };
        let joined = self.names.iter().zip(&members).zip(&owned);
        let confirms = joined.map(confirm).collect::<Result<Vec<_>, _>>()?;
        setup.exchange_all(&confirms, |nth, frame| {
            let beaten = ask::consumer_beaten(frame)?;
            members[nth].epoch = beaten.epoch;
            succeeded("a heartbeat", beaten.error_code)
        })?;
        self.members = members;
        Ok(())
    }

    pub(crate) fn heartbeats(&self, protocol: Protocol) -> Result<Calling, Failure> {
        let beat = |(name, member): (&String, &Member)| match protocol {
            Protocol::Classic => ask::heartbeat(name, member),
            Protocol::Consumer => ask::consumer_heartbeat(name, member, None, None),
        };
        let requests: Vec<_> = self.names.iter().zip(&self.members).map(beat).collect::<Result<_, _>>()?;
        let reply = match protocol {
            Protocol::Classic => Reply::Heartbeat,
            Protocol::Consumer => Reply::ConsumerHeartbeat,
        };
        Ok(Calling { requests: requests.into(), next: 0, step: 1, reply })
    }

    /// One partition of the topic each, without members: as an application does that assigns partitions itself.
    pub(crate) fn commits(&self, topic: &str) -> Result<Calling, Failure> {
        let commit = |(offset, name): (i64, &String)| ask::commit(name, topic, &[0], offset);
        let requests: Vec<_> = (0..).zip(&self.names).map(commit).collect::<Result<_, _>>()?;
        Ok(Calling { requests: requests.into(), next: 0, step: 1, reply: Reply::Commit })
    }

    pub(crate) fn leave(&self, setup: &mut Setup, protocol: Protocol) -> Result<(), Failure> {
        let leave = |(name, member): (&String, &Member)| match protocol {
            Protocol::Classic => ask::leave(name, member),
            Protocol::Consumer => {
                let gone = Member { id: member.id.clone(), epoch: ask::LEAVE_EPOCH };
                ask::consumer_heartbeat(name, &gone, None, None)
            }
        };
        let leaves = self.names.iter().zip(&self.members).map(leave).collect::<Result<Vec<_>, _>>()?;
        setup.exchange_all(&leaves, |_, _| Ok(()))
    }
}

pub(crate) fn succeeded(what: &str, error_code: i16) -> Result<(), Failure> {
    if error_code == 0 {
        return Ok(());
    }
    let name = ErrorCode::from_code(error_code).map_or("an unknown error", ErrorCode::name);
    Err(Failure(format!("{what} was answered with {name}")))
}

impl Setup {
    /// Until the coordinator of each of the groups answers.
    pub(crate) fn wait_for_coordinators(&mut self, names: &[String]) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        let finds = names.iter().map(|name| ask::find(name)).collect::<Result<Vec<_>, _>>()?;
        let fetches = names.iter().map(|name| ask::offsets(name)).collect::<Result<Vec<_>, _>>()?;
        loop {
            let mut error = 0;
            self.exchange_all(&finds, |_, frame| {
                error = error.max(ask::found(frame)?);
                Ok(())
            })?;
            if error == 0 {
                self.exchange_all(&fetches, |_, frame| {
                    error = error.max(ask::offsets_error(frame)?);
                    Ok(())
                })?;
            }
            if error == 0 || Instant::now() > until {
                return succeeded("a coordinator", error);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What several connections ask by turns.
pub(crate) fn shared(calling: &Calling, args: &CallArgs, nth: usize) -> Calling {
    Calling {
        requests: Arc::clone(&calling.requests),
        next: nth,
        step: args.target.connections.max(1),
        reply: calling.reply,
    }
}
