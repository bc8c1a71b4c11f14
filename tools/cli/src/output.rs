//! How results are printed: tables for people, JSON lines and YAML for programs, all from the same rows. Knows no command.

mod yaml;

use std::io::{self, Write};

use serde_json::Value;

use crate::args::Output;
use crate::ended::Ended;
use crate::terminal;

/// A column of a table: its heading, and the field of a row that it shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    field: &'static str,
    /// Whether it takes --output wide to see it.
    wide: bool,
}

pub(crate) const fn column(heading: &'static str, field: &'static str) -> Column {
    Column { heading, field, wide: false }
}

pub(crate) const fn wide(heading: &'static str, field: &'static str) -> Column {
    Column { heading, field, wide: true }
}

/// Prints rows. Each is an object; fields that no column names are seen in JSON and YAML alone.
pub(crate) fn rows(
    form: Output,
    columns: &[Column],
    rows: &[Value],
    out: &mut impl Write,
) -> Result<(), Ended> {
    let written = match form {
        Output::Table | Output::Wide => {
            let shown: Vec<Column> =
                columns.iter().filter(|column| form == Output::Wide || !column.wide).copied().collect();
            table(&shown, rows, terminal::colours_stdout(), out)
        }
        Output::Json | Output::Yaml => objects(form, rows, out),
    };
    written.map_err(Ended::by_output)
}

/// Prints objects for programs, and `text` of each for people.
pub(crate) fn each(
    form: Output,
    rows: &[Value],
    text: impl Fn(&Value) -> String,
    out: &mut impl Write,
) -> Result<(), Ended> {
    let written = match form {
        Output::Table | Output::Wide => rows.iter().try_for_each(|row| out.write_all(text(row).as_bytes())),
        Output::Json | Output::Yaml => objects(form, rows, out),
    };
    written.map_err(Ended::by_output)
}

fn objects(form: Output, rows: &[Value], out: &mut impl Write) -> io::Result<()> {
    if form == Output::Yaml {
        return yaml::write(rows, out);
    }
    rows.iter().try_for_each(|row| writeln!(out, "{row}"))
}

fn table(columns: &[Column], rows: &[Value], bold: bool, out: &mut impl Write) -> io::Result<()> {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(&row[column.field])).collect()).collect();
    let numeric = |at: usize| !rows.is_empty() && rows.iter().all(|row| row[columns[at].field].is_number());
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| cells.iter().map(|row| row[at].chars().count()).chain([columns[at].heading.len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &[String]| {
        let padded = row.iter().enumerate().map(|(at, text)| {
            let width = widths[at];
            if numeric(at) { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let headings: Vec<String> = columns.iter().map(|column| column.heading.to_owned()).collect();
    let (on, off) = if bold { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    writeln!(out, "{on}{}{off}", line(&headings))?;
    cells.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
}

/// A value in a table. Control characters would move the cursor of whoever reads it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".into(),
        Value::String(text) if text.is_empty() => return "\"\"".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Bytes as people read them.
pub(crate) fn show_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Column, column, rows, show_bytes, table, wide};
    use crate::args::Output;

    const COLUMNS: [Column; 3] = [column("TOPIC", "topic"), column("SIZE", "size"), wide("ID", "id")];

    fn printed(form: Output) -> String {
        let values = [
            json!({"topic": "a", "size": 7, "id": "x", "more": [1, 2]}),
            json!({"topic": "long-name", "size": 1234, "id": null}),
        ];
        let mut out = Vec::new();
        assert!(rows(form, &COLUMNS, &values, &mut out).is_ok());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_line_up_and_numbers_stand_to_the_right() {
        let plain = printed(Output::Table).replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, "TOPIC      SIZE\na             7\nlong-name  1234\n");
        assert!(printed(Output::Wide).contains("long-name  1234  -\n"));
    }

    #[test]
    fn json_and_yaml_hold_every_field() {
        let lines: Vec<serde_json::Value> =
            printed(Output::Json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["more"], json!([1, 2]));
        assert!(
            printed(Output::Yaml).starts_with("- id: x\n  more:\n    - 1\n"),
            "{}",
            printed(Output::Yaml)
        );
    }

    #[test]
    fn a_table_shows_no_control_characters_of_others() {
        let mut out = Vec::new();
        table(&[column("A", "a")], &[json!({"a": "x\u{1b}[2J\ny"})], false, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A\nx\\u{1b}[2J\\ny\n");
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        assert_eq!(show_bytes(1023), "1023 B");
        assert_eq!(show_bytes(1536), "1.5 KiB");
        assert_eq!(show_bytes(u64::MAX), "16777215.9 TiB");
    }
}
