//! placeholder
mod codegen;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((name, rest)) if name == "codegen" => codegen::run(rest),
        Some((name, rest)) if name == "wire" => wire::run(rest),
        _ => ExitCode::from(2),
    }
}
