//! Counts under callgrind and compares with what is kept. Owns the file of the counts and the surroundings in which they repeat.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::counted::FUNCTIONS;
use crate::{Failure, WORKLOADS, Workload, at};

/// Percent by which a count may be off.
const TOLERANCE: f64 = 2.0;

/// Has the C library copy bytes in the same way on every processor that callgrind knows. What the core chooses itself needs no
/// such word: callgrind shows every processor as one of the same few.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM\
:glibc.cpu.x86_non_temporal_threshold=0xc0000";

/// What becomes of the kept counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Compared,
    Replaced,
}

#[derive(Debug)]
pub(crate) struct Gate<'a> {
    /// The file of the counts.
    pub(crate) kept: &'a Path,
    pub(crate) update: Kept,
    /// A part of the names of those that are counted.
    pub(crate) only: Option<&'a str>,
    /// Where the profiles go.
    pub(crate) profiles: &'a Path,
}

pub(crate) fn run(gate: &Gate<'_>) -> Result<(), Failure> {
    let here = toolchain()?;
    let kept = match fs::read_to_string(gate.kept) {
        Ok(text) => Counts::parse(&text)?,
        Err(_) if gate.update == Kept::Replaced => Counts::default(),
        Err(error) => return Err(at(gate.kept, &error)),
    };
    fs::create_dir_all(gate.profiles).map_err(|error| at(gate.profiles, &error))?;
    let chosen = |workload: &&Workload| gate.only.is_none_or(|part| workload.name.contains(part));
    let mut counted = BTreeMap::new();
    for workload in WORKLOADS.iter().filter(chosen) {
        counted.insert(workload.name.to_owned(), count(workload, gate.profiles)?);
    }
    let (table, off) = compare(&kept.per_request, &counted);
    print!("{table}");
    if gate.update == Kept::Replaced {
        let names = |name: &String| WORKLOADS.iter().any(|workload| workload.name == *name);
        let mut per_request: BTreeMap<String, f64> =
            kept.per_request.into_iter().filter(|(name, _)| names(name)).collect();
        per_request.extend(counted);
        let text = Counts { toolchain: here, per_request }.text();
        return fs::write(gate.kept, text).map_err(|error| at(gate.kept, &error));
    }
    if kept.toolchain != here {
        println!("the counts were made with {}, and these with {here}", kept.toolchain);
    }
    if off.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "off by more than {TOLERANCE} %: {}. Where more is needed, or less is had, say why in the commit and \
         keep the new counts: cargo xtask counts --update",
        off.join(", ")
    )))
}

/// What the counts depend on besides the code.
fn toolchain() -> Result<String, Failure> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.map_err(|error| Failure(format!("cannot run {program}: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split(" (").next().unwrap_or_default().trim().to_owned())
    };
    let parts =
        [said("rustc", &["-V"])?, said("getconf", &["GNU_LIBC_VERSION"])?, said("valgrind", &["--version"])?];
    Ok(parts.join(", "))
}

/// Instructions of one request.
fn count(workload: &Workload, profiles: &Path) -> Result<f64, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure(format!("cannot find this program: {error}")))?;
    let profile = profiles.join(workload.name).with_extension("callgrind");
    let valgrind = which("valgrind")?;
    let output = Command::new(valgrind)
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={FUNCTIONS}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["replay", workload.name])
        .env_clear()
        .env("GLIBC_TUNABLES", TUNABLES)
        // When memory goes back to the system depends on a clock.
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .output()
        .map_err(|error| Failure(format!("cannot run valgrind: {error}")))?;
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(Failure(format!("{}: {}\n{said}{complaint}", workload.name, output.status)));
    }
    let number = |text: &str, word: &str| {
        let rest =
            text.lines().find_map(|line| line.split_once(word).map(|(_, rest)| rest.trim().to_owned()));
        rest.and_then(|rest| rest.parse::<u64>().ok())
    };
    let (Some(instructions), Some(requests)) =
        (number(&complaint, "Collected :"), number(&said, "requests "))
    else {
        return Err(Failure(format!("{}: no count in\n{said}{complaint}", workload.name)));
    };
    if instructions == 0 || requests == 0 {
        return Err(Failure(format!(
            "{}: {instructions} instructions for {requests} requests",
            workload.name
        )));
    }
    println!("{}: {instructions} instructions for {requests} requests", workload.name);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    Ok((instructions as f64 / requests as f64).round())
}

/// The path of a program, which its environment will not have.
fn which(program: &str) -> Result<std::path::PathBuf, Failure> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|path| path.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| Failure(format!("{program} is not installed: on Debian apt-get install {program}")))
}

/// A table of both, and the names of those that are too far from each other.
fn compare(kept: &BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) -> (String, Vec<String>) {
    let mut table = format!("{:<20} {:>14} {:>14} {:>9}\n", "per request", "kept", "counted", "");
    let mut off = Vec::new();
    for (name, now) in counted {
        let Some(before) = kept.get(name) else {
            let _ = writeln!(table, "{name:<20} {:>14} {now:>14} {:>9}", "-", "new");
            off.push(name.clone());
            continue;
        };
        let percent = (now - before) * 100.0 / before;
        let word = if percent.abs() <= TOLERANCE {
            ""
        } else if percent > 0.0 {
            "  MORE"
        } else {
            "  less"
        };
        let _ = writeln!(table, "{name:<20} {before:>14} {now:>14} {percent:>+8.2}%{word}");
        if !word.is_empty() {
            off.push(format!("{name} {percent:+.1} %"));
        }
    }
    (table, off)
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Default)]
struct Counts {
    toolchain: String,
    per_request: BTreeMap<String, f64>,
}

impl Counts {
    fn text(&self) -> String {
        let mut text =
            "# Instructions of the core per request. Written by: cargo xtask counts --update\n".to_owned();
        let _ = writeln!(text, "toolchain = \"{}\"\n\n[per_request]", self.toolchain);
        for (name, count) in &self.per_request {
            let _ = writeln!(text, "{name} = {count}");
        }
        text
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure(format!("the kept counts: {why}"));
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message()))?;
        let toolchain = table.get("toolchain").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let counts = table.get("per_request").and_then(toml::Value::as_table);
        let counts = counts.ok_or_else(|| wrong("no table per_request"))?;
        let mut per_request = BTreeMap::new();
        for (name, count) in counts {
            let count =
                count.as_integer().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
            let count = count.ok_or_else(|| wrong(&format!("{name} is no count")))?;
            per_request.insert(name.clone(), f64::from(count));
        }
        Ok(Self { toolchain, per_request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn counts_read_what_they_write() {
        let counts =
            Counts { toolchain: "rustc 1".into(), per_request: counts(&[("a-b", 12.0), ("c", 9e6)]) };
        assert_eq!(Counts::parse(&counts.text()).unwrap(), counts);
        assert!(Counts::parse("toolchain = \"x\"\n[per_request]\na = 0\n").is_err());
    }

    #[test]
    fn more_and_less_past_the_tolerance_are_told() {
        let kept = counts(&[("even", 1000.0), ("more", 1000.0), ("less", 1000.0), ("gone", 1.0)]);
        let now = counts(&[("even", 1020.0), ("more", 1021.0), ("less", 979.0), ("new", 5.0)]);
        let (table, off) = compare(&kept, &now);
        assert_eq!(off, ["less -2.1 %", "more +2.1 %", "new"]);
        assert!(table.contains("MORE") && table.contains("less") && table.contains("+2.00%"), "{table}");
    }
}
