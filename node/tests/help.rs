//! The command line as its users see it, word by word. `UPDATE_SNAPSHOT=1` writes the file anew.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::process::{Command, Stdio};

const COMMANDS: [&str; 42] = [
    "",
    "dev",
    "serve",
    "debug",
    "debug bundle",
    "topic",
    "topic create",
    "topic list",
    "topic describe",
    "topic alter",
    "topic offsets",
    "topic retention",
    "topic trim",
    "topic delete",
    "config",
    "config get",
    "config set",
    "config unset",
    "config list",
    "config explain",
    "group",
    "group list",
    "group describe",
    "group members",
    "group reset-offsets",
    "group delete",
    "group delete-offsets",
    "group watch",
    "cluster",
    "cluster info",
    "produce",
    "consume",
    "log",
    "log inspect",
    "context",
    "context list",
    "context use",
    "context set",
    "context delete",
    "context show",
    "completion",
    "man",
];

fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(command.split_whitespace())
        .arg("--help")
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{command}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_as_written_down() {
    let shown: String =
        COMMANDS.iter().map(|command| format!("$ highwater {command} --help\n{}\n", help(command))).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    for (shown, written) in shown.lines().zip(written.lines()) {
        assert_eq!(shown, written, "run this test with UPDATE_SNAPSHOT=1 if the change is meant");
    }
    assert_eq!(shown.len(), written.len());
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["dvе"][..],
        &["dev", "--shards"],
        &["dev", "--set", "num.partitions"],
        &["dev", "--set", "num.partition=1"],
        &["dev", "--shards", "0"],
        &["dev", "--log", "highwater=loud"],
        &["serve"],
        &["serve", "--config", "/nonexistent.toml"],
        &["consume"],
        &["consume", "t", "--from", "start"],
        &["consume", "t", "--format", "%x"],
        &["topic", "create"],
        &["log", "inspect", "a.txt"],
        &["topic", "trim", "t"],
        &["topic", "trim", "t", "--before", "soon"],
        &["topic", "list", "--output", "xml"],
        &["config", "get", "orders"],
        &["config", "set", "topic/orders", "retention.ms"],
        &["consume", "t", "--grep", "("],
        &["consume", "t", "-e", "--until", "7"],
        &["produce", "t", "v", "--compression", "brotli"],
        &["completion", "tcsh"],
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_highwater")).args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("error: "), "{args:?}: {said}");
    }
}
