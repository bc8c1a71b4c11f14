//! Tells the program which commit it was built from, where git knows; of a source without git it is not said.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=../core/src");
    // Written whenever a commit is made or another one taken.
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", "../core/src"]);
    let mark = if changed.is_some_and(|files| files.is_empty()) { "" } else { "-changed" };
    println!("cargo::rustc-env=HIGHWATER_BENCH_COMMIT={commit}{mark}");
}

fn git(words: &[&str]) -> Option<String> {
    let told = Command::new("git").args(words).output().ok().filter(|told| told.status.success())?;
    String::from_utf8(told.stdout).ok().map(|text| text.trim().to_owned())
}
