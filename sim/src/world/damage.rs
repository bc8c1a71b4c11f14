//! What disks tell of damage, and of what stands on them for damage to strike, as facts. Reads the frames that go to write-ahead
//! logs. Must not know what damage excuses.

use highwater_core::batch::Scratch;
use highwater_core::buf::Slice;
use highwater_core::id::{FileId, PartitionId};
use highwater_core::shard::Event;
use highwater_core::storage::frame::{Content, ReadFrame};

use super::World;
use crate::clients::records;
use crate::disk::Note;
use crate::history::{DiskNote, Fact, Frame, Logging};

impl World {
    /// Takes what the disks have noted, in a run where it matters.
    pub(super) fn take_notes(&mut self) {
        for node in 0..self.nodes.len() {
            let Some(notes) = &mut self.nodes[node].disk.notes else { return };
            for note in std::mem::take(notes) {
                let facts = match note {
                    Note::Logging { file, at, bytes } => frames(file, at, &Slice::from_vec(bytes)),
                    Note::Logged { file, bytes } => vec![DiskNote::Logged { file, bytes }],
                    Note::Struck { strike, file, bytes } => vec![DiskNote::Struck { strike, file, bytes }],
                };
                for note in facts {
                    self.history.record(Fact::Disk { node, note });
                }
            }
        }
    }
}

impl World {
    /// Counts how often a node has lost metadata, and with them topics perhaps.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events say nothing of it")]
    pub(super) fn notice_metadata(&mut self, node: usize, event: &Event) {
        let end = &mut self.metadata_ends[node];
        match event {
            Event::DurableAdvanced { partition: PartitionId::METADATA, durable_end } => *end = *durable_end,
            Event::Recovered { partition: PartitionId::METADATA, log_end, .. } if self.rules.rot => {
                let before = std::mem::replace(end, *log_end);
                if before > *log_end {
                    self.faults.add("metadata-lost");
                }
            }
            _ => {}
        }
    }
}

/// The frames in a write.
fn frames(file: FileId, at: u64, bytes: &Slice) -> Vec<DiskNote> {
    let (mut found, mut from, mut scratch) = (Vec::new(), 0, Scratch::default());
    while let Ok(frame) = ReadFrame::parse(&bytes[from..]) {
        let end = from + frame.header.frame_len as usize;
        let whole = bytes.cut(from, end);
        let batches = frame.entries(&whole).map(|read| Logging {
            partition: read.entry.partition,
            base: read.entry.base.0,
            last: read.entry.last.0,
            values: match read.content {
                Content::Sound => records(&read.bytes, read.entry.base.0, &mut scratch).unwrap_or_default(),
                Content::Broken | Content::StandIn => Vec::new(),
            },
        });
        found.push(DiskNote::Logging(Frame {
            stream: frame.header.stream,
            lsn: frame.header.lsn.0,
            proves: frame.header.proven_durable.0,
            file,
            bytes: at + from as u64..at + end as u64,
            batches: batches.collect(),
        }));
        from = end;
    }
    found
}
