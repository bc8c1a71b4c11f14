//! `topic alter`: more partitions, other settings. Both are checked by the broker before either is done.

use std::io::Write;

use highwater_core::client::{
    ConfigChange, ConfigEdit, ConfigOperation, ConfigResource, Mode, PartitionCount, ResourceKind,
    ResourceResult, TopicResult,
};
use highwater_core::id::TopicId;

use super::Done;
use crate::args::TopicAlterArgs;
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::session::connect;
use crate::words::Attempt;

pub(super) fn run(args: &TopicAlterArgs, out: &mut impl Write) -> Result<(), Ended> {
    if args.partitions.is_none() && args.configs.is_empty() && args.delete_configs.is_empty() {
        return Err(nothing_to_do().into());
    }
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let place = names.join(", ");
    let attempt = Attempt { what: "cannot alter the topic", place: &place, message: None };
    let done = |word| Done { word, attempt, pardoned: None, form: args.output.output };
    let failed = |results: &[TopicResult]| results.iter().any(|result| result.error.is_some());
    let checked = alter(args, &names, &attempt, &mut drive, Mode::Validate)?;
    if args.dry_run || failed(&checked) {
        return done("could be altered").report(&checked, out);
    }
    let results = alter(args, &names, &attempt, &mut drive, Mode::Do)?;
    done("altered").report(&results, out)
}

/// One result for each topic: the first error, if there is one.
fn alter(
    args: &TopicAlterArgs,
    names: &[String],
    attempt: &Attempt<'_>,
    drive: &mut Drive,
    mode: Mode,
) -> Result<Vec<TopicResult>, Failure> {
    let mut results: Vec<TopicResult> = Vec::new();
    let mut take = |more: Vec<TopicResult>| {
        for result in more {
            match results.iter_mut().find(|known| known.name == result.name) {
                Some(known) if known.error.is_none() => *known = result,
                Some(_) => {}
                None => results.push(result),
            }
        }
    };
    let edits = edits(args);
    if !edits.is_empty() {
        let change = |name: &String| {
            let resource = ConfigResource { kind: ResourceKind::Topic, name: name.clone() };
            ConfigChange { resource, edits: edits.clone() }
        };
        let altered = drive.alter_configs(attempt, names.iter().map(change).collect(), mode)?;
        take(altered.into_iter().map(topic_result).collect());
    }
    if let Some(count) = args.partitions {
        let counts = names.iter().map(|name| PartitionCount { topic: name.clone(), count });
        take(drive.create_partitions(attempt, counts.collect(), mode)?);
    }
    Ok(results)
}

fn edits(args: &TopicAlterArgs) -> Vec<ConfigEdit> {
    let set = args.configs.iter().map(|pair| ConfigEdit {
        key: pair.key.clone(),
        operation: ConfigOperation::Set(pair.value.clone()),
    });
    let delete = args
        .delete_configs
        .iter()
        .map(|key| ConfigEdit { key: key.clone(), operation: ConfigOperation::Delete });
    set.chain(delete).collect()
}

fn topic_result(result: ResourceResult) -> TopicResult {
    let ResourceResult { resource, error, message } = result;
    TopicResult { name: resource.name, id: TopicId::default(), error, message }
}

fn nothing_to_do() -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "there is nothing to alter".into(),
        place: "topic alter".into(),
        why: "neither --partitions nor --config nor --delete-config says what".into(),
        fix: "add for instance --partitions 6, or --config retention.ms=60000".into(),
    }
}
