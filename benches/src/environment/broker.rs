//! What is known of a broker beside its figures: what it is configured to do, as it tells itself, and where its data lie.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mounts::mount_of;
use crate::args::TargetArgs;
use crate::setup::Setup;

/// Which setting names the directory of the data.
const DATA_SETTINGS: [&str; 2] = ["log.dirs", "log.dir"];

/// How long an answer may take, and how long a page of metrics may be.
const PATIENCE: Duration = Duration::from_secs(5);
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BrokerFacts {
    /// What it was started with, if it was started here.
    pub(crate) command: Option<String>,
    pub(crate) io_driver: Option<String>,
    pub(crate) data_dir: Option<String>,
    pub(crate) file_system: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) write_cache: Option<String>,
    /// Its settings that are not the defaults; none if it does not tell.
    pub(crate) configs: Option<BTreeMap<String, String>>,
}

impl BrokerFacts {
    /// What the broker answers goes before what the options say.
    pub(crate) fn ask(target: &TargetArgs) -> Self {
        // A broker may know nothing of such questions, which takes nothing from a measurement: then it is not told.
        let configs =
            Setup::try_connect(&target.bootstrap, PATIENCE).and_then(|mut setup| setup.broker_configs()).ok();
        let told = |name: &&str| configs.as_ref()?.get(*name)?.split(',').next().map(str::to_owned);
        // Of another machine, or from where the broker was started, a path says nothing here.
        let is_here = |dir: &String| !target.pids.is_empty() && Path::new(dir).is_absolute();
        let said = || target.data_dir.as_ref().map(|dir| dir.display().to_string());
        let data_dir = DATA_SETTINGS.iter().find_map(told).filter(is_here).or_else(said);
        let mount = data_dir.as_ref().and_then(|dir| mount_of(Path::new(dir)));
        let io_driver = target.http.as_ref().and_then(|at| driver_of(&page(at, "/metrics")?));
        Self {
            command: target.command.clone(),
            io_driver: io_driver.or_else(|| target.io_driver.clone()),
            data_dir,
            file_system: mount.as_ref().map(|mount| mount.file_system.clone()),
            device: mount.as_ref().map(|mount| mount.device.clone()),
            write_cache: mount.and_then(|mount| mount.write_cache),
            configs,
        }
    }
}

/// The body of a page, with its head in front.
fn page(address: &str, path: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = Vec::new();
    socket.take(PAGE_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn driver_of(metrics: &str) -> Option<String> {
    let line = metrics.lines().find(|line| line.starts_with("highwater_io_driver_info{"))?;
    let (_, rest) = line.split_once("driver=\"")?;
    rest.split_once('"').map(|(driver, _)| driver.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_is_found_among_the_metrics() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# TYPE x gauge\nhighwater_io_driver_info{driver=\"io_uring\",reason=\"x\"} 1\n";
        assert_eq!(driver_of(page).as_deref(), Some("io_uring"));
        assert_eq!(driver_of("HTTP/1.0 404 Not Found\r\n\r\n"), None);
    }
}
