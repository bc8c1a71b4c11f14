//! `group`: who consumes what, how far, and where to go on.

mod lag;
mod reset;

use std::io::Write;
use std::thread;
use std::time::Duration;

use highwater_core::client::{ClientError, GroupDescription, GroupMember, TopicPartition};
use serde_json::{Value, json};

use crate::args::{
    GroupCommand, GroupDeleteArgs, GroupDeleteOffsetsArgs, GroupDescribeArgs, GroupListArgs,
    GroupMembersArgs, GroupWatchArgs, Output,
};
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::Failure;
use crate::output::{self, column, wide};
use crate::session::connect;
use crate::terminal::{Consent, consent};
use crate::words::Attempt;

pub(crate) fn run(command: &GroupCommand, out: &mut impl Write) -> Result<(), Ended> {
    match command {
        GroupCommand::List(args) => list(args, out),
        GroupCommand::Describe(args) => describe(args, out),
        GroupCommand::Members(args) => members(args, out),
        GroupCommand::ResetOffsets(args) => reset::run(args, out),
        GroupCommand::Delete(args) => delete(args, out),
        GroupCommand::DeleteOffsets(args) => delete_offsets(args, out),
        GroupCommand::Watch(args) => watch(args, out),
    }
}

fn list(args: &GroupListArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let place = drive.bootstrap().to_owned();
    let attempt = Attempt { what: "cannot list the groups", place: &place, message: None };
    let groups = drive.groups(&attempt, args.states.clone(), args.types.clone())?;
    let rows: Vec<Value> = groups
        .iter()
        .map(|group| {
            json!({
                "group": group.group,
                "state": group.state,
                "type": group.kind,
                "protocol": group.protocol_type,
            })
        })
        .collect();
    let columns = [
        column("GROUP", "group"),
        column("STATE", "state"),
        column("TYPE", "type"),
        wide("PROTOCOL", "protocol"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

fn described(drive: &mut Drive, groups: &[String]) -> Result<Vec<GroupDescription>, Failure> {
    let place = groups.join(", ");
    let attempt = Attempt { what: "cannot describe the group", place: &place, message: None };
    let described = drive.describe_groups(&attempt, groups.to_vec())?;
    let found = described.into_iter().map(|(group, found)| {
        let attempt = Attempt { place: &group, ..attempt };
        found.map_err(|error| attempt.failed(error))
    });
    found.collect()
}

fn describe(args: &GroupDescribeArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let groups = described(&mut drive, &args.groups)?;
    show_lag(&mut drive, &groups, args.output.output, out)
}

fn show_lag(
    drive: &mut Drive,
    groups: &[GroupDescription],
    form: Output,
    out: &mut impl Write,
) -> Result<(), Ended> {
    let mut rows = Vec::new();
    for group in groups {
        rows.extend(lag::rows(drive, group)?);
    }
    let columns = [
        column("GROUP", "group"),
        column("TOPIC", "topic"),
        column("PARTITION", "partition"),
        column("COMMITTED", "committed"),
        column("END", "end"),
        column("LAG", "lag"),
        column("LAG SECONDS", "lag_seconds"),
        column("MEMBER", "member"),
        wide("STATE", "state"),
        wide("CLIENT", "client_id"),
        wide("HOST", "host"),
    ];
    output::rows(form, &columns, &rows, out)
}

fn watch(args: &GroupWatchArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let mut looks = 0;
    loop {
        let groups = described(&mut drive, &args.groups)?;
        show_lag(&mut drive, &groups, args.output.output, out)?;
        out.flush().map_err(Ended::by_output)?;
        looks += 1;
        if args.count == Some(looks) {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(args.every));
    }
}

fn members(args: &GroupMembersArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let groups = described(&mut drive, &args.groups)?;
    let rows: Vec<Value> = groups
        .iter()
        .flat_map(|group| group.members.iter().map(|member| member_json(group, member)))
        .collect();
    let columns = [
        column("GROUP", "group"),
        column("MEMBER", "member"),
        column("INSTANCE", "instance"),
        column("CLIENT", "client_id"),
        column("HOST", "host"),
        column("PARTITIONS", "assigned"),
        wide("EPOCH", "epoch"),
        wide("SUBSCRIBED", "topics"),
        wide("REGEX", "regex"),
        wide("TARGET", "target"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

fn member_json(group: &GroupDescription, member: &GroupMember) -> Value {
    let names = |all: &[TopicPartition]| -> Vec<String> {
        all.iter().map(|partition| format!("{}-{}", partition.topic, partition.index)).collect()
    };
    json!({
        "group": group.group,
        "member": member.id,
        "instance": member.instance,
        "client_id": member.client_id,
        "host": member.host,
        "assigned": names(&member.assigned),
        "epoch": member.epoch,
        "topics": member.topics,
        "regex": member.regex,
        "target": member.target.as_deref().map(names),
    })
}

fn delete(args: &GroupDeleteArgs, out: &mut impl Write) -> Result<(), Ended> {
    let form = args.output.output;
    let would: Vec<Value> =
        args.groups.iter().map(|group| json!({ "group": group, "result": "would be deleted" })).collect();
    if args.sure.dry_run {
        print_done(form, "group", &would, out)?;
    }
    let question = format!("Delete these {} groups and all that they have committed?", args.groups.len());
    if consent(args.sure, &question)? == Consent::Withheld {
        return Ok(());
    }
    let place = args.groups.join(", ");
    let attempt = Attempt { what: "cannot delete the group", place: &place, message: None };
    let results = connect(&args.broker)?.delete_groups(&attempt, args.groups.clone())?;
    let deleted = results.iter().filter(|(_, result)| result.is_ok());
    let rows: Vec<Value> = deleted.map(|(group, _)| json!({ "group": group, "result": "deleted" })).collect();
    print_done(form, "group", &rows, out)?;
    first_failure(&attempt, results.into_iter())
}

fn delete_offsets(args: &GroupDeleteOffsetsArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let attempt = Attempt { what: "cannot delete the offsets", place: &args.group, message: None };
    let committed = drive.group_offsets(&attempt, &args.group)?;
    let chosen: Vec<TopicPartition> = committed
        .into_iter()
        .filter(|(key, found)| matches!(found, Ok(Some(_))) && args.topics.iter().any(|t| **t == *key.topic))
        .map(|(key, _)| key)
        .collect();
    let name = |key: &TopicPartition| format!("{}-{}", key.topic, key.index);
    if args.sure.dry_run {
        let would: Vec<Value> = chosen
            .iter()
            .map(|key| json!({ "partition": name(key), "result": "would be deleted" }))
            .collect();
        print_done(args.output.output, "partition", &would, out)?;
    }
    let question = format!("Forget what {} has committed of {} partitions?", args.group, chosen.len());
    if consent(args.sure, &question)? == Consent::Withheld || chosen.is_empty() {
        return Ok(());
    }
    let results = drive.delete_group_offsets(&attempt, &args.group, chosen)?;
    let deleted = results.iter().filter(|(_, result)| result.is_ok());
    let rows: Vec<Value> =
        deleted.map(|(key, _)| json!({ "partition": name(key), "result": "deleted" })).collect();
    print_done(args.output.output, "partition", &rows, out)?;
    first_failure(&attempt, results.iter().map(|(key, result)| (name(key), *result)))
}

/// The first that failed fails the command, after all lines.
fn first_failure(
    attempt: &Attempt<'_>,
    mut results: impl Iterator<Item = (String, Result<(), ClientError>)>,
) -> Result<(), Ended> {
    match results.find_map(|(place, result)| Some((place, result.err()?))) {
        None => Ok(()),
        Some((place, error)) => Err(Attempt { place: &place, ..*attempt }.failed(error).into()),
    }
}

fn print_done(form: Output, key: &str, rows: &[Value], out: &mut impl Write) -> Result<(), Ended> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output::each(form, rows, |row| format!("{} {}\n", word(&row[key]), word(&row["result"])), out)
}
