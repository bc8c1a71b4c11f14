//! What tests need from outside: Debian's packages, and Python's in an environment of their own under the target directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{command, output, run, succeeds, target_directory};

/// Something a step needs: how to see that it is here, and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) package: &'static str,
    /// A command that succeeds where the package is installed.
    pub(crate) probe: &'static [&'static str],
}

pub(crate) const COMPILER: Need = Need { package: "g++", probe: &["g++", "--version"] };
pub(crate) const GO: Need = Need { package: "golang-go", probe: &["go", "version"] };
pub(crate) const JAVA: Need = Need { package: "default-jre-headless", probe: &["java", "-version"] };
pub(crate) const JAVAC: Need = Need { package: "default-jdk-headless", probe: &["javac", "-version"] };
pub(crate) const KCAT: Need = Need { package: "kcat", probe: &["kcat", "-V"] };
pub(crate) const MAKE: Need = Need { package: "make", probe: &["make", "--version"] };
pub(crate) const MAVEN: Need = Need { package: "maven", probe: &["mvn", "--version"] };
pub(crate) const NPM: Need = Need { package: "npm", probe: &["npm", "--version"] };
pub(crate) const PROMTOOL: Need = Need { package: "prometheus", probe: &["promtool", "--version"] };
pub(crate) const PYTHON: Need =
    Need { package: "python3-venv", probe: &["python3", "-c", "import ensurepip, venv"] };
pub(crate) const VALGRIND: Need = Need { package: "valgrind", probe: &["valgrind", "--version"] };
pub(crate) const ZSTD: Need = Need { package: "zstd", probe: &["zstd", "--version"] };

/// Sees to it that every need is met; as root on Debian by installing, elsewhere by saying what is missing.
pub(crate) fn provide(root: &Path, needs: &[Need]) -> Result<(), String> {
    let missing = missing(root, needs);
    if missing.is_empty() {
        println!("nothing to install");
        return Ok(());
    }
    let is_root = output(&mut command(root, "id", &["-u"]))?.trim() == "0";
    if !is_root || !succeeds(&mut command(root, "apt-get", &["--version"])) {
        return Err(format!("missing: {0}. On Debian: apt-get install {0}", missing.join(" ")));
    }
    println!("installing {}", missing.join(" "));
    run(&mut command(root, "apt-get", &["update", "-qq"]))?;
    let install = ["install", "-qq", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
    let mut install = command(root, "apt-get", &install);
    run(install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let still = self::missing(root, needs);
    if still.is_empty() { Ok(()) } else { Err(format!("installed, and yet missing: {}", still.join(" "))) }
}

fn missing(root: &Path, needs: &[Need]) -> Vec<&'static str> {
    let is_missing = |need: &&Need| {
        let (program, arguments) = need.probe.split_first().expect("a probe has a program");
        !succeeds(&mut command(root, program, arguments))
    };
    needs.iter().filter(is_missing).map(|need| need.package).collect()
}

/// The Python that has the packages of `requirements`; it is built anew when that file changes.
pub(crate) fn python(root: &Path, requirements: &Path) -> Result<PathBuf, String> {
    let home = target_directory()?.join("python");
    let wanted = fs::read_to_string(root.join(requirements))
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let stamp = home.join("installed.txt");
    let python = home.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(command(root, "python3", &["-m", "venv", "--clear"]).arg(&home))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"];
    run(command(root, &python, &install).arg(requirements))?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_names_the_package_of_what_is_not_here() {
        let here = Need { package: "coreutils", probe: &["true"] };
        let gone = Need { package: "unobtainium", probe: &["no-such-program"] };
        let fails = Need { package: "half-installed", probe: &["false"] };
        assert_eq!(missing(Path::new("/"), &[here, gone, fails]), ["unobtainium", "half-installed"]);
    }
}
