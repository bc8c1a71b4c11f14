//! Makes typed fields of what `Debug` prints, so that every enum of the simulator and the core can be written down without a
//! second description of it. What it does not understand it keeps as text.

use std::fmt::Debug;

use serde_json::{Number, Value};

/// The fields of a struct or variant, in their order.
pub type Fields = Vec<(String, Value)>;

/// The name of a struct or variant, and its fields; one that only wraps a struct has that struct's.
pub fn to_named(value: &impl Debug) -> (String, Fields) {
    let text = format!("{value:?}");
    let mut parser = Parser { rest: &text };
    let name = parser.word().to_owned();
    if parser.skip('{') {
        return (name, parser.fields());
    }
    if !parser.skip('(') {
        return (name, Vec::new());
    }
    let mut inner = parser;
    let wrapped = inner.word();
    if !is_id(wrapped) && inner.skip('{') {
        return (name, inner.fields());
    }
    (name, parser.list(')').into_iter().map(|value| ("value".to_owned(), value)).collect())
}

/// The value as JSON: numbers, words, lists, and objects that say in `is` what they are.
pub fn to_value(value: &impl Debug) -> Value {
    Parser { rest: &format!("{value:?}") }.value()
}

#[derive(Clone, Copy)]
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip(&mut self, prefix: char) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// Everything up to the next mark of structure.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(['{', '}', '(', ')', '[', ']', ',', '"']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.trim()
    }

    fn value(&mut self) -> Value {
        if self.rest.starts_with('"') {
            return self.text();
        }
        if self.skip('[') {
            return Value::Array(self.list(']'));
        }
        if self.skip('(') {
            return Value::Array(self.list(')'));
        }
        if self.rest.starts_with('{') {
            return self.map();
        }
        let word = self.word();
        self.after(word)
    }

    /// What follows a name: nothing, `(..)` or `{..}`.
    fn after(&mut self, name: &str) -> Value {
        if self.skip('(') {
            let mut list = self.list(')');
            return match (name, list.len()) {
                ("Some", 1) => list.remove(0),
                (_, 1) if !list[0].is_object() && !list[0].is_array() => list.remove(0),
                (_, 1) => named(name, vec![("value".to_owned(), list.remove(0))]),
                _ => Value::Array(list),
            };
        }
        if self.skip('{') {
            let fields = self.fields();
            return if is_id(name) { id(name, &fields) } else { named(name, fields) };
        }
        scalar(name)
    }

    fn list(&mut self, end: char) -> Vec<Value> {
        let mut list = Vec::new();
        while !self.rest.is_empty() && !self.skip(end) {
            let before = self.rest.len();
            list.push(self.value());
            self.skip(',');
            if self.rest.len() == before {
                break;
            }
        }
        list
    }

    fn fields(&mut self) -> Fields {
        let mut fields = Vec::new();
        while !self.rest.is_empty() && !self.skip('}') {
            let before = self.rest.len();
            if let Some((name, rest)) = self.rest.split_once(": ") {
                self.rest = rest;
                fields.push((name.to_owned(), self.value()));
            }
            self.skip(',');
            self.rest = self.rest.strip_prefix("..").unwrap_or(self.rest).trim_start();
            if self.rest.len() == before {
                break;
            }
        }
        fields
    }

    /// A set or a map, whose keys may be anything: kept as the text that it is.
    fn map(&mut self) -> Value {
        let (mut depth, mut end) = (0_usize, self.rest.len());
        for (at, mark) in self.rest.char_indices() {
            match mark {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = at + mark.len_utf8();
                break;
            }
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Value::String(text.to_owned())
    }

    /// A quoted text, escapes as they stand.
    fn text(&mut self) -> Value {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, letter)| {
            let ends = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            ends
        });
        let end = end.map_or(self.rest.len(), |(at, _)| at);
        let text = &self.rest[1..end.max(1)];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Value::String(text.replace("\\\"", "\"").replace("\\n", "\n"))
    }
}

