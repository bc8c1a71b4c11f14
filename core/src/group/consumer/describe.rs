//! A group as it is shown.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;

use super::target::{Seated, View};
use super::{ConsumerGroup, FRESH};
use crate::group::command::{ConsumerDescribed, ConsumerDescribedMember, GroupKind, TopicPartitions};
use crate::group::record::EpochPartitions;
use crate::group::settings::GroupSettings;

impl ConsumerGroup {
    pub fn describe(&self, settings: &GroupSettings) -> ConsumerDescribed {
        let gone = BTreeSet::new();
        let view = View { kept: &self.kept, gone: &gone, seated: None, regexes: BTreeMap::new() };
        ConsumerDescribed {
            state: self.state(),
            epoch: self.kept.epoch,
            assignment_epoch: self.kept.target_epoch,
            assignor: view.assignor(&settings.consumer).to_string(),
            members: view.members().map(|member| self.describe_member(member)).collect(),
        }
    }

    fn describe_member(&self, member: Seated<'_>) -> ConsumerDescribedMember {
        let current = self.kept.currents.get(member.id).unwrap_or(&FRESH);
        let value = member.value;
        ConsumerDescribedMember {
            id: member.id.to_string(),
            instance: value.instance.clone(),
            rack: value.rack.clone(),
            epoch: current.epoch,
            client: value.client.clone(),
            topics: value.topics.clone(),
            regex: value.regex.clone(),
            assignment: without_epochs(&current.assigned),
            target: member.target.to_vec(),
            kind: if value.classic.is_some() { GroupKind::Classic } else { GroupKind::Consumer },
        }
    }
}

pub(super) fn without_epochs(assigned: &[EpochPartitions]) -> Vec<TopicPartitions> {
    assigned.iter().map(EpochPartitions::without_epochs).collect()
}
