//! The steps of the test command, cheapest first; it knows their order and their needs, not what they test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::codegen;
use crate::counts;
use crate::peer;
use crate::process::{command, run as run_command, target_directory};
use crate::provide::{self, COMPILER, KCAT, MAKE, Need, PROMTOOL, PYTHON, ZSTD};
use crate::sim;
use crate::tidy;

/// Rounds of the kill -9 step.
const KILL9_ROUNDS: &str = "5";

/// Minutes of mixed load in the interop step.
const SOAK_MINUTES: &str = "1";

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Terminal,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Install,
    Fmt,
    Tidy,
    Codegen,
    Clippy,
    Build,
    Counts,
    Test,
    Doc,
    Sim,
    Interop,
    Peer,
    Kill9,
}

impl Step {
    const ALL: [Self; 13] = [
        Self::Install,
        Self::Fmt,
        Self::Tidy,
        Self::Codegen,
        Self::Clippy,
        Self::Build,
        Self::Counts,
        Self::Test,
        Self::Doc,
        Self::Sim,
        Self::Interop,
        Self::Peer,
        Self::Kill9,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Codegen => "codegen",
            Self::Clippy => "clippy",
            Self::Build => "build",
            Self::Counts => "counts",
            Self::Test => "test",
            Self::Doc => "doc",
            Self::Sim => "sim",
            Self::Interop => "interop",
            Self::Peer => "peer",
            Self::Kill9 => "kill9",
        }
    }

    /// What the step needs from outside; the Kafka client in C of the jepsen crate is compiled on the way.
    const fn needs(self) -> &'static [Need] {
        match self {
            Self::Clippy | Self::Doc | Self::Kill9 => &[COMPILER, MAKE],
            Self::Counts => counts::NEEDS,
            Self::Test => &[COMPILER, MAKE, ZSTD],
            Self::Interop => &[KCAT, PROMTOOL, PYTHON],
            Self::Peer => peer::NEEDS,
            Self::Install | Self::Fmt | Self::Tidy | Self::Codegen | Self::Build | Self::Sim => &[],
        }
    }
}

/// What a step runs with.
struct Context<'a> {
    root: &'a Path,
    output: Output,
    chosen: &'a [Step],
}

/// Runs the steps that `arguments` choose, up to the first that fails.
pub(crate) fn run(root: &Path, output: Output, arguments: &[&str]) -> Result<(), String> {
    let chosen = chosen(arguments)?;
    let context = Context { root, output, chosen: &chosen };
    let begun = Instant::now();
    let mut passed = 0;
    for step in &chosen {
        println!("=== {}", step.name());
        let started = Instant::now();
        let outcome = context.run(*step);
        let seconds = started.elapsed().as_secs_f64();
        if let Err(error) = outcome {
            println!("{error}");
            println!("=== {} FAILED after {seconds:.1} s", step.name());
            println!("{passed} passed, 1 failed, {} not run", chosen.len() - passed - 1);
            return Err(format!("step {} failed; again: cargo xtask test --only {0}", step.name()));
        }
        println!("=== {} ok, {seconds:.1} s", step.name());
        passed += 1;
    }
    println!("total {:.1} s", begun.elapsed().as_secs_f64());
    println!("{passed} passed, 0 failed");
    Ok(())
}

/// The steps that the command line asks for, in the order of their price; installing what they need comes first.
fn chosen(arguments: &[&str]) -> Result<Vec<Step>, String> {
    let names = match arguments {
        [] => return Ok(Step::ALL.to_vec()),
        ["--only", names] => names.split(',').collect::<Vec<_>>(),
        _ => return Err("usage: cargo xtask test [--only STEP,..]".into()),
    };
    for name in &names {
        if !Step::ALL.iter().any(|step| step.name() == *name) {
            let all = Step::ALL.map(Step::name).join(", ");
            return Err(format!("no step `{name}`; there are {all}"));
        }
    }
    let is_chosen = |step: &Step| *step == Step::Install || names.contains(&step.name());
    Ok(Step::ALL.into_iter().filter(is_chosen).collect())
}

