//! Histories as text, one entry a line in JSON, with the names that Jepsen gives things. Judges nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::history::{
    Delivery, EntryId, F, Head, History, Key, Micro, Offset, Process, Read, Sent, Type, Value,
};

/// An entry as its line has it; a key is `topic/partition`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    process: u32,
    #[serde(default)]
    time: u64,
    #[serde(rename = "type")]
    kind: Type,
    f: F,
    /// The same in an invocation and in what completes it. Without it, a process has one operation at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    delivery: Delivery,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mops: Vec<Mop>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rebalance_log: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mop {
    Send(String, u64, Option<i64>),
    Poll(BTreeMap<String, Vec<(i64, u64)>>),
    Seek(String, i64),
    LogStart(String, i64),
}

fn is_default(delivery: &Delivery) -> bool {
    *delivery == Delivery::default()
}

/// Why a text is no history.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    Line { number: usize, why: String },
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Line { number, why } => write!(f, "line {number}: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes all entries.
pub fn write(history: &History, to: &mut impl Write) -> io::Result<()> {
    history.entries().try_for_each(|(id, _)| write_entry(history, id, to))
}

/// Writes the line of one entry.
pub fn write_entry(history: &History, id: EntryId, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, &line(history, id))?;
    to.write_all(b"\n")
}

fn line(history: &History, id: EntryId) -> Line<'_> {
    let head = history.head(id);
    let call = head.completes.or((head.kind == Type::Invoke).then_some(id));
    let mut line = Line {
        process: head.process.0,
        time: head.time_ns,
        kind: head.kind,
        f: head.f,
        call: call.map(|call| call.0.into()),
        delivery: head.delivery,
        keys: Vec::new(),
        mops: Vec::new(),
        rebalance_log: Vec::new(),
        error: head.error.as_deref().map(Cow::Borrowed),
    };
    let name = |key: Key| history.name(key).to_string();
    for micro in history.micros(id) {
        match *micro {
            Micro::Send(Sent { key, value, offset }) => {
                line.mops.push(Mop::Send(name(key), value.0, offset.map(|offset| offset.0)));
            }
            Micro::Poll => line.mops.push(Mop::Poll(BTreeMap::new())),
            Micro::Read(Read { key, offset, value }) => {
                if !matches!(line.mops.last(), Some(Mop::Poll(_))) {
                    line.mops.push(Mop::Poll(BTreeMap::new()));
                }
                if let Some(Mop::Poll(reads)) = line.mops.last_mut() {
                    reads.entry(name(key)).or_default().push((offset.0, value.0));
                }
            }
            Micro::Assigned(key) => line.keys.push(name(key)),
            Micro::Seek { key, offset } => line.mops.push(Mop::Seek(name(key), offset.0)),
            Micro::Rebalanced(key) => line.rebalance_log.push(name(key)),
            Micro::LogStart { key, offset } => line.mops.push(Mop::LogStart(name(key), offset.0)),
        }
    }
    line
}

/// Reads a history to its end.
pub fn read(from: impl BufRead) -> Result<History, ReadError> {
    let mut reader = Reader::default();
    for (index, text) in from.lines().enumerate() {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        let line = serde_json::from_str(&text).map_err(|error| error.to_string());
        let taken = line.and_then(|line| reader.take(&line));
        taken.map_err(|why| ReadError::Line { number: index + 1, why })?;
    }
    Ok(reader.history)
}

/// What names an operation until it has completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Open {
    Call(u64),
    Process(Process),
}

#[derive(Debug, Default)]
struct Reader {
    history: History,
    open: BTreeMap<Open, EntryId>,
}

impl Reader {
    fn take(&mut self, line: &Line<'_>) -> Result<(), String> {
        let process = Process(line.process);
        let open = line.call.map_or(Open::Process(process), Open::Call);
        let mut head = Head {
            process,
            time_ns: line.time,
            kind: line.kind,
            f: line.f,
            delivery: line.delivery,
            completes: None,
            error: line.error.as_deref().map(Box::from),
        };
        if line.kind != Type::Invoke {
            head.completes = self.open.remove(&open);
        }
        if let Some(invoke) = head.completes.map(|id| self.history.head(id)) {
            if (invoke.process, invoke.f) != (process, line.f) {
                return Err(format!("completes another operation: {invoke:?}"));
            }
            head.delivery = invoke.delivery;
        } else if line.kind != Type::Invoke && line.f != F::Debug {
            return Err("completes what was not invoked".into());
        }
        let micros = self.micros(line)?;
        let mut entry = self.history.push(head);
        for micro in micros {
            entry.micro(micro);
        }
        let id = entry.id();
        if line.kind == Type::Invoke && self.open.insert(open, id).is_some() {
            return Err("invoked before the last invocation completed".into());
        }
        Ok(())
    }

