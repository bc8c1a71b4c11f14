//! `highwater debug bundle`: asks a running node for all that helps to understand it and packs the answers. What a node gives out it
//! has redacted itself; this adds nothing of the machine that it runs on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use highwater_cli::{Exit, Failure, http_get};

use crate::cli::BundleArgs;

/// Name, page of the node, and what it holds.
const PARTS: [(&str, &str, &str); 11] = [
    ("metrics.txt", "/metrics", "all metrics, as Prometheus reads them"),
    ("livez.txt", "/livez", "whether the process should be kept"),
    ("readyz.txt", "/readyz?verbose", "each condition of readiness, met or not, and why"),
    ("config.json", "/config", "version, and the settings that were given; sensitive values are hidden"),
    ("loggers.json", "/loggers", "the level of each logger"),
    ("logs.jsonl", "/logs", "the newest log lines"),
    ("shards.json", "/shards", "memory, queues and the write-ahead log of each shard"),
    ("topics.json", "/topics", "names, ids, settings and partition counts of the first 10000 topics"),
    ("partitions.json", "/partitions", "offsets and sizes of the first 10000 partitions"),
    (
        "system.txt",
        "/system",
        "kernel, processors, memory, the file system of the data, limits of the process",
    ),
    ("index.html.txt", "/", "the pages that the node has"),
];

const WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &BundleArgs) -> Result<(), Failure> {
    let mut files = Vec::new();
    for (name, page, holds) in PARTS {
        match http_get(&args.http, page, WITHIN) {
            // An unready node answers with another status, and that is what is wanted.
            Ok(answer) => files.push((name, holds.to_owned(), answer.body)),
            // Nobody is there: every other page would fail as well.
            Err(error) if files.is_empty() => return Err(unreachable(&args.http, &error)),
            Err(error) => files.push((name, format!("{holds}; it is missing: {error}"), Vec::new())),
        }
    }
    let index: String = files.iter().map(|(name, holds, _)| format!("{name:<18}{holds}\n")).collect();
    files.push(("CONTENTS.txt", "this list".into(), index.clone().into_bytes()));
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let output =
        args.output.clone().unwrap_or_else(|| PathBuf::from(format!("highwater-debug-{seconds}.tar.gz")));
    let name = output.to_string_lossy();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, _, content)| (*name, content.as_slice())).collect();
    let written = if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        write_archive(&output, &files, seconds)
    } else {
        write_directory(&output, &files)
    };
    written.map_err(|error| Failure {
        exit: Exit::Failed,
        what: "cannot write the bundle".into(),
        place: name.to_string(),
        why: error.to_string(),
        fix: "choose another place with --output; what exists is not overwritten".into(),
    })?;
    let mut out = io::stdout().lock();
    // A reader that went away has seen enough.
    let _ = write!(out, "{index}\nwritten to {name}\n");
    Ok(())
}

fn unreachable(http: &str, error: &io::Error) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: "no node answers".into(),
        place: format!("http://{http}"),
        why: error.to_string(),
        fix: "give the HTTP address that the node printed: --http HOST:PORT".into(),
    }
}

fn write_directory(path: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    fs::create_dir(path)?;
    files.iter().try_for_each(|(name, content)| fs::write(path.join(name), content))
}

/// All files below one directory, so that unpacking makes no mess.
fn write_archive(path: &Path, files: &[(&str, &[u8])], seconds: u64) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(File::create_new(path)?, Compression::default()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).expect("64 bits hold a length"));
        header.set_mode(0o644);
        header.set_mtime(seconds);
        archive.append_data(&mut header, format!("highwater-debug-{seconds}/{name}"), *content)?;
    }
    archive.into_inner()?.finish()?.sync_all()
}
