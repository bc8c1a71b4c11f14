//! What a failure leaves behind: a folder with the plan, all that happened, a page to look at, and a script that runs it again.
//! Must not know what the failure means.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use highwater_sim::outcome::Outcome;
use highwater_sim::page::{Page, pretty};
use highwater_sim::plan::Plan;
use highwater_sim::run::run_taped;
use highwater_sim::tape::{Entry, Kind, Sink};

use super::run::Repro;

/// Writes the trace and the history while the run goes on, and reads along for the page.
#[derive(Debug)]
struct Files {
    trace: BufWriter<File>,
    history: BufWriter<File>,
    page: Page,
    failed: io::Result<()>,
}

impl Sink for Files {
    fn entry(&mut self, entry: Entry) {
        let json = entry.to_json();
        let mut written = writeln!(self.trace, "{json}");
        if entry.kind == Kind::Fact {
            written = written.and_then(|()| writeln!(self.history, "{json}"));
        }
        if self.failed.is_ok() {
            self.failed = written;
        }
        self.page.entry(entry);
    }
}

/// Where the folder of a plan stands.
pub(super) fn path(out: &Path, plan: &Plan) -> PathBuf {
    out.join(format!("{}-{}", plan.seed, plan.options.profile))
}

/// Runs the plan once more, with recording, and writes the folder; what this run came to.
pub(super) fn write(folder: &Path, plan: &Plan, repro: &Repro<'_>) -> io::Result<Outcome> {
    fs::create_dir_all(folder)?;
    let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let files = Rc::new(RefCell::new(Files {
        trace: create("trace.ndjson")?,
        history: create("history.ndjson")?,
        page: Page::default(),
        failed: Ok(()),
    }));
    let report = run_taped(plan, files.clone());
    let mut outcome = Outcome::new(plan, &report);
    outcome.repro = Some(repro.command(plan));
    outcome.folder = Some(folder.display().to_string());
    let mut files = files.borrow_mut();
    std::mem::replace(&mut files.failed, Ok(()))?;
    files.trace.flush()?;
    files.history.flush()?;
    let (invariant, story) = (outcome.invariant.as_deref(), outcome.story.as_deref());
    let about = format!("\n{}: {}", invariant.unwrap_or("clean"), pretty(story.unwrap_or_default()));
    fs::write(folder.join("plan.toml"), plan.to_text(&about))?;
    fs::write(folder.join("report.html"), files.page.html(plan, &outcome))?;
    script(&folder.join("repro.sh"), plan)?;
    Ok(outcome)
}

fn script(path: &Path, plan: &Plan) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let features = if plan.options.mutant.is_some() { " --features mutants" } else { "" };
    let text = format!(
        "#!/bin/sh\n# Runs the plan beside it again: {}. More arguments go to `replay`, such as --trace.\n\
         sim=${{HIGHWATER_SIM:-'{}'}}\n\
         if [ ! -x \"$sim\" ]; then\n  echo \"no $sim: check out {}, run 'cargo build --profile sim -p highwater-sim{features}', \
         and name it in HIGHWATER_SIM\" >&2\n  exit 2\nfi\n\
         exec \"$sim\" replay \"$(dirname \"$0\")/plan.toml\" \"$@\"\n",
        plan.seed_string(),
        program.display().to_string().replace('\'', "'\\''"),
        plan.commit.trim_end_matches("-dirty"),
    );
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Lets `latest` point to a folder.
pub(super) fn make_latest(folder: &Path) -> io::Result<()> {
    let (Some(out), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let latest = out.join("latest");
    if latest.is_symlink() {
        fs::remove_file(&latest)?;
    }
    symlink(name, latest)
}
