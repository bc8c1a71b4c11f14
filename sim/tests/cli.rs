//! The command line as its users meet it: every command, every format, and the exit codes, on runs that take no time.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder for one test, empty at first.
fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _it_may_not_exist = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn sim(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater-sim")).args(arguments).current_dir(folder).output().unwrap()
}

/// What a command prints, and its exit code.
fn text(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = sim(folder, arguments);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn json(folder: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = sim(folder, &[arguments, &["--format", "json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A plan that cannot end well: it has fewer steps than its clients need.
fn failing_plan(folder: &Path) -> PathBuf {
    let path = folder.join("short.toml");
    let plan = "seed = \"5\"\ncommit = \"unknown\"\nsteps_max = 400\n[options]\nprofile = \"smoke\"\n\
                [[fault]]\nat_ms = 0.5\nnumber = 1\nfault = \"reset\"\n\
                [[fault]]\nat_ms = 1\nnumber = 2\nfault = \"clock-jump\"\nmillis = 7\n\
                [[fault]]\nat_ms = 90000\nnumber = 3\nfault = \"reset\"\n";
    std::fs::write(&path, plan).unwrap();
    path
}

#[test]
fn run_prints_one_object_for_each_seed() {
    let folder = folder("run");
    let (code, seeds) = json(&folder, &["run", "--seeds", "1..4", "--profile", "smoke"]);
    assert_eq!((code, seeds.len()), (0, 3));
    let seen: Vec<u64> = seeds.iter().map(|seed| seed["seed"].as_u64().unwrap()).collect();
    assert_eq!(seen, [1, 2, 3]);
    for seed in &seeds {
        assert_eq!(seed["outcome"], "clean");
        assert!(seed["steps"].as_u64().unwrap() > 0 && seed["faults"].is_object(), "{seed}");
        assert_eq!(seed["fingerprint"].as_str().unwrap().len(), 16);
    }
    let jobs = json(&folder, &["run", "--seeds", "1..4", "--profile", "smoke", "--jobs", "2"]);
    assert_eq!(jobs, (0, seeds), "several processes print the same");
}

#[test]
fn seeds_may_be_strings() {
    let folder = folder("strings");
    let (_, seeds) = json(&folder, &["run", "--seed", "0x2", "--profile", "smoke"]);
    let string = seeds[0]["seed_string"].as_str().unwrap();
    assert!(string.starts_with("2@") && string.ends_with("@smoke"), "{string}");
    assert_eq!(json(&folder, &["run", "--seed", string]).1, seeds);
    let (code, why) = text(&folder, &["run", "--seed", "2@0123456789@smoke"]);
    assert!(code == 2 && why.contains("git worktree add"), "{code} {why}");
}

#[test]
fn header_and_footer_say_what_was_drawn_and_done() {
    let (code, text) = text(&folder("header"), &["run", "--seed", "3", "--profile", "smoke"]);
    assert_eq!(code, 0, "{text}");
    for part in
        ["speeds", "topics 0", "faults_end", "virtual time", "operations", "fingerprint", "1 seeds, 0 failed"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn check_runs_twice() {
    let (code, seeds) = json(&folder("check"), &["check", "--seed", "2", "--profile", "smoke"]);
    assert_eq!((code, seeds[0]["outcome"].as_str()), (0, Some("clean")));
}

#[test]
fn nonsense_is_usage() {
    let folder = folder("usage");
    for arguments in [
        &["run", "--seeds", "3..3"][..],
        &["run", "--seeds", "3.."],
        &["run", "--seed", "x"],
        &["run", "--seed", "1@@smoke", "--profile", "default"],
        &["run", "--seeds", "1..3", "--trace"],
        &["replay", "nothing.toml"],
        &["shrink", "nothing.toml"],
        &["nonsense"],
    ] {
        let (code, text) = text(&folder, arguments);
        assert_eq!(code, 2, "{arguments:?}: {text}");
    }
}

#[test]
fn failures_leave_a_folder_that_runs_them_again() {
    let folder = folder("failure");
    let plan = failing_plan(&folder);
    let plan = plan.to_str().unwrap();
    let (code, failed) = json(&folder, &["replay", plan, "--out", "left"]);
    assert_eq!((code, failed[0]["invariant"].as_str()), (1, Some("budget")));
    for file in ["trace.ndjson", "history.ndjson", "plan.toml", "report.html", "repro.sh"] {
        assert!(folder.join("left").join(file).is_file(), "{file}");
    }
    let again = Command::new(folder.join("left/repro.sh")).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stdout).unwrap().contains("budget"));
    let trace = std::fs::read_to_string(folder.join("left/trace.ndjson")).unwrap();
    let kinds: std::collections::BTreeSet<String> = trace
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned())
        .collect();
    for kind in ["start", "input", "effect", "event", "client", "fault", "violation"] {
        assert!(kinds.contains(kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn every_format_tells_of_a_failure() {
    let folder = folder("formats");
    let plan = failing_plan(&folder);
    let plan = plan.to_str().unwrap();
    for (format, part) in [
        ("text", "FAILED 5@"),
        ("json", "\"invariant\":\"budget\""),
        ("github", "::error title=replay 5@"),
        ("junit", "<failure type=\"budget\""),
    ] {
        let (code, text) = text(&folder, &["replay", plan, "--format", format]);
        assert!(code == 1 && text.contains(part), "{format}: {code} {text}");
    }
}

#[test]
fn shrink_takes_away_what_had_no_part() {
    let folder = folder("shrink");
    let plan = failing_plan(&folder);
    let (code, shrunk) = json(&folder, &["shrink", plan.to_str().unwrap()]);
    assert_eq!((code, shrunk[0]["faults"].as_u64()), (1, Some(0)), "{shrunk:?}");
    assert!(shrunk[0]["story"].as_str().unwrap().contains("then budget"));
    let minimal = folder.join("sim-out/5-smoke/minimal.toml");
    let (code, _) = text(&folder, &["replay", minimal.to_str().unwrap()]);
    assert_eq!(code, 1, "the small plan fails too");
    assert!(folder.join("sim-out/latest/minimal/report.html").is_file());
    let (code, text) = text(&folder, &["shrink", "2", "--profile", "smoke"]);
    assert!(code == 0 && text.contains("does not fail"), "{text}");
}

#[test]
fn pin_writes_a_plan_once() {
    let folder = folder("pin");
    let arguments = ["pin", "2", "--profile", "smoke", "--dir", "pinned", "--name", "two"];
    assert_eq!(text(&folder, &arguments).0, 0);
    assert_eq!(text(&folder, &["replay", "pinned/two.toml"]).0, 0);
    assert_eq!(text(&folder, &arguments).0, 2, "nothing is written over");
    let climbs = ["pin", "2", "--profile", "smoke", "--dir", "pinned", "--name", "../two"];
    assert_eq!(text(&folder, &climbs).0, 2);
}

#[test]
fn scenario_must_be_clean_and_show_its_bug() {
    let folder = folder("scenarios");
    assert_eq!(text(&folder, &["pin", "2", "--profile", "smoke", "--dir", "pinned", "--name", "two"]).0, 0);
    let (code, said) = text(&folder, &["scenarios", "--dir", "pinned"]);
    if !cfg!(feature = "mutants") {
        return assert_eq!(code, 2, "{said}");
    }
    assert!(code == 0 && said.contains("1 scenarios"), "{said}");
    // There is no driver on tier T0 to show it.
    let plan = std::fs::read_to_string(folder.join("pinned/two.toml")).unwrap();
    let blind = plan.replace("[options]", "breaks = \"liveness\"\n[options]\nmutant = \"timer-ignored\"");
    std::fs::write(folder.join("pinned/blind.toml"), blind).unwrap();
    let (code, said) = text(&folder, &["scenarios", "--dir", "pinned"]);
    assert!(code == 1 && said.contains("timer-ignored is not found"), "{said}");
}

#[test]
fn diff_names_where_runs_part() {
    let folder = folder("diff");
    let same = ["diff", "2", "2", "--profile", "smoke"];
    let (code, story) = text(&folder, &same);
    assert!(code == 0 && story.contains("the runs are the same"), "{story}");
    let plan = failing_plan(&folder);
    let plan = plan.to_str().unwrap();
    let other = folder.join("other.toml");
    std::fs::write(&other, std::fs::read_to_string(plan).unwrap().replace("millis = 7", "millis = 8"))
        .unwrap();
    let (code, story) = text(&folder, &["diff", plan, other.to_str().unwrap()]);
    assert_eq!(code, 1, "{story}");
    for part in ["faults 1", "the runs part at entry", "ClockJump millis=7", "ClockJump millis=8"] {
        assert!(story.contains(part), "{part} in {story}");
    }
}

/// The commands of the page for newcomers, with what each must exit with.
fn commands_of_readme() -> Vec<(&'static str, i32)> {
    let (mut commands, mut wanted) = (Vec::new(), None);
    for line in include_str!("../README.md").lines() {
        wanted = match (line, wanted) {
            ("```sh", None) => Some(0),
            ("```sh fails", None) => Some(1),
            (fence, _) if fence.starts_with("```") => None,
            (command, Some(code)) => {
                commands.push((command, code));
                Some(code)
            }
            (_, None) => None,
        };
    }
    commands
}

#[test]
fn readme_shows_commands_that_run() {
    let folder = folder("readme");
    let commands = commands_of_readme();
    assert!(commands.len() > 15, "{commands:?}");
    let mut failed_before = false;
    for (line, wanted) in commands {
        let words: Vec<&str> = line.split(' ').collect();
        let (code, text) = match words.as_slice() {
            ["cargo", "sim", arguments @ ..] => {
                let needs_mutants = arguments.contains(&"--mutant")
                    || arguments.contains(&"scenarios")
                    || (arguments.contains(&"mutants") && !arguments.contains(&"--list"));
                if needs_mutants && !cfg!(feature = "mutants") {
                    let (code, text) = text(&folder, arguments);
                    assert_eq!(code, 2, "{line}: {text}");
                    continue;
                }
                let of_failure = arguments.iter().any(|word| word.starts_with("sim-out"));
                if of_failure && !failed_before {
                    continue;
                }
                failed_before |= arguments.contains(&"--mutant");
                text(&folder, arguments)
            }
            // Another build refuses them in a sentence.
            ["cargo", "mad", arguments @ ..] => {
                let (code, text) = text(&folder, arguments);
                if !cfg!(madsim) {
                    assert!(code == 2 && text.contains("this build has no madsim"), "{line}: {text}");
                    continue;
                }
                (code, text)
            }
            [script] if script.starts_with("sim-out") => {
                if !failed_before {
                    continue;
                }
                let output = Command::new(folder.join(script)).current_dir(&folder).output().unwrap();
                (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
            }
            _ => panic!("no test knows how to run `{line}`"),
        };
        assert_eq!(code, wanted, "{line}: {text}");
    }
}
