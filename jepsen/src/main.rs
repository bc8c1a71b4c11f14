//! The command line of the judge: real processes, real clients. It decides nothing about right and wrong; the checkers do.

mod check;
mod kill9;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: highwater-jepsen kill9 --rounds N --binary PATH [--io auto|uring|epoll] [--data-dir DIR] [--seed S] [--set KEY=VALUE]..
       highwater-jepsen check FILE

kill9  starts the broker, loads it, kills it with signal 9 at a random moment, starts it again and reads everything back, N times;
       groups consume through it, and neither skip a record nor lose what they committed.
check  judges a history that has an operation's invocation or completion on each line, in JSON.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, path] = &arguments[..]
        && command == "check"
    {
        return exit(check::run(path));
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    exit(kill9::run(&options))
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(story) => {
            println!("{story}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<kill9::Options, String> {
    let mut words = arguments.iter();
    if words.next().map(String::as_str) != Some("kill9") {
        return Err("the command is missing".into());
    }
    let mut binary = None;
    let mut options = kill9::Options {
        rounds: 1,
        binary: PathBuf::new(),
        io: "auto".into(),
        data_dir: None,
        seed: std::process::id().into(),
        sets: Vec::new(),
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let number = || value.parse().map_err(|_| format!("{word} wants a number, not {value}"));
        match word.as_str() {
            "--rounds" => options.rounds = number()?,
            "--seed" => options.seed = number()?,
            "--binary" => binary = Some(PathBuf::from(value)),
            "--data-dir" => options.data_dir = Some(PathBuf::from(value)),
            "--io" => options.io.clone_from(value),
            "--set" => options.sets.push(value.clone()),
            _ => return Err(format!("no option {word}")),
        }
    }
    options.binary = binary.ok_or("--binary is missing")?;
    Ok(options)
}
