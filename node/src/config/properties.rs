//! Reads Kafka's `server.properties`: the syntax of Java's property files, with lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use highwater_cli::{Exit, Failure};

use super::file::FILE_BYTES_MAX;
use super::{Entry, Source};

pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let unreadable = |why: String| Failure {
        exit: Exit::Usage,
        what: "the properties file cannot be read".into(),
        place: path.display().to_string(),
        why,
        fix: "give --properties the path of a readable file such as Kafka's server.properties".into(),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    // Java reads such files as Latin-1; people write them as UTF-8.
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
    parse(&text, path)
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split(&logical);
        let source = Source::File { path: path.into(), line };
        let unescaped = |text: &str| {
            unescape(text).ok_or_else(|| Failure {
                exit: Exit::Usage,
                what: "the properties file has a broken escape".into(),
                place: source.to_string(),
                why: format!("\\u in \"{text}\" is not followed by four hexadecimal digits"),
                fix: "write the character itself".into(),
            })
        };
        let (name, text) = (unescaped(key)?, unescaped(value)?);
        entries.push(Entry { name, text, source });
    }
    Ok(entries)
}

/// Lines without comments and blanks, continued ones as one, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start_matches([' ', '\t', '\x0c']);
        if !continued && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        let goes_on = backslashes % 2 == 1;
        let part = if goes_on { &line[..line.len() - 1] } else { line };
        match found.last_mut() {
            Some((_, before)) if continued => before.push_str(part),
            _ => found.push((number, part.to_owned())),
        }
        continued = goes_on;
    }
    found
}

/// The key ends at the first `=`, `:` or blank that no backslash stands before.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|&(_, character)| {
        let ends = !escaped && matches!(character, '=' | ':' | ' ' | '\t' | '\x0c');
        escaped = character == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { return (line, "") };
    let blank = [' ', '\t', '\x0c'];
    let rest = line[end..].trim_start_matches(blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(blank))
}

fn unescape(text: &str) -> Option<String> {
    let mut found = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            found.push(character);
            continue;
        }
        match rest.next() {
            Some('t') => found.push('\t'),
            Some('n') => found.push('\n'),
            Some('r') => found.push('\r'),
            Some('f') => found.push('\x0c'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?;
                found.push(char::from_u32(code)?);
            }
            Some(other) => found.push(other),
            None => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        let entries = parse(text, Path::new("p")).unwrap();
        let line = |entry: &Entry| match entry.source {
            Source::File { line, .. } => line,
            Source::Flag(_) | Source::Set => 0,
        };
        entries.iter().map(|entry| (line(entry), entry.name.clone(), entry.text.clone())).collect()
    }

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# comment\n! comment\n\na=1\n b : 2\nc 3\nd\ne=x\\\n   y\\\n# z\nf\\ g\\=h=i=j\nk=\\u0041\\t\\\\\nl=a\\\\\nm=\n";
        let expected = [
            (4, "a", "1"),
            (5, "b", "2"),
            (6, "c", "3"),
            (7, "d", ""),
            (8, "e", "xy# z"),
            (11, "f g=h", "i=j"),
            (12, "k", "A\t\\"),
            (13, "l", "a\\"),
            (14, "m", ""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, key, value)| (*line, (*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn broken_escape_names_its_line() {
        assert_eq!(parse("a=1\nb=\\u12", Path::new("p")).unwrap_err().place, "p:2");
        assert_eq!(pairs("a=\\"), [(1, "a".into(), String::new())]);
    }
}