    fn micros(&mut self, line: &Line<'_>) -> Result<Vec<Micro>, String> {
        let mut micros = Vec::new();
        for key in &line.keys {
            micros.push(Micro::Assigned(self.key(key)?));
        }
        for mop in &line.mops {
            match mop {
                Mop::Send(key, value, offset) => {
                    let (key, value, offset) = (self.key(key)?, Value(*value), offset.map(Offset));
                    micros.push(Micro::Send(Sent { key, value, offset }));
                }
                Mop::Poll(polled) => {
                    micros.push(Micro::Poll);
                    for (key, records) in polled {
                        let key = self.key(key)?;
                        micros.extend(records.iter().map(|(offset, value)| {
                            Micro::Read(Read { key, offset: Offset(*offset), value: Value(*value) })
                        }));
                    }
                }
                Mop::Seek(key, offset) => {
                    micros.push(Micro::Seek { key: self.key(key)?, offset: Offset(*offset) });
                }
                Mop::LogStart(key, offset) => {
                    micros.push(Micro::LogStart { key: self.key(key)?, offset: Offset(*offset) });
                }
            }
        }
        for key in &line.rebalance_log {
            micros.push(Micro::Rebalanced(self.key(key)?));
        }
        Ok(micros)
    }

    fn key(&mut self, name: &str) -> Result<Key, String> {
        let parts =
            name.rsplit_once('/').and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)));
        let (topic, partition) = parts.ok_or_else(|| format!("no topic/partition: {name}"))?;
        Ok(self.history.key(topic, partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"process":0,"time":1,"type":"invoke","f":"assign","call":0,"keys":["a/0","b-c/11"]}
{"process":0,"time":2,"type":"ok","f":"assign","call":0,"keys":["a/0","b-c/11"],"mops":[{"seek":["a/0",3]}]}
{"process":1,"time":3,"type":"invoke","f":"send","call":2,"delivery":"at-least-once","mops":[{"send":["a/0",7,null]}]}
{"process":0,"time":4,"type":"invoke","f":"poll","call":3}
{"process":1,"time":5,"type":"ok","f":"send","call":2,"delivery":"at-least-once","mops":[{"send":["a/0",7,4]}]}
{"process":0,"time":6,"type":"info","f":"poll","call":3,"mops":[{"poll":{"a/0":[[4,7],[5,8]],"b-c/11":[[0,9]]}},{"poll":{}},{"log_start":["a/0",2]}],"rebalance_log":["a/0"],"error":"timed out"}
"#;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let history = read(TEXT.as_bytes()).unwrap();
        let mut written = Vec::new();
        write(&history, &mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), TEXT);
        assert_eq!(history.head(EntryId(4)).completes, Some(EntryId(2)));
        assert_eq!(history.keys_len(), 2);
    }

    #[test]
    fn completion_without_a_call_is_of_the_last_invocation_of_its_process() {
        let text = r#"{"process":5,"type":"invoke","f":"crash"}
            {"process":6,"type":"invoke","f":"crash"}

            {"process":5,"type":"info","f":"crash"}"#;
        let history = read(text.as_bytes()).unwrap();
        assert_eq!(history.head(EntryId(2)).completes, Some(EntryId(0)));
    }

    #[test]
    fn what_is_no_history_is_refused_with_its_line() {
        let refused = [
            ("{", "EOF"),
            (r#"{"process":0,"type":"ok","f":"poll"}"#, "not invoked"),
            (r#"{"process":0,"type":"invoke","f":"poll"}"#, "before the last"),
            (r#"{"process":0,"type":"fail","f":"send"}"#, "another operation"),
            (r#"{"process":1,"type":"invoke","f":"send","mops":[{"send":["a",1,1]}]}"#, "no topic/partition"),
            (r#"{"process":1,"type":"invoke","f":"send","mop":[]}"#, "unknown field"),
        ];
        for (bad, why) in refused {
            let good = if why == "not invoked" { "" } else { r#"{"process":0,"type":"invoke","f":"poll"}"# };
            let error = read(format!("{good}\n{bad}").as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 2: ") && error.contains(why), "{error}");
        }
    }
}
