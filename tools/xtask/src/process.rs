//! Running other programs: in the open, with the command in every failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command that runs in the root of the repository.
pub(crate) fn command(root: &Path, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    command
}

/// Runs to the end; what it prints is seen as it comes.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{status}: {}", shown(command))) }
}

/// Runs to the end and gives what it printed, its errors after its output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("{text}{}: {}", output.status, shown(command)))
    }
}

/// Whether it runs at all and succeeds, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Where cargo builds: the directory that holds this very program.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let target = program.ancestors().nth(2).expect("cargo runs a program from <target>/<profile>/");
    Ok(target.to_path_buf())
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command_and_its_status() {
        let error = run(&mut command(Path::new("/"), "sh", &["-c", "exit 3"])).unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("sh -c exit 3"), "{error}");
        let error = run(&mut command(Path::new("/"), "no-such-program", &[])).unwrap_err();
        assert!(error.contains("cannot run no-such-program"), "{error}");
    }

    #[test]
    fn output_is_given_and_failure_is_not_taken_for_it() {
        assert_eq!(output(&mut command(Path::new("/"), "echo", &["a b"])).unwrap(), "a b\n");
        assert!(output(&mut command(Path::new("/"), "sh", &["-c", "echo a; exit 1"])).is_err());
    }
}
