//! How records are printed: percent formats as in rpk, and JSON. Owns no output.

use std::io::{self, Write};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::record::Consumed;
use crate::when;

/// A percent format, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Time,
    Key,
    Value,
    KeyLength,
    ValueLength,
    Headers,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(format: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(escaped(chars.next())?),
                '%' => match verb(chars.next())? {
                    Some(piece) => {
                        if !text.is_empty() {
                            pieces.push(Piece::Text(std::mem::take(&mut text)));
                        }
                        pieces.push(piece);
                    }
                    None => text.push('%'),
                },
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }
}

fn escaped(c: Option<char>) -> Result<char, String> {
    match c {
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        Some(c) => Err(format!("\\{c} means nothing; there are \\n \\r \\t \\0 \\\\")),
        None => Err(r"it ends with a single \; write \\ for a backslash".into()),
    }
}

/// `None` is a percent sign itself.
fn verb(c: Option<char>) -> Result<Option<Piece>, String> {
    Ok(Some(match c {
        Some('%') => return Ok(None),
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('d') => Piece::Timestamp,
        Some('T') => Piece::Time,
        Some('k') => Piece::Key,
        Some('v') => Piece::Value,
        Some('K') => Piece::KeyLength,
        Some('V') => Piece::ValueLength,
        Some('h') => Piece::Headers,
        Some(c) => return Err(format!("%{c} means nothing; there are %t %p %o %d %T %k %v %K %V %h %%")),
        None => return Err("it ends with a single %; write %% for a percent sign".into()),
    }))
}

impl Format {
    pub(crate) fn write(&self, consumed: &Consumed<'_>, out: &mut impl Write) -> io::Result<()> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_all(text.as_bytes())?,
                Piece::Topic => out.write_all(consumed.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", consumed.partition)?,
                Piece::Offset => write!(out, "{}", consumed.record.offset)?,
                Piece::Timestamp => write!(out, "{}", consumed.record.timestamp.0)?,
                Piece::Time => out.write_all(when::show(consumed.record.timestamp).as_bytes())?,
                Piece::Key => out.write_all(consumed.record.key.unwrap_or_default())?,
                Piece::Value => out.write_all(consumed.record.value.unwrap_or_default())?,
                Piece::KeyLength => write_len(consumed.record.key, out)?,
                Piece::ValueLength => write_len(consumed.record.value, out)?,
                Piece::Headers => write_headers(consumed, out)?,
            }
        }
        Ok(())
    }
}

/// Null is -1, as on the wire: the only way to tell a tombstone from an empty value.
fn write_len(bytes: Option<&[u8]>, out: &mut impl Write) -> io::Result<()> {
    match bytes {
        Some(bytes) => write!(out, "{}", bytes.len()),
        None => out.write_all(b"-1"),
    }
}

fn write_headers(consumed: &Consumed<'_>, out: &mut impl Write) -> io::Result<()> {
    for (place, header) in consumed.record.headers.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        out.write_all(header.key)?;
        out.write_all(b"=")?;
        out.write_all(header.value.unwrap_or_default())?;
    }
    Ok(())
}

/// One object on one line.
pub(crate) fn write_json(consumed: &Consumed<'_>, out: &mut impl Write) -> io::Result<()> {
    let headers: Vec<Value> = consumed
        .record
        .headers
        .iter()
        .map(|header| json!({ "key": bytes_json(Some(header.key)), "value": bytes_json(header.value) }))
        .collect();
    let mut object = Map::new();
    object.insert("topic".into(), consumed.topic.into());
    object.insert("partition".into(), consumed.partition.into());
    object.insert("offset".into(), consumed.record.offset.0.into());
    object.insert("timestamp".into(), consumed.record.timestamp.0.into());
    object.insert("key".into(), bytes_json(consumed.record.key));
    object.insert("value".into(), bytes_json(consumed.record.value));
    object.insert("headers".into(), headers.into());
    writeln!(out, "{}", Value::Object(object))
}

fn bytes_json(bytes: Option<&[u8]>) -> Value {
    match bytes {
        None => Value::Null,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
        },
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::batch::{BatchBuilder, BatchHeader, BatchView, Header, NewRecord, Scratch};
    use highwater_core::id::Offset;
    use highwater_core::time::Timestamp;

    use super::{Format, write_json};
    use crate::record::Consumed;

    /// What `print` makes of a record that has one of everything.
    fn printed(print: impl Fn(&Consumed<'_>, &mut Vec<u8>)) -> Vec<u8> {
        let mut batch = BatchBuilder::new(BatchHeader { base_offset: Offset(42), ..BatchHeader::default() });
        batch.push(&NewRecord {
            timestamp: Timestamp(1_700_000_000_000),
            key: Some(b"k\xff"),
            value: None,
            headers: &[Header { key: b"a", value: Some(b"1") }, Header { key: b"b", value: None }],
        });
        let bytes = batch.build();
        let mut scratch = Scratch::new();
        let (batch, _) = BatchView::parse(&bytes).unwrap();
        let record = batch.records(&mut scratch).unwrap().next().unwrap().unwrap();
        let mut out = Vec::new();
        print(&Consumed { topic: "orders", partition: 3, record }, &mut out);
        out
    }

    #[test]
    fn format_prints_every_verb() {
        let format: Format = r"%t/%p@%o %d %T [%k|%v] %K %V %h 100%%\n".parse().unwrap();
        assert_eq!(
            printed(|record, out| format.write(record, out).unwrap()),
            b"orders/3@42 1700000000000 2023-11-14T22:13:20.000Z [k\xff|] 2 -1 a=1,b= 100%\n"
        );
    }

    #[test]
    fn format_names_what_it_does_not_know() {
        let error = "%x".parse::<Format>().unwrap_err();
        assert!(error.contains("%x means nothing") && error.contains("%v"), "{error}");
        assert!("ends %".parse::<Format>().is_err());
        assert!(r"ends \".parse::<Format>().is_err());
        assert!(r"\q".parse::<Format>().is_err());
    }

    #[test]
    fn json_tells_null_text_and_bytes_apart() {
        let out = printed(|record, out| write_json(record, out).unwrap());
        let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(object["key"]["base64"], "a/8=");
        assert!(object["value"].is_null());
        assert_eq!(object["headers"][0]["value"], "1");
        assert_eq!(object["offset"], 42);
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 1);
    }
}
