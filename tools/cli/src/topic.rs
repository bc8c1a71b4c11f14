//! `topic`: what there is, what becomes of it.

mod alter;
mod offsets;
mod retention;
mod segments;
mod trim;

use std::io::Write;

use highwater_core::client::{
    ClientError, Mode, NewTopic, PartitionDescription, TopicDescription, TopicResult,
};
use highwater_core::id::NodeId;
use highwater_core::wire::ErrorCode;
use serde_json::{Value, json};

use crate::args::{
    Output, TopicCommand, TopicCreateArgs, TopicDeleteArgs, TopicDescribeArgs, TopicListArgs, TopicsArgs,
};
use crate::ended::Ended;
use crate::names::Selection;
use crate::output::{self, column, wide};
use crate::session::connect;
use crate::terminal::{Consent, consent};
use crate::words::Attempt;

pub(crate) fn run(command: &TopicCommand, out: &mut impl Write) -> Result<(), Ended> {
    match command {
        TopicCommand::Create(args) => create(args, out),
        TopicCommand::List(args) => list(args, out),
        TopicCommand::Describe(args) => describe(args, out),
        TopicCommand::Alter(args) => alter::run(args, out),
        TopicCommand::Offsets(args) => offsets::run(args, out),
        TopicCommand::Retention(args) => retention::run(args, out),
        TopicCommand::Trim(args) => trim::run(args, out),
        TopicCommand::Delete(args) => delete(args, out),
    }
}

pub(crate) fn mode(dry_run: bool) -> Mode {
    if dry_run { Mode::Validate } else { Mode::Do }
}

fn create(args: &TopicCreateArgs, out: &mut impl Write) -> Result<(), Ended> {
    let configs: Vec<_> = args.configs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
    let topics = args.topics.iter().map(|name| NewTopic {
        name: name.clone(),
        partitions: args.partitions.unwrap_or(-1),
        replication_factor: args.replication_factor.unwrap_or(-1),
        configs: configs.clone(),
    });
    let topics = topics.collect();
    let place = args.topics.join(", ");
    let attempt = Attempt { what: "cannot create the topic", place: &place, message: None };
    let results = connect(&args.broker)?.create_topics(&attempt, topics, mode(args.dry_run))?;
    let exists = ClientError::Broker(ErrorCode::TopicAlreadyExists);
    let done = Done {
        word: if args.dry_run { "would be created" } else { "created" },
        attempt,
        pardoned: if args.if_not_exists { Some((exists, "exists")) } else { None },
        form: args.output.output,
    };
    done.report(&results, out)
}

fn delete(args: &TopicDeleteArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let place = names.join(", ");
    let attempt = Attempt { what: "cannot delete the topic", place: &place, message: None };
    let found = Selection::new(&args.topics.topics, args.topics.regex)?.is_pattern();
    if found || args.sure.dry_run {
        if !args.sure.yes {
            let rows: Vec<Value> =
                names.iter().map(|name| json!({ "topic": name, "result": "would be deleted" })).collect();
            print_done(args.output.output, &rows, out)?;
            out.flush().map_err(Ended::by_output)?;
        }
        let question = format!("Delete these {} topics and all their records?", names.len());
        if consent(args.sure, &question)? == Consent::Withheld {
            return Ok(());
        }
    }
    let results = drive.delete_topics(&attempt, names)?;
    let done = Done { word: "deleted", attempt, pardoned: None, form: args.output.output };
    done.report(&results, out)
}

/// How to tell what became of each topic.
pub(crate) struct Done<'a> {
    pub(crate) word: &'a str,
    pub(crate) attempt: Attempt<'a>,
    /// An error that is none here, and the word for it.
    pub(crate) pardoned: Option<(ClientError, &'a str)>,
    pub(crate) form: Output,
}

impl Done<'_> {
    /// A line for each that is done; the first that is not fails the command, after all lines.
    pub(crate) fn report(&self, results: &[TopicResult], out: &mut impl Write) -> Result<(), Ended> {
        let mut failed = None;
        let mut rows = Vec::new();
        for result in results {
            let word = match (result.error, self.pardoned) {
                (None, _) => self.word,
                (Some(error), Some((pardoned, word))) if error == pardoned => word,
                (Some(error), _) => {
                    failed.get_or_insert((result, error));
                    continue;
                }
            };
            rows.push(json!({ "topic": result.name, "result": word }));
        }
        print_done(self.form, &rows, out)?;
        match failed {
            None => Ok(()),
            Some((result, error)) => {
                let attempt =
                    Attempt { place: &result.name, message: result.message.as_deref(), ..self.attempt };
                Err(attempt.failed(error).into())
            }
        }
    }
}

fn print_done(form: Output, rows: &[Value], out: &mut impl Write) -> Result<(), Ended> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output::each(form, rows, |row| format!("{} {}\n", word(&row["topic"]), word(&row["result"])), out)
}

fn list(args: &TopicListArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut topics = connect(&args.broker)?.list_topics()?;
    if !args.topics.is_empty() {
        let wanted = TopicsArgs { topics: args.topics.clone(), regex: args.regex };
        let names = Selection::new(&wanted.topics, wanted.regex)?.among(&topics)?;
        topics.retain(|topic| names.contains(&topic.name));
    }
    let rows: Vec<Value> = topics.iter().map(topic_json).collect();
    let columns = [
        column("TOPIC", "topic"),
        column("PARTITIONS", "partition_count"),
        column("REPLICAS", "replication_factor"),
        wide("ID", "id"),
        wide("INTERNAL", "internal"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

fn describe(args: &TopicDescribeArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let topics = drive.describe(&names)?;
    let (good, bad): (Vec<_>, Vec<_>) = topics.iter().partition(|topic| topic.error.is_none());
    let form = args.output.output;
    if matches!(form, Output::Json | Output::Yaml) {
        let rows: Vec<Value> = good.iter().map(|topic| topic_json(topic)).collect();
        output::rows(form, &[], &rows, out)?;
    } else {
        for topic in good {
            let internal = if topic.internal { ", internal" } else { "" };
            writeln!(out, "{}  id {}{internal}", topic.name, topic.id.0).map_err(Ended::by_output)?;
            let rows: Vec<Value> = topic.partitions.iter().map(partition_json).collect();
            let columns = [
                column("PARTITION", "partition"),
                column("LEADER", "leader"),
                column("EPOCH", "leader_epoch"),
                column("REPLICAS", "replicas"),
                column("ISR", "isr"),
            ];
            output::rows(form, &columns, &rows, out)?;
        }
    }
    match bad.first().and_then(|topic| Some((topic, topic.error?))) {
        None => Ok(()),
        Some((topic, error)) => {
            let attempt = Attempt { what: "cannot describe the topic", place: &topic.name, message: None };
            Err(attempt.failed(error).into())
        }
    }
}

fn topic_json(topic: &TopicDescription) -> Value {
    json!({
        "topic": topic.name,
        "id": topic.id.0.to_string(),
        "internal": topic.internal,
        "partition_count": topic.partitions.len(),
        "replication_factor": topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0),
        "partitions": topic.partitions.iter().map(partition_json).collect::<Vec<_>>(),
    })
}

fn partition_json(partition: &PartitionDescription) -> Value {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    json!({
        "partition": partition.index,
        "leader": partition.leader.map(|node| node.0),
        "leader_epoch": partition.leader_epoch,
        "replicas": ids(&partition.replicas),
        "isr": ids(&partition.isr),
    })
}
