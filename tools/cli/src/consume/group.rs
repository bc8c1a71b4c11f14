//! `consume --group`: as a member of a group. What is printed is committed, and no more than that.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use highwater_core::client::{
    ClientError, ClientEvent, GroupConfig, MemberEvent, MemberProtocol, OffsetAt, OffsetToCommit,
    ResetPolicy, Token, TopicPartition,
};
use highwater_core::id::Offset;
use highwater_core::wire::ErrorCode;

use super::{Printer, found, wanted};
use crate::args::{ConsumeArgs, From, ProtocolArg};
use crate::drive::{Drive, Step};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::stop::Stop;
use crate::words::Attempt;

/// How long a member takes leave of its group at most.
const LEAVE_MAX: Duration = Duration::from_secs(5);

pub(super) fn run(
    args: &ConsumeArgs,
    group: &str,
    drive: &mut Drive,
    out: &mut impl Write,
) -> Result<(), Ended> {
    let attempt = Attempt { what: "cannot read as a member of the group", place: group, message: None };
    let partitions = wanted(args, drive)?;
    let ends = if args.exit_at_end { Some(found(drive, &partitions, OffsetAt::Latest)?) } else { None };
    let now = drive.now();
    drive.client.join_group(now, config(args, group)?);
    let mut printer = Printer::new(args);
    let stop = Stop::listen(drive.waker())?;
    let mut assigned = false;
    // How it ends, and until when it may take leave.
    let mut end: Option<(Result<(), Ended>, Instant)> = None;
    loop {
        let is_over = stop.is_asked() || printer.left == Some(0);
        if end.is_none() && (is_over || (assigned && is_at_end(ends.as_ref(), drive))) {
            end = Some((Ok(()), leave(drive)));
        }
        let tick = Instant::now() + Duration::from_millis(100);
        match drive.step(Some(end.as_ref().map_or(tick, |(_, until)| tick.min(*until))))? {
            Step::Late if end.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) => {
                return Err(drive.late("cannot leave the group").into());
            }
            Step::Event(ClientEvent::Fetched(fetched)) if end.is_none() => {
                let printed = printer.print(&fetched, None, out);
                if let Err(ended) = printed.and_then(|()| out.flush().map_err(Ended::by_output)) {
                    end = Some((Err(ended), leave(drive)));
                    continue;
                }
                let next = match (printer.left, printer.last) {
                    (Some(0), Some(last)) => last.next(),
                    (Some(_) | None, _) => fetched.next,
                };
                commit(drive, &fetched.partition, next);
            }
            Step::Event(ClientEvent::Member(MemberEvent::Assigned { .. })) => assigned = true,
            Step::Event(ClientEvent::Member(MemberEvent::Left)) => {
                return end.map_or(Ok(()), |(how, _)| how);
            }
            Step::Event(ClientEvent::Member(MemberEvent::Failed { error })) => {
                return Err(attempt.failed(error).into());
            }
            Step::Event(ClientEvent::Member(MemberEvent::Committed { results, .. })) => {
                refused(&attempt, &results)?;
            }
            Step::Event(ClientEvent::FetchFailed { partition, error }) if !error.is_retriable() => {
                let place = format!("{}, partition {}", partition.topic, partition.index);
                return Err(Attempt { place: &place, ..attempt }.failed(error).into());
            }
            Step::Event(
                ClientEvent::Fetched(_)
                | ClientEvent::FetchFailed { .. }
                | ClientEvent::Produced { .. }
                | ClientEvent::Answered { .. }
                | ClientEvent::Member(MemberEvent::Revoked { .. } | MemberEvent::Lost { .. }),
            )
            | Step::Woken
            | Step::Late => {}
        }
    }
}

/// What is printed is committed first. A group whose coordinator does not answer waits for the end of the session instead.
fn leave(drive: &mut Drive) -> Instant {
    let now = drive.now();
    drive.client.leave_group(now);
    Instant::now() + LEAVE_MAX
}

/// Where as many commits wait as may, the next one tells of this too.
fn commit(drive: &mut Drive, partition: &TopicPartition, next: Offset) {
    let now = drive.now();
    let offsets = vec![OffsetToCommit::new(partition.clone(), next)];
    let _ = drive.client.commit(now, Token(0), offsets);
}

/// A commit that came while members changed is made again by whoever reads the partition next; others fail.
fn refused(
    attempt: &Attempt<'_>,
    results: &[(TopicPartition, Result<(), ClientError>)],
) -> Result<(), Failure> {
    let passing = [
        ErrorCode::RebalanceInProgress,
        ErrorCode::IllegalGeneration,
        ErrorCode::UnknownMemberId,
        ErrorCode::StaleMemberEpoch,
    ]
    .map(ClientError::Broker);
    let error = results.iter().find_map(|(_, result)| result.err().filter(|error| !passing.contains(error)));
    error.map_or(Ok(()), |error| Err(attempt.failed(error)))
}

fn is_at_end(ends: Option<&BTreeMap<TopicPartition, Option<Offset>>>, drive: &Drive) -> bool {
    let Some(ends) = ends else { return false };
    drive.client.owned().all(|partition| {
        let end = ends.get(partition).copied().flatten().unwrap_or(Offset::ZERO);
        drive.client.taken(partition).is_some_and(|taken| taken >= end)
    })
}

fn config(args: &ConsumeArgs, group: &str) -> Result<GroupConfig, Failure> {
    let protocol = match args.protocol {
        ProtocolArg::Classic => MemberProtocol::ClassicEager,
        ProtocolArg::Cooperative => MemberProtocol::ClassicCooperative,
        ProtocolArg::Consumer => MemberProtocol::Consumer,
    };
    let auto_offset_reset = match args.from {
        From::Beginning => ResetPolicy::Earliest,
        From::End => ResetPolicy::Latest,
        From::At(_) | From::Last(_) | From::Time(_) => {
            return Err(Failure {
                exit: Exit::Usage,
                what: "a group goes on where it has committed".into(),
                place: "--from".into(),
                why: "it says only where to begin what the group has never read".into(),
                fix: "use --from beginning or --from end, or `highwater group reset-offsets`".into(),
            });
        }
    };
    Ok(GroupConfig {
        instance: args.instance.clone(),
        auto_offset_reset,
        auto_commit: None,
        ..GroupConfig::new(group, protocol, vec![args.topic.clone()])
    })
}
