//! A broker that is started here, for as long as it is measured. Knows no protocol but whether somebody listens.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::args::{TargetArgs, TargetSpec};
use crate::failure::Failure;

/// How long a broker may take to listen, and to end.
const START_PATIENCE: Duration = Duration::from_secs(900);
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
    /// Where it shows its metrics, if its command says so.
    http: Option<String>,
}

impl Broker {
    /// Its data and what it prints are under `parent`, in a directory of its name that is emptied before.
    pub(crate) fn start(spec: &TargetSpec, parent: &Path) -> Result<Self, Failure> {
        let started = Self::start_all(std::slice::from_ref(spec), parent)?.pop();
        Ok(started.expect("as many start as there are commands"))
    }

    /// All before any of them is waited for: each may need the others.
    pub(crate) fn start_all(specs: &[TargetSpec], parent: &Path) -> Result<Vec<Self>, Failure> {
        let ports = free_ports(specs.len() * 2)?;
        let mut brokers = Vec::new();
        for (spec, own) in specs.iter().zip(ports.chunks(2)) {
            let dir = parent.join(&spec.name);
            let http = spec.command.contains("{http}").then(|| format!("127.0.0.1:{}", own[1]));
            let mut command = spec.command.replace("{port}", &own[0].to_string());
            command = command.replace("{http}", http.as_deref().unwrap_or_default());
            command = command.replace("{dir}", &dir.join("data").to_string_lossy());
            for (nth, ports) in ports.chunks(2).enumerate() {
                command = command.replace(&format!("{{port{}}}", nth + 1), &ports[0].to_string());
            }
            empty(&dir)?;
            let child = spawn(&command, &dir)?;
            brokers.push(Self { spec: spec.clone(), child, command, dir, port: own[0], http });
        }
        brokers.iter_mut().try_for_each(Self::wait_until_it_listens)?;
        Ok(brokers)
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

    /// On the same port, and nothing else is left.
    pub(crate) fn empty(&mut self) -> Result<(), Failure> {
        empty(&self.dir)
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

    /// Says to a measurement whom it measures.
    pub(crate) fn describe(&self, target: &mut TargetArgs) {
        target.bootstrap = self.bootstrap();
        target.pids = vec![self.pid()];
        target.durability = self.spec.durability;
        target.label = Some(self.spec.name.clone());
        target.data_dir = Some(self.dir.join("data"));
        target.http.clone_from(&self.http);
        target.command = Some(self.command.clone());
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// All different.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect()
}

fn empty(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(fs::create_dir_all(dir)?)
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
