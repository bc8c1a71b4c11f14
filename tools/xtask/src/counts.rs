//! `cargo xtask counts`: instructions per request, compared with what is kept, and the traffic for it. Counts nothing itself.

use std::path::Path;

use crate::process::{command, run as run_command, target_directory};
use crate::provide::{self, Need, PYTHON, VALGRIND};
use crate::steps::{Output, cargo};

pub(crate) const NEEDS: &[Need] = &[VALGRIND];

/// Builds what counts and counts; or records all traffic anew.
pub(crate) fn run(root: &Path, output: Output, words: &[&str]) -> Result<(), String> {
    let build = ["build", "--release", "--locked", "--package", "highwater-counts"];
    let mut build = cargo(root, output, &build);
    // A build that is incremental, or has a profile from the environment, counts otherwise.
    let profile = std::env::vars_os().map(|(name, _)| name);
    for name in profile.filter(|name| name.to_string_lossy().starts_with("CARGO_PROFILE_")) {
        build.env_remove(name);
    }
    run_command(build.env("CARGO_INCREMENTAL", "0"))?;
    let release = target_directory()?.join("release");
    let counts = release.join("highwater-counts");
    let ["record", rest @ ..] = words else {
        provide::provide(root, NEEDS)?;
        let mut gate = command(root, counts, &["gate", "--profiles"]);
        return run_command(gate.arg(target_directory()?.join("counts")).args(words));
    };
    provide::provide(root, &[PYTHON])?;
    let python = provide::python(root, Path::new("tools/interop/requirements.txt"))?;
    let build = ["build", "--release", "--locked", "--package", "highwater-bench"];
    run_command(&mut cargo(root, output, &build))?;
    let build = ["build", "--release", "--locked", "--package", "highwater", "--features", "record"];
    run_command(&mut cargo(root, output, &build))?;
    let mut record = command(root, python, &["benches/counts/record.py", "--counts"]);
    record.arg(counts).arg("--broker").arg(release.join("highwater"));
    run_command(record.arg("--bench").arg(release.join("highwater-bench")).args(rest))
}
