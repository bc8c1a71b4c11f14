//! Reads a TOML file into settings with their lines. Dotted keys and tables mean the same.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use highwater_cli::{Exit, Failure};
use toml::de::{DeTable, DeValue};

use super::{Entry, Source};

/// More than any configuration holds; a wrong path may name anything.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let unreadable = |why: String| Failure {
        exit: Exit::Usage,
        what: "the configuration file cannot be read".into(),
        place: path.display().to_string(),
        why,
        fix: "give --config the path of a readable TOML file; `highwater dev` needs none".into(),
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    parse(&text, path)
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Entry>, Failure> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        wrong(path, line_of(text, start), "the configuration file is not TOML", error.message())
    })?;
    let mut file = Document { text, path, entries: Vec::new() };
    file.walk("", table.get_ref())?;
    Ok(file.entries)
}

struct Document<'a> {
    text: &'a str,
    path: &'a Path,
    entries: Vec<Entry>,
}

impl Document<'_> {
    fn walk(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), Failure> {
        for (key, value) in table {
            let name = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            if let DeValue::Table(inner) = value.get_ref() {
                self.walk(&name, inner)?;
                continue;
            }
            let line = line_of(self.text, value.span().start);
            let text = scalar(value.get_ref()).ok_or_else(|| {
                let why = format!("{name} is a {}", value.get_ref().type_str());
                wrong(
                    self.path,
                    line,
                    "a setting is text, a whole number, true or false, or a list of them",
                    &why,
                )
            })?;
            let source = Source::File { path: self.path.into(), line };
            self.entries.push(Entry { name, text, source });
        }
        Ok(())
    }
}

/// The value as it would be written in a properties file.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(|value| scalar(value.get_ref())).collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&b| b == b'\n').count() + 1
}

fn wrong(path: &Path, line: usize, what: &str, why: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: what.into(),
        place: format!("{}:{line}", path.display()),
        why: why.into(),
        fix: "write lines such as: num.partitions = 3".into(),
    }
}
