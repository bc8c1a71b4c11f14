//! The report of a run as one page that needs nothing else: what happened on every node and client, drawn and listed. Must not
//! know how a run works; it reads the tape.

mod links;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::outcome::{Outcome, Verdict};
use crate::plan::Plan;
use crate::tape::{Entry, Kind, Sink, Site, to_value};
use links::Links;

/// Entries before the end that the page lists one by one.
const WINDOW: usize = 6_000;
/// Messages, disk operations and batches that it draws.
const DRAWN: usize = 3_000;
/// Points of a curve.
const POINTS: usize = 400;

/// One life of a node's process.
#[derive(Debug)]
struct Life {
    node: usize,
    life: u64,
    from: u64,
    /// When and how it ended.
    to: Option<(u64, String)>,
}

/// A value over time.
type Curve = Vec<(u64, i64)>;

/// Ends of a partition's log over time.
#[derive(Debug, Default)]
struct Curves {
    log_end: Curve,
    durable_end: Curve,
    high_watermark: Curve,
}

/// A record on its way.
#[derive(Debug)]
struct Sent {
    client: Option<usize>,
    place: String,
    promise: String,
    from: u64,
    ended: Option<(u64, &'static str, Value)>,
}

/// Reads the tape of a run and makes the page.
#[derive(Debug, Default)]
pub struct Page {
    entries: VecDeque<Entry>,
    left_out: u64,
    lives: Vec<Life>,
    faults: Vec<Value>,
    curves: BTreeMap<(usize, String), Curves>,
    batches: BTreeMap<u64, Sent>,
    /// High watermarks of each partition, and of each place of the history as clients were told of them.
    ends: BTreeMap<(usize, String), BTreeSet<i64>>,
    places: BTreeSet<(String, i64)>,
    links: Links,
    last: u64,
}

fn number(entry: &Entry, name: &str) -> Option<i64> {
    entry.field(name)?.as_i64()
}

fn text(entry: &Entry, name: &str) -> String {
    match entry.field(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

impl Sink for Page {
    fn entry(&mut self, entry: Entry) {
        self.last = entry.at.as_nanos();
        match (entry.kind, entry.site) {
            (Kind::Start, Site::Node(node)) => self.lives.push(Life {
                node,
                life: number(&entry, "life").unwrap_or_default().unsigned_abs(),
                from: self.last,
                to: None,
            }),
            (Kind::Event, Site::Node(node)) => self.on_event(node, &entry),
            (Kind::Fault, site) => self.on_fault(site, &entry),
            (Kind::Fact, _) => self.on_fact(&entry),
            _ => self.links.on_entry(&entry),
        }
        if self.entries.len() == WINDOW {
            self.entries.pop_front();
            self.left_out += 1;
        }
        self.entries.push_back(entry);
    }
}

impl Page {
    fn on_event(&mut self, node: usize, entry: &Entry) {
        let (name, of): (_, fn(&mut Curves) -> &mut Curve) = match entry.what.as_str() {
            "Appended" => ("last", |curves| &mut curves.log_end),
            "Recovered" => ("log_end", |curves| &mut curves.log_end),
            "DurableAdvanced" => ("durable_end", |curves| &mut curves.durable_end),
            "HighWatermarkAdvanced" => ("high_watermark", |curves| &mut curves.high_watermark),
            _ => return,
        };
        let Some(value) = number(entry, name) else { return };
        let value = if entry.what == "Appended" { value + 1 } else { value };
        let key = (node, text(entry, "partition"));
        if matches!(entry.what.as_str(), "HighWatermarkAdvanced" | "Recovered") {
            self.ends.entry(key.clone()).or_default().insert(value);
        }
        of(self.curves.entry(key).or_default()).push((self.last, value));
    }

    fn on_fault(&mut self, site: Site, entry: &Entry) {
        let lasting = ["lasting", "down"].iter().find_map(|name| number(entry, name)).unwrap_or(0);
        let node = match site {
            Site::Node(node) | Site::Shard { node, .. } => Some(node),
            Site::World | Site::Client(_) => None,
        };
        self.faults.push(json!({ "at": self.last, "until": self.last.saturating_add(lasting.unsigned_abs()),
            "node": node, "what": entry.what, "fields": fields(entry) }));
    }

    fn on_fact(&mut self, entry: &Entry) {
        let id = number(entry, "value").unwrap_or_default().unsigned_abs();
        let end = |how, value| Some((entry.at.as_nanos(), how, value));
        if let ("Told", Some(end @ 1..)) = (entry.what.as_str(), number(entry, "high_watermark")) {
            self.places.insert((text(entry, "place"), end));
        }
        match entry.what.as_str() {
            "Sent" => {
                let client = if let Site::Client(client) = entry.site { Some(client) } else { None };
                let sent = Sent {
                    client,
                    place: text(entry, "place"),
                    promise: text(entry, "promise"),
                    from: self.last,
                    ended: None,
                };
                self.batches.entry(id).or_insert(sent);
            }
            "Acked" => {
                if let Some(sent) = self.batches.get_mut(&id) {
                    sent.ended = end("ok", entry.field("offset").cloned().unwrap_or_default());
                }
            }
            "Unacked" => {
                if let Some(sent) = self.batches.get_mut(&id) {
                    let how = if text(entry, "written") == "No" { "fail" } else { "info" };
                    sent.ended = end(how, Value::from(text(entry, "error")));
                }
            }
            "Ended" => {
                let node = number(entry, "node").unwrap_or_default().unsigned_abs();
                let open = |life: &&mut Life| life.node as u64 == node && life.to.is_none();
                if let Some(life) = self.lives.iter_mut().rev().find(open) {
                    life.to = Some((self.last, text(entry, "how")));
                }
            }
            _ => {}
        }
    }

    /// The id of each topic of the history, where only one can be meant: that which has had every high watermark that was told of.
    fn topics(&self) -> BTreeMap<String, String> {
        let mut had: BTreeMap<&str, BTreeSet<(&str, i64)>> = BTreeMap::new();
        for ((_, partition), ends) in &self.ends {
            let (id, index) = partition.rsplit_once('-').unwrap_or((partition, ""));
            had.entry(id).or_default().extend(ends.iter().map(|end| (index, *end)));
        }
        let mut wanted: BTreeMap<&str, BTreeSet<(&str, i64)>> = BTreeMap::new();
        for (place, end) in &self.places {
            let (topic, index) = place.rsplit_once('-').unwrap_or((place, ""));
            wanted.entry(topic).or_default().insert((index, *end));
        }
        let mut topics = BTreeMap::new();
        // Each topic that is known leaves less for the others.
        for _ in 0..wanted.len() {
            for (topic, bases) in &wanted {
                let free = |id: &str| !topics.values().any(|taken| taken == id);
                let fits = had.iter().filter(|(id, had)| free(id) && bases.is_subset(had));
                let fits: Vec<&str> = fits.map(|(id, _)| *id).collect();
                if let ([id], false) = (fits.as_slice(), topics.contains_key(*topic)) {
                    topics.insert((*topic).to_owned(), (*id).to_owned());
                }
            }
        }
        topics
    }

    /// What to call a partition: the place of the history if it is known.
    fn name(topics: &BTreeMap<String, String>, partition: &str) -> String {
        let (id, index) = partition.rsplit_once('-').unwrap_or((partition, ""));
        match topics.iter().find(|(_, of)| *of == id) {
            Some((topic, _)) => format!("{topic}-{index}"),
            None if id == "AAAAAAAAAAAAAAAAAAAAAQ" => "metadata".to_owned(),
            None => format!("{}…-{index}", &id[..id.len().min(6)]),
        }
    }

    fn data(&self, plan: &Plan, outcome: &Outcome) -> Value {
        let params = plan.params();
        let clients =
            params.clients.iter().map(|client| crate::report::variant_name(&client.role).to_lowercase());
        let clients: Vec<String> = clients.chain(["finalreader".to_owned()]).collect();
        let lives = self.lives.iter().map(|life| {
            json!({ "node": life.node, "life": life.life, "from": life.from, "to": life.to.as_ref().map(|to| to.0),
                "how": life.to.as_ref().map(|to| &to.1) })
        });
        let topics = self.topics();
        let curves = self.curves.iter().map(|(key, curves)| {
            let [log_end, durable_end, high_watermark] =
                [&curves.log_end, &curves.durable_end, &curves.high_watermark].map(|points| thin(points));
            json!({ "name": Self::name(&topics, &key.1), "node": key.0, "partition": key.1, "log_end": log_end,
                "durable_end": durable_end, "high_watermark": high_watermark })
        });
        let entries = self.entries.iter().map(|entry| {
            json!([entry.at.as_nanos(), site(entry.site), entry.kind.name(), entry.what, fields(entry)])
        });
        json!({
            "outcome": outcome,
            "end": self.last,
            "faults_end": params.faults_end.as_nanos(),
            "nodes": params.nodes.len(),
            "clients": clients,
            "lives": lives.collect::<Vec<_>>(),
            "faults": self.faults,
            "curves": curves.collect::<Vec<_>>(),
            "left_out": self.left_out,
            "entries": entries.collect::<Vec<_>>(),
            "messages": self.links.messages,
            "disk": self.links.disk,
            "batches": self.batch_rows(outcome),
        })
    }

    /// The newest batches, and those that the story names.
    fn batch_rows(&self, outcome: &Outcome) -> Vec<Value> {
        let story = outcome.story.as_deref().unwrap_or_default();
        let named = |id: &u64| story.contains(&format!("Value({id})"));
        let skip = self.batches.len().saturating_sub(DRAWN);
        let rows = self.batches.iter().enumerate().filter(|(place, (id, _))| *place >= skip || named(id));
        rows.map(|(_, (id, sent))| {
            let (to, how, base) = match &sent.ended {
                Some((to, how, base)) => (Some(to), *how, base.clone()),
                None => (None, "info", Value::Null),
            };
            json!([id, sent.client, sent.place, sent.promise, sent.from, to, how, base, named(id)])
        })
        .collect()
    }

    /// The page.
    pub fn html(&self, plan: &Plan, outcome: &Outcome) -> String {
        // Data must not end the element that it stands in.
        let data = self.data(plan, outcome).to_string().replace('<', "\\u003c");
        let failed = outcome.outcome == Verdict::Failed;
        let faults: Vec<String> =
            plan.faults.iter().map(|planned| flat_line(&to_value(&planned.fault), planned)).collect();
        include_str!("page/page.html")
            .replace("/*CSS*/", include_str!("page/page.css"))
            .replace("{{title}}", &escape(&outcome.seed_string))
            .replace("{{verdict}}", if failed { "failed" } else { "clean" })
            .replace(
                "{{invariant}}",
                &escape(outcome.invariant.as_deref().unwrap_or("no invariant is broken")),
            )
            .replace("{{story}}", &escape(&pretty(outcome.story.as_deref().unwrap_or_default())))
            .replace("{{seed}}", &escape(&outcome.seed_string))
            .replace("{{repro}}", &escape(outcome.repro.as_deref().unwrap_or_default()))
            .replace("{{fingerprint}}", &outcome.fingerprint)
            .replace("{{numbers}}", &escape(&numbers(outcome)))
            .replace("{{plan}}", &escape(&faults.join("\n")))
            .replace("/*JS*/", include_str!("page/page.js"))
            .replace("/*DATA*/", &data)
    }
}

fn flat_line(fault: &Value, planned: &crate::fault::Planned) -> String {
    let millis = planned.at.as_nanos() / 1_000_000;
    let fault = fault.as_str().map_or_else(|| fault.to_string(), str::to_owned);
    format!("{:>4}.{:03} s  node {}  {fault}", millis / 1_000, millis % 1_000, planned.node)
}

fn numbers(outcome: &Outcome) -> String {
    let millis = outcome.virtual_nanos / 1_000_000;
    format!(
        "{}.{:03} s simulated, {} steps\noperations  {}\nfaults      {}\nevents      {}",
        millis / 1_000,
        millis % 1_000,
        outcome.steps,
        outcome.operations,
        outcome.faults,
        outcome.events
    )
}

/// Ids of a story in the form in which the rest of the page writes them.
pub fn pretty(story: &str) -> String {
    let mut text = String::with_capacity(story.len());
    let mut rest = story;
    while let Some(at) = rest.find("Place { topic: ") {
        text.push_str(&rest[..at]);
        let inner = &rest[at + "Place { topic: ".len()..];
        let Some((topic, (index, after))) =
            inner.split_once(", index: ").and_then(|(topic, rest)| Some((topic, rest.split_once(" }")?)))
        else {
            text.push_str("Place { topic: ");
            rest = inner;
            continue;
        };
        text.push_str("topic-");
        text.push_str(topic);
        text.push('-');
        text.push_str(index);
        rest = after;
    }
    text + rest
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn site(site: Site) -> String {
    match site {
        Site::World => String::new(),
        Site::Node(node) => format!("n{node}"),
        Site::Shard { node, shard } => format!("n{node}.{shard}"),
        Site::Client(client) => format!("c{client}"),
    }
}

fn fields(entry: &Entry) -> Value {
    Value::Object(entry.fields.iter().cloned().collect())
}

/// At most so many points, the last of each stretch.
fn thin(points: &[(u64, i64)]) -> Vec<(u64, i64)> {
    let step = points.len().div_ceil(POINTS).max(1);
    points.chunks(step).filter_map(|stretch| stretch.last().copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Page, pretty};
    use crate::outcome::Outcome;
    use crate::params::{Options, Profile};
    use crate::plan::Plan;
    use crate::run::run_taped;

    #[test]
    fn page_stands_alone_and_stays_small() {
        let plan = Plan::draw(11, Options { profile: Profile::Smoke, ..Options::default() });
        let page = Rc::new(RefCell::new(Page::default()));
        let report = run_taped(&plan, page.clone());
        let mut outcome = Outcome::new(&plan, &report);
        outcome.fail("test", "</script><b>".to_owned());
        let page = page.borrow();
        let html = page.html(&plan, &outcome);
        assert!(html.len() < 5_000_000, "{}", html.len());
        for external in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!html.contains(external), "{external}");
        }
        assert_eq!(html.matches("</script>").count(), 2, "one for the data and one for the code");
        let data =
            html.split("type=\"application/json\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        for drawn in ["lives", "faults", "curves", "entries", "messages", "disk", "batches"] {
            assert!(!data[drawn].as_array().unwrap().is_empty(), "no {drawn}");
        }
        assert!(!html.contains("{{") && !html.contains("/*DATA*/"), "all is filled in");
    }

    #[test]
    fn stories_are_made_readable() {
        assert_eq!(pretty("a Place { topic: 1, index: 0 } b"), "a topic-1-0 b");
        assert_eq!(pretty("Place { topic: x"), "Place { topic: x");
    }
}
