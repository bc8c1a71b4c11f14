//! Reading one WAL stream of an earlier life, then making it last: what was read may have been on its way to the disk when the node
//! was killed, and what lies behind its end must not come back in a later recovery.

use alloc::boxed::Box;

use super::inventory::StreamFiles;
use super::{Disk, Step};
use crate::buf::Slice;
use crate::id::{FileId, StreamId};
use crate::mutant::{self, Mutant};
use crate::shard::FileChange;
use crate::storage::checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint};
use crate::storage::walk::{FrameAt, Walk, WalkRead, Walked};

#[derive(Debug)]
pub(super) struct StreamBoot {
    stream: StreamId,
    files: StreamFiles,
    at: At,
    checkpoint_lost: bool,
}

#[derive(Debug)]
enum At {
    Checkpoint,
    Walk(Box<Walk>, Option<WalkRead>),
    /// Frames that may not be on disk are written once more: a sync says nothing of pages that an earlier one failed to write.
    Rewrite(Walked),
    Fence(Walked),
    Over(Walked),
    /// Between two states.
    Moving,
}

impl StreamBoot {
    pub(super) fn new(stream: StreamId, files: StreamFiles) -> Self {
        let at = match files.checkpoint {
            Some(_) => At::Checkpoint,
            None => At::Walk(Box::new(Walk::new(stream, files.files.clone(), None)), None),
        };
        Self { stream, files, at, checkpoint_lost: false }
    }

    pub(super) fn next(&mut self) -> Step {
        let stream = self.stream;
        match core::mem::replace(&mut self.at, At::Moving) {
            At::Checkpoint => {
                self.at = At::Checkpoint;
                let len = usize::try_from(self.files.checkpoint.unwrap_or(0)).unwrap_or(usize::MAX);
                let len = len.min(CHECKPOINT_BYTES_MAX);
                Step::Do(Disk::Read { file: FileId::Checkpoint { stream }, at: 0, len })
            }
            At::Walk(mut walk, _) => match walk.next_read() {
                Some(read) => {
                    self.at = At::Walk(walk, Some(read));
                    let file = FileId::Wal { stream, number: read.file };
                    Step::Do(Disk::Read { file, at: read.at, len: read.len })
                }
                None => {
                    let mut walked = walk.finish();
                    if walked.entries.is_empty() || mutant::on(Mutant::RecoveredNotSynced) {
                        walked.unproven.clear();
                    }
                    self.at = At::Rewrite(walked);
                    self.next()
                }
            },
            At::Rewrite(mut walked) => match walked.unproven.pop() {
                Some(FrameAt { file, at, bytes, .. }) => {
                    self.at = At::Rewrite(walked);
                    Step::Do(Disk::Write { file: FileId::Wal { stream, number: file }, at, bytes })
                }
                None => self.fence(walked),
            },
            At::Fence(walked) => {
                self.at = At::Over(walked);
                Step::Over
            }
            At::Over(walked) => {
                self.at = At::Over(walked);
                Step::Over
            }
            At::Moving => unreachable!("no step ends between two states"),
        }
    }

    fn fence(&mut self, walked: Walked) -> Step {
        let checkpoint = Checkpoint { last_lsn: Some(walked.last.0), ..walked.start };
        let unfenced = mutant::on(Mutant::FenceNotWritten);
        if walked.start.last_lsn.is_some() || walked.entries.is_empty() || unfenced {
            self.at = At::Over(walked);
            return Step::Over;
        }
        self.at = At::Fence(walked);
        let change = FileChange::Replace { bytes: checkpoint.encode(self.stream) };
        Step::Do(Disk::Change { file: FileId::Checkpoint { stream: self.stream }, change })
    }

    pub(super) fn on_read(&mut self, bytes: Slice) {
        match &mut self.at {
            At::Checkpoint => {
                let checkpoint = Checkpoint::decode(&bytes, self.stream);
                self.checkpoint_lost = checkpoint.is_none();
                let walk = Walk::new(self.stream, self.files.files.clone(), checkpoint);
                self.at = At::Walk(Box::new(walk), None);
            }
            At::Walk(walk, read) => {
                let read = read.take().expect("a read was asked for");
                walk.on_read(read, bytes);
            }
            At::Rewrite(_) | At::Fence(_) | At::Over(_) | At::Moving => {
                unreachable!("nothing was to be read")
            }
        }
    }

    /// Whether there is a checkpoint that says nothing any more.
    pub(super) fn has_lost_checkpoint(&self) -> bool {
        self.checkpoint_lost
    }

    pub(super) fn finish(self) -> (Walked, StreamFiles) {
        let At::Over(walked) = self.at else { unreachable!("the stream was read to its end") };
        (walked, self.files)
    }
}
