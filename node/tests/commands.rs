//! The user commands against a node, as a user types them.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

#[path = "support/node.rs"]
mod node;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use node::{Dir, Node, highwater};
use serde_json::Value;

/// A node with the command line that talks to it.
struct Desk {
    node: Node,
    dir: Dir,
}

/// How a command ended: its exit code, standard output, standard error.
type Ended = (Option<i32>, String, String);

impl Desk {
    fn new(name: &str) -> Self {
        let dir = Dir::new(name);
        let node = Node::start(&dir.data(), &["--shards", "2"]);
        Self { node, dir }
    }

    fn run(&self, args: &[&str], input: &str) -> Ended {
        let kafka = self.node.address("Kafka").to_string();
        let mut command = highwater(&[args, &["--bootstrap", &kafka]].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A command that wants no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// What a command prints that must succeed.
    fn ok(&self, line: &str) -> String {
        let (code, said, errors) = self.run(&words(line), "");
        assert_eq!(code, Some(0), "{line}: {errors}");
        assert_eq!(errors, "", "{line}");
        said
    }

    /// The rows of a command that must succeed.
    fn rows(&self, line: &str) -> Vec<Value> {
        let said = self.ok(&format!("{line} --output json"));
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a command says that must fail with this code: four parts.
    fn fails(&self, line: &str, code: i32) -> String {
        let (ended, _, errors) = self.run(&words(line), "");
        assert_eq!(ended, Some(code), "{line}: {errors}");
        assert_eq!(errors.lines().count(), 4, "{errors}");
        assert!(errors.starts_with("error: ") && errors.contains("\n  fix:   "), "{errors}");
        errors
    }

    fn stop(self) -> Dir {
        self.node.signal("TERM");
        assert_eq!(self.node.end().0, Some(0));
        self.dir
    }
}

/// The words of a line; quotes are not known.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn topics_are_altered_described_and_found_by_patterns() {
    let desk = Desk::new("topics");
    desk.ok("topic create orders-eu orders-us users -p 2");
    let list = desk.rows("topic list");
    let names: Vec<&str> = list.iter().map(|row| row["topic"].as_str().unwrap()).collect();
    assert_eq!(names, ["orders-eu", "orders-us", "users"]);
    assert_eq!(desk.rows("topic list /orders-.*/").len(), 2);
    assert_eq!(desk.rows("topic describe /orders-.*/ users").len(), 3);
    assert!(desk.fails("topic describe /nothing/", 1).contains("no topic matches"));
    assert!(desk.fails("topic describe /a(/", 2).contains("unclosed group"));
    // A pattern may mean more than was thought of, and there is nobody to ask.
    assert!(desk.fails("topic delete /orders-.*/", 2).contains("--yes"));
    assert_eq!(desk.rows("topic list").len(), 3);
    desk.ok("topic delete /orders-.*/ --yes");
    assert!(desk.ok("topic list --output yaml").starts_with("- id: "));
    assert_eq!(desk.rows("topic list").len(), 1);
    desk.stop();
}

#[test]
fn partitions_are_added() {
    let desk = Desk::new("partitions");
    desk.ok("topic create orders-eu orders-us users -p 2");
    desk.fails("topic alter users", 2);
    let said = desk.ok("topic alter --regex orders-.* --partitions 3");
    assert_eq!(said, "orders-eu altered\norders-us altered\n");
    let described = desk.rows("topic describe /orders-.*/ users");
    let counts: Vec<u64> = described.iter().map(|row| row["partition_count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 3, 2]);
    let said = desk.fails("topic alter users --partitions 1", 1);
    assert!(said.contains("INVALID_PARTITIONS"), "{said}");
    desk.ok("topic alter users --partitions 9 --dry-run");
    assert_eq!(desk.rows("topic describe users")[0]["partition_count"], 2);
    desk.stop();
}

#[test]
fn records_are_trimmed_only_when_it_is_meant() {
    let desk = Desk::new("trimmed");
    desk.ok("topic create t -p 2");
    desk.ok("produce t -p 0 a b c d e");
    desk.ok("produce t -p 1 f");
    let earliest = |desk: &Desk| -> Vec<i64> {
        desk.rows("topic offsets t").iter().map(|row| row["earliest"].as_i64().unwrap()).collect()
    };
    assert!(desk.fails("topic trim t --before 2 --partition 0", 2).contains("--yes"));
    let plan = desk.rows("topic trim t --before 2 --partition 0 --dry-run");
    assert_eq!((plan.len(), plan[0]["offsets"].as_i64()), (1, Some(2)));
    assert_eq!(earliest(&desk), [0, 0]);
    desk.ok("topic trim t --before 2 --partition 0 --yes");
    assert_eq!(earliest(&desk), [2, 0]);
    assert_eq!(desk.ok("consume t -p 0 --from beginning -e"), "c\nd\ne\n");
    assert!(desk.fails("topic trim t --before 6 --partition 0 --yes", 1).contains("ends at 5"));
    desk.ok("topic trim t --before all --yes");
    assert_eq!(earliest(&desk), [5, 1]);
    desk.fails("topic trim t --before all --partition 7 --yes", 1);
    desk.stop();
}

#[test]
fn offsets_are_shown_with_times() {
    let desk = Desk::new("offsets");
    desk.ok("topic create t");
    let lines =
        "{\"value\":\"a\",\"timestamp\":1700000000000}\n{\"value\":\"b\",\"timestamp\":1700000060000}\n";
    assert_eq!(desk.run(&words("produce t --json"), lines).0, Some(0));
    let rows = desk.rows("topic offsets t --at 2023-11-14T22:13:21Z");
    assert_eq!(rows[0]["latest"], 2);
    assert_eq!(
        (&rows[0]["newest"], &rows[0]["newest_time"]),
        (&1.into(), &"2023-11-14T22:14:20.000Z".into())
    );
    assert_eq!((&rows[0]["at"], &rows[0]["at_time"]), (&1.into(), &"2023-11-14T22:14:20.000Z".into()));
    let read = desk.ok("consume t -e --from 2023-11-14T22:13:21Z --format %T:%v\\n");
    assert_eq!(read, "2023-11-14T22:14:20.000Z:b\n");
    assert_eq!(desk.ok("consume t --from beginning --until 2023-11-14T22:13:21Z"), "a\n");
    let said = desk.fails("consume t --until 2999-01-01", 2);
    assert!(said.contains("still to come"), "{said}");
    desk.stop();
}

#[test]
fn records_come_from_files_and_leave_through_filters() {
    let desk = Desk::new("records");
    desk.ok("topic create t");
    let file = desk.dir.0.join("lines");
    fs::write(&file, "k1:one\nk2:\nk3:three\n").unwrap();
    let path = file.to_str().unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let said = desk.ok(&format!("produce t --file {path} -K : --null= -H a=1 --compression {codec}"));
        assert_eq!(said, "3 records to t\n");
    }
    let all = desk.ok(r"consume t -e --from beginning --format %o|%k|%v|%K|%V|%h\n");
    assert_eq!(all.lines().count(), 15);
    assert!(all.starts_with("0|k1|one|2|3|a=1\n1|k2||2|-1|a=1\n"), "{all}");
    assert_eq!(desk.ok("consume t -e --from -2"), "\nthree\n");
    assert_eq!(desk.ok("consume t -e --from beginning --grep ^o.e$ --count 2 --format %o,"), "0,3,");
    let filtered = desk.ok("consume t --from beginning --grep-key [23] --until 6 --format %o,");
    assert_eq!(filtered, "1,2,4,5,");
    desk.stop();
}

#[test]
fn what_consume_prints_as_json_produce_takes() {
    let desk = Desk::new("json");
    desk.ok("topic create a");
    desk.ok("topic create b");
    desk.ok("produce a x --key k --header h=1");
    let printed = desk.ok("consume a -e --from beginning --json");
    let (code, _, errors) = desk.run(&words("produce b --json"), &printed);
    assert_eq!(code, Some(0), "{errors}");
    let copied = desk.ok("consume b -e --from beginning --json");
    assert_eq!(copied, printed.replace("\"topic\":\"a\"", "\"topic\":\"b\""));
    let (code, _, errors) = desk.run(&words("produce b --json"), "{\"vlaue\":1}\n");
    assert!(code == Some(1) && errors.contains("vlaue"), "{errors}");
    assert!(desk.fails("produce b --file /nonexistent", 1).contains("/nonexistent"));
    for acks in ["0", "1", "all"] {
        desk.ok(&format!("produce b y --acks {acks}"));
    }
    desk.stop();
}

#[test]
fn groups_go_on_where_they_were_and_are_told_reset_and_deleted() {
    let desk = Desk::new("groups");
    desk.ok("topic create t -p 1");
    desk.ok("produce t a b c d e");
    for protocol in ["consumer", "cooperative", "classic"] {
        let group = format!("g-{protocol}");
        let consume = format!("consume t --group {group} --protocol {protocol} --from beginning");
        assert_eq!(desk.ok(&format!("{consume} --count 2")), "a\nb\n");
        assert_eq!(desk.ok(&format!("{consume} --exit-at-end")), "c\nd\ne\n");
        assert_eq!(desk.ok(&format!("{consume} --exit-at-end")), "");
    }
    let list = desk.rows("group list");
    let names: Vec<&str> = list.iter().map(|row| row["group"].as_str().unwrap()).collect();
    assert_eq!(names, ["g-classic", "g-consumer", "g-cooperative"]);
    assert!(list.iter().all(|row| row["state"] == "Empty"), "{list:?}");
    assert_eq!(desk.rows("group list --type consumer").len(), 1);
    let row = &desk.rows("group describe g-consumer")[0];
    assert_eq!((row["committed"].as_i64(), row["lag"].as_i64()), (Some(5), Some(0)));
    // Without --execute nothing is done.
    for execute in ["", " --execute"] {
        let row = &desk.rows(&format!("group reset-offsets g-consumer --shift-by -3{execute}"))[0];
        assert_eq!((row["before"].as_i64(), row["offset"].as_i64()), (Some(5), Some(2)));
    }
    let row = &desk.rows("group describe g-consumer")[0];
    assert_eq!((row["committed"].as_i64(), row["lag"].as_i64()), (Some(2), Some(3)));
    assert!(row["lag_seconds"].as_i64().is_some(), "{row}");
    assert_eq!(desk.rows("group watch g-consumer --count 2 --every 1").len(), 2);
    assert_eq!(desk.ok("consume t --group g-consumer --exit-at-end"), "c\nd\ne\n");
    desk.ok("group reset-offsets g-classic --to-earliest --execute");
    assert_eq!(desk.rows("group describe g-classic")[0]["committed"], 0);
    assert_eq!(desk.rows("group members g-classic").len(), 0);
    desk.ok("group delete-offsets g-classic --topic t --yes");
    assert!(desk.fails("group delete g-cooperative", 2).contains("--yes"));
    desk.ok("group delete g-cooperative --yes");
    assert!(desk.fails("group describe g-cooperative", 1).contains("GROUP_ID_NOT_FOUND"));
}

#[test]
fn member_that_is_told_to_end_leaves_its_group() {
    let desk = Desk::new("leaving");
    desk.ok("topic create t -p 1");
    desk.ok("produce t a b");
    let kafka = desk.node.address("Kafka").to_string();
    for (signal, protocol) in [("INT", "consumer"), ("TERM", "classic")] {
        let group = format!("g-{protocol}");
        let line = format!("consume t --group {group} --protocol {protocol} --from beginning");
        let args = [&words(&line)[..], &["--bootstrap", &kafka]].concat();
        let mut member = Node::of(highwater(&args).spawn().unwrap());
        let mut printed = BufReader::new(member.child.stdout.take().unwrap()).lines();
        let read: Vec<String> = printed.by_ref().take(2).map(Result::unwrap).collect();
        assert_eq!(read, ["a", "b"]);
        member.signal(signal);
        let (code, took, _) = member.end();
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(3), "{took:?}");
        let row = &desk.rows(&format!("group describe {group}"))[0];
        assert_eq!((row["committed"].as_i64(), row["lag"].as_i64()), (Some(2), Some(0)), "{row}");
        assert!(desk.rows(&format!("group members {group}")).is_empty());
    }
    desk.stop();
}

#[test]
fn settings_are_shown_set_and_unset() {
    let desk = Desk::new("settings");
    desk.ok("topic create t --config retention.ms=60000");
    let rows = desk.rows("config get topic/t");
    assert_eq!((&rows[0]["key"], &rows[0]["value"]), (&"retention.ms".into(), &"60000".into()));
    assert!(desk.rows("config get topic/t --all").len() > 20);
    desk.ok("config set topic/t retention.ms=120000 --dry-run");
    assert_eq!(desk.rows("config get topic/t retention.ms")[0]["value"], "60000");
    desk.ok("config set topic/t retention.ms=120000 cleanup.policy+=compact");
    assert_eq!(desk.rows("config get topic/t retention.ms")[0]["value"], "120000");
    desk.ok("config unset topic/t retention.ms cleanup.policy");
    assert!(desk.rows("config get topic/t").is_empty());
    assert!(desk.fails("config set topic/t retention.mss=1", 1).contains("retention.mss"));
    assert!(desk.fails("config get topic/t nonsense", 1).contains("nonsense"));
    assert!(desk.fails("config get broker/77", 1).contains("node 77"));
    desk.ok("topic alter t --config retention.ms=60000");
    desk.ok("topic alter t --delete-config retention.ms");
    assert!(desk.rows("config get topic/t").is_empty());
    assert!(desk.rows("config list").iter().any(|row| row["resource"] == "topic/t"));
    desk.stop();
}

#[test]
fn settings_of_the_running_node_are_told() {
    let desk = Desk::new("running");
    let kafka = format!("PLAINTEXT://{}", desk.node.address("Kafka"));
    let data = desk.dir.0.join("data");
    let told = |key: &str| {
        let row = &desk.rows(&format!("config get broker/1 {key}"))[0];
        (row["value"].as_str().unwrap().to_owned(), row["source"].as_str().unwrap().to_owned())
    };
    let fixed = |value: &str| (value.to_owned(), "configuration file".to_owned());
    for (key, value) in [
        ("listeners", kafka.as_str()),
        ("advertised.listeners", kafka.as_str()),
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("broker.id", "1"),
        ("log.dirs", data.to_str().unwrap()),
    ] {
        assert_eq!(told(key), fixed(value), "{key}");
    }
    assert_eq!(told("cluster.id").0, desk.rows("cluster info")[0]["cluster_id"].as_str().unwrap());
    desk.stop();
}

#[test]
fn logger_follows_the_root_until_it_has_its_own_level() {
    let desk = Desk::new("loggers");
    let level = |logger: &str| desk.rows(&format!("config get logger/1 {logger}"))[0]["value"].clone();
    desk.ok("config set logger/1 highwater.log=ERROR");
    desk.ok("config set logger/1 root=WARN");
    assert_eq!((level("highwater.log"), level("highwater.node")), ("ERROR".into(), "WARN".into()));
    desk.ok("config unset logger/1 highwater.log");
    assert_eq!(level("highwater.log"), "WARN");
    desk.stop();
}

#[test]
fn subscriptions_to_metrics_of_clients_are_kept() {
    let desk = Desk::new("subscriptions");
    desk.ok("config set client-metrics/m metrics=org.apache.kafka. interval.ms=5000");
    assert!(desk.rows("config list").iter().any(|row| row["resource"] == "client-metrics/m"));
    assert_eq!(desk.rows("config get client-metrics/m").len(), 2);
    assert!(desk.fails("config set client-metrics/m interval.ms=1", 1).contains("from 100 to 3600000"));
    desk.ok("config unset client-metrics/m metrics interval.ms");
    assert!(desk.rows("config list").iter().all(|row| row["resource"] != "client-metrics/m"));
    desk.stop();
}

#[test]
fn cluster_and_retention_are_told() {
    let desk = Desk::new("cluster");
    desk.ok("topic create t --config retention.ms=3600000");
    desk.ok("produce t x");
    let info = &desk.rows("cluster info")[0];
    assert_eq!(info["nodes"].as_array().unwrap().len(), 1);
    assert!(!info["cluster_id"].as_str().unwrap().is_empty());
    assert!(info["nodes"][0]["apis"].as_array().unwrap().len() > 10);
    assert!(desk.ok("cluster info").contains("LOG DIR"));
    let log_dir = &info["nodes"][0]["log_dirs"][0];
    let bytes = |field: &str| log_dir[field].as_u64().unwrap();
    assert!(bytes("total_bytes") > bytes("usable_bytes") && bytes("usable_bytes") > 0, "{log_dir}");
    assert!(log_dir["error"].is_null() && log_dir["log_bytes"].as_u64().unwrap() > 0, "{log_dir}");
    let kept = &desk.rows("topic retention t")[0];
    assert_eq!(kept["retention_ms"], 3_600_000);
    assert!(kept["verdict"].as_str().unwrap().contains("may go in 59 m"), "{kept}");
    assert!(desk.ok("topic retention t").contains("1 h old (retention.ms)"));
    desk.stop();
}

#[test]
fn each_segment_is_told_with_its_reason() {
    let desk = Desk::new("retention");
    desk.ok("topic create small --config segment.bytes=1048576 --config retention.ms=3600000");
    desk.ok("topic create keys --config segment.bytes=1048576 --config cleanup.policy=compact");
    let value = "x".repeat(700_000);
    for topic in ["small", "small", "small", "keys", "keys"] {
        assert_eq!(desk.run(&["produce", topic, "--key-separator", ":"], &format!("k:{value}")).0, Some(0));
    }
    let segments = |line: &str| desk.rows(line)[0]["segments"].as_array().unwrap().clone();
    let told = segments("topic retention small");
    let bases: Vec<i64> = told.iter().map(|segment| segment["base_offset"].as_i64().unwrap()).collect();
    assert_eq!(bases, [0, 1, 2]);
    for segment in &told {
        assert!(segment["size_bytes"].as_u64().unwrap() >= 700_000, "{segment}");
        assert!(segment["deleted"].as_str().unwrap().contains("(in 59 m"), "{segment}");
        assert!(segment["why_kept"].as_str().unwrap().contains("(retention.ms)"), "{segment}");
    }
    assert_eq!(told[2]["state"], "active");
    assert!(told[2]["why_kept"].as_str().unwrap().starts_with("it is written to; "), "{told:?}");
    assert!(told[1]["why_kept"].as_str().unwrap().ends_with("an older segment stays"), "{told:?}");
    let table = desk.ok("topic retention small");
    assert!(table.contains("WHY IT IS HERE") && table.contains("SEGMENT"), "{table}");
    desk.ok("config set topic/small retention.ms=-1");
    let kept = segments("topic retention small");
    assert!(kept.iter().all(|segment| segment["deleted"] == "never"), "{kept:?}");
    let keys = segments("topic retention keys");
    assert_eq!(keys[1]["cleaned"], "once it is closed, on disk and committed");
    assert_eq!((keys.len(), &keys[0]["deleted"]), (2, &"never".into()));
    assert!(desk.ok("topic retention keys").contains("CLEANED"));
    desk.stop();
}

#[test]
fn retention_without_http_is_told_by_the_settings_alone() {
    let desk = Desk::new("no-http");
    desk.ok("topic create t --config retention.ms=3600000");
    desk.ok("produce t x");
    let stranger = Desk::new("stranger");
    stranger.ok("topic create t");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (http, why) in [(nobody, "refused"), (stranger.node.address("HTTP"), "another cluster")] {
        let row = &desk.rows(&format!("topic retention t --http {http}"))[0];
        assert!(row["segments"].is_null() && row["segments_untold"].as_str().unwrap().contains(why), "{row}");
        assert!(row["verdict"].as_str().unwrap().contains("may go in 59 m"), "{row}");
        let table = desk.ok(&format!("topic retention t --http {http}"));
        assert!(table.contains("segments are not told: ") && table.contains("may go in 59 m"), "{table}");
    }
    stranger.stop();
    desk.stop();
}

#[test]
fn contexts_name_brokers() {
    let desk = Desk::new("contexts");
    let home = desk.dir.0.join("home");
    let kafka = desk.node.address("Kafka").to_string();
    let run = |line: &str, environment: &[(&str, &str)]| {
        let mut command = highwater(&words(line));
        command
            .env_remove("HIGHWATER_BOOTSTRAP")
            .env_remove("HIGHWATER_CONTEXT")
            .env("XDG_CONFIG_HOME", &home);
        command.envs(environment.iter().copied());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run(&format!("context set here -b {kafka}"), &[]), (Some(0), "here set\n".into()));
    assert_eq!(run("context set there -b 127.0.0.1:1 --timeout 1", &[]).0, Some(0));
    assert_eq!(run("topic create t", &[]), (Some(0), "t created\n".into()));
    assert_eq!(run("topic list --context there", &[]).0, Some(1));
    assert_eq!(run("topic list", &[("HIGHWATER_CONTEXT", "there")]).0, Some(1));
    assert_eq!(run("context use there", &[]).0, Some(0));
    assert_eq!(run("topic list", &[]).0, Some(1));
    assert_eq!(run("topic list", &[("HIGHWATER_BOOTSTRAP", &kafka)]).0, Some(0));
    let (_, shown) = run("context show here --output json", &[]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["bootstrap"], &shown["named_by"]), (&kafka.as_str().into(), &"context here".into()));
    assert_eq!(run("context delete there", &[]).0, Some(0));
    let (code, said) = run("topic list --context there", &[]);
    assert!(code == Some(2) && said.contains("there are here"), "{said}");
    assert_eq!(run("context set x -b nonsense", &[]).0, Some(2));
    desk.stop();
}

#[test]
fn reader_who_goes_away_is_no_failure() {
    let desk = Desk::new("pipe");
    desk.ok("topic create t");
    let lines = "a line that is long enough to fill a pipe\n".repeat(20_000);
    assert_eq!(desk.run(&words("produce t"), &lines).0, Some(0));
    let kafka = desk.node.address("Kafka").to_string();
    let mut child = highwater(&["consume", "t", "--from", "beginning", "-e", "-b", &kafka]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    desk.stop();
}

#[test]
fn data_directory_is_verified_and_a_flipped_bit_is_found() {
    let desk = Desk::new("verified");
    desk.ok("topic create t --config segment.bytes=1048576");
    let lines = format!("{}\n", "x".repeat(1000)).repeat(3000);
    assert_eq!(desk.run(&words("produce t"), &lines).0, Some(0));
    let dir = desk.stop();
    let verify = || {
        let output =
            highwater(&["log", "inspect", "--verify", &dir.data(), "--output", "json"]).output().unwrap();
        let rows: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (output.status.code(), rows, String::from_utf8(output.stderr).unwrap())
    };
    let (code, rows, errors) = verify();
    assert_eq!(code, Some(0), "{errors}");
    for kind in ["segment", "wal"] {
        assert!(rows.iter().any(|row| row["kind"] == kind && row["batches"].as_u64() > Some(0)), "{rows:?}");
    }
    let segment =
        rows.iter().find(|row| row["kind"] == "segment" && row["records"].as_u64() > Some(100)).unwrap();
    let path = segment["file"].as_str().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[500] ^= 1;
    fs::write(path, bytes).unwrap();
    let (code, rows, errors) = verify();
    assert_eq!(code, Some(1), "{errors}");
    let damaged: Vec<&Value> = rows.iter().filter(|row| row["result"] == "DAMAGED").collect();
    assert_eq!((damaged.len(), damaged[0]["file"].as_str()), (1, Some(path)));
}

#[test]
fn completions_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let output = highwater(&["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("topic") && script.contains("completion"),
            "{script}"
        );
    }
    let dir = Dir::new("man");
    let man = highwater(&["man"]).output().unwrap();
    assert!(String::from_utf8(man.stdout).unwrap().contains(".TH highwater 1"));
    assert!(highwater(&["man", "--dir", dir.0.to_str().unwrap()]).output().unwrap().status.success());
    for page in ["highwater.1", "highwater-topic.1", "highwater-topic-trim.1", "highwater-consume.1"] {
        let text = fs::read_to_string(dir.0.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}
