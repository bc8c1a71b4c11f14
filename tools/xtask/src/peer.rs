//! Apache Kafka and what else is put beside our broker: fetched from the registries under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::process::{command, run as run_command, target_directory};
use crate::provide::{self, GO, JAVA, JAVAC, MAVEN, NPM, Need, PYTHON, provide};
use crate::steps;

/// Kafka's release that judges: its broker, its clients and its tools.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Group, artifact and version of what is asked for by name; Maven adds what they depend on.
const ARTIFACTS: [[&str; 3]; 3] = [
    ["org.apache.kafka", "kafka_2.13", KAFKA_VERSION],
    ["org.apache.kafka", "kafka-tools", KAFKA_VERSION],
    ["org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"],
];

/// What the comparison needs from outside, beside what it fetches itself.
pub(crate) const NEEDS: &[Need] = &[GO, JAVAC, MAVEN, NPM, PYTHON];

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
        let modules = scope
            .spawn(|| run_command(&mut command(&root.join("tools/interop/go"), "go", &["mod", "download"])));
        kafka.join().expect("it does not panic")?;
        modules.join().expect("it does not panic")
    })
}

/// Installs what the comparison needs, builds our broker, and compares.
pub(crate) fn test(root: &Path) -> Result<(), String> {
    provide(root, NEEDS)?;
    install(root)?;
    let build = ["build", "--release", "--locked", "--package", "highwater"];
    run_command(&mut steps::cargo(root, steps::Output::Terminal, &build))?;
    let python = provide::python(root, Path::new("tools/interop/requirements.txt"))?;
    compare(root, &python, &target_directory()?.join("release/highwater"))
}

/// Runs Kafka's tools, and clients of other languages, against Apache Kafka and against our broker.
pub(crate) fn compare(root: &Path, python: &Path, highwater: &Path) -> Result<(), String> {
    let libraries = libraries(root)?;
    let mut failed = Vec::new();
    for suite in ["tools/interop/kafka_tools.py", "tools/interop/clients.py"] {
        let mut suite = command(root, python, &[suite, "--binary"]);
        suite.arg(highwater).env("KAFKA_LIBRARIES", &libraries);
        suite.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        failed.extend(run_command(&mut suite).err());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
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
}
