//! Further partitions of topics.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Controller;
use crate::controller::command::{
    ControllerReply, CreatePartitions, CreatePartitionsError, Intent, MorePartitions,
};
use crate::controller::record::{MetadataRecord, PartitionCreated};
use crate::id::{LeaderEpoch, NodeId, PartitionId};
use crate::limits::{CREATE_PARTITIONS_MAX, PARTITIONS_MAX};

impl Controller {
    pub(super) fn create_partitions(
        &self,
        create: &CreatePartitions,
    ) -> (Vec<MetadataRecord>, ControllerReply) {
        let mut records = Vec::new();
        let results = create.topics.iter().map(|wanted| self.add_partitions(wanted, &mut records)).collect();
        let records = match create.intent {
            Intent::Apply => records,
            Intent::ValidateOnly => Vec::new(),
        };
        (records, ControllerReply::CreatePartitions(results))
    }

    fn add_partitions(
        &self,
        wanted: &MorePartitions,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<(), CreatePartitionsError> {
        let topic = self.appended.topic(&wanted.name).ok_or(CreatePartitionsError::UnknownName)?;
        let current = topic.partitions.len();
        let further = usize::try_from(wanted.count).ok().and_then(|count| count.checked_sub(current));
        let Some(further) = further.filter(|further| *further > 0) else {
            let name = Arc::clone(&topic.name);
            return Err(CreatePartitionsError::NotMore { name, current, count: wanted.count });
        };
        if let Some(assignments) = &wanted.assignments {
            if assignments.len() != further {
                let given = assignments.len();
                return Err(CreatePartitionsError::AssignmentCount { further, given });
            }
            assignments.iter().try_for_each(|nodes| self.check_assignment(nodes))?;
        }
        if records.len() + further > CREATE_PARTITIONS_MAX {
            return Err(CreatePartitionsError::TooMany { further });
        }
        if self.appended.partition_count() + records.len() + further > PARTITIONS_MAX {
            return Err(CreatePartitionsError::ClusterFull);
        }
        let node = self.config.node;
        records.extend((0_i32..wanted.count).skip(current).map(|index| {
            MetadataRecord::PartitionCreated(PartitionCreated {
                partition: PartitionId { topic: topic.id, index },
                leader: Some(node),
                leader_epoch: LeaderEpoch(0),
                replicas: vec![node],
                isr: vec![node],
            })
        }));
        Ok(())
    }

    fn check_assignment(&self, nodes: &[NodeId]) -> Result<(), CreatePartitionsError> {
        match nodes {
            [] => Err(CreatePartitionsError::AssignmentEmpty),
            [node] if *node == self.config.node => Ok(()),
            _ => Err(match nodes.iter().find(|node| **node != self.config.node) {
                Some(&node) => CreatePartitionsError::AssignmentNode { node },
                None => CreatePartitionsError::AssignmentTwice { node: self.config.node },
            }),
        }
    }
}
