//! What a line of input means as a record. Knows no client.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use highwater_core::time::Timestamp;
use serde_json::Value;

use crate::args::ProduceArgs;

/// A header's key and value.
type GivenHeader = (Vec<u8>, Option<Vec<u8>>);

/// A record as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<GivenHeader>,
    /// `None` is now.
    pub(super) timestamp: Option<Timestamp>,
}

impl Given {
    /// Reads a line; why not, if it cannot be read.
    pub(super) fn read(args: &ProduceArgs, line: &[u8]) -> Result<Self, String> {
        let mut given = if args.json { json(line)? } else { plain(args, line)? };
        if let (None, Some(key)) = (&given.key, &args.key) {
            given.key = Some(key.clone().into_bytes());
        }
        let more = args.headers.iter();
        given
            .headers
            .extend(more.map(|pair| (pair.key.clone().into_bytes(), Some(pair.value.clone().into_bytes()))));
        Ok(given)
    }
}

fn plain(args: &ProduceArgs, line: &[u8]) -> Result<Given, String> {
    let (key, value) = match &args.key_separator {
        None => (None, line),
        Some(separator) => {
            let (key, value) = split(line, separator.as_bytes())
                .ok_or_else(|| format!("the separator \"{separator}\" is not in it"))?;
            (Some(key), value)
        }
    };
    let unless_null = |bytes: &[u8]| {
        let null = args.null.as_ref().is_some_and(|null| null.as_bytes() == bytes);
        (!null).then(|| bytes.to_vec())
    };
    Ok(Given { key: key.and_then(unless_null), value: unless_null(value), ..Given::default() })
}

fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len().max(1)).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

/// The object that `consume --json` prints. Topic, partition and offset are where it was, not where it goes.
fn json(line: &[u8]) -> Result<Given, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("it is no JSON: {error}"))?;
    let Value::Object(fields) = value else { return Err("it is JSON, but no object".into()) };
    let mut given = Given::default();
    for (name, value) in &fields {
        match name.as_str() {
            "key" => given.key = bytes(value)?,
            "value" => given.value = bytes(value)?,
            "timestamp" => {
                let time = value.as_i64().filter(|&time| time >= 0);
                given.timestamp = Some(Timestamp(time.ok_or("its timestamp is no number of milliseconds")?));
            }
            "headers" => given.headers = headers(value)?,
            "topic" | "partition" | "offset" => {}
            other => {
                return Err(format!(
                    "the field {other} means nothing; there are key, value, headers, timestamp"
                ));
            }
        }
    }
    Ok(given)
}

/// Text is itself, `{"base64": …}` the bytes behind it, null is null, and any other value its JSON.
fn bytes(value: &Value) -> Result<Option<Vec<u8>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone().into_bytes())),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("base64") => {
            let text = fields["base64"].as_str().ok_or("base64 is no text")?;
            STANDARD.decode(text).map(Some).map_err(|error| format!("its base64 cannot be read: {error}"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Ok(Some(value.to_string().into_bytes()))
        }
    }
}

fn headers(value: &Value) -> Result<Vec<GivenHeader>, String> {
    match value {
        Value::Array(list) => list
            .iter()
            .map(|header| {
                let key = bytes(&header["key"])?.ok_or("a header is without a key")?;
                Ok((key, bytes(&header["value"])?))
            })
            .collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| Ok((key.clone().into_bytes(), bytes(value)?))).collect()
        }
        Value::Null => Ok(Vec::new()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err("its headers are neither a list nor an object".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::{Given, ProduceArgs, split};
    use highwater_core::time::Timestamp;

    fn args(words: &[&str]) -> ProduceArgs {
        let command = ProduceArgs::augment_args(clap::Command::new("produce"));
        let words = ["produce", "topic"].iter().chain(words);
        ProduceArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    fn given(words: &[&str], line: &str) -> Result<Given, String> {
        Given::read(&args(words), line.as_bytes())
    }

    fn pair(key: Option<&str>, value: Option<&str>) -> Given {
        let owned = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Given { key: owned(key), value: owned(value), ..Given::default() }
    }

    #[test]
    fn split_takes_the_first_separator() {
        assert_eq!(split(b"a::b::c", b"::"), Some((&b"a"[..], &b"b::c"[..])));
        assert_eq!(split(b"abc", b"::"), None);
        assert_eq!(split(b"", b":"), None);
        assert_eq!(split(b"abc", b""), None);
    }

    #[test]
    fn lines_are_values_or_pairs_and_a_word_may_be_null() {
        assert_eq!(given(&[], "a:b"), Ok(pair(None, Some("a:b"))));
        assert_eq!(given(&["-k", "k"], "a"), Ok(pair(Some("k"), Some("a"))));
        assert_eq!(given(&["-K", ":"], "a:b"), Ok(pair(Some("a"), Some("b"))));
        assert_eq!(given(&["-K", ":", "--null", ""], "a:"), Ok(pair(Some("a"), None)));
        assert_eq!(given(&["-K", ":", "--null", "NULL"], "NULL:"), Ok(pair(None, Some(""))));
        assert!(given(&["-K", ":"], "ab").is_err());
        let header = given(&["-H", "a=1"], "v").unwrap().headers;
        assert_eq!(header, [(b"a".to_vec(), Some(b"1".to_vec()))]);
    }

    #[test]
    fn json_is_what_consume_prints() {
        let line = r#"{"topic":"t","partition":1,"offset":2,"timestamp":7,"key":{"base64":"a/8="},"value":null,"headers":[{"key":"a","value":"1"},{"key":"b","value":null}]}"#;
        let read = given(&["-J"], line).unwrap();
        assert_eq!((read.key.as_deref(), read.value), (Some(&b"k\xff"[..]), None));
        assert_eq!(read.timestamp, Some(Timestamp(7)));
        assert_eq!(read.headers, [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)]);
        assert_eq!(given(&["-J"], r#"{"value":{"a":[1]}}"#), Ok(pair(None, Some(r#"{"a":[1]}"#))));
        assert_eq!(given(&["-J"], r#"{"headers":{"a":1}}"#).unwrap().headers[0].1, Some(b"1".to_vec()));
        for wrong in [
            "",
            "[]",
            "{",
            r#"{"vlaue":1}"#,
            r#"{"value":{"base64":"?"}}"#,
            r#"{"timestamp":-1}"#,
            r#"{"headers":1}"#,
        ] {
            assert!(given(&["-J"], wrong).is_err(), "{wrong}");
        }
    }
}
