//! The project's own commands: `cargo xtask test` is all a contributor needs to know. It knows how to run things, not what they do.

mod bench;
mod codegen;
mod counts;
mod dump_segments;
mod peer;
mod process;
mod provide;
mod sim;
mod steps;
mod tidy;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--only STEP,..]     run every check, or the named ones
  ci [--only STEP,..]       the same with plain output
  nightly                   the simulator for hours: all profiles, planted bugs, power cuts, the model
  tidy                      the rules of the house
  codegen [--check]         write the generated files, or check that they are fresh
  wire FILE                 judge the codec by messages that Kafka encoded
  dump-segments DIR..       read the sealed segments of data directories with Kafka's own tool
  peer kafka                install Apache Kafka beside us, and say how to start it
  bench [kafka] [OPTION..]  measure our broker and the floor, and Apache Kafka beside them
  counts [--update]         instructions per request, beside those that are kept
  counts record             record the traffic for that anew
  peer test                 compare what Kafka's tools and many clients get from Apache Kafka and from us
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&root(), &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("xtask lies two levels under the root").to_path_buf()
}

fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", rest @ ..] => steps::run(root, steps::Output::Terminal, rest),
        ["ci", rest @ ..] => steps::run(root, steps::Output::Plain, rest),
        ["nightly"] => sim::nightly(root),
        ["tidy"] => tidy::run(root),
        ["codegen", rest @ ..] => codegen::run(root, rest),
        ["wire", file] => wire::run(root, file),
        ["dump-segments", directories @ ..] if !directories.is_empty() => {
            dump_segments::run(root, directories)
        }
        ["bench", rest @ ..] => bench::run(root, rest),
        ["counts", rest @ ..] => counts::run(root, steps::Output::Terminal, rest),
        ["peer", "kafka"] => peer::kafka(root),
        ["peer", "test"] => steps::run(root, steps::Output::Terminal, &["--only", "peer"]),
        _ => Err(USAGE.into()),
    }
}
