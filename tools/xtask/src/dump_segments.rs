//! Reads sealed segments with Kafka's own DumpLogSegments: what we write must be what Kafka reads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::peer::{KAFKA_VERSION, libraries};
use crate::process::{command, output};
use crate::provide::{JAVA, MAVEN, provide};

/// Files that one start of the Java machine reads.
const FILES_PER_START_MAX: usize = 200;

/// What DumpLogSegments says when it does not like a file, whatever its exit status.
const COMPLAINTS: [&str; 7] =
    ["isvalid: false", "Exception", "Found ", "invalid", "corrupt", "Could not", "Missing"];

/// What was read without complaint.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    batches: usize,
    records: usize,
}

/// Dumps every sealed segment under the data directories; the first complaint fails.
pub(crate) fn run(root: &Path, directories: &[&str]) -> Result<(), String> {
    let mut files = Vec::new();
    for directory in directories {
        sealed(&root.join(directory).join("partitions"), &mut files)?;
    }
    if files.is_empty() {
        return Err(format!(
            "no sealed segment (a .log with a .footer beside it) under {}",
            directories.join(", ")
        ));
    }
    provide(root, &[JAVA, MAVEN])?;
    let libraries = libraries(root)?;
    let mut total = Read::default();
    for some in files.chunks(FILES_PER_START_MAX) {
        let read = dump(root, &libraries, some)?;
        total.batches += read.batches;
        total.records += read.records;
    }
    if total.records == 0 {
        return Err(format!("{} segments without a single record", files.len()));
    }
    println!(
        "{} segments, {} batches, {} records read by Kafka {KAFKA_VERSION}",
        files.len(),
        total.batches,
        total.records
    );
    Ok(())
}

/// Gathers the logs that have a footer beside them, anywhere under `directory`.
fn sealed(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error| format!("cannot read {}: {error}", directory.display());
    let mut entries =
        fs::read_dir(directory).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            sealed(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "log")
            && path.with_extension("footer").exists()
        {
            files.push(path);
        }
    }
    Ok(())
}

fn dump(root: &Path, libraries: &Path, files: &[PathBuf]) -> Result<Read, String> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let class_path = format!("{}/*", libraries.display());
    let tool = ["-cp", &class_path, "org.apache.kafka.tools.DumpLogSegments"];
    let mut java = command(root, "java", &tool);
    java.args(["--deep-iteration", "--files", &names.join(",")]);
    judge(&output(&mut java)?, files.len())
}

/// Counts what a dump shows; a complaint or a file it did not open is an error.
fn judge(dump: &str, files: usize) -> Result<Read, String> {
    let mut read = Read::default();
    let mut opened = 0;
    for line in dump.lines() {
        if let Some(complaint) = COMPLAINTS.iter().find(|complaint| line.contains(*complaint)) {
            return Err(format!("Kafka complains (`{complaint}`): {line}"));
        }
        opened += usize::from(line.starts_with("Dumping "));
        read.batches += usize::from(line.starts_with("baseOffset:"));
        read.records += usize::from(line.starts_with("| offset:"));
    }
    if opened == files { Ok(read) } else { Err(format!("Kafka opened {opened} of {files} files:\n{dump}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Dumping a/00000000000000000000.log\nLog starting offset: 0\n\
        baseOffset: 0 lastOffset: 1 count: 2 isTransactional: false isControl: false position: 0 isvalid: true\n\
        | offset: 0 CreateTime: 1 keySize: -1 valueSize: 3\n| offset: 1 CreateTime: 1 keySize: -1 valueSize: 3\n";

    #[test]
    fn good_dump_is_counted() {
        assert_eq!(judge(GOOD, 1).unwrap(), Read { batches: 1, records: 2 });
    }

    #[test]
    fn each_complaint_fails() {
        for complaint in COMPLAINTS {
            let dump = format!("{GOOD}so: {complaint} 18 bytes at the end\n");
            assert!(judge(&dump, 1).unwrap_err().contains(complaint));
        }
    }

    #[test]
    fn file_that_was_not_opened_fails() {
        assert!(judge(GOOD, 2).unwrap_err().contains("1 of 2 files"));
    }
}
