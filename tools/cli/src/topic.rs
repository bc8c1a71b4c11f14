//! `topic create|list|describe|delete`.

use std::io::Write;

use highwater_core::client::{
    AdminAnswer, ClientError, NewTopic, PartitionDescription, TopicDescription, TopicResult,
};
use highwater_core::id::NodeId;
use highwater_core::wire::ErrorCode;
use serde_json::{Value, json};

use crate::args::{TopicCommand, TopicCreateArgs, TopicDeleteArgs, TopicDescribeArgs, TopicListArgs};
use crate::ended::Ended;
use crate::session::connect;
use crate::words::Attempt;

pub(crate) fn run(command: &TopicCommand, out: &mut impl Write) -> Result<(), Ended> {
    match command {
        TopicCommand::Create(args) => create(args, out),
        TopicCommand::List(args) => list(args, out),
        TopicCommand::Describe(args) => describe(args, out),
        TopicCommand::Delete(args) => delete(args, out),
    }
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
    let answer = connect(&args.broker)?
        .admin(&attempt, |client, now, token| client.create_topics(now, token, topics))?;
    let exists = ClientError::Broker(ErrorCode::TopicAlreadyExists);
    let done = Done {
        word: "created",
        attempt,
        pardoned: if args.if_not_exists { Some((exists, "exists")) } else { None },
    };
    match answer {
        AdminAnswer::Created(results) => done.report(&results, out),
        AdminAnswer::Deleted(_) | AdminAnswer::Topics(_) | AdminAnswer::Failed(_) => {
            Err(done.attempt.failed(ClientError::Malformed).into())
        }
    }
}

fn delete(args: &TopicDeleteArgs, out: &mut impl Write) -> Result<(), Ended> {
    let place = args.topics.join(", ");
    let attempt = Attempt { what: "cannot delete the topic", place: &place, message: None };
    let answer = connect(&args.broker)?
        .admin(&attempt, |client, now, token| client.delete_topics(now, token, args.topics.clone()))?;
    let done = Done { word: "deleted", attempt, pardoned: None };
    match answer {
        AdminAnswer::Deleted(results) => done.report(&results, out),
        AdminAnswer::Created(_) | AdminAnswer::Topics(_) | AdminAnswer::Failed(_) => {
            Err(done.attempt.failed(ClientError::Malformed).into())
        }
    }
}

/// How to tell what became of each topic.
struct Done<'a> {
    word: &'a str,
    attempt: Attempt<'a>,
    /// An error that is none here, and the word for it.
    pardoned: Option<(ClientError, &'a str)>,
}

impl Done<'_> {
    /// A line for each that is done; the first that is not fails the command, after all lines.
    fn report(&self, results: &[TopicResult], out: &mut impl Write) -> Result<(), Ended> {
        let mut failed = None;
        for result in results {
            let word = match (result.error, self.pardoned) {
                (None, _) => self.word,
                (Some(error), Some((pardoned, word))) if error == pardoned => word,
                (Some(error), _) => {
                    failed.get_or_insert((result, error));
                    continue;
                }
            };
            writeln!(out, "{} {word}", result.name).map_err(Ended::by_output)?;
        }
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

fn list(args: &TopicListArgs, out: &mut impl Write) -> Result<(), Ended> {
    let attempt = Attempt { what: "cannot list the topics", place: &args.broker.bootstrap, message: None };
    let answer =
        connect(&args.broker)?.admin(&attempt, |client, now, token| client.list_topics(now, token))?;
    let mut topics = match answer {
        AdminAnswer::Topics(topics) => topics,
        AdminAnswer::Created(_) | AdminAnswer::Deleted(_) | AdminAnswer::Failed(_) => {
            return Err(attempt.failed(ClientError::Malformed).into());
        }
    };
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = topics.iter().map(|topic| {
        if args.json {
            return topic_json(topic).to_string();
        }
        let replicas = topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0);
        format!("{:<40} {:>10} {replicas:>9}", topic.name, topic.partitions.len())
    });
    let heading = (!args.json).then(|| format!("{:<40} {:>10} {:>9}", "TOPIC", "PARTITIONS", "REPLICAS"));
    for row in heading.into_iter().chain(rows) {
        writeln!(out, "{row}").map_err(Ended::by_output)?;
    }
    Ok(())
}

fn describe(args: &TopicDescribeArgs, out: &mut impl Write) -> Result<(), Ended> {
    let topics = connect(&args.broker)?.describe(&args.topics)?;
    let mut failed = None;
    for topic in &topics {
        if let Some(error) = topic.error {
            failed.get_or_insert((topic, error));
            continue;
        }
        let text = if args.json { format!("{}\n", topic_json(topic)) } else { topic_text(topic) };
        out.write_all(text.as_bytes()).map_err(Ended::by_output)?;
    }
    match failed {
        None => Ok(()),
        Some((topic, error)) => {
            let attempt = Attempt { what: "cannot describe the topic", place: &topic.name, message: None };
            Err(attempt.failed(error).into())
        }
    }
}

fn topic_text(topic: &TopicDescription) -> String {
    let internal = if topic.internal { ", internal" } else { "" };
    let mut text = format!("{}  id {}{internal}\n", topic.name, topic.id.0);
    text.push_str("  PARTITION  LEADER  EPOCH  REPLICAS  ISR\n");
    for partition in &topic.partitions {
        let leader = partition.leader.map_or_else(|| "none".into(), |node| node.0.to_string());
        let PartitionDescription { index, leader_epoch, replicas, isr, .. } = partition;
        let (replicas, isr) = (nodes(replicas), nodes(isr));
        text.push_str(&format!("  {index:<9}  {leader:<6}  {leader_epoch:<5}  {replicas:<8}  {isr}\n"));
    }
    text
}

fn nodes(nodes: &[NodeId]) -> String {
    nodes.iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join(",")
}

fn topic_json(topic: &TopicDescription) -> Value {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    let partition = |p: &PartitionDescription| {
        json!({
            "partition": p.index,
            "leader": p.leader.map(|node| node.0),
            "leader_epoch": p.leader_epoch,
            "replicas": ids(&p.replicas),
            "isr": ids(&p.isr),
        })
    };
    json!({
        "topic": topic.name,
        "id": topic.id.0.to_string(),
        "internal": topic.internal,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}
