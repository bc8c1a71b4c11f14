//! `cargo xtask wire FILE`: holds the codec against recorded messages. The judge is an example of the core, so that building xtask
//! does not need the core.

use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the command; `args` are those behind its name.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let [file] = args else {
        eprintln!("usage: cargo xtask wire FILE");
        return ExitCode::from(2);
    };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--package", "highwater-core", "--example", "wire", "--manifest-path"])
        .arg(manifest)
        .arg("--")
        .arg(file)
        .status();
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
