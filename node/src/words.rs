//! The core's closed enums in a user's words. Owns no decision.

use highwater_cli::{Exit, Failure};
use highwater_core::group::out::{Arrival, Reason};
use highwater_core::id::FileId;
use highwater_core::shard::{CloseReason, DiskError, DiskStep, Halt};

/// What the end of a shard means to whoever runs the node.
pub(crate) fn halt(halt: Halt) -> Failure {
    match halt {
        Halt::Stopped => Failure {
            exit: Exit::Failed,
            what: "the node stopped".into(),
            place: "the node".into(),
            why: "it was asked to".into(),
            fix: "start it again".into(),
        },
        Halt::ForeignDirectory => Failure {
            exit: Exit::Failed,
            what: "the data directory belongs to another node or cluster".into(),
            place: "its superblock".into(),
            why: "the superblock cannot be read, or names another cluster, node id or format".into(),
            fix: "give the directory that this node wrote, the node.id that it was written with, or an empty directory".into(),
        },
        Halt::MetadataUnreadable { at } => Failure {
            exit: Exit::Failed,
            what: "the metadata log is damaged".into(),
            place: format!("the metadata log, at offset {at}"),
            why: "what stands there cannot be read, and without it no partition can be served".into(),
            fix: "look at the disk, and restore the directory as a whole from a copy; its files belong together".into(),
        },
        Halt::DiskFailed { file, error } => Failure {
            exit: Exit::Failed,
            what: format!("the disk failed to {}", step(error.during)),
            place: file_words(file),
            why: match error.error {
                DiskError::Io => "the kernel reports an input/output error".into(),
                DiskError::Full => "there is no room left on the device, or the quota is used up".into(),
                DiskError::ReadOnly => "the file or its directory may not be written".into(),
                DiskError::NotFound => "a file that the node wrote is gone".into(),
            },
            fix: match error.error {
                DiskError::Io => "look at the kernel log and the disk, then start again: what was acknowledged is read back".into(),
                DiskError::Full => "make room, then start again: what was acknowledged is still there".into(),
                DiskError::ReadOnly => "mount the file system writable and give this user the directory".into(),
                DiskError::NotFound => "restore the directory as a whole; its files belong together".into(),
            },
        },
    }
}

/// Why a group came to another state. What members say of it (KIP-800) is theirs, and quoted.
pub(crate) fn group_reason(reason: &Reason) -> String {
    let said = |text: &Option<String>| text.as_ref().map(|text| format!(": {text:?}")).unwrap_or_default();
    let arrival = |what: &str, arrival: &Arrival| {
        let instance = arrival.instance.as_ref().map(|id| format!(", instance {id:?}")).unwrap_or_default();
        format!("member {:?}{instance} {what}{}", arrival.member, said(&arrival.client_reason))
    };
    match reason {
        Reason::MemberJoined(of) => arrival("joined", of),
        Reason::MemberRejoined(of) => arrival("joined again", of),
        Reason::MemberReplaced(of) => arrival("took the place of its former self", of),
        Reason::MembersLeft(left) => {
            let left: Vec<_> = left.iter().map(|(id, why)| format!("{id:?} left{}", said(why))).collect();
            format!("members {}", left.join(", "))
        }
        Reason::MemberExpired(id) => format!("member {id:?} was not heard of in time"),
        Reason::MemberAway(id) => format!("static member {id:?} left for a while"),
        Reason::MemberDidNotRevoke(id) => {
            format!("member {id:?} did not give back in time what it was asked for")
        }
        Reason::SubscriptionChanged(id) => format!("member {id:?} subscribed to something else"),
        Reason::TopicsChanged => "topics that it is subscribed to changed".into(),
        Reason::Computed(assignor) => format!("assignor {assignor} assigned"),
        Reason::MembersDidNotSync(ids) => {
            format!("members {ids:?} did not ask for their assignments in time")
        }
        Reason::JoinEnded(gone) if gone.is_empty() => "all members joined".into(),
        Reason::JoinEnded(gone) => format!("members {gone:?} did not join in time"),
        Reason::Assigned(leader) => format!("leader {leader:?} assigned"),
        Reason::AssignmentTooLarge(leader) => {
            format!("what leader {leader:?} assigned is too large for a record")
        }
        Reason::Upgraded => "a member of the consumer protocol joined, to which the group goes over".into(),
        Reason::Downgraded(gone) if gone.is_empty() => "it was of the consumer protocol before".into(),
        Reason::Downgraded(gone) => {
            format!("members {gone:?} went, the last ones of the consumer protocol")
        }
        Reason::NotWritten => "its record could not be written".into(),
        Reason::OverCapacity => "it was loaded with more members than it may have".into(),
    }
}

fn step(step: DiskStep) -> &'static str {
    match step {
        DiskStep::Write => "write",
        DiskStep::Sync => "make a write durable",
        DiskStep::Read => "read",
        DiskStep::Create => "create a file",
        DiskStep::Change => "rename, truncate or delete a file",
    }
}

fn file_words(file: FileId) -> String {
    match file {
        FileId::Superblock => "the superblock".into(),
        FileId::Wal { stream, number } => format!("write-ahead log {}, file {number}", stream.0),
        FileId::Checkpoint { stream } => format!("the checkpoint of write-ahead log {}", stream.0),
        FileId::Segment { partition, base } => {
            format!("the segment of partition {partition} from offset {base} on")
        }
        FileId::Cleaned { partition, base, end, .. } => {
            format!("the cleaned segment of partition {partition} from offset {base} up to {end}")
        }
        FileId::Footer { partition, base } => {
            format!("the footer of partition {partition} from offset {base} on")
        }
        FileId::RecoveryPoints { .. } => "the recovery points".into(),
        FileId::LogStart { partition } => format!("the start of the log of partition {partition}"),
    }
}

/// The label of a metric and the reason in a log line.
pub(crate) fn close_reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::FrameLength => "frame_length",
        CloseReason::Malformed => "malformed",
        CloseReason::Unsupported => "unsupported",
        CloseReason::UnacknowledgedFailure => "unacknowledged_failure",
        CloseReason::TooMany => "too_many",
        CloseReason::Dripping => "dripping",
        CloseReason::SlowReader => "slow_reader",
        CloseReason::Stopping => "stopping",
    }
}
