//! `log inspect --verify`: checks all that can be checked of a file, or of every file below a directory. Says what is damaged and
//! where; prints no content.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use highwater_core::buf::Slice;
use highwater_core::id::{StreamId, Uuid};
use highwater_core::limits::FOOTER_CRC_BYTES;
use highwater_core::log::footer::{self, Footer};
use highwater_core::storage::checkpoint::Checkpoint;
use highwater_core::storage::walk::{Walk, WalkRead};
use serde_json::{Value, json};

use super::segment::{self, Checked};
use super::{Kind, unreadable};
use crate::args::Output;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::{self, column};

/// What was found out about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: PathBuf,
    kind: &'static str,
    batches: u64,
    records: u64,
    /// Not damage, but worth a word.
    note: String,
    damage: Vec<String>,
}

impl Finding {
    fn new(path: &Path, kind: &'static str) -> Self {
        Self { path: path.to_owned(), kind, batches: 0, records: 0, note: String::new(), damage: Vec::new() }
    }
}

pub(super) fn run(path: &Path, form: Output, out: &mut impl Write) -> Result<(), Ended> {
    let mut findings = Vec::new();
    if fs::metadata(path).map_err(|error| unreadable(path, &error))?.is_dir() {
        below(path, &mut findings)?;
        if findings.is_empty() {
            return Err(nothing_there(path).into());
        }
    } else {
        let kind = Kind::of(path).ok_or_else(|| super::no_such_kind(path))?;
        findings.push(one(path, kind)?);
    }
    let rows: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let note = (!finding.note.is_empty()).then(|| finding.note.clone());
            let remarks: Vec<String> = finding.damage.iter().cloned().chain(note).collect();
            json!({
                "file": finding.path.display().to_string(),
                "kind": finding.kind,
                "batches": finding.batches,
                "records": finding.records,
                "result": if finding.damage.is_empty() { "sound" } else { "DAMAGED" },
                "damage": finding.damage,
                "note": finding.note,
                "remark": remarks,
            })
        })
        .collect();
    let columns = [
        column("FILE", "file"),
        column("KIND", "kind"),
        column("BATCHES", "batches"),
        column("RECORDS", "records"),
        column("RESULT", "result"),
        column("REMARK", "remark"),
    ];
    output::rows(form, &columns, &rows, out)?;
    let damaged: Vec<&Finding> = findings.iter().filter(|finding| !finding.damage.is_empty()).collect();
    match damaged.first() {
        None => Ok(()),
        Some(first) => Err(Failure {
            exit: Exit::Failed,
            what: format!("{} of {} files are damaged", damaged.len(), findings.len()),
            place: first.path.display().to_string(),
            why: first.damage.join("; "),
            fix: "look at the disk; what a replica or a backup has can be taken from there".into(),
        }
        .into()),
    }
}

/// Every file that can be checked, in the order of their names.
fn below(dir: &Path, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let listed = fs::read_dir(dir).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut paths: Vec<PathBuf> =
        listed.map_err(|error| unreadable(dir, &error))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    if paths.iter().any(|path| Kind::of(path) == Some(Kind::Wal)) {
        findings.push(stream(dir, &paths)?);
    }
    for path in &paths {
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            below(path, findings)?;
            continue;
        }
        match Kind::of(path) {
            Some(Kind::Segment) => findings.push(one(path, Kind::Segment)?),
            // A footer is checked with its segment, where that is there.
            Some(Kind::Footer) if !path.with_extension("log").exists() => {
                findings.push(one(path, Kind::Footer)?)
            }
            // The files of a stream are one log.
            Some(Kind::Footer | Kind::Wal) | None => {}
        }
    }
    Ok(())
}

fn one(path: &Path, kind: Kind) -> Result<Finding, Failure> {
    match kind {
        Kind::Segment => segment(path),
        Kind::Footer => {
            let mut finding = Finding::new(path, "footer");
            read_footer(path, &mut finding)?;
            Ok(finding)
        }
        Kind::Wal => {
            let dir = path.parent().unwrap_or(Path::new("."));
            stream(dir, &[path.to_owned(), dir.join("checkpoint")])
        }
    }
}

