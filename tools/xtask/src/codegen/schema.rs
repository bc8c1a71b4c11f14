//! The schema language, described in `core/schema/README.md`: its model and its parser.

use std::collections::BTreeMap;

pub(super) struct Api {
    pub(super) key: i16,
    pub(super) name: String,
    pub(super) versions: Versions,
    pub(super) stable: i16,
    pub(super) flexible_from: Option<i16>,
    pub(super) on_broker: bool,
    pub(super) on_controller: bool,
    pub(super) request: Message,
    pub(super) response: Message,
}

#[derive(Default)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
    /// The named structs, in the order of their definition.
    pub(super) structs: Vec<Struct>,
}

pub(super) struct Struct {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) base: Base,
    pub(super) array: bool,
    pub(super) versions: Versions,
    /// The versions in which it may be null, if any.
    pub(super) nullable: Option<Versions>,
    pub(super) tag: Option<u32>,
    pub(super) default: Option<String>,
    /// Kafka's name in JSON where it is not the camel case of ours.
    pub(super) kafka_name: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// A type of Rust's that stands for itself.
    Fixed {
        rust: &'static str,
        bytes: usize,
    },
    Str,
    Bytes,
    Records,
    Struct(String),
}

/// First and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) first: i16,
    pub(super) last: i16,
}

impl Versions {
    pub(super) fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    pub(super) fn each(self) -> impl Iterator<Item = i16> {
        self.first..=self.last
    }
}

/// A line's number and what is wrong with it.
type Fault = String;

/// Reads one schema file.
pub(super) fn parse(text: &str) -> Result<Vec<Api>, Fault> {
    let mut apis: Vec<Api> = Vec::new();
    let mut place = Place::Outside;
    for (index, line) in text.lines().enumerate() {
        let fault = |what: &str| format!("{}: {what}: {line}", index + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["api", ..] => {
                apis.push(parse_api(&words).ok_or_else(|| fault("not an api line"))?);
                place = Place::Outside;
            }
            ["request"] => place = Place::In(Kind::Request, Vec::new()),
            ["response"] => place = Place::In(Kind::Response, Vec::new()),
            _ => {
                let indent = line.len() - line.trim_start().len();
                let Some(api) = apis.last_mut() else { return Err(fault("a field outside of an api")) };
                let field = parse_field(&words, api.versions).ok_or_else(|| fault("not a field"))?;
                let Place::In(kind, path) = &mut place else { return Err(fault("a field outside")) };
                let message = match kind {
                    Kind::Request => &mut api.request,
                    Kind::Response => &mut api.response,
                };
                add(message, path, indent / 2, field).map_err(fault)?;
            }
        }
    }
    for api in &apis {
        check(api, &api.request)?;
        check(api, &api.response)?;
    }
    Ok(apis)
}

#[derive(Clone, Copy)]
enum Kind {
    Request,
    Response,
}

enum Place {
    Outside,
    /// Within a message, below the structs of that path: an index for each level of indentation.
    In(Kind, Vec<Option<usize>>),
}

/// `api KEY NAME versions A-B [stable S] flexible F+|never on broker[,controller]`
fn parse_api(words: &[&str]) -> Option<Api> {
    let (&key, name) = (words.get(1)?, (*words.get(2)?).to_owned());
    let mut api = Api {
        key: key.parse().ok()?,
        name,
        versions: Versions { first: 0, last: 0 },
        stable: -1,
        flexible_from: None,
        on_broker: false,
        on_controller: false,
        request: Message::default(),
        response: Message::default(),
    };
    for pair in words[3..].chunks(2) {
        match *pair {
            ["versions", range] => api.versions = parse_versions(range, api.versions)?,
            ["stable", last] => api.stable = last.parse().ok()?,
            ["flexible", "never"] => {}
            ["flexible", from] => api.flexible_from = Some(from.strip_suffix('+')?.parse().ok()?),
            ["on", listeners] => {
                api.on_broker = listeners.split(',').any(|listener| listener == "broker");
                api.on_controller = listeners.split(',').any(|listener| listener == "controller");
            }
            _ => return None,
        }
    }
    if api.stable < 0 {
        api.stable = api.versions.last;
    }
    Some(api)
}