impl Context<'_> {
    fn run(&self, step: Step) -> Result<(), String> {
        match step {
            Step::Install => self.install(),
            Step::Fmt => self.cargo(&["fmt", "--all", "--check"]),
            Step::Tidy => tidy::run(self.root),
            Step::Codegen => codegen::run(self.root, &["--check"]),
            Step::Clippy => {
                self.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
            }
            Step::Build => self.build(),
            Step::Counts => counts::run(self.root, self.output, &[]),
            Step::Test => self.cargo(&["test", "--workspace", "--locked"]),
            Step::Doc => self.doc(),
            Step::Sim => sim::step(self.root, self.output),
            Step::Interop => self.interop(),
            Step::Peer => self.peer(),
            Step::Kill9 => self.kill9(),
        }
    }

    fn install(&self) -> Result<(), String> {
        let mut needs: Vec<Need> = Vec::new();
        for need in self.chosen.iter().flat_map(|step| step.needs()) {
            if !needs.contains(need) {
                needs.push(*need);
            }
        }
        provide::provide(self.root, &needs)?;
        if self.chosen.contains(&Step::Interop) || self.chosen.contains(&Step::Peer) {
            self.python()?;
        }
        if self.chosen.contains(&Step::Peer) {
            peer::install(self.root)?;
        }
        Ok(())
    }

    fn build(&self) -> Result<(), String> {
        self.cargo(&["build", "--release", "--locked", "--package", "highwater"])
    }

    fn doc(&self) -> Result<(), String> {
        let mut doc = self.cargo_command(&["doc", "--no-deps", "--workspace", "--locked"]);
        run_command(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }

    fn interop(&self) -> Result<(), String> {
        self.build()?;
        let highwater = self.released("highwater")?;
        let python = self.python()?;
        for io in ["uring", "epoll"] {
            let mut suite = command(self.root, &python, &["tools/interop/suite.py", "--io", io, "--binary"]);
            suite.arg(&highwater).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
            run_command(&mut suite)?;
        }
        run_command(
            command(self.root, &python, &["tools/interop/soak.py", "--minutes", SOAK_MINUTES, "--binary"])
                .arg(&highwater)
                .env("PYTHONDONTWRITEBYTECODE", "1"),
        )
    }

    fn peer(&self) -> Result<(), String> {
        self.build()?;
        self.cargo(&["build", "--locked", "--package", "highwater-jepsen", "--example", "client"])?;
        peer::compare(&peer::Comparison {
            root: self.root,
            python: &self.python()?,
            highwater: &self.released("highwater")?,
            rdkafka: &target_directory()?.join("debug/examples/client"),
        })
    }

    fn kill9(&self) -> Result<(), String> {
        self.build()?;
        self.cargo(&["build", "--locked", "--package", "highwater-jepsen"])?;
        let highwater = self.released("highwater")?;
        let jepsen = target_directory()?.join("debug/highwater-jepsen");
        run_command(
            command(self.root, &jepsen, &["kill9", "--rounds", KILL9_ROUNDS, "--binary"]).arg(&highwater),
        )
    }

    fn python(&self) -> Result<PathBuf, String> {
        provide::python(self.root, Path::new("tools/interop/requirements.txt"))
    }

    fn released(&self, program: &str) -> Result<PathBuf, String> {
        Ok(target_directory()?.join("release").join(program))
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        run_command(&mut self.cargo_command(arguments))
    }

    fn cargo_command(&self, arguments: &[&str]) -> Command {
        cargo(self.root, self.output, arguments)
    }
}

/// A cargo command that prints for whom it is to.
pub(crate) fn cargo(root: &Path, output: Output, arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = command(root, cargo, arguments);
    if output == Output::Plain {
        command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_run_without_a_choice() {
        assert_eq!(chosen(&[]).unwrap(), Step::ALL);
    }

    #[test]
    fn chosen_steps_run_in_the_order_of_price_after_installing() {
        assert_eq!(chosen(&["--only", "interop,fmt"]).unwrap(), [Step::Install, Step::Fmt, Step::Interop]);
    }

    #[test]
    fn unknown_step_is_an_error_that_names_the_known() {
        let error = chosen(&["--only", "fmt,lint"]).unwrap_err();
        assert!(error.contains("no step `lint`") && error.contains("kill9"), "{error}");
        assert!(chosen(&["--all"]).is_err());
    }
}
