//! What a member commits for a partition counts no more once another member has committed for it, unless it was given the partition anew
//! since: also if the request took its time. Members say in the metadata of their commits who they are, and how often they were given
//! something.

use std::collections::BTreeMap;

use highwater_core::group::command::TopicPartition;
use highwater_core::group::record::GroupRecord;
use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::Event;

use super::Checker;
use crate::history::{Fact, Kept, Process};
use crate::report::Violation;

/// Who commits, and how often it has been given something by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committer {
    pub process: Process,
    pub given: u32,
}

impl Committer {
    pub fn text(self) -> String {
        format!("{}.{}", self.process.0, self.given)
    }

    fn read(text: &str) -> Option<Self> {
        let (process, given) = text.split_once('.')?;
        Some(Self { process: Process(process.parse().ok()?), given: given.parse().ok()? })
    }
}

#[derive(Debug, Clone)]
struct Commit {
    base: Offset,
    partition: PartitionId,
    of: (String, TopicPartition),
    by: Committer,
}

#[derive(Debug, Clone, Default)]
pub(super) struct LateCommitsRefused {
    commits: Vec<Commit>,
    ends: BTreeMap<PartitionId, Offset>,
}

impl LateCommitsRefused {
    fn on_kept(&mut self, batch: &Kept) -> Result<(), Violation> {
        let end = self.ends.entry(batch.partition).or_default();
        if batch.base < *end {
            return Ok(());
        }
        *end = batch.end;
        for record in &batch.records {
            let GroupRecord::Offset { group, partition, value: Some(value) } = record else { continue };
            let Some(by) = Committer::read(&value.metadata) else { continue };
            let of = (group.clone(), partition.clone());
            let before = self.commits.iter().filter(|commit| commit.of == of);
            let others = before.clone().rev().take_while(|commit| commit.by != by).count();
            if before.clone().any(|commit| commit.by == by)
                && before.rev().take(others).any(|commit| commit.by.process != by.process)
            {
                let story = format!("{by:?} commits {} for {of:?} after others have", value.offset);
                return Err(Violation::new("late_commits_refused", story));
            }
            self.commits.push(Commit { base: batch.base, partition: batch.partition, of, by });
        }
        Ok(())
    }
}

impl Checker for LateCommitsRefused {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else tells of coordinators")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Kept { batch, .. } => return self.on_kept(batch),
            Fact::Core { event: Event::Recovered { partition, log_end, .. }, .. } => {
                if let Some(end) = self.ends.get_mut(partition) {
                    *end = (*end).min(*log_end);
                    self.commits.retain(|commit| commit.partition != *partition || commit.base < *log_end);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::group::command::TopicPartition;
    use highwater_core::group::record::{GroupRecord, OffsetValue};
    use highwater_core::id::{Offset, PartitionId};
    use highwater_core::shard::Event;
    use highwater_core::time::Timestamp;

    use super::{Checker, Committer, LateCommitsRefused};
    use crate::history::{Fact, Kept, Process};

    fn commit(base: i64, process: u32, given: u32) -> Fact {
        let value = OffsetValue {
            offset: 1,
            leader_epoch: None,
            metadata: Committer { process: Process(process), given }.text(),
            committed_at: Timestamp::default(),
            expires_at: None,
            topic: None,
        };
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let records = vec![GroupRecord::Offset { group: "g".into(), partition, value: Some(value) }];
        let (base, end) = (Offset(base), Offset(base + 1));
        let batch = Kept { partition: PartitionId::METADATA, base, end, at: Timestamp::default(), records };
        Fact::Kept { node: 0, batch }
    }

    fn judge(facts: &[Fact]) -> bool {
        let mut checker = LateCommitsRefused::default();
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn late_commit_is_found() {
        assert!(judge(&[commit(0, 1, 1), commit(1, 2, 1), commit(2, 1, 2)]), "it was given it again");
        assert!(judge(&[commit(0, 1, 1), commit(1, 1, 2), commit(2, 1, 1)]), "nobody else had it");
        assert!(!judge(&[commit(0, 1, 1), commit(1, 2, 1), commit(2, 1, 1)]));
        let partition = PartitionId::METADATA;
        let recovered = Event::Recovered { partition, log_start: Offset(0), log_end: Offset(1) };
        let cut = Fact::Core { node: 0, event: recovered };
        assert!(judge(&[commit(0, 1, 1), commit(1, 2, 1), cut, commit(1, 1, 1)]));
    }
}