fn segment(path: &Path) -> Result<Finding, Failure> {
    let mut finding = Finding::new(path, "segment");
    let footer_path = path.with_extension("footer");
    let footer = if footer_path.exists() { read_footer(&footer_path, &mut finding)? } else { None };
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let checked = segment::check(path, BufReader::new(file))?;
    finding.batches = checked.batches;
    finding.records = checked.records;
    finding.damage.extend(checked.damage.iter().cloned());
    let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i64>().ok());
    if let (Some(base), Some(first)) = (name, checked.first)
        && first < base
    {
        finding.damage.push(format!("offset {first} is below the {base} of the name"));
    }
    match footer {
        Some(footer) => check_footer(path, &footer, &checked, &mut finding)?,
        None if checked.rest > 0 => {
            finding.note =
                format!("the last {} bytes are a batch whose rest is in the write-ahead log", checked.rest);
        }
        None => finding.note = "not closed yet".into(),
    }
    Ok(finding)
}

fn read_footer(path: &Path, finding: &mut Finding) -> Result<Option<Footer>, Failure> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let decoded = footer::decode(&bytes);
    if decoded.is_none() {
        finding.damage.push("neither copy of the footer is sound".into());
    } else if footer::repaired(&bytes).is_some() {
        finding.damage.push("one of the two copies of the footer is damaged".into());
    }
    if let Some(extent) = decoded.as_ref().and_then(|footer| footer.faulty.first()) {
        finding.damage.push(format!("offsets {}..={} are known to be lost", extent.base, extent.last));
    }
    Ok(decoded)
}

/// Whether the footer tells of the segment that is there.
fn check_footer(
    path: &Path,
    footer: &Footer,
    checked: &Checked,
    finding: &mut Finding,
) -> Result<(), Failure> {
    if u64::from(footer.len) != checked.bytes {
        finding.damage.push(format!("the footer tells of {} bytes, there are {}", footer.len, checked.bytes));
    }
    if checked.last.is_some_and(|last| last >= footer.end.0) {
        finding.damage.push(format!("there are offsets behind the end {} of the footer", footer.end));
    }
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut stretch = Vec::new();
    for (place, &crc) in footer.crcs.iter().enumerate() {
        stretch.clear();
        let limit = u64::from(footer.len).saturating_sub((place * FOOTER_CRC_BYTES) as u64);
        let read = (&mut file).take(limit.min(FOOTER_CRC_BYTES as u64)).read_to_end(&mut stretch);
        read.map_err(|error| unreadable(path, &error))?;
        if footer::stretch_crc(&stretch) != crc {
            finding
                .damage
                .push(format!("the bytes from {} on do not match the footer", place * FOOTER_CRC_BYTES));
            break;
        }
    }
    Ok(())
}

/// Walks a stream of the write-ahead log as a start of the node does: it tells a torn end, where nothing is lost, from damage.
fn stream(dir: &Path, paths: &[PathBuf]) -> Result<Finding, Failure> {
    let mut finding = Finding::new(dir, "wal");
    let mut files = BTreeMap::new();
    for path in paths.iter().filter(|path| Kind::of(path) == Some(Kind::Wal)) {
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        let Some(number) = number else { continue };
        let len = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
        files.insert(number, len);
    }
    let id = dir.file_name().and_then(|name| name.to_str()).and_then(Uuid::parse);
    let Some(id) = id else {
        finding.damage.push("the directory is not named by a stream's id".into());
        return Ok(finding);
    };
    let checkpoint = match fs::read(dir.join("checkpoint")) {
        Ok(bytes) => {
            let checkpoint = Checkpoint::decode(&bytes, StreamId(id));
            if checkpoint.is_none() {
                finding.damage.push("the checkpoint is damaged".into());
            }
            checkpoint
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&dir.join("checkpoint"), &error)),
    };
    let mut walk = Walk::new(StreamId(id), files, checkpoint);
    while let Some(read) = walk.next_read() {
        let bytes = read_part(dir, read)?;
        walk.on_read(read, bytes);
    }
    let walked = walk.finish();
    finding.batches = walked.entries.len() as u64;
    finding.damage.extend(
        walked
            .rotten
            .iter()
            .map(|(first, last)| format!("frames {}..={} were durable and cannot be read", first.0, last.0)),
    );
    finding.note = match walked.torn {
        Some(torn) => format!(
            "ends at frame {}; frame {} was being written, and nothing in it was acknowledged",
            walked.last.0, torn.0
        ),
        None => format!("ends at frame {}", walked.last.0),
    };
    Ok(finding)
}

