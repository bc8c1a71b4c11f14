//! The plan of faults, drawn from the seed before the run, one stream per node and kind, so that a kind that is taken away leaves
//! the others as they were. Each seed switches whole kinds off. Must not know how faults are delivered.

use highwater_core::prng::Prng;
use highwater_core::time::Duration;

use super::{ErrorKind, Fault, Moment, Planned, Replacement, Shape};
use crate::disk::Lie;
use crate::draw::{Draw, Stream};
use crate::history::Ending;
use crate::network::{Peers, Stretch, Trouble, Way};
use crate::params::{Options, Profile, Rot};

/// The kinds that a seed switches on or off as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    PowerOff,
    Stop,
    Trigger,
    DiskErrors,
    DiskFull,
    DiskSlow,
    Reset,
    Loss,
    Delay,
    Reorder,
    Duplicate,
    Clog,
    Cut,
    Pause,
    PauseAll,
    ClockJump,
    Clock,
    Recovery,
    OldDisk,
    WipedDisk,
    Rot,
    RotOfCopy,
    DiskLies,
    CutAtRelease,
    CutAtDuplicate,
    CutInWideWrite,
    CutAtMetadata,
    KillThenCut,
    KillAtSegmentThenCut,
    SyncErrorThenCut,
    StopAtRead,
    RemovalErrorThenCut,
}

/// Kind, its chance to be switched on in a million, and at most how many a run. A kind keeps its place: it names its stream.
const KINDS: [(Kind, u64, u64); 33] = [
    (Kind::Kill, 400_000, 3),
    (Kind::PowerOff, 500_000, 3),
    (Kind::Stop, 200_000, 2),
    (Kind::Trigger, 500_000, 4),
    (Kind::DiskErrors, 150_000, 2),
    (Kind::DiskFull, 200_000, 2),
    (Kind::DiskSlow, 300_000, 3),
    (Kind::Reset, 400_000, 10),
    (Kind::Loss, 250_000, 3),
    (Kind::Delay, 200_000, 3),
    (Kind::Reorder, 200_000, 3),
    (Kind::Duplicate, 250_000, 3),
    (Kind::Clog, 200_000, 3),
    (Kind::Cut, 250_000, 3),
    (Kind::Pause, 300_000, 5),
    (Kind::PauseAll, 200_000, 3),
    (Kind::ClockJump, 200_000, 3),
    (Kind::Clock, 200_000, 3),
    (Kind::Recovery, 250_000, 2),
    (Kind::OldDisk, 50_000, 1),
    (Kind::WipedDisk, 30_000, 1),
    (Kind::Rot, 1_000_000, 4),
    (Kind::RotOfCopy, 300_000, 4),
    (Kind::DiskLies, 300_000, 2),
    (Kind::CutAtRelease, 100_000, 2),
    (Kind::CutAtDuplicate, 200_000, 2),
    (Kind::CutInWideWrite, 200_000, 2),
    (Kind::CutAtMetadata, 200_000, 2),
    (Kind::KillThenCut, 200_000, 2),
    (Kind::KillAtSegmentThenCut, 300_000, 3),
    (Kind::SyncErrorThenCut, 100_000, 2),
    (Kind::StopAtRead, 200_000, 3),
    (Kind::RemovalErrorThenCut, 150_000, 2),
];

/// What a profile makes of a kind's chance and number.
fn weigh(profile: Profile, (kind, chance, most): (Kind, u64, u64)) -> (u64, u64) {
    let often = (800_000, most * 2);
    let seldom = (chance / 3, most);
    match (profile, kind) {
        (Profile::Compact, Kind::PowerOff | Kind::Kill | Kind::Trigger) => often,
        (_, Kind::Rot | Kind::DiskLies)
        | (Profile::Smoke | Profile::Default | Profile::Compact | Profile::Groups, _) => (chance, most),
        (Profile::Disk, Kind::DiskErrors | Kind::DiskFull | Kind::DiskSlow) => often,
        (Profile::Disk, Kind::SyncErrorThenCut | Kind::KillAtSegmentThenCut) => (400_000, most),
        (Profile::Disk, Kind::Kill | Kind::PowerOff | Kind::Trigger | Kind::CutAtDuplicate) => (chance, most),
        (Profile::Power, Kind::PowerOff | Kind::Trigger | Kind::Recovery) => (900_000, most * 3),
        (Profile::Power, Kind::Kill | Kind::Stop | Kind::CutAtRelease) => often,
        (Profile::Power, Kind::KillThenCut | Kind::KillAtSegmentThenCut) => often,
        (Profile::Power, Kind::CutAtDuplicate | Kind::CutInWideWrite | Kind::CutAtMetadata) => (chance, most),
        (Profile::Load, Kind::CutInWideWrite) => (400_000, 1),
        (Profile::Load, Kind::DiskFull | Kind::RemovalErrorThenCut) => (500_000, most),
        (Profile::Load, Kind::Pause | Kind::PauseAll | Kind::DiskSlow | Kind::Delay | Kind::Clog) => {
            (chance, most)
        }
        (Profile::Days, Kind::Kill | Kind::PowerOff | Kind::CutAtMetadata | Kind::ClockJump) => often,
        (Profile::Days, Kind::Trigger | Kind::Recovery) => (chance, most),
        (Profile::Disk | Profile::Power | Profile::Load | Profile::Calm | Profile::Days, _) => seldom,
    }
}

