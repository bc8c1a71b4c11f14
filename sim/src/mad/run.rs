//! A run on madsim from its plan to its report: starts and ends nodes, delivers what faults madsim can, and leads through the
//! phases. Must not know what nodes and clients do.

use std::net::IpAddr;

use highwater_core::time::{Duration, Instant};
use madsim::Config;
use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle, Runtime};

use super::actor;
use super::node;
use super::rt::{elapsed, sleep};
use super::stage::{self, Armed, Doomed, Stage, Standing, with};
use crate::clients::Client;
use crate::draw::{Draw, Stream};
use crate::fault::{ErrorKind, Fault, Planned};
use crate::history::{Ending, Fact};
use crate::params::{ClientParams, Role};
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{caught, plant};

/// Virtual time that the world gives operations, and then the final read, to end once the faults have.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(1);

/// An orderly stop that takes longer than this is stuck.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A fault that has an end.
#[derive(Debug, Clone, Copy)]
enum Lasting {
    Errors,
    Full,
    Slow,
    Pause,
    Clog,
}

/// Who leads the run.
struct Director {
    nodes: Vec<NodeHandle>,
    planned: Vec<Planned>,
    lasting: Vec<(Instant, usize, Lasting)>,
}

/// Runs a plan on madsim. Tables of the standard library have the same order in each run on a new thread only.
#[expect(clippy::disallowed_methods, reason = "the thread holds the run whole, and is waited for")]
pub fn run(plan: &Plan) -> Report {
    let plan = plan.clone();
    std::thread::spawn(move || on_this_thread(&plan)).join().expect("panics are caught within")
}

fn on_this_thread(plan: &Plan) -> Report {
    plant(plan.options.mutant);
    stage::set(plan.params());
    let runtime = Runtime::with_seed_and_config(plan.seed, Config::default());
    let ended = caught(|| runtime.block_on(direct()));
    // Tasks that are dropped now may still look at the stage.
    let dropped = caught(move || drop(runtime));
    let mut stage = stage::take();
    for story in [ended.as_ref().err(), dropped.as_ref().err()].into_iter().flatten() {
        stage.fail("panic", story.clone());
    }
    plant(None);
    stage.report(ended.unwrap_or_default())
}

async fn direct() -> Instant {
    let (nodes, planned, faults_end) = with(|stage| {
        (stage.nodes.len(), stage.params.faults.clone(), Instant::default() + stage.params.faults_end)
    });
    let mut director =
        Director { nodes: (0..nodes).map(create_node).collect(), planned, lasting: Vec::new() };
    director.planned.reverse();
    for client in with(|stage| stage.params.clients.clone()) {
        add_client(&client);
    }
    let sound = || with(|stage| stage.violation.is_none());
    while elapsed() < faults_end && sound() {
        director.tick();
        sleep(TICK).await;
    }
    director.heal();
    director.wait("drain", unfinished).await;
    if sound() {
        for node in 0..nodes {
            let mut prng = with(|stage| Stream::LastEnd(node).of(stage.params.seed));
            let how = prng.pick(&[Ending::Stopped, Ending::Killed, Ending::PowerOff]);
            director.end(node, how, TICK);
        }
        director.wait("restart", not_up).await;
    }
    if sound() {
        let first = begin_final_read();
        let unread = |stage: &Stage| stage.clients[first..].iter().find_map(Client::unfinished);
        director.wait("read", unread).await;
    }
    elapsed()
}

fn create_node(index: usize) -> NodeHandle {
    let ip: IpAddr = actor::ip(index).parse().expect("an address");
    Handle::current()
        .create_node()
        .name(format!("node-{index}"))
        .ip(ip)
        .init(move || node::live(index))
        .build()
}

fn add_client(params: &ClientParams) {
    let (index, lives) = with(|stage| {
        let index = stage.clients.len();
        let prng = Stream::Client(index as u64).of(stage.params.seed);
        stage.clients.push(Client::new(params, &stage.params.topics, prng));
        (index, !stage.params.without_clients.contains(&index))
    });
    if lives {
        let ip: IpAddr = format!("10.0.1.{}", index + 1).parse().expect("few clients");
        let handle = Handle::current();
        let builder = handle.create_node().name(format!("client-{index}")).ip(ip);
        builder.init(move || actor::live(index)).build();
    }
}

