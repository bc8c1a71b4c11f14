//! What a run does, written down entry by entry for those who want to read it. A run without a tape pays nothing for this.
//! Must not know who reads it.

mod debug;

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use highwater_core::time::Instant;
use serde_json::{Map, Value, json};

pub use debug::{Fields, to_named, to_value};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process starts.
    Start,
    /// Something happens to a shard.
    Input,
    /// A shard asks for something.
    Effect,
    /// A shard tells.
    Event,
    /// A client hears or asks.
    Client,
    /// The history of the run grows.
    Fact,
    Fault,
    /// An invariant is broken.
    Violation,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Input => "input",
            Self::Effect => "effect",
            Self::Event => "event",
            Self::Client => "client",
            Self::Fact => "fact",
            Self::Fault => "fault",
            Self::Violation => "violation",
        }
    }
}

/// Where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    World,
    Node(usize),
    Shard { node: usize, shard: u16 },
    Client(usize),
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    pub at: Instant,
    pub site: Site,
    pub kind: Kind,
    /// Its name within its kind.
    pub what: String,
    pub fields: Fields,
}

impl Entry {
    /// An entry with the name and the fields of a value, as its `Debug` tells them.
    pub fn of(at: Instant, site: Site, kind: Kind, value: &impl Debug) -> Self {
        let (what, fields) = to_named(value);
        Self { at, site, kind, what, fields }
    }

    pub fn new(at: Instant, site: Site, kind: Kind, what: &str) -> Self {
        Self { at, site, kind, what: what.to_owned(), fields: Vec::new() }
    }

    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.push((field.to_owned(), value.into()));
        self
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The entry as one flat JSON object.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("at".to_owned(), json!(self.at.as_nanos()));
        match self.site {
            Site::World => {}
            Site::Node(node) => {
                object.insert("node".to_owned(), json!(node));
            }
            Site::Shard { node, shard } => {
                object.insert("node".to_owned(), json!(node));
                object.insert("shard".to_owned(), json!(shard));
            }
            Site::Client(client) => {
                object.insert("client".to_owned(), json!(client));
            }
        }
        object.insert("kind".to_owned(), json!(self.kind.name()));
        object.insert("what".to_owned(), json!(self.what));
        for (name, value) in &self.fields {
            // A field may be called as one of the above.
            let name = if object.contains_key(name) { format!("{name}_") } else { name.clone() };
            object.insert(name, value.clone());
        }
        Value::Object(object)
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.at.as_nanos();
        write!(f, "{:>5}.{:06}  ", nanos / 1_000_000_000, nanos / 1_000 % 1_000_000)?;
        match self.site {
            Site::World => write!(f, "{:<9}", "")?,
            Site::Node(node) => write!(f, "{:<9}", format!("node {node}"))?,
            Site::Shard { node, shard } => write!(f, "{:<9}", format!("node {node}.{shard}"))?,
            Site::Client(client) => write!(f, "{:<9}", format!("client {client}"))?,
        }
        write!(f, " {:<9} {}", self.kind.name(), self.what)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// Whoever takes entries.
pub trait Sink: Debug {
    fn entry(&mut self, entry: Entry);
}

/// A sink that the run writes to and its owner reads when the run is over.
pub type Tape = Rc<RefCell<dyn Sink>>;

/// Keeps all entries.
impl Sink for Vec<Entry> {
    fn entry(&mut self, entry: Entry) {
        self.push(entry);
    }
}

/// Prints each entry as a line.
#[derive(Debug)]
pub struct Print;

impl Sink for Print {
    fn entry(&mut self, entry: Entry) {
        println!("{entry}");
    }
}
