//! Names the commit that the simulator is built from: a seed means something only together with it.

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn main() {
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    // What else is changed does not change a run.
    let changed =
        git(&["status", "--porcelain", "--", ".", "../core", "../io", "../jepsen", "../Cargo.lock"]);
    let dirty = changed.is_some_and(|files| !files.is_empty());
    let mark = if dirty { "-dirty" } else { "" };
    match commit {
        Some(commit) => println!("cargo:rustc-env=HIGHWATER_COMMIT={commit}{mark}"),
        None => println!("cargo:rustc-env=HIGHWATER_COMMIT=unknown"),
    }
    let head = git(&["symbolic-ref", "HEAD"]).unwrap_or_default();
    let moves = ["HEAD", head.as_str(), "packed-refs"];
    let moves = moves.iter().filter_map(|name| git(&["rev-parse", "--git-path", name]));
    let sources = ["build.rs", "src", "../core/src", "../io/src", "../jepsen/src", "../Cargo.lock"];
    for path in moves.chain(sources.map(str::to_owned)) {
        // A path that does not exist would build this again each time.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}