fn begin_final_read() -> usize {
    let (first, readers) = with(|stage| {
        stage.history.record(Fact::FinalReadBegan);
        stage.settle();
        let reader = |node| ClientParams {
            node,
            role: Role::FinalReader { places: stage.params.lasting_places(node) },
            patience: Duration::from_secs(5),
            retry_backoff: Duration::from_millis(100),
            metadata_age_max: Duration::from_secs(10),
        };
        (stage.clients.len(), (0..stage.nodes.len()).map(reader).collect::<Vec<_>>())
    });
    readers.iter().for_each(add_client);
    first
}

fn not_up(stage: &Stage) -> Option<String> {
    let down = stage.nodes.iter().any(|node| node.standing != Standing::Up);
    down.then(|| "a node is not up".to_owned())
}

fn unfinished(stage: &Stage) -> Option<String> {
    let absent = &stage.params.without_clients;
    let open = |(n, client): (usize, &Client)| client.unfinished().map(|what| format!("client {n}: {what}"));
    not_up(stage)
        .or_else(|| stage.clients.iter().enumerate().filter(|(n, _)| !absent.contains(n)).find_map(open))
}

impl Director {
    /// Goes on until nothing is left of what `open` names.
    async fn wait(&mut self, phase: &str, open: impl Fn(&Stage) -> Option<String>) {
        let until = elapsed() + PATIENCE;
        while let Some(what) = with(|stage| open(stage).filter(|_| stage.violation.is_none())) {
            if elapsed() > until {
                return with(|stage| {
                    stage.history.record(Fact::Overdue { what: format!("{phase}: {what}") });
                    stage.settle();
                });
            }
            self.tick();
            sleep(TICK).await;
        }
    }

    /// Does what is due.
    fn tick(&mut self) {
        let now = elapsed();
        while self.planned.last().is_some_and(|planned| Instant::default() + planned.at <= now) {
            let planned = self.planned.pop().expect("it was just looked at");
            self.deliver(planned);
        }
        let over: Vec<_> = self.lasting.extract_if(.., |(until, ..)| *until <= now).collect();
        over.into_iter().for_each(|(_, node, lasting)| self.calm(node, lasting));
        for node in 0..self.nodes.len() {
            self.look_after(node, now);
        }
    }

    fn look_after(&mut self, node: usize, now: Instant) {
        let (standing, doomed) = with(|stage| {
            let state = &mut stage.nodes[node];
            let life = state.life;
            let due = state.doomed.filter(|doomed| doomed.life != life || doomed.at <= now);
            if due.is_some() {
                state.doomed = None;
            }
            (state.standing, due.filter(|doomed| doomed.life == life))
        });
        let has_exited = Handle::current().is_exit(self.nodes[node].id());
        match (standing, doomed) {
            (Standing::Down { until }, _) if until <= now => {
                with(|stage| stage.nodes[node].standing = Standing::Booting);
                Handle::current().restart(self.nodes[node].id());
            }
            (Standing::Down { .. }, _) => {}
            (_, Some(Doomed { how, down, .. })) => {
                with(|stage| stage.faults.add("crash-at-moment"));
                self.die(node, how, down);
            }
            (Standing::Stopping { down, .. }, None) if has_exited => self.die(node, Ending::Stopped, down),
            (Standing::Stopping { since, .. }, None) if now > since + STOP_PATIENCE => {
                with(|stage| stage.fail("liveness", format!("node {node} does not stop")));
            }
            // It ended by itself: its disk failed.
            (Standing::Booting | Standing::Up, None) if has_exited => {
                with(|stage| stage.faults.add("halted-by-disk"));
                self.die(node, Ending::Killed, Duration::from_millis(10));
            }
            (Standing::Booting | Standing::Up | Standing::Stopping { .. }, None) => {}
        }
    }

    fn end(&mut self, node: usize, how: Ending, down: Duration) {
        let standing = with(|stage| stage.nodes[node].standing);
        match (how, standing) {
            (_, Standing::Down { .. }) => {}
            (Ending::Stopped, Standing::Up) => {
                let remotes = with(|stage| {
                    stage.nodes[node].standing = Standing::Stopping { down, since: elapsed() };
                    stage.nodes[node].remotes.clone()
                });
                remotes.iter().for_each(highwater_io::driver::Remote::stop);
            }
            (Ending::Stopped, Standing::Stopping { .. }) => {}
            (Ending::Stopped, Standing::Booting) => self.die(node, Ending::Killed, down),
            (Ending::Killed | Ending::PowerOff, _) => self.die(node, how, down),
        }
    }

