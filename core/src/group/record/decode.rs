//! Records of any version that Kafka has written.

use alloc::vec::Vec;

use super::fields::{Fields, Form};
use super::{
    CONSUMER, CURRENT_MEMBER, ClassicMember, ClassicOfMember, ClassicValue, ConsumerValue, CurrentValue,
    EpochPartitions, GROUP, GroupRecord, LEGACY_OFFSET, MEMBER, MemberState, MemberValue, OFFSET,
    OffsetValue, REGEX, RegexValue, TARGET_EPOCH, TARGET_MEMBER, TargetEpochValue,
};
use crate::coordinator::Unreadable;
use crate::group::command::{Client, TopicPartition, TopicPartitions};
use crate::time::{Duration, Timestamp};

type Read<T> = Result<T, Unreadable>;

const UNKNOWN_VERSION: Unreadable = Unreadable("a value of an unknown version");

pub(super) fn decode(key: &[u8], value: Option<&[u8]>) -> Read<Option<GroupRecord>> {
    let mut key = Fields::new(key);
    let kind = key.short()?;
    let mut value = value.map(Fields::new);
    let value = value.as_mut();
    Ok(Some(match kind {
        LEGACY_OFFSET | OFFSET => GroupRecord::Offset {
            group: key.text()?,
            partition: TopicPartition { topic: key.text()?, partition: key.int()? },
            value: value.map(offset).transpose()?,
        },
        GROUP => GroupRecord::Classic { group: key.text()?, value: value.map(classic).transpose()? },
        CONSUMER => GroupRecord::Consumer { group: key.text()?, value: value.map(consumer).transpose()? },
        MEMBER => GroupRecord::Member {
            group: key.text()?,
            member: key.text()?,
            value: value.map(member).transpose()?,
        },
        TARGET_EPOCH => {
            GroupRecord::TargetEpoch { group: key.text()?, value: value.map(target_epoch).transpose()? }
        }
        TARGET_MEMBER => GroupRecord::TargetMember {
            group: key.text()?,
            member: key.text()?,
            value: value.map(target).transpose()?,
        },
        CURRENT_MEMBER => GroupRecord::CurrentMember {
            group: key.text()?,
            member: key.text()?,
            value: value.map(current).transpose()?,
        },
        REGEX => GroupRecord::Regex {
            group: key.text()?,
            regex: key.text()?,
            value: value.map(regex).transpose()?,
        },
        // What groups were told of partitions (4), which they have learnt to do without, and groups of kinds that are not served.
        _ => return Ok(None),
    }))
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn timestamp(millis: i64) -> Option<Timestamp> {
    (millis >= 0).then_some(Timestamp(millis))
}

fn epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

/// The version, of those up to `max`. From `flexible` on they are flexible.
fn version(fields: &mut Fields<'_>, max: i16, flexible: i16) -> Read<i16> {
    let version = fields.short()?;
    if !(0..=max).contains(&version) {
        return Err(UNKNOWN_VERSION);
    }
    fields.set_form(if version >= flexible { Form::Flexible } else { Form::Plain });
    Ok(version)
}

fn offset(fields: &mut Fields<'_>) -> Read<OffsetValue> {
    let version = version(fields, 4, 4)?;
    let offset = fields.long()?;
    let leader_epoch = if version >= 3 { epoch(fields.int()?) } else { None };
    let metadata = fields.text()?;
    let committed_at = Timestamp(fields.long()?);
    let expires_at = if version == 1 { timestamp(fields.long()?) } else { None };
    let topic = fields.end()?.map(|mut tagged| tagged.id()).transpose()?;
    Ok(OffsetValue { offset, leader_epoch, metadata, committed_at, expires_at, topic })
}

fn classic(fields: &mut Fields<'_>) -> Read<ClassicValue> {
    let version = version(fields, 4, 4)?;
    let value = ClassicValue {
        protocol_type: fields.text()?,
        generation: fields.int()?,
        protocol: fields.maybe_text()?,
        leader: fields.maybe_text()?,
        since: if version >= 2 { timestamp(fields.long()?) } else { None },
        members: fields.list(|fields| classic_member(version, fields))?,
    };
    fields.end()?;
    Ok(value)
}

/// Members of the oldest version had one timeout for both.
fn classic_member(version: i16, fields: &mut Fields<'_>) -> Read<ClassicMember> {
    let id = fields.text()?;
    let instance = if version >= 3 { fields.maybe_text()? } else { None };
    let client = Client { id: fields.text()?, host: fields.text()? };
    let first_timeout = fields.int()?;
    let session_timeout = if version >= 1 { fields.int()? } else { first_timeout };
    let member = ClassicMember {
        id,
        instance,
        client,
        rebalance_timeout: duration(first_timeout),
        session_timeout: duration(session_timeout),
        subscription: fields.blob()?,
        assignment: fields.blob()?,
    };
    fields.end()?;
    Ok(member)
}

fn consumer(fields: &mut Fields<'_>) -> Read<ConsumerValue> {
    version(fields, 0, 0)?;
    let epoch = fields.int()?;
    let metadata_hash = fields.end()?.map(|mut tagged| tagged.long()).transpose()?.unwrap_or_default();
    Ok(ConsumerValue { epoch, metadata_hash })
}

fn member(fields: &mut Fields<'_>) -> Read<MemberValue> {
    version(fields, 0, 0)?;
    Ok(MemberValue {
        instance: fields.maybe_text()?,
        rack: fields.maybe_text()?,
        client: Client { id: fields.text()?, host: fields.text()? },
        topics: fields.list(Fields::text)?,
        regex: fields.maybe_text()?,
        rebalance_timeout: duration(fields.int()?),
        assignor: fields.maybe_text()?,
        classic: match fields.end()? {
            Some(mut tagged) => classic_of_member(&mut tagged)?,
            None => None,
        },
    })
}

fn classic_of_member(fields: &mut Fields<'_>) -> Read<Option<ClassicOfMember>> {
    if fields.byte()? < 0 {
        return Ok(None);
    }
    let session_timeout = duration(fields.int()?);
    let protocols = fields.list(|fields| {
        let protocol = (fields.text()?, fields.blob()?);
        fields.end()?;
        Ok(protocol)
    })?;
    fields.end()?;
    Ok(Some(ClassicOfMember { session_timeout, protocols }))
}

fn target_epoch(fields: &mut Fields<'_>) -> Read<TargetEpochValue> {
    version(fields, 0, 0)?;
    let epoch = fields.int()?;
    let assigned_at = fields.end()?.map(|mut tagged| tagged.long()).transpose()?;
    Ok(TargetEpochValue { epoch, assigned_at: assigned_at.and_then(timestamp) })
}

fn target(fields: &mut Fields<'_>) -> Read<Vec<TopicPartitions>> {
    version(fields, 0, 0)?;
    let topics = fields.list(|fields| {
        let topic = TopicPartitions { topic: fields.id()?, partitions: fields.list(Fields::int)? };
        fields.end()?;
        Ok(topic)
    })?;
    fields.end()?;
    Ok(topics)
}

fn current(fields: &mut Fields<'_>) -> Read<CurrentValue> {
    version(fields, 0, 0)?;
    let value = CurrentValue {
        epoch: fields.int()?,
        previous_epoch: fields.int()?,
        state: match fields.byte()? {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        },
        assigned: fields.list(epoch_partitions)?,
        revoking: fields.list(epoch_partitions)?,
    };
    fields.end()?;
    Ok(value)
}

fn epoch_partitions(fields: &mut Fields<'_>) -> Read<EpochPartitions> {
    let topic = fields.id()?;
    let partitions = fields.list(Fields::int)?;
    let mut epochs = Vec::new();
    if let Some(mut tagged) = fields.end()?
        && let Some(count) = tagged.maybe_count()?
    {
        if count != partitions.len() {
            return Err(Unreadable("not an epoch for each partition"));
        }
        for _ in 0..count {
            epochs.push(epoch(tagged.int()?));
        }
    }
    epochs.resize(partitions.len(), None);
    Ok(EpochPartitions { topic, partitions: partitions.into_iter().zip(epochs).collect() })
}

fn regex(fields: &mut Fields<'_>) -> Read<RegexValue> {
    version(fields, 0, 0)?;
    let value = RegexValue {
        topics: fields.list(Fields::text)?,
        version: fields.long()?,
        resolved_at: Timestamp(fields.long()?),
    };
    fields.end()?;
    Ok(value)
}