const MOMENTS: [Moment; 18] = [
    Moment::DurableWrite,
    Moment::CachedWrite,
    Moment::Sync,
    Moment::Change,
    Moment::Boot,
    Moment::AckOwed,
    Moment::WalCreated,
    Moment::WalRecycled,
    Moment::Checkpoint,
    Moment::Segment,
    Moment::Footer,
    Moment::Seal,
    Moment::CarryForward,
    Moment::Release,
    Moment::Removal,
    Moment::Metadata,
    Moment::Recovered,
    Moment::StreamRemoved,
];

/// What the plan of a run is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Sketch {
    pub seed: u64,
    pub options: Options,
    pub nodes: usize,
    pub until: Duration,
}

/// Draws the faults of a run, in order of time.
pub fn draw_plan(sketch: Sketch) -> Vec<Planned> {
    let mut plan = Vec::new();
    for node in 0..sketch.nodes {
        for (index, row) in (0..).zip(KINDS) {
            let (kind, _, _) = row;
            let (chance, most) = weigh(sketch.options.profile, row);
            if matches!(kind, Kind::Rot | Kind::DiskLies) && sketch.options.rot == Rot::Off {
                continue;
            }
            let mut prng = Stream::Faults { node, kind: index }.of(sketch.seed);
            if !prng.chance(chance) {
                continue;
            }
            for nth in 0..prng.between(1, most) {
                let number = (node as u64) << 16 | index << 8 | nth;
                let at = Duration::from_nanos(prng.below(sketch.until.as_nanos()));
                // The first topics are made at once.
                let at = if kind == Kind::CutAtMetadata && nth == 0 { Duration::ZERO } else { at };
                let fault = draw(kind, at, &mut prng);
                let second = draw_second(kind, &mut prng);
                plan.push(Planned { number, at, node, fault });
                plan.extend(second.map(|fault| Planned { number: number | SECOND, at, node, fault }));
            }
        }
    }
    plan.sort_by_key(|planned| planned.at);
    plan
}

/// In the number of the second fault of a pair.
const SECOND: u64 = 1 << 7;

/// What a killed process left in the page cache, or what a failed sync did not write, is lost only to a cut that comes once nothing
/// else holds it: the fault that follows another one.
#[expect(clippy::wildcard_enum_match_arm, reason = "few kinds come in pairs")]
fn draw_second(kind: Kind, prng: &mut Prng) -> Option<Fault> {
    let (moment, after) = match kind {
        Kind::KillThenCut => (Moment::Recovered, prng.between(1, 12)),
        Kind::KillAtSegmentThenCut => (Moment::StreamRemoved, prng.below(2)),
        Kind::SyncErrorThenCut => (Moment::Checkpoint, prng.scaled(1, 8)),
        Kind::RemovalErrorThenCut => (Moment::Removal, prng.between(1, 3)),
        // What has rotted is read by the next start.
        Kind::RotOfCopy | Kind::DiskLies if prng.coin() => (Moment::DurableWrite, prng.scaled(1, 40)),
        _ => return None,
    };
    Some(Fault::CrashDuring { moment, after, how: Ending::PowerOff, down: prng.micros(500, 100_000) })
}

/// Crashes at one moment and of one sort.
fn draw_crash(prng: &mut Prng, moments: &[Moment], after_max: u64, how: Ending) -> Fault {
    let (moment, after) = (prng.pick(moments), prng.scaled(0, after_max));
    Fault::CrashDuring { moment, after, how, down: prng.micros(500, 20_000) }
}

/// A disk that fails more often than not, for a while.
fn many_errors(prng: &mut Prng, kind: ErrorKind, micros_max: u64) -> Fault {
    let per_million = prng.between(300_000, 900_000);
    Fault::DiskErrors { kind, per_million, lasting: prng.micros(50_000, micros_max) }
}

