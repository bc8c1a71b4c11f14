//! A run of the model in words: what each action was, and how things stood after it.

use super::Model;
use super::action::{Action, Loss};
use super::broker::Broker;
use super::log::Log;
use super::state::{Alter, Altered, Health, Life, Mail, State};

/// One line for each action of `way`, which must be possible.
pub(super) fn lines(model: &Model, way: &[Action]) -> Vec<String> {
    let mut state = State::first(&model.bounds);
    let tell = |action: &Action| {
        let next = model.step(&state, *action).expect("the way was walked before").state;
        let line = format!("{}\n       {}", sentence(&state, &next, *action), standing(model, &next));
        state = next;
        line
    };
    way.iter().map(tell).collect()
}

fn sentence(before: &State, after: &State, action: Action) -> String {
    match action {
        Action::Produce(leader) => {
            let record = letter(after.spent.records);
            format!(
                "leader {leader} appends record {record} in epoch {}",
                after.replica(leader).leader_epoch.0
            )
        }
        Action::Flush(broker) => {
            format!("broker {broker} flushes its log up to {}", after.replica(broker).log.end())
        }
        Action::Learn(broker) => learnt(after, broker),
        Action::Fetch(follower) => fetched(before, after, follower),
        Action::Report(follower) => {
            format!("follower {follower} reports its durable end {}", after.replica(follower).durable_end)
        }
        Action::Advance(leader) => format!(
            "leader {leader} commits and answers up to {}, waiting for {}",
            after.replica(leader).high_watermark,
            before.replica(leader).lead.maximal_isr(),
        ),
        Action::Expand { leader, follower } => format!("leader {leader} asks to add {follower} to the ISR"),
        Action::Shrink { leader, follower } => {
            format!("leader {leader} asks to take {follower} from the ISR")
        }
        Action::Repeat(leader) => format!("leader {leader} hears nothing and repeats its request"),
        Action::Retract(leader) => {
            format!("leader {leader} asks for the ISR that it knows, to end the doubt")
        }
        Action::Deliver(slot) => {
            let mail = before.mail[slot.0].expect("a message that arrives was under way");
            delivered(before, after, &mail)
        }
        Action::Fence(broker) => format!("the controller fences broker {broker}"),
        Action::Unfence(broker) => format!("the controller unfences broker {broker}"),
        Action::Elect(broker) => format!("the controller elects broker {broker}"),
        Action::Move(broker) => format!("the controller moves the leadership to broker {broker}"),
        Action::Crash { broker, loss } => {
            format!("broker {broker} dies and keeps {}", left(after, broker, loss))
        }
        Action::Restart(broker) => match after.replica(broker).health {
            Health::Sound => format!("broker {broker} starts and registers"),
            Health::Suspect => {
                format!("broker {broker} starts and registers: its log may lack durable records")
            }
        },
    }
}

fn learnt(after: &State, broker: Broker) -> String {
    let replica = after.replica(broker);
    if replica.leader == Some(broker) {
        let lead = &replica.lead;
        let (epoch, partition_epoch) = (replica.leader_epoch.0, lead.partition_epoch.0);
        return format!(
            "broker {broker} learns that it leads epoch {epoch} with ISR {} of partition epoch {partition_epoch}",
            lead.isr
        );
    }
    let leader = replica.leader.expect("it learns of a leader");
    format!("broker {broker} learns that {leader} leads epoch {}", replica.leader_epoch.0)
}

fn fetched(before: &State, after: &State, follower: Broker) -> String {
    let (was, is) = (before.replica(follower), after.replica(follower));
    let leader = is.leader.expect("it fetches from a leader");
    if is.log.end() < was.log.end() {
        return format!("follower {follower} fetches from {leader} and truncates to {}", is.log.end());
    }
    if is.log.end() > was.log.end() {
        let record = is.log.last().map_or_else(String::new, |record| letter(record.0).to_string());
        return format!("follower {follower} fetches record {record} from {leader}");
    }
    format!("follower {follower} fetches from {leader}, learning the high watermark {}", is.high_watermark)
}

fn delivered(before: &State, after: &State, mail: &Mail) -> String {
    match mail {
        Mail::Alter(Alter { from, partition_epoch, isr, .. }) => {
            let granted = after.controller.partition_epoch != before.controller.partition_epoch;
            let verdict = if granted { "grants" } else { "refuses" };
            let at = partition_epoch.0;
            format!(
                "the controller {verdict} the request of {from} for ISR {isr}, made at partition epoch {at}"
            )
        }
        Mail::Altered(Altered { to, isr, partition_epoch, .. }) => {
            format!("leader {to} hears that the ISR is {isr} since partition epoch {}", partition_epoch.0)
        }
        Mail::Refused(Altered { to, isr, .. }) => format!("leader {to} hears that ISR {isr} is refused"),
    }
}

fn left(after: &State, broker: Broker, loss: Loss) -> String {
    let log = records(after, after.replica(broker).log);
    match loss {
        Loss::Unflushed => format!("what it had flushed, {log}"),
        Loss::Beyond(_) => format!("{log}, though that was not flushed"),
        Loss::Doubt => format!("what it had flushed, {log}, but cannot tell whether that is all"),
        Loss::Rot => format!("{log}, the last durable record being rotten"),
        Loss::Everything => "nothing".to_owned(),
    }
}

/// All that matters of a state, in a line.
fn standing(model: &Model, state: &State) -> String {
    let controller = &state.controller;
    let leader = controller.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let (epoch, partition_epoch) = (controller.leader_epoch.0, controller.partition_epoch.0);
    let mut line = format!(
        "leader {leader}, epoch {epoch}, partition epoch {partition_epoch}, ISR {}, ELR {}, unfenced {}",
        controller.isr, controller.elr, controller.unfenced
    );
    if !controller.last_known_elr.is_empty() {
        line += &format!(", last known ELR {}", controller.last_known_elr);
    }
    for broker in (0..model.bounds.replicas).map(Broker) {
        line += &format!(" | {broker}: {}", replica_in_words(state, broker));
    }
    line
}

fn replica_in_words(state: &State, broker: Broker) -> String {
    let replica = state.replica(broker);
    let mut words = records(state, replica.log);
    words += &format!(" durable {} hw {}", replica.durable_end, replica.high_watermark);
    if replica.disk != replica.log.until(replica.durable_end) {
        words += &format!(" disk {}", records(state, replica.disk));
    }
    if replica.life == Life::Dead {
        return words + " dead";
    }
    if replica.leader == Some(broker) {
        words += &format!(" leads epoch {} with {}", replica.leader_epoch.0, replica.lead.isr);
        if !replica.lead.pending.is_empty() {
            words += &format!(", asked for {}", replica.lead.pending);
        }
    }
    words
}

/// The records of a log, each a letter with its epoch.
fn records(state: &State, log: Log) -> String {
    let records = log.records().map(|record| format!("{}{}", letter(record.0), state.epoch_of(record).0));
    format!("[{}]", records.collect::<Vec<_>>().join(" "))
}

fn letter(number: u8) -> char {
    char::from(b'a' + number - 1)
}
