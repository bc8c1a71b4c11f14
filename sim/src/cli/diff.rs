//! `diff`: where two runs part.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use clap::Args;
use highwater_sim::plan::Plan;
use highwater_sim::run::{catch_panics, run_taped};
use highwater_sim::tape::{Entry, Sink, to_named};
use serde_json::json;

use super::output::{Case, Format, Output};
use super::seeds::OptionArgs;
use super::target::Target;
use super::{Exit, Usage};

/// Entries that are shown before the one at which the runs part.
const BEFORE: usize = 8;
/// And after it.
const AFTER: usize = 3;

/// Name the first draw, fault or event in which two runs part.
#[derive(Debug, Clone, Args)]
pub(super) struct Diff {
    /// A seed string, or the file of a plan.
    #[arg(value_name = "SEED|FILE")]
    a: Target,
    #[arg(value_name = "SEED|FILE")]
    b: Target,
    #[command(flatten)]
    options: OptionArgs,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn hash(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Remembers a run as one number for each entry.
impl Sink for Hashes {
    fn entry(&mut self, entry: Entry) {
        self.0.push(hash(&entry));
    }
}

#[derive(Debug, Default)]
struct Hashes(Vec<u64>);

/// Holds a run against another one.
#[derive(Debug)]
struct Against {
    other: Vec<u64>,
    seen: usize,
    before: VecDeque<String>,
    /// The place of the first entry that differs, and what follows.
    parted: Option<(usize, Vec<String>)>,
}

impl Sink for Against {
    fn entry(&mut self, entry: Entry) {
        let place = self.seen;
        self.seen += 1;
        match &mut self.parted {
            Some((_, after)) if after.len() > AFTER => {}
            Some((_, after)) => after.push(entry.to_string()),
            None if self.other.get(place) == Some(&hash(&entry)) => {
                if self.before.len() == BEFORE {
                    self.before.pop_front();
                }
                self.before.push_back(entry.to_string());
            }
            None => self.parted = Some((place, vec![entry.to_string()])),
        }
    }
}

/// Keeps the entries from a place on.
#[derive(Debug)]
struct From {
    skip: usize,
    kept: Vec<String>,
}

impl Sink for From {
    fn entry(&mut self, entry: Entry) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.kept.len() <= AFTER {
            self.kept.push(entry.to_string());
        }
    }
}

/// What two plans draw differently, and then what their runs do.
fn compare(a: &Plan, b: &Plan) -> (String, bool) {
    let mut text = drawn(a, b);
    let hashes = Rc::new(RefCell::new(Hashes::default()));
    run_taped(a, hashes.clone());
    let other = std::mem::take(&mut hashes.borrow_mut().0);
    let all = other.len();
    let against = Rc::new(RefCell::new(Against { other, seen: 0, before: VecDeque::new(), parted: None }));
    run_taped(b, against.clone());
    let against = against.borrow();
    let parted = match &against.parted {
        Some((place, after)) => Some((*place, after.clone())),
        // The second run is the beginning of the first.
        None if against.seen < all => Some((against.seen, Vec::new())),
        None => None,
    };
    let Some((place, theirs)) = parted else {
        text.push_str(&format!("\nthe runs are the same: {all} entries"));
        return (text, !drawn(a, b).is_empty());
    };
    let from = Rc::new(RefCell::new(From { skip: place, kept: Vec::new() }));
    run_taped(a, from.clone());
    text.push_str(&format!("\nthe runs part at entry {place}:\n"));
    let ours = &from.borrow().kept;
    for (mark, lines) in [
        (' ', against.before.iter().collect::<Vec<_>>()),
        ('A', ours.iter().collect()),
        ('B', theirs.iter().collect()),
    ] {
        for line in lines {
            text.push_str(&format!("{mark} {line}\n"));
        }
        if mark != ' ' && lines_end(mark, ours, &theirs) {
            text.push_str(&format!("{mark} (the run is over)\n"));
        }
    }
    (text.trim_end().to_owned(), true)
}

fn lines_end(mark: char, ours: &[String], theirs: &[String]) -> bool {
    if mark == 'A' { ours.is_empty() } else { theirs.is_empty() }
}

/// The draws that differ, and the first faults that do.
fn drawn(a: &Plan, b: &Plan) -> String {
    let (_, a_draws) = to_named(&a.params());
    let (_, b_draws) = to_named(&b.params());
    let mut text = String::new();
    for ((name, a), (_, b)) in a_draws.iter().zip(&b_draws) {
        if a == b {
            continue;
        }
        let (a, b) = match (a.as_array(), b.as_array()) {
            (Some(a), Some(b)) => {
                let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
                let shown = |list: &[serde_json::Value]| {
                    list.get(at).map_or("(none)".to_owned(), ToString::to_string)
                };
                text.push_str(&format!("\n{name} {at}"));
                (shown(a), shown(b))
            }
            _ => {
                text.push_str(&format!("\n{name}"));
                (a.to_string(), b.to_string())
            }
        };
        text.push_str(&format!("\nA   {a}\nB   {b}"));
    }
    if text.is_empty() { text } else { format!("what is drawn differs:{text}\n") }
}

impl Diff {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let (a, b) = (self.a.plan(&self.options)?, self.b.plan(&self.options)?);
        catch_panics(|_, what| println!("panic: {what}"));
        let (text, differ) = compare(&a, &b);
        let text = text.trim_start().to_owned();
        let mut output = Output::new(self.format, "diff");
        output.case(Case {
            name: format!("{} {}", a.seed_string(), b.seed_string()),
            failure: differ.then(|| ("the runs differ".to_owned(), text.clone())),
            seconds: 0.0,
            json: json!({ "a": a.seed_string().to_string(), "b": b.seed_string().to_string(),
                "outcome": if differ { "differ" } else { "same" }, "story": text }),
            text,
        });
        output.end();
        Ok(if differ { Exit::Failed } else { Exit::Clean })
    }
}