fn named(name: &str, fields: Fields) -> Value {
    let is = ("is".to_owned(), Value::String(name.to_owned()));
    Value::Object(fields.into_iter().chain([is]).collect())
}

/// Whether `id` knows a shorter form of it.
fn is_id(name: &str) -> bool {
    matches!(name, "PartitionId" | "Place" | "ConnId" | "Segment" | "Footer" | "Wal" | "Checkpoint")
}

/// Ids in the form in which people write them.
fn id(name: &str, fields: &Fields) -> Value {
    let fields: Vec<String> =
        fields.iter().map(|(_, value)| value.to_string().trim_matches('"').to_owned()).collect();
    Value::String(match name {
        "PartitionId" => fields.join("-"),
        "Place" => format!("topic-{}", fields.join("-")),
        "ConnId" => fields.join("."),
        _ => format!("{} {}", name.to_lowercase(), fields.join(" ")),
    })
}

fn scalar(word: &str) -> Value {
    match word {
        "None" | "" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = word.strip_suffix(" B").unwrap_or(word);
    let number = digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from));
    number.map_or_else(|_| Value::String(word.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{ConnId, FileId, Offset, OpId, PartitionId, TopicId};
    use highwater_core::shard::{Durability, Effect, Event, Halt, Input};
    use serde_json::json;

    use super::{to_named, to_value};
    use crate::history::{Fact, Place, Told};

    fn named(value: &impl std::fmt::Debug) -> serde_json::Value {
        let (name, fields) = to_named(value);
        json!([name, serde_json::Map::from_iter(fields)])
    }

    #[test]
    fn events_become_fields() {
        let partition = PartitionId { topic: TopicId::METADATA, index: 2 };
        let faulty = Event::Faulty { partition, base: Offset(3), last: Offset(-1) };
        let topic = format!("{:?}", TopicId::METADATA.0);
        assert_eq!(
            named(&faulty),
            json!(["Faulty", { "partition": format!("{topic}-2"), "base": 3, "last": -1 }])
        );
        assert_eq!(named(&Event::StorageFull), json!(["StorageFull", {}]));
        assert_eq!(named(&Event::Halted(Halt::Stopped)), json!(["Halted", { "value": "Stopped" }]));
    }

    #[test]
    fn inputs_and_effects_become_fields() {
        let conn = ConnId { slot: 1, generation: 7 };
        assert_eq!(
            named(&Input::Closed { conn, page: None }),
            json!(["Closed", { "conn": "1.7", "page": null }])
        );
        let write = Effect::Write {
            op: OpId(5),
            file: FileId::Superblock,
            at: 4096,
            parts: Vec::new(),
            durability: Durability::Durable,
        };
        let fields =
            json!({ "op": 5, "file": "Superblock", "at": 4096, "parts": [], "durability": "Durable" });
        assert_eq!(named(&write), json!(["Write", fields]));
    }

    #[test]
    fn facts_become_fields() {
        let place = Place { topic: 1, index: 0 };
        let told = Told { place, log_start: 1, high_watermark: 2, end_known: 3 };
        let fields = json!({ "place": "topic-1-0", "log_start": 1, "high_watermark": 2, "end_known": 3 });
        assert_eq!(named(&Fact::Told(told)), json!(["Told", fields]));
        let overdue = Fact::Overdue { what: "a \"thing\", (late)".to_owned() };
        assert_eq!(named(&overdue), json!(["Overdue", { "what": "a \"thing\", (late)" }]));
    }

    #[test]
    fn lists_maps_and_nonsense_end() {
        assert_eq!(to_value(&vec![(1, 2), (3, 4)]), json!([[1, 2], [3, 4]]));
        assert_eq!(to_value(&Some(Some("x, }"))), json!("x, }"));
        let map = std::collections::BTreeMap::from([(1, "a")]);
        assert_eq!(to_value(&map), json!("{1: \"a\"}"));
        for text in ["", "(", "{", "[", "\"", "A(", "A{", "A {b: ", ")", "A(}", "A{(]"] {
            let _ends = to_value(&format_args!("{text}"));
            let _ends = to_named(&format_args!("{text}"));
        }
    }
}
