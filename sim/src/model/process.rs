//! What becomes of a broker's process and disk: flush, crash, restart.

use super::Model;
use super::action::Loss;
use super::broker::Broker;
use super::log::Log;
use super::rule::Rule;
use super::state::{Agreement, Health, Lead, LeaderEpoch, Life, Mail, Replica, State};

pub(super) fn flush(state: &mut State, broker: Broker) -> Option<()> {
    if !state.runs(broker) {
        return None;
    }
    let replica = state.replica_mut(broker);
    if replica.disk == replica.log {
        return None;
    }
    replica.disk = replica.log;
    replica.durable_end = replica.log.end();
    Some(())
}

pub(super) fn crash(model: &Model, state: &mut State, broker: Broker, loss: Loss) -> Option<()> {
    if !state.runs(broker) || state.spent.crashes == model.bounds.crashes {
        return None;
    }
    state.spent.crashes += 1;
    if matches!(loss, Loss::Rot | Loss::Everything) {
        if state.spent.rots == model.bounds.rots {
            return None;
        }
        state.spent.rots += 1;
    }
    let replica = state.replica_mut(broker);
    let left = what_is_left(replica, loss)?;
    let harmed = matches!(loss, Loss::Doubt | Loss::Rot | Loss::Everything);
    let health = if harmed && !model.breaks(Rule::RotIsNotTold) { Health::Suspect } else { replica.health };
    // A truncation that is not flushed comes undone, and then what lies at an offset is not what the high watermark passed.
    let ahead = model.breaks(Rule::HighWatermarkAheadOfDisk);
    let remembered =
        if ahead { replica.high_watermark } else { replica.high_watermark.min(replica.durable_end) };
    *replica = Replica {
        life: Life::Dead,
        health,
        log: left,
        disk: left,
        durable_end: left.end(),
        high_watermark: remembered.min(left.end()),
        leader: None,
        leader_epoch: LeaderEpoch(0),
        agreement: Agreement::Unknown,
        lead: Lead::default(),
    };
    Some(())
}

/// None where another loss leaves the same.
fn what_is_left(replica: &Replica, loss: Loss) -> Option<Log> {
    let disk = replica.disk;
    match loss {
        Loss::Unflushed | Loss::Doubt => Some(disk),
        Loss::Beyond(end) => {
            let written = replica.durable_end <= end && end <= replica.log.end();
            let left = replica.log.until(end);
            (written && left != disk).then_some(left)
        }
        Loss::Rot => (disk.end() > 1).then(|| disk.until(disk.end() - 1)),
        Loss::Everything => (disk.end() > 0).then_some(Log::EMPTY),
    }
}

/// R10: a broker registers only once its former self is fenced. R12: a suspect one is no longer eligible.
pub(super) fn restart(model: &Model, state: &mut State, broker: Broker) -> Option<()> {
    let fenced = !state.controller.unfenced.has(broker) || model.breaks(Rule::RegisterUnfenced);
    if state.runs(broker) || !fenced {
        return None;
    }
    let replica = state.replica_mut(broker);
    replica.life = Life::Running;
    let suspect = replica.health == Health::Suspect;
    let controller = &mut state.controller;
    if suspect && controller.elr.has(broker) && !model.breaks(Rule::SuspectStaysEligible) {
        controller.elr = controller.elr.without(broker);
        controller.last_known_elr = controller.last_known_elr.with(broker);
        controller.partition_epoch = controller.partition_epoch.next();
    }
    outdate(state, broker);
    Some(())
}

/// From now on the broker epoch of all that was said about this broker is an old one.
fn outdate(state: &mut State, broker: Broker) {
    for replica in &mut state.replicas {
        let lead = &mut replica.lead;
        if lead.reported_end(broker).is_some() {
            lead.reported_stale = lead.reported_stale.with(broker);
        }
        if lead.pending.has(broker) {
            lead.pending_stale = lead.pending_stale.with(broker);
        }
    }
    for mail in state.mail.iter_mut().flatten() {
        if let Mail::Alter(alter) = mail
            && alter.isr.has(broker)
        {
            alter.stale = alter.stale.with(broker);
        }
    }
}
