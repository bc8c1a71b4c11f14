//! A broker that is started here, for as long as it is measured. Knows no protocol but whether somebody listens.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::args::TargetSpec;
use crate::failure::Failure;

/// How long a broker may take to listen, and to end.
const START_PATIENCE: Duration = Duration::from_secs(90);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How finely its start is told.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A process that ends with this.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) spec: TargetSpec,
    child: Child,
    command: String,
    dir: PathBuf,
    port: u16,
}

impl Broker {
    /// Its data and what it prints are under `parent`, in a directory of its name that is emptied before.
    pub(crate) fn start(spec: &TargetSpec, parent: &Path) -> Result<Self, Failure> {
        let dir = parent.join(&spec.name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = dir.join("data");
        let command =
            spec.command.replace("{port}", &port.to_string()).replace("{dir}", &data.to_string_lossy());
        let child = spawn(&command, &dir)?;
        let mut broker = Self { spec: spec.clone(), child, command, dir, port };
        broker.wait_until_it_listens()?;
        Ok(broker)
    }

    /// Ends it as a lost machine would.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        // Sockets that an io_uring had outlive the process for a moment, and take in who connects.
        let until = Instant::now() + STOP_PATIENCE;
        while self.listens() {
            if Instant::now() > until {
                return Err(Failure(format!("{} was killed and listens", self.spec.name)));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// On the data and the port that it had.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        self.child = spawn(&self.command, &self.dir)?;
        self.wait_until_it_listens()
    }

    fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + START_PATIENCE;
        while !self.listens() {
            if self.child.try_wait()?.is_some() || Instant::now() > until {
                let log = self.dir.join("broker.log");
                return Err(Failure(format!("{} did not start, see {}", self.spec.name, log.display())));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

fn spawn(command: &str, dir: &Path) -> Result<Child, Failure> {
    let log = File::options().create(true).append(true).open(dir.join("broker.log"))?;
    let mut shell = Command::new("sh");
    // The shell gives way to the broker, so that its process is the one that is measured and ended.
    shell.arg("-c").arg(format!("exec {command}")).stdin(Stdio::null());
    Ok(shell.stdout(log.try_clone()?).stderr(log).spawn()?)
}

impl Drop for Broker {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // One that is gone already needs no signal.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let until = Instant::now() + STOP_PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
