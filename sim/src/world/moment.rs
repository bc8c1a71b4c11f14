//! Which moments an operation or an event of the core is. Must not know what is done about them.

use highwater_core::id::{FileId, PartitionId};
use highwater_core::shard::{Durability, Event, FileChange, Mark};

use crate::disk::Request;
use crate::fault::Moment;

/// Whether a crash that waits for `moment` may come while the operation is in flight.
pub(super) fn is_during(moment: Moment, request: &Request, booting: bool) -> bool {
    let file = request.file();
    let change = match request {
        Request::Change { change, .. } => Some(change),
        Request::Write { .. } | Request::Sync { .. } | Request::Read { .. } => None,
    };
    let writes = !matches!(request, Request::Read { .. });
    match moment {
        Moment::DurableWrite => matches!(request, Request::Write { durability: Durability::Durable, .. }),
        Moment::CachedWrite => matches!(request, Request::Write { durability: Durability::Cached, .. }),
        Moment::Sync => matches!(request, Request::Sync { .. }),
        Moment::Change => change.is_some(),
        Moment::Boot => booting,
        Moment::WalCreated => is_wal(file) && matches!(change, Some(FileChange::Create { .. })),
        Moment::WalRecycled => is_wal(file) && matches!(change, Some(FileChange::Rename { .. })),
        Moment::Release => is_wal(file) && matches!(change, Some(FileChange::Delete)),
        Moment::Checkpoint => writes && matches!(file, FileId::Checkpoint { .. }),
        Moment::Segment => writes && matches!(file, FileId::Segment { .. } | FileId::Cleaned { .. }),
        Moment::SegmentCreated => {
            matches!(file, FileId::Segment { .. } | FileId::Cleaned { .. })
                && matches!(change, Some(FileChange::Create { .. }))
        }
        Moment::Footer => writes && matches!(file, FileId::Footer { .. }),
        Moment::Removal => {
            matches!(file, FileId::Segment { .. } | FileId::Cleaned { .. } | FileId::Footer { .. })
                && matches!(change, Some(FileChange::Delete))
        }
        Moment::Read => !writes && !booting,
        Moment::WideWrite => {
            matches!(request, Request::Write { parts, durability: Durability::Durable, .. } if parts.len() > 1)
        }
        Moment::AckOwed
        | Moment::Seal
        | Moment::CarryForward
        | Moment::Metadata
        | Moment::Recovered
        | Moment::StreamRemoved
        | Moment::DuplicateInFlight => false,
    }
}

fn is_wal(file: FileId) -> bool {
    matches!(file, FileId::Wal { .. })
}

/// Whether a crash that waits for `moment` comes with the event.
pub(super) fn is_at(moment: Moment, event: &Event) -> bool {
    match moment {
        Moment::AckOwed => {
            matches!(event, Event::DurableAdvanced { partition, .. } if *partition != PartitionId::METADATA)
        }
        Moment::Seal => matches!(event, Event::SealWritten { .. }),
        Moment::CarryForward => matches!(event, Event::CarriedForward { .. }),
        Moment::Metadata => {
            matches!(event, Event::Appended { partition, .. } if *partition == PartitionId::METADATA)
        }
        Moment::Recovered => matches!(event, Event::Recovered { .. }),
        Moment::StreamRemoved => matches!(event, Event::Marked(Mark::StreamRemoved)),
        Moment::DuplicateInFlight => matches!(event, Event::Marked(Mark::DuplicateInFlight)),
        Moment::DurableWrite
        | Moment::Read
        | Moment::WideWrite
        | Moment::CachedWrite
        | Moment::Sync
        | Moment::Change
        | Moment::Boot
        | Moment::WalCreated
        | Moment::WalRecycled
        | Moment::Release
        | Moment::Checkpoint
        | Moment::Segment
        | Moment::SegmentCreated
        | Moment::Footer
        | Moment::Removal => false,
    }
}
