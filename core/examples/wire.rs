//! Judges the wire codec by a file of recorded messages: `cargo xtask wire FILE`.

#[path = "../tests/wire/judge.rs"]
mod judge;

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: wire FILE");
        return ExitCode::from(2);
    };
    let vectors = std::fs::read(&path).map_err(|error| error.to_string()).and_then(|file| judge::read(&file));
    let verdict = match vectors {
        Ok(vectors) => judge::judge(&vectors),
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    for mismatch in &verdict.mismatches {
        println!("{mismatch}");
    }
    println!("{} of {}", verdict.total - verdict.mismatches.len(), verdict.total);
    if verdict.total > 0 && verdict.mismatches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
