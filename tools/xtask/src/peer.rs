//! Apache Kafka and what else is put beside our broker: fetched from the registries under the target directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{command, run as run_command, target_directory};
use crate::provide::{JAVA, MAVEN, provide};

/// Kafka's release that judges: its broker, its clients and its tools.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Group, artifact and version of what is asked for by name; Maven adds what they depend on.
const ARTIFACTS: [[&str; 3]; 3] = [
    ["org.apache.kafka", "kafka_2.13", KAFKA_VERSION],
    ["org.apache.kafka", "kafka-tools", KAFKA_VERSION],
    ["org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"],
];

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
