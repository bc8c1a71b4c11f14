//! `completion` and `man`: what can be made from the grammar alone. The grammar as a whole is the binary's.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::finish;

#[derive(Debug, Args)]
#[command(after_help = "\
bash: highwater completion bash > ~/.local/share/bash-completion/completions/highwater
zsh:  highwater completion zsh > a directory of $fpath, as _highwater
fish: highwater completion fish > ~/.config/fish/completions/highwater.fish")]
pub struct CompletionArgs {
    /// bash, zsh or fish
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this directory [default: the main page to standard output]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the completion script of `command` for a shell.
pub fn completion(args: &CompletionArgs, mut command: clap::Command) -> Result<(), Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory, because the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "highwater", &mut script);
    finish(|out| out.write_all(&script).map_err(Ended::by_output))
}

/// Prints the manual page of `command`, or writes all pages into a directory.
pub fn man(args: &ManArgs, mut command: clap::Command) -> Result<(), Failure> {
    command.build();
    let Some(dir) = &args.dir else {
        return finish(|out| clap_mangen::Man::new(command).render(out).map_err(Ended::by_output));
    };
    fs::create_dir_all(dir).and_then(|()| pages(&command, dir)).map_err(|error| Failure {
        exit: Exit::Failed,
        what: "cannot write the manual".into(),
        place: dir.display().to_string(),
        why: error.to_string(),
        fix: "name a directory that can be written".into(),
    })
}

/// A page for the command and for each below it, named by the words that call it.
fn pages(command: &clap::Command, dir: &Path) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).generate_to(dir)?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    below.into_iter().try_for_each(|below| pages(below, dir))
}
