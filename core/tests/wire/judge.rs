//! Holds the codec against messages that Kafka's own classes encoded: what a body decodes to must be what Kafka says of it, and
//! must encode to the same bytes. Owns the reading of vector files; one JSON object a line, plain or compressed.

use std::io::Read as _;

use highwater_core::wire::inspect::{Codec, Kind, Value, codecs};
use serde_json::Value as Json;

/// One recorded message.
pub(crate) struct Vector {
    pub(crate) key: i16,
    pub(crate) kind: Kind,
    pub(crate) version: i16,
    pub(crate) json: Json,
    pub(crate) body: Vec<u8>,
}

/// How many vectors there were, and a line for each that does not match.
pub(crate) struct Verdict {
    pub(crate) total: usize,
    pub(crate) mismatches: Vec<String>,
}

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(crate) fn read(file: &[u8]) -> Result<Vec<Vector>, String> {
    let mut text = String::new();
    if file.starts_with(&ZSTD_MAGIC) {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| error.to_string())?;
        decoder.read_to_string(&mut text).map_err(|error| error.to_string())?;
    } else {
        text = String::from_utf8(file.to_vec()).map_err(|error| error.to_string())?;
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| parse(line).ok_or_else(|| format!("line {}: not a vector", index + 1)))
        .collect()
}

fn parse(line: &str) -> Option<Vector> {
    let mut json: Json = serde_json::from_str(line).ok()?;
    let kind = match json["kind"].as_str()? {
        "request" => Kind::Request,
        "response" => Kind::Response,
        _ => return None,
    };
    Some(Vector {
        key: json["key"].as_i64()?.try_into().ok()?,
        kind,
        version: json["version"].as_i64()?.try_into().ok()?,
        body: unhex(json["hex"].as_str()?)?,
        json: json["json"].take(),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

pub(crate) fn codec(vector: &Vector) -> Option<&'static Codec> {
    codecs().iter().find(|codec| codec.key == vector.key && codec.kind == vector.kind)
}

pub(crate) fn judge(vectors: &[Vector]) -> Verdict {
    let mut mismatches = Vec::new();
    for (index, vector) in vectors.iter().enumerate() {
        if let Err(reason) = check(vector) {
            let Vector { key, kind, version, .. } = vector;
            let name = codec(vector).map_or("unknown", |codec| codec.name);
            mismatches
                .push(format!("vector {}: {name} {kind:?} (key {key}) v{version}: {reason}", index + 1));
        }
    }
    Verdict { total: vectors.len(), mismatches }
}

fn check(vector: &Vector) -> Result<(), String> {
    let codec = codec(vector).ok_or("no codec")?;
    let value = (codec.inspect)(vector.version, &vector.body).map_err(|error| format!("decode: {error}"))?;
    compare(&value, &vector.json, "")?;
    (codec.decode)(vector.version, &vector.body).map_err(|error| format!("decode: {error}"))?;
    let recoded = (codec.recode)(vector.version, &vector.body).map_err(|error| format!("decode: {error}"))?;
    let recoded = recoded.map_err(|error| format!("encode: {error}"))?;
    if recoded == vector.body {
        return Ok(());
    }
    let place = recoded.iter().zip(&vector.body).take_while(|(ours, theirs)| ours == theirs).count();
    Err(format!("encoded bytes differ from byte {place} of {} on", vector.body.len()))
}

fn compare(ours: &Value, theirs: &Json, path: &str) -> Result<(), String> {
    let same = match ours {
        Value::Null => theirs.is_null(),
        Value::Bool(value) => theirs.as_bool() == Some(*value),
        Value::Int(value) => theirs.as_i64() == Some(*value),
        Value::Float(value) => theirs.as_f64() == Some(*value),
        Value::Text(value) => theirs.as_str() == Some(value),
        Value::Bytes(value) => theirs.as_str() == Some(&base64(value)),
        Value::Records => theirs.is_string(),
        Value::List(items) => return compare_lists(items, theirs, path),
        Value::Struct(fields) => return compare_structs(fields, theirs, path),
    };
    if same { Ok(()) } else { Err(format!("{path}: {ours:?} instead of {theirs}")) }
}

fn compare_lists(ours: &[Value], theirs: &Json, path: &str) -> Result<(), String> {
    let theirs = theirs.as_array().ok_or_else(|| format!("{path}: a list instead of {theirs}"))?;
    if ours.len() != theirs.len() {
        return Err(format!("{path}: {} elements instead of {}", ours.len(), theirs.len()));
    }
    let mut pairs = ours.iter().zip(theirs).enumerate();
    pairs.try_for_each(|(index, (ours, theirs))| compare(ours, theirs, &format!("{path}[{index}]")))
}

fn compare_structs(ours: &[(&str, Value)], theirs: &Json, path: &str) -> Result<(), String> {
    let theirs = theirs.as_object().ok_or_else(|| format!("{path}: a struct instead of {theirs}"))?;
    for (name, value) in ours {
        let theirs = theirs.get(*name).ok_or_else(|| format!("{path}.{name}: not there in Kafka"))?;
        compare(value, theirs, &format!("{path}.{name}"))?;
    }
    match theirs.keys().find(|name| !ours.iter().any(|(known, _)| known == name)) {
        Some(name) => Err(format!("{path}.{name}: missing")),
        None => Ok(()),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, &byte| word << 8 | usize::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[word >> (18 - 6 * place) & 0x3f]);
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}