    /// The process is gone from now on. What is killed shows its end to its peers at once, power-off or not.
    fn die(&mut self, node: usize, how: Ending, down: Duration) {
        Handle::current().kill(self.nodes[node].id());
        with(|stage| {
            stage.stamp(0x500 | node as u64);
            stage.faults.add(match how {
                Ending::Stopped => "stop",
                Ending::Killed => "kill",
                Ending::PowerOff => "power-off",
            });
            let state = &mut stage.nodes[node];
            state.remotes.clear();
            state.standing = Standing::Down { until: elapsed() + down };
            match how {
                Ending::Stopped | Ending::Killed => state.disk.kill(),
                Ending::PowerOff => state.disk.power_off(),
            }
            stage.history.record(Fact::Ended { node, how });
            stage.settle();
        });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "madsim can do only some of all faults")]
    fn deliver(&mut self, planned: Planned) {
        let Planned { number, node, fault, .. } = planned;
        let now = elapsed();
        match fault {
            Fault::Crash { how, down } => self.end(node, how, down),
            Fault::CrashDuring { moment, after, how, down } => with(|stage| {
                let prng = Stream::Delivery(number).of(stage.params.seed);
                stage.nodes[node].armed.push(Armed { moment, after, how, down, prng });
            }),
            Fault::DiskErrors { kind, per_million, lasting } => {
                with(|stage| {
                    let faults = &mut stage.nodes[node].disk.faults;
                    match kind {
                        ErrorKind::Write => faults.write_per_million = per_million,
                        ErrorKind::Sync => faults.sync_per_million = per_million,
                        ErrorKind::Read => faults.read_per_million = per_million,
                        ErrorKind::Removal => faults.removal_per_million = per_million,
                    }
                });
                self.lasting.push((now + lasting, node, Lasting::Errors));
            }
            Fault::DiskFull { room, lasting } => {
                with(|stage| {
                    let disk = &mut stage.nodes[node].disk;
                    disk.faults.capacity = Some(disk.bytes_used() + room);
                });
                self.lasting.push((now + lasting, node, Lasting::Full));
            }
            Fault::DiskSlow { factor, lasting } => {
                with(|stage| stage.nodes[node].disk.speed.factor = factor);
                self.lasting.push((now + lasting, node, Lasting::Slow));
            }
            Fault::Pause { lasting } => {
                Handle::current().pause(self.nodes[node].id());
                with(|stage| stage.faults.add("pause"));
                self.lasting.push((now + lasting, node, Lasting::Pause));
            }
            Fault::Reset => {
                // Connections of madsim cannot be reset; what they carry can be held up.
                NetSim::current().clog_node(self.nodes[node].id());
                with(|stage| stage.faults.add("clog"));
                self.lasting.push((now + Duration::from_millis(200), node, Lasting::Clog));
            }
            Fault::ClockJump { millis } => with(|stage| {
                let skew = &stage.nodes[node].skew_millis;
                skew.set(skew.get() + millis);
            }),
            _ => {}
        }
    }

    fn calm(&mut self, node: usize, lasting: Lasting) {
        let id = self.nodes[node].id();
        match lasting {
            Lasting::Pause => Handle::current().resume(id),
            Lasting::Clog => NetSim::current().unclog_node(id),
            Lasting::Errors | Lasting::Full | Lasting::Slow => with(|stage| {
                let disk = &mut stage.nodes[node].disk;
                match lasting {
                    Lasting::Full => disk.faults.capacity = None,
                    Lasting::Slow => disk.speed.factor = 1,
                    Lasting::Errors | Lasting::Pause | Lasting::Clog => {
                        let capacity = disk.faults.capacity;
                        disk.faults = crate::disk::DiskFaults { capacity, ..Default::default() };
                    }
                }
            }),
        }
    }

    fn heal(&mut self) {
        self.planned.clear();
        for (_, node, lasting) in std::mem::take(&mut self.lasting) {
            self.calm(node, lasting);
        }
        with(|stage| {
            stage.draining = true;
            for node in &mut stage.nodes {
                node.armed.clear();
                node.skew_millis.set(0);
            }
        });
    }
}