fn read_part(dir: &Path, read: WalkRead) -> Result<Slice, Failure> {
    let path = dir.join(format!("{}.wal", read.file));
    let part = || -> io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(read.at))?;
        let mut bytes = Vec::new();
        file.take(read.len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    part().map(Slice::from_vec).map_err(|error| unreadable(&path, &error))
}

fn nothing_there(path: &Path) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "there is nothing to verify".into(),
        place: path.display().to_string(),
        why: "no file below it ends in .log, .footer or .wal".into(),
        fix: "give it the data directory of a node, such as ./highwater-data".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use highwater_core::batch::{BatchBuilder, BatchHeader, NewRecord};
    use highwater_core::id::Offset;
    use highwater_core::time::Timestamp;

    use super::{Output, fs, run};
    use crate::ended::Ended;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("highwater-verify-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn batch(base: i64) -> Vec<u8> {
        let mut batch =
            BatchBuilder::new(BatchHeader { base_offset: Offset(base), ..BatchHeader::default() });
        batch.push(&NewRecord { timestamp: Timestamp(7), key: None, value: Some(b"v"), headers: &[] });
        batch.build()
    }

    /// The rows, and why the whole fails.
    fn verified(dir: &Dir) -> (Vec<serde_json::Value>, Option<String>) {
        let mut out = Vec::new();
        let why = match run(&dir.0, Output::Json, &mut out) {
            Ok(()) => None,
            Err(Ended::Failed(failure)) => Some(failure.to_string()),
            Err(Ended::ReaderGone) => panic!("a Vec does not go away"),
        };
        let rows = String::from_utf8(out).unwrap();
        (rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), why)
    }

    #[test]
    fn segments_are_sound_until_a_bit_an_offset_or_a_footer_is_not() {
        let dir = Dir::new("segments");
        let path = dir.0.join("00000000000000000005.log");
        fs::write(&path, [batch(5), batch(6)].concat()).unwrap();
        let (rows, why) = verified(&dir);
        assert_eq!(
            (rows[0]["result"].as_str(), rows[0]["records"].as_u64(), why),
            (Some("sound"), Some(2), None)
        );
        let mut flipped = [batch(5), batch(6)].concat();
        *flipped.last_mut().unwrap() ^= 1;
        for (bytes, word) in [
            (flipped, "at byte"),
            ([batch(6), batch(5)].concat(), "offset 5 does not follow"),
            (batch(4), "below the 5"),
        ] {
            fs::write(&path, bytes).unwrap();
            let (rows, why) = verified(&dir);
            assert_eq!(rows[0]["result"], "DAMAGED");
            assert!(why.as_ref().is_some_and(|why| why.contains(word)), "{why:?}");
        }
        fs::write(&path, batch(5)).unwrap();
        fs::write(path.with_extension("footer"), [0; 8192]).unwrap();
        assert!(verified(&dir).1.unwrap().contains("neither copy of the footer"));
    }

    #[test]
    fn a_directory_without_data_is_said() {
        let dir = Dir::new("empty");
        assert!(verified(&dir).1.unwrap().contains("nothing to verify"));
    }
}