fn draw(kind: Kind, at: Duration, prng: &mut Prng) -> Fault {
    let down = prng.micros(500, 500_000);
    let lasting = prng.micros(1_000, 1_000_000);
    match kind {
        Kind::Kill => Fault::Crash { how: Ending::Killed, down },
        Kind::PowerOff => Fault::Crash { how: Ending::PowerOff, down },
        Kind::Stop => Fault::Crash { how: Ending::Stopped, down },
        Kind::Trigger => Fault::CrashDuring {
            moment: prng.pick(&MOMENTS),
            after: prng.scaled(0, 30),
            how: prng.pick(&[Ending::Killed, Ending::PowerOff, Ending::PowerOff]),
            down,
        },
        Kind::CutAtRelease => draw_crash(prng, &[Moment::Release, Moment::Checkpoint], 10, Ending::PowerOff),
        Kind::StopAtRead => draw_crash(prng, &[Moment::Read], 10, Ending::Stopped),
        Kind::CutAtDuplicate => draw_crash(prng, &[Moment::DuplicateInFlight], 3, Ending::PowerOff),
        Kind::CutInWideWrite => draw_crash(prng, &[Moment::WideWrite], 6, Ending::PowerOff),
        Kind::CutAtMetadata => draw_crash(prng, &[Moment::Metadata], 12, Ending::PowerOff),
        Kind::KillThenCut => draw_crash(prng, &[Moment::DurableWrite], 40, Ending::Killed),
        Kind::KillAtSegmentThenCut => draw_crash(
            prng,
            &[Moment::Segment, Moment::SegmentCreated, Moment::Sync, Moment::Sync, Moment::Footer],
            6,
            Ending::Killed,
        ),
        Kind::SyncErrorThenCut => many_errors(prng, ErrorKind::Sync, 1_000_000),
        Kind::RemovalErrorThenCut => many_errors(prng, ErrorKind::Removal, 3_000_000),
        Kind::Recovery => Fault::CrashDuring {
            moment: Moment::Boot,
            after: prng.scaled(0, 60),
            how: prng.pick(&[Ending::Killed, Ending::PowerOff]),
            down,
        },
        Kind::DiskErrors => Fault::DiskErrors {
            kind: prng.pick(&[ErrorKind::Write, ErrorKind::Sync, ErrorKind::Read]),
            per_million: prng.scaled(2_000, 500_000),
            lasting,
        },
        Kind::DiskFull => {
            let lasting = if prng.chance(300_000) { prng.micros(1_000_000, 5_000_000) } else { lasting };
            Fault::DiskFull { room: prng.scaled(4_096, 1 << 20), lasting }
        }
        Kind::DiskSlow => Fault::DiskSlow { factor: prng.between(3, 50), lasting },
        Kind::Reset => Fault::Reset,
        Kind::Loss | Kind::Delay | Kind::Reorder | Kind::Duplicate | Kind::Clog | Kind::Cut => {
            draw_link(kind, lasting, prng)
        }
        Kind::OldDisk => {
            let copied_at = Duration::from_nanos(prng.below(at.as_nanos() + 1));
            Fault::ReplaceDisk { with: Replacement::Older { copied_at }, down }
        }
        Kind::WipedDisk => Fault::ReplaceDisk { with: Replacement::Wiped, down },
        Kind::Pause => Fault::Pause { lasting },
        Kind::PauseAll => Fault::PauseAll { lasting: prng.micros(1_000, 5_000_000) },
        Kind::Clock => Fault::Clock {
            shape: prng.pick(&[Shape::Step, Shape::Drift, Shape::Sine, Shape::Walk]),
            millis: signed(prng.scaled(1, 10_000_000), prng),
            lasting,
        },
        Kind::ClockJump => Fault::ClockJump { millis: signed(prng.scaled(1, 100_000_000), prng) },
        Kind::Rot => Fault::Rot,
        Kind::RotOfCopy => Fault::RotOfCopy,
        Kind::DiskLies => {
            Fault::DiskLies { lie: prng.pick(&[Lie::LostWrite, Lie::MisdirectedWrite, Lie::MisdirectedRead]) }
        }
    }
}

/// What ails a link, and for how long.
#[expect(clippy::wildcard_enum_match_arm, reason = "only the kinds that are troubles of links come here")]
fn draw_link(kind: Kind, lasting: Duration, prng: &mut Prng) -> Fault {
    let share = |prng: &mut Prng| prng.scaled(10_000, 500_000);
    let is_long = kind == Kind::Cut && prng.chance(200_000);
    let lasting = if is_long { prng.micros(1_000_000, 12_000_000) } else { lasting };
    link(prng, lasting, |prng| match kind {
        Kind::Loss => Trouble::Loss { per_million: prng.scaled(1_000, 500_000) },
        Kind::Delay => Trouble::Delay { micros: prng.scaled(100, 300_000) },
        Kind::Reorder => Trouble::Reorder { per_million: share(prng) },
        Kind::Duplicate => Trouble::Duplicate { per_million: share(prng) },
        Kind::Clog => Trouble::Clog,
        Kind::Cut => Trouble::Cut,
        other => panic!("{other:?} is no trouble of a link"),
    })
}

fn signed(size: u64, prng: &mut Prng) -> i64 {
    let size = i64::try_from(size).expect("small");
    if prng.coin() { size } else { -size }
}

/// Draws which links ail: one way or both, of all peers or of some.
fn link(prng: &mut Prng, lasting: Duration, trouble: impl Fn(&mut Prng) -> Trouble) -> Fault {
    let way = prng.pick(&[Way::In, Way::Out, Way::Both]);
    let peers = match prng.between(1, 3) {
        1 => Peers::All,
        _ => Peers::OneIn { count: prng.place(4) + 2, from: prng.place(5) },
    };
    Fault::Link { stretch: Stretch { way, peers }, trouble: trouble(prng), lasting }
}
