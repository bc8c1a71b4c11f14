//! `cargo xtask wire FILE`: holds the codec against recorded messages. The judge is an example of the core, so that building xtask
//! does not need the core.

use std::path::Path;
use std::process::Command;

/// Judges `file`; its mismatches and its score go to standard output.
pub(crate) fn run(root: &Path, file: &str) -> Result<(), String> {
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--package", "highwater-core", "--example", "wire", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .args(["--", file])
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("wire: {file} does not match")) }
}
