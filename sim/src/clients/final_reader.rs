//! After all faults and all work: reads every partition once from its start to its end. What it sees is the last word. Must not
//! know what was written.

use std::collections::BTreeMap;

use highwater_core::client::{ClientError, ClientEvent, StartAt};
use highwater_core::id::Offset;
use highwater_core::wire::ErrorCode;

use super::Desk;
use super::consumer::on_fetch_failed;
use super::fetching::{Partitions, take_fetched};
use super::lister::listed;
use super::session::{Next, Task, Turn};
use crate::history::{Edge, Fact, Place, Process};
use crate::params::TopicParams;

#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    #[default]
    New,
    /// Asks where it ends.
    End,
    /// Asks where it begins.
    Start {
        end: i64,
    },
    Reading {
        end: i64,
        next: i64,
    },
    Done,
}

#[derive(Debug, Default)]
struct Progress {
    stage: Stage,
    log_start: i64,
}

/// The last reader.
#[derive(Debug)]
pub(super) struct FinalReader {
    partitions: Partitions,
    progress: BTreeMap<Place, Progress>,
}

impl FinalReader {
    pub(super) fn new(places: &[Place], topics: &[TopicParams]) -> Self {
        Self {
            partitions: Partitions::new(places, topics),
            progress: places.iter().map(|&place| (place, Progress::default())).collect(),
        }
    }

    fn go_on_at(&mut self, place: Place, turn: &mut Turn<'_, '_>) {
        let partition = self.partitions.partition(place);
        let progress = self.progress.get_mut(&place).expect("one for each");
        let now = turn.desk.clocks();
        let position = turn.client.position(&partition).map(|position| position.0);
        match (progress.stage, position) {
            (Stage::New, _) => {
                progress.stage = Stage::End;
                turn.client.assign(now, partition, StartAt::Latest);
            }
            (Stage::End, Some(end)) => {
                progress.stage = Stage::Start { end };
                listed(place, Edge::Latest, end, turn);
                turn.client.assign(now, partition, StartAt::Earliest);
            }
            (Stage::Start { end }, Some(start)) => {
                progress.stage = Stage::Reading { end, next: start };
                progress.log_start = progress.log_start.max(start);
                listed(place, Edge::Earliest, start, turn);
            }
            (Stage::End | Stage::Start { .. }, None) | (Stage::Reading { .. } | Stage::Done, _) => {}
        }
        if let Stage::Reading { end, next } = progress.stage
            && next >= end
        {
            progress.stage = Stage::Done;
            let log_start = progress.log_start;
            turn.client.unassign(&self.partitions.partition(place));
            turn.desk.history.record(Fact::ReadToEnd { place, log_start, end });
        }
    }
}

impl Task for FinalReader {
    fn go_on(&mut self, turn: &mut Turn<'_, '_>) -> Next {
        for place in self.partitions.places().collect::<Vec<_>>() {
            self.go_on_at(place, turn);
        }
        Next::Idle
    }

    fn on_event(&mut self, event: ClientEvent, turn: &mut Turn<'_, '_>) {
        match event {
            ClientEvent::Fetched(fetched) => {
                let Some(place) = self.partitions.place(&fetched.partition) else { return };
                let progress = self.progress.get_mut(&place).expect("one for each");
                if let Stage::Reading { next, .. } = &mut progress.stage {
                    *next = fetched.next.0;
                    progress.log_start = progress.log_start.max(fetched.log_start.0);
                }
                take_fetched(place, &fetched, turn);
            }
            ClientEvent::FetchFailed { partition, error } => {
                let Some(place) = self.partitions.place(&partition) else { return };
                let progress = self.progress.get_mut(&place).expect("one for each");
                match progress.stage {
                    // The log may begin later by now; the client seeks by itself.
                    Stage::Reading { end, .. }
                        if error == ClientError::Broker(ErrorCode::OffsetOutOfRange) =>
                    {
                        progress.stage = Stage::Start { end };
                    }
                    // What the disk does not give back is passed by.
                    Stage::Reading { end, next }
                        if error == ClientError::Broker(ErrorCode::KafkaStorageError) =>
                    {
                        turn.desk.history.record(Fact::Unreadable { place, offset: next });
                        progress.stage = Stage::Reading { end, next: next + 1 };
                        turn.client.assign(turn.desk.clocks(), partition, StartAt::Offset(Offset(next + 1)));
                    }
                    Stage::New | Stage::End | Stage::Start { .. } | Stage::Reading { .. } | Stage::Done => {
                        on_fetch_failed(place, error, turn.desk);
                    }
                }
            }
            ClientEvent::Produced { .. } | ClientEvent::Answered { .. } | ClientEvent::Member(_) => {
                turn.desk.complain("client", format!("a reader is told {event:?}"));
            }
        }
    }

    fn on_crash(&mut self, _process: Process, _desk: &mut Desk<'_>) {}

    fn unfinished(&self) -> Option<String> {
        let open = self.progress.iter().filter(|(_, progress)| !matches!(progress.stage, Stage::Done));
        let open: Vec<String> = open.map(|(place, progress)| format!("{place:?} {progress:?}")).collect();
        (!open.is_empty()).then(|| format!("final read lacks {}", open.join(", ")))
    }
}