/// `3`, `3-12` or `3+`
fn parse_versions(word: &str, all: Versions) -> Option<Versions> {
    if let Some(first) = word.strip_suffix('+') {
        return Some(Versions { first: first.parse().ok()?, last: all.last });
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(Versions { first: first.parse().ok()?, last: last.parse().ok()? })
}

/// `name type [versions] [null versions] [tag N] [= default] [as kafkaName]`
fn parse_field(words: &[&str], all: Versions) -> Option<Field> {
    let (name, ty) = ((*words.first()?).to_owned(), *words.get(1)?);
    let (ty, nullable) = ty.strip_suffix('?').map_or((ty, None), |ty| (ty, Some(all)));
    let element = ty.strip_prefix('[').and_then(|ty| ty.strip_suffix(']'));
    let mut field = Field {
        name,
        base: parse_base(element.unwrap_or(ty))?,
        array: element.is_some(),
        versions: all,
        nullable,
        tag: None,
        default: None,
        kafka_name: None,
    };
    let mut words = words[2..].iter();
    while let Some(&word) = words.next() {
        match word {
            "null" => field.nullable = Some(parse_versions(words.next()?, all)?),
            "tag" => field.tag = Some(words.next()?.parse().ok()?),
            "as" => field.kafka_name = Some((*words.next()?).to_owned()),
            "=" => field.default = Some((*words.next()?).to_owned()),
            _ => field.versions = parse_versions(word, all)?,
        }
    }
    Some(field)
}

fn parse_base(word: &str) -> Option<Base> {
    let fixed = |rust, bytes| Base::Fixed { rust, bytes };
    Some(match word {
        "bool" => fixed("bool", 1),
        "i8" => fixed("i8", 1),
        "i16" => fixed("i16", 2),
        "u16" => fixed("u16", 2),
        "i32" => fixed("i32", 4),
        "i64" => fixed("i64", 8),
        "f64" => fixed("f64", 8),
        "uuid" => fixed("Uuid", 16),
        "string" => Base::Str,
        "bytes" => Base::Bytes,
        "records" => Base::Records,
        _ if word.starts_with(char::is_uppercase) => Base::Struct(word.to_owned()),
        _ => return None,
    })
}

/// Puts a field under the struct that `path` names at its level. A struct is defined where it first appears; a later mention
/// has no body.
fn add(
    message: &mut Message,
    path: &mut Vec<Option<usize>>,
    level: usize,
    field: Field,
) -> Result<(), &'static str> {
    if level == 0 || level > path.len() + 1 {
        return Err("wrong indentation");
    }
    path.truncate(level - 1);
    let mut opened = None;
    if let Base::Struct(name) = &field.base
        && !message.structs.iter().any(|known| known.name == *name)
    {
        opened = Some(message.structs.len());
        message.structs.push(Struct { name: name.clone(), fields: Vec::new() });
    }
    let fields = match path.last() {
        None => &mut message.fields,
        Some(Some(index)) => &mut message.structs[*index].fields,
        Some(None) => return Err("a field below what has no body here"),
    };
    if fields.iter().any(|known| known.name == field.name) {
        return Err("a field twice");
    }
    fields.push(field);
    path.push(opened);
    Ok(())
}

fn check(api: &Api, message: &Message) -> Result<(), Fault> {
    let all = message.structs.iter().flat_map(|item| &item.fields).chain(&message.fields);
    for field in all {
        let from = api.flexible_from.unwrap_or(i16::MAX);
        if field.tag.is_some() && field.versions.first < from {
            return Err(format!(" {} {}: a tag in a version without tags", api.name, field.name));
        }
        if field.default.as_deref() == Some("null") && field.nullable.is_none() {
            return Err(format!(" {} {}: null by default but never null", api.name, field.name));
        }
    }
    match message.structs.iter().find(|item| item.fields.is_empty()) {
        Some(item) => Err(format!(" {} {}: a struct without fields", api.name, item.name)),
        None => Ok(()),
    }
}

impl Message {
    pub(super) fn fields_of(&self, name: &str) -> &[Field] {
        &self.structs.iter().find(|item| item.name == name).expect("a mention defines its struct").fields
    }

    /// In which versions each struct appears.
    pub(super) fn reach(&self, all: Versions) -> BTreeMap<&str, Vec<i16>> {
        let mut reach = BTreeMap::new();
        spread(&mut reach, self, &self.fields, &all.each().collect::<Vec<_>>());
        reach
    }
}

fn spread<'m>(
    reach: &mut BTreeMap<&'m str, Vec<i16>>,
    message: &'m Message,
    fields: &'m [Field],
    at: &[i16],
) {
    for field in fields {
        if let Base::Struct(name) = &field.base {
            let at: Vec<i16> =
                at.iter().copied().filter(|&version| field.versions.contains(version)).collect();
            reach.entry(name).or_default().extend(&at);
            spread(reach, message, message.fields_of(name), &at);
        }
    }
}
