//! `cargo xtask bench`: the standard workloads on our broker and the floor, and beside Apache Kafka. Measures nothing itself.

use std::path::Path;

use crate::peer;
use crate::process::{command, run as run_command, target_directory};
use crate::provide::{JAVA, MAVEN, PYTHON, provide};
use crate::steps::{Output, cargo};

/// Builds what is measured, and measures it; `words` go on to `highwater-bench suite`.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let (with_kafka, words) = match words {
        ["kafka", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let build = ["build", "--release", "--locked", "--package", "highwater", "--package", "highwater-bench"];
    run_command(&mut cargo(root, Output::Terminal, &build))?;
    let target = target_directory()?;
    let (ours, bench) = (target.join("release/highwater"), target.join("release/highwater-bench"));
    let (ours, bench) = (ours.display(), bench.display());
    let highwater = format!(
        "highwater=disk={ours} dev --data-dir {{dir}} --listen 127.0.0.1:{{port}} --http {{http}} --log warn"
    );
    let floor = format!("floor=page-cache={bench} floor --listen 127.0.0.1:{{port}} --file {{dir}}");
    let durable_floor =
        format!("floor-disk=disk={bench} floor --listen 127.0.0.1:{{port}} --file {{dir}} --durable");
    let mut suite = command(root, bench.to_string(), &["suite"]);
    suite.arg("--dir").arg(target.join("bench-suite")).arg("--out").arg(target.join("bench-results"));
    suite.args(["--target", &highwater]);
    if with_kafka {
        provide(root, &[JAVA, MAVEN, PYTHON])?;
        suite.env("KAFKA_LIBRARIES", peer::libraries(root)?);
        let script = root.join("tools/interop/kafka_broker.py");
        let run = format!("python3 {} run --as-shipped --port {{port}} --data-dir {{dir}}", script.display());
        suite.args(["--target", &format!("kafka=page-cache={run}")]);
    }
    suite.args(["--floor", &floor, "--floor", &durable_floor]).args(words);
    run_command(&mut suite)
}
