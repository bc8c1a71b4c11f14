//! Apache Kafka and what else is put beside our broker: fetched from the registries under the target directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use crate::process::{command, output, run as run_command, succeeds, target_directory};
use crate::provide::{COMPILER, GO, JAVA, JAVAC, MAKE, MAVEN, NPM, Need, PYTHON, provide};

/// Kafka's release that judges: its broker, its clients and its tools.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Group, artifact and version of what is asked for by name; Maven adds what they depend on.
const ARTIFACTS: [[&str; 3]; 3] = [
    ["org.apache.kafka", "kafka_2.13", KAFKA_VERSION],
    ["org.apache.kafka", "kafka-tools", KAFKA_VERSION],
    ["org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"],
];

/// What the comparison needs from outside, beside what it fetches itself.
pub(crate) const NEEDS: &[Need] = &[COMPILER, GO, JAVAC, MAKE, MAVEN, NPM, PYTHON];

/// Where the clients in Go are.
const GO_MODULE: &str = "tools/interop/go";

/// Installs Kafka and says how to start it.
pub(crate) fn kafka(root: &Path) -> Result<(), String> {
    provide(root, &[JAVA, MAVEN])?;
    let libraries = libraries(root)?;
    println!(
        "Kafka {KAFKA_VERSION} is in {0}\n\
         KAFKA_LIBRARIES={0} tools/interop/kafka_broker.py start --port 19092 --data-dir target/kafka-data\n\
         tools/interop/kafka_broker.py stop --data-dir target/kafka-data",
        libraries.display()
    );
    Ok(())
}

/// Fetches from Maven Central and from Go's proxy at once what the comparison is made with.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    thread::scope(|scope| {
        let kafka = scope.spawn(|| libraries(root));
        let modules = scope.spawn(|| {
            let mut download = command(&root.join(GO_MODULE), go(root)?, &["mod", "download"]);
            run_command(download.env("GOTOOLCHAIN", "auto"))
        });
        kafka.join().expect("it does not panic")?;
        modules.join().expect("it does not panic")
    })
}

/// What is compared, and with what.
pub(crate) struct Comparison<'a> {
    pub(crate) root: &'a Path,
    pub(crate) python: &'a Path,
    pub(crate) highwater: &'a Path,
    /// The client of the rdkafka crate.
    pub(crate) rdkafka: &'a Path,
}

/// Runs Kafka's tools, and clients of other languages, against Apache Kafka and against our broker.
pub(crate) fn compare(with: &Comparison<'_>) -> Result<(), String> {
    let (libraries, go) = (libraries(with.root)?, go(with.root)?);
    let mut failed = Vec::new();
    for suite in ["tools/interop/kafka_tools.py", "tools/interop/clients.py"] {
        let mut suite = command(with.root, with.python, &[suite, "--binary"]);
        suite.arg(with.highwater).env("KAFKA_LIBRARIES", &libraries);
        suite.env("GO", &go).env("GOTOOLCHAIN", "auto").env("RDKAFKA_CLIENT", with.rdkafka);
        suite.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        failed.extend(run_command(&mut suite).err());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// A Go that is new enough for the clients: the one that is here, or one that it fetches as a module. Debian's may be too old to
/// do so by itself.
fn go(root: &Path) -> Result<PathBuf, String> {
    let module = root.join(GO_MODULE);
    if succeeds(command(&module, "go", &["list", "-m"]).env("GOTOOLCHAIN", "auto")) {
        return Ok("go".into());
    }
    let path = module.join("go.mod");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let wanted = go_version(&text).ok_or_else(|| format!("{} asks for no Go", path.display()))?;
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let toolchain = format!("golang.org/toolchain@v0.0.1-go{wanted}.linux-{machine}");
    let home = target_directory()?;
    let missing = |error| format!("Go {wanted} is not here, and the Go that is cannot fetch it: {error}");
    let mut download = command(&home, "go", &["mod", "download", "-json", &toolchain]);
    let told = output(&mut download).map_err(missing)?;
    let directory = told.split('"').skip_while(|word| *word != "Dir").nth(2).map(PathBuf::from);
    let directory = directory.ok_or_else(|| missing(format!("no directory in {told}")))?;
    make_executable(&directory).map_err(|error| missing(error.to_string()))?;
    Ok(directory.join("bin/go"))
}

/// The version that a go.mod asks for.
fn go_version(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("go ")).map(str::trim)
}

/// A module has no programs, as far as its files' modes go.
fn make_executable(toolchain: &Path) -> std::io::Result<()> {
    let mut directories = vec![toolchain.join("bin")];
    for entry in fs::read_dir(toolchain.join("pkg/tool"))? {
        directories.push(entry?.path());
    }
    for directory in directories {
        for entry in fs::read_dir(directory)? {
            fs::set_permissions(entry?.path(), Permissions::from_mode(0o555))?;
        }
    }
    Ok(())
}

/// Kafka's broker, clients and tools with all that they need, fetched once by Maven.
pub(crate) fn libraries(root: &Path) -> Result<PathBuf, String> {
    let home = target_directory()?.join(format!("kafka-{KAFKA_VERSION}"));
    let libraries = home.join("libraries");
    let wanted = project();
    let stamp = home.join("complete.xml");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(libraries);
    }
    let failed = |error| format!("cannot write under {}: {error}", home.display());
    if libraries.exists() {
        fs::remove_dir_all(&libraries).map_err(failed)?;
    }
    fs::create_dir_all(&home).map_err(failed)?;
    fs::write(home.join("pom.xml"), &wanted).map_err(failed)?;
    let goal = "dependency:copy-dependencies";
    let mut maven = command(&home, "mvn", &["--quiet", "--batch-mode", goal, "-DincludeScope=runtime"]);
    run_command(maven.arg(format!("-DoutputDirectory={}", libraries.display())))?;
    fs::write(stamp, wanted).map_err(failed)?;
    println!("installed {}", libraries.strip_prefix(root).unwrap_or(&libraries).display());
    Ok(libraries)
}

/// A project of Maven's that consists of its dependencies.
fn project() -> String {
    let dependency = |[group, artifact, version]: [&str; 3]| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>local</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{}</dependencies></project>\n",
        ARTIFACTS.map(dependency).concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_every_artifact_with_its_version() {
        let project = project();
        for [group, artifact, version] in ARTIFACTS {
            let wanted = format!(
                "<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            );
            assert!(project.contains(&wanted), "{project}");
        }
    }

    #[test]
    fn go_version_is_what_the_module_asks_for() {
        let module = include_str!("../../interop/go/go.mod");
        assert!(go_version(module).is_some_and(|version| version.starts_with("1.")));
        assert_eq!(go_version("module m\n\nrequire x v1\n"), None);
    }
}
