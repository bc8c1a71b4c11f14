//! Tells a run in words: what was done to it, in order, and what broke. Must not know how a run works; it reads the tape.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::page::pretty;
use crate::plan::Plan;
use crate::report::Violation;
use crate::tape::{Entry, Kind, Sink, Site};

/// Reads along and remembers what is worth telling.
#[derive(Debug, Default)]
pub struct Story {
    /// When it happened, and what.
    told: Vec<(u64, String)>,
    /// Nodes that go down because the time has come, and not because of a moment.
    due: BTreeSet<usize>,
    /// Disk operations of each kind that a node has asked for.
    asked: BTreeMap<(usize, &'static str), u64>,
    /// Those that are open: which of its kind each is.
    open: BTreeMap<(usize, u16, u64), (&'static str, u64)>,
    /// Moments at which a node is to go down.
    armed: BTreeMap<usize, Vec<String>>,
    requests: u64,
}

fn word(entry: &Entry, name: &str) -> String {
    match entry.field(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn millis(entry: &Entry, name: &str) -> String {
    let nanos = entry.field(name).and_then(Value::as_u64).unwrap_or(0);
    let millis = std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// 1st, 2nd, 3rd, 11th.
fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (1, last) if last != 11 => "st",
        (2, last) if last != 12 => "nd",
        (3, last) if last != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn goes_down(how: &str) -> &'static str {
    match how {
        "PowerOff" => "loses power",
        "Killed" => "is killed",
        _ => "is stopped",
    }
}

/// `DiskFull` as words.
fn words(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

impl Sink for Story {
    fn entry(&mut self, entry: Entry) {
        match (entry.kind, entry.site) {
            (Kind::Fault, Site::Node(node) | Site::Shard { node, .. }) => self.on_fault(node, &entry),
            (Kind::Fact, _) if entry.what == "Ended" => self.on_end(&entry),
            (Kind::Start, Site::Node(node)) => self.open.retain(|(of, ..), _| *of != node),
            (Kind::Client, _) if entry.what == "Sends" => self.requests += 1,
            (Kind::Effect, Site::Shard { node, shard }) => self.on_effect(node, shard, &entry),
            (Kind::Input, Site::Shard { node, shard }) if entry.what == "Disk" => {
                let op = entry.field("op").and_then(Value::as_u64).unwrap_or(0);
                self.open.remove(&(node, shard, op));
            }
            _ => {}
        }
    }
}

impl Story {
    fn on_effect(&mut self, node: usize, shard: u16, entry: &Entry) {
        let kind = match (entry.what.as_str(), word(entry, "durability").as_str()) {
            ("Write", "Durable") => "durable write",
            ("Write", _) => "write",
            ("Sync", _) => "sync",
            ("File", _) => "file change",
            _ => return,
        };
        let count = self.asked.entry((node, kind)).or_default();
        *count += 1;
        let op = entry.field("op").and_then(Value::as_u64).unwrap_or(0);
        self.open.insert((node, shard, op), (kind, *count));
    }

    fn on_fault(&mut self, node: usize, entry: &Entry) {
        let lasting = millis(entry, "lasting");
        let told = match entry.what.as_str() {
            // Told when it happens.
            "Crash" => {
                self.due.insert(node);
                return;
            }
            "CrashDuring" => return self.armed.entry(node).or_default().push(word(entry, "moment")),
            "DiskErrors" => {
                let rate = entry.field("per_million").and_then(Value::as_u64).unwrap_or(0) / 10_000;
                format!(
                    "{} in 100 {}s of node {node} fail for {lasting}",
                    rate.max(1),
                    word(entry, "kind").to_lowercase()
                )
            }
            "DiskFull" => format!("the disk of node {node} has {} B left for {lasting}", word(entry, "room")),
            "DiskSlow" => {
                format!("the disk of node {node} is {} times as slow for {lasting}", word(entry, "factor"))
            }
            "PauseAll" => format!("node {node} stands still for {lasting}"),
            "Clock" => {
                let (shape, millis) = (word(entry, "shape").to_lowercase(), word(entry, "millis"));
                format!(
                    "the clock of node {node} departs from the truth ({shape}) by up to {millis} ms for {lasting}"
                )
            }
            "Pause" => format!("a shard of node {node} stands still for {lasting}"),
            "Reset" => format!("a connection of node {node} is reset"),
            "ClockJump" => format!("the clock of node {node} jumps by {} ms", word(entry, "millis")),
            "Rot" => format!("bits rot on node {node}"),
            "Link" => format!("{} node {node} {} for {lasting}", way(entry), trouble(entry)),
            other => {
                let fields = entry.fields.iter().filter(|(name, _)| name != "number");
                let fields: Vec<String> = fields.map(|(name, value)| format!("{name} {value}")).collect();
                format!("node {node}: {} {}", words(other), fields.join(", "))
            }
        };
        self.told.push((entry.at.as_nanos(), told));
    }

    fn on_end(&mut self, entry: &Entry) {
        let node = entry
            .field("node")
            .and_then(Value::as_u64)
            .and_then(|node| usize::try_from(node).ok())
            .unwrap_or(0);
        let seconds = std::time::Duration::from_nanos(entry.at.as_nanos()).as_secs_f64();
        let due = self.due.remove(&node);
        let moments = self.armed.get(&node).filter(|_| !due).map(Vec::as_slice).unwrap_or_default();
        let wanted = |kind: &str| {
            moments.iter().any(|moment| match moment.as_str() {
                "DurableWrite" => kind == "durable write",
                "CachedWrite" => kind == "write",
                "Sync" => kind == "sync",
                "Change" => kind == "file change",
                _ => false,
            })
        };
        let mut open = self.open.iter().filter(|((of, ..), _)| *of == node).map(|(_, open)| *open);
        let during = open.clone().rfind(|(kind, _)| wanted(kind)).or_else(|| open.next_back());
        let during = during
            .map_or_else(String::new, |(kind, count)| format!("during its {} {kind}, ", ordinal(count)));
        let moment = match moments {
            [moment] => format!(" (waited for: {})", words(moment)),
            _ => String::new(),
        };
        let told =
            format!("node {node} {} {during}at {seconds:.3} s{moment}", goes_down(&word(entry, "how")));
        self.told.push((entry.at.as_nanos(), told));
    }

    /// The story: how much of everything there was, what happened, and what broke.
    pub fn tell(&self, plan: &Plan, violation: Option<&Violation>) -> String {
        let params = plan.params();
        let clients = params.clients.len() - params.without_clients.len();
        let count =
            |number: u64, name: &str| format!("{number} {name}{}", if number == 1 { "" } else { "s" });
        let faults_end = params.faults_end.as_nanos();
        let tell = |(at, told): &(u64, String)| {
            if *at < faults_end { told.clone() } else { format!("after all faults {told}") }
        };
        let mut told: Vec<String> = self.told.iter().map(tell).collect();
        told.push(match violation {
            Some(violation) => format!("then {}: {}", violation.invariant, pretty(&violation.story)),
            None => "then nothing is wrong".to_owned(),
        });
        format!(
            "{}, {}, {}, {}:\n  {}",
            count(plan.faults.len() as u64, "fault"),
            count(params.nodes.len() as u64, "node"),
            count(clients as u64, "client"),
            count(self.requests, "operation"),
            told.join(";\n  ")
        )
    }
}

/// The name of a variant, which is told alone or beside its fields.
fn variant(value: Option<&Value>) -> &str {
    value.and_then(|value| value.as_str().or_else(|| value.get("is")?.as_str())).unwrap_or_default()
}

/// Which messages an ailing link is about.
fn way(entry: &Entry) -> String {
    let stretch = entry.field("stretch");
    let of = |name: &str| variant(stretch.and_then(|stretch| stretch.get(name)));
    let whose = if of("peers") == "All" { "messages" } else { "messages of some peers" };
    let way = match of("way") {
        "In" => "to",
        "Out" => "from",
        _ => "to and from",
    };
    format!("{whose} {way}")
}

/// What an ailing link does to messages.
fn trouble(entry: &Entry) -> &'static str {
    match variant(entry.field("trouble")) {
        "Loss" => "are lost now and then",
        "Delay" => "come late",
        "Reorder" => "overtake each other",
        "Duplicate" => "come twice now and then",
        "Clog" => "are held up",
        "Cut" => "do not pass",
        _ => "suffer",
    }
}

#[cfg(test)]
mod tests {
    use super::{ordinal, words};

    #[test]
    fn numbers_and_names_become_words() {
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(ordinals, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
        assert_eq!(words("OneWayCut"), "one way cut");
    }
}
