//! The node as a process: it starts, says where it is, stops when asked, and fails in words.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

#[path = "support/node.rs"]
mod node;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use node::{Dir, Node, highwater};

fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn failure(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Log lines are JSON; the failure is one error with its four parts.
    let words: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(words.len(), 4, "{said}");
    assert!(words[0].starts_with("error: ") && words[3].starts_with("  fix:   "), "{said}");
    words.join("\n")
}

/// What a node says of itself that has shown its banner: it is ready by then.
fn ready(http: SocketAddr) -> String {
    let answer = ask(http, "/readyz?verbose");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

#[test]
fn node_starts_serves_and_stops_when_asked() {
    let dir = Dir::new("starts");
    for (signal, driver) in [("TERM", "auto"), ("INT", "epoll")] {
        let node = Node::start(&dir.data(), &["--shards", "2", "--io", driver]);
        let http = node.address("HTTP");
        let answer = ready(http);
        assert!(answer.contains("[+] shards: 2 of 2 run"), "{answer}");
        assert!(ask(http, "/metrics").contains("\nhighwater_ready 1\n"));
        TcpStream::connect(node.address("Kafka")).unwrap();
        node.signal(signal);
        let (code, took, log) = node.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(took < Duration::from_secs(1), "it took {took:?}: {log}");
        assert!(log.contains("\"message\":\"stopped\""), "{log}");
    }
}

#[test]
fn busy_port_is_said_and_nothing_is_harmed() {
    let dir = Dir::new("busy");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["dev", "--data-dir", &dir.data(), "--listen", &address, "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&address), "{said}");
    let args = ["dev", "--data-dir", &dir.data(), "--listen", "127.0.0.1:0", "--http", &address];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains("HTTP") && said.contains(&address), "{said}");
}

#[test]
fn second_node_on_a_port_is_refused() {
    let (one, two) = (Dir::new("port-one"), Dir::new("port-two"));
    let node = Node::start(&one.data(), &[]);
    let address = node.address("Kafka").to_string();
    let args = ["dev", "--data-dir", &two.data(), "--listen", &address, "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&address), "{said}");
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn locked_directory_is_said_and_its_holder_goes_on() {
    let dir = Dir::new("locked");
    let node = Node::start(&dir.data(), &[]);
    let args = ["dev", "--data-dir", &dir.data(), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let said = failure(&highwater(&args).output().unwrap());
    assert!(said.contains(&dir.data()) && said.contains(&node.child.id().to_string()), "{said}");
    ready(node.address("HTTP"));
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn directory_that_cannot_be_written_is_said() {
    let dir = Dir::new("unwritable");
    let file = dir.0.join("file");
    fs::write(&file, "not a directory").unwrap();
    // sysfs lets nobody make a directory, not even root.
    for path in [file.to_str().unwrap(), "/sys/highwater"] {
        let args = ["dev", "--data-dir", path, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let said = failure(&highwater(&args).output().unwrap());
        assert!(said.contains(path), "{said}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"not a directory");
}

#[test]
fn serve_reads_its_file() {
    let dir = Dir::new("serve");
    let config = dir.0.join("node.toml");
    let text = format!(
        "node.id = 3\nlisteners = \"127.0.0.1:0\"\nhttp.listen = \"127.0.0.1:0\"\nlog.dirs = \"{}\"\nshards = 1\n",
        dir.data()
    );
    fs::write(&config, text).unwrap();
    let mut child = highwater(&["serve", "--config", config.to_str().unwrap()]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"message\":\"ready\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
    }
    assert!(line.contains("\"shards\":1"), "{line}");
    let node = Node::of(child);
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

fn user(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let kafka = node.address("Kafka").to_string();
    let output = highwater(&[args, &["--bootstrap", &kafka]].concat()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn commands_write_and_read_back() {
    let dir = Dir::new("commands");
    let node = Node::start(&dir.data(), &["--shards", "2"]);
    assert_eq!(user(&node, &["topic", "create", "orders", "-p", "3"]), (Some(0), "orders created\n".into()));
    let (code, said) = user(&node, &["topic", "create", "orders"]);
    assert!(code == Some(1) && said.contains("TOPIC_ALREADY_EXISTS"), "{said}");
    let values: Vec<String> = (0..1000).map(|n| format!("value-{n}")).collect();
    let words: Vec<&str> =
        ["produce", "orders"].into_iter().chain(values.iter().map(String::as_str)).collect();
    assert_eq!(user(&node, &words).0, Some(0));
    let (code, said) = user(&node, &["consume", "orders", "--from", "beginning", "--exit-at-end"]);
    let mut read: Vec<&str> = said.lines().collect();
    read.sort_unstable_by_key(|line| (line.len(), *line));
    assert_eq!((code, read), (Some(0), values.iter().map(String::as_str).collect()));
    let keyed = ["produce", "orders", "v", "--key", "foobar", "--header", "a=1"];
    assert_eq!(user(&node, &keyed).0, Some(0));
    // murmur2("foobar") without its sign, modulo 3, as Kafka's own clients place it.
    let only = ["consume", "orders", "-p", "0", "--from", "beginning", "-e", "--format", r"%k %h\n"];
    let (_, said) = user(&node, &only);
    assert!(said.lines().any(|line| line == "foobar a=1"), "{said}");
    let (code, said) = user(&node, &["topic", "describe", "nothing"]);
    assert!(code == Some(1) && said.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{said}");
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

/// The value of the one sample of `page` that begins with `series`.
fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.split_once(' ').is_some_and(|(name, _)| name == series));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).split_once(' ').unwrap().1.parse().unwrap()
}

fn sum_of(page: &str, start: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(start));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[test]
fn metrics_and_views_are_true() {
    let dir = Dir::new("metrics");
    let sets = ["--set", "metrics.topics.max=2", "--set", "metrics.partitions.max=3"];
    let node = Node::start(&dir.data(), &[&["--shards", "2"][..], &sets].concat());
    let http = node.address("HTTP");
    for (topic, partitions) in [("a", "3"), ("b", "2"), ("c", "1")] {
        assert_eq!(user(&node, &["topic", "create", topic, "-p", partitions]).0, Some(0));
    }
    let before = ask(http, "/metrics");
    let values: Vec<String> = (0..700).map(|n| format!("value-{n}")).collect();
    for topic in ["a", "c"] {
        let words: Vec<&str> =
            ["produce", topic].into_iter().chain(values.iter().map(String::as_str)).collect();
        assert_eq!(user(&node, &words).0, Some(0));
    }
    assert_eq!(user(&node, &["topic", "create", "a"]).0, Some(1));
    let page = ask(http, "/metrics");
    let ends = sum_of(&page, "kafka_topic_partition_current_offset{topic=\"a\",");
    let starts = sum_of(&page, "kafka_topic_partition_oldest_offset{topic=\"a\",");
    assert!((ends - 700.0).abs() < 0.5 && starts < 0.5, "{page}");
    assert!(!page.contains("{topic=\"b\",partition="), "its partitions are beyond the bound");
    assert!(!page.contains("topic=\"c\""), "it is beyond the bound");
    let grown = |series: &str| sample(&page, series) - sample(&before, series);
    // A shard that gives its first producer id writes a record to the cluster's metadata.
    assert!((1400.5..1402.5).contains(&grown("highwater_appended_records_total")), "{page}");
    assert!(sample(&page, "highwater_topic_log_bytes{topic=\"__other__\"}") > 700.0 * 7.0);
    assert!(sample(&page, "highwater_wal_commit_duration_seconds_count") > 0.0);
    let batches = grown("highwater_wal_group_batches_sum");
    assert!(batches >= grown("highwater_appended_batches_total"), "carried ones count again: {batches}");
    for (series, value) in [
        ("highwater_topics", 3.0),
        ("highwater_topics_hidden", 1.0),
        ("highwater_partitions", 6.0),
        ("highwater_partitions_hidden", 3.0),
        ("highwater_ready", 1.0),
        ("highwater_shards_silent", 0.0),
        ("highwater_events_dropped_total", 0.0),
        ("highwater_requests_total{api=\"CreateTopics\",error=\"NONE\"}", 3.0),
        ("highwater_requests_total{api=\"CreateTopics\",error=\"TOPIC_ALREADY_EXISTS\"}", 1.0),
        ("highwater_request_duration_seconds_count{api=\"CreateTopics\"}", 4.0),
        ("kafka_topic_partitions{topic=\"a\"}", 3.0),
        ("kafka_topic_partition_leader_is_preferred{topic=\"a\",partition=\"2\"}", 1.0),
        ("kafka_topic_partition_under_replicated_partition{topic=\"a\",partition=\"0\"}", 0.0),
    ] {
        assert!((sample(&page, series) - value).abs() < 0.5, "{series} is not {value} in\n{page}");
    }
    let views = ask(http, "/partitions?topic=c");
    assert!(views.contains("\"high_watermark\":700") && views.contains("\"log_start_offset\":0"), "{views}");
    assert!(ask(http, "/partitions?topic=d").starts_with("HTTP/1.1 404 "));
    let ready = ready(http);
    assert!(ready.contains("[+] responsive: 2 of 2 shards answer\n"), "{ready}");
    assert!(ready.contains("[+] metadata: 3 topics, 6 partitions\n"), "{ready}");
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn metrics_of_groups_are_true() {
    let dir = Dir::new("group-metrics");
    let sets = ["--set", "metrics.groups.max=2", "--set", "metrics.group.offsets.max=1"];
    let node = Node::start(&dir.data(), &[&["--shards", "2"][..], &sets].concat());
    assert_eq!(user(&node, &["topic", "create", "t", "-p", "1"]).0, Some(0));
    let values: Vec<String> = (0..90).map(|n| format!("value-{n}")).collect();
    let words: Vec<&str> = ["produce", "t"].into_iter().chain(values.iter().map(String::as_str)).collect();
    assert_eq!(user(&node, &words).0, Some(0));
    for (group, protocol, rest) in [
        ("a", "consumer", &["--count", "60"][..]),
        ("b", "classic", &["--exit-at-end"]),
        ("c", "classic", &["--exit-at-end"]),
    ] {
        let consume = ["consume", "t", "--group", group, "--protocol", protocol, "--from", "beginning"];
        assert_eq!(user(&node, &[&consume, rest].concat()).0, Some(0));
    }
    let page = ask(node.address("HTTP"), "/metrics");
    for start in ["kafka_consumergroup_lag{consumergroup=\"a\"", "highwater_group_lag_records{group=\"a\""] {
        assert!((sum_of(&page, start) - 30.0).abs() < 0.5, "{page}");
    }
    let committed =
        sum_of(&page, "kafka_consumergroup_current_offset{consumergroup=\"a\",topic=\"t\",partition=\"");
    assert!((committed - 60.0).abs() < 0.5, "{page}");
    let age = sum_of(&page, "highwater_group_lag_seconds{group=\"a\",topic=\"t\"");
    assert!(age > 0.0 && age < 60.0, "{page}");
    for (series, value) in [
        ("highwater_groups{protocol=\"classic\",state=\"Empty\"}", 2.0),
        ("highwater_groups{protocol=\"classic\",state=\"Stable\"}", 0.0),
        ("highwater_groups{protocol=\"consumer\",state=\"Empty\"}", 1.0),
        ("highwater_group_members{protocol=\"consumer\"}", 0.0),
        ("highwater_groups_hidden", 1.0),
        ("highwater_groups_offsets_hidden", 2.0),
        ("kafka_consumergroup_members{consumergroup=\"b\"}", 0.0),
    ] {
        assert!((sample(&page, series) - value).abs() < 0.5, "{series} is not {value} in\n{page}");
    }
    assert!(
        !page.contains("{group=\"b\"") && !page.contains("consumergroup=\"c\""),
        "they are beyond the bounds"
    );
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn level_of_a_logger_changes_while_the_node_runs() {
    let dir = Dir::new("levels");
    let node = Node::start(&dir.data(), &["--shards", "1", "--log", "warn"]);
    let http = node.address("HTTP");
    let told = |http| ask(http, "/logs").contains("Answered");
    assert_eq!(user(&node, &["topic", "create", "a"]).0, Some(0));
    assert!(!told(http));
    let mut stream = TcpStream::connect(http).unwrap();
    let head = "PUT /loggers/highwater.request HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: 5\r\n\r\nTRACE").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(user(&node, &["topic", "create", "b"]).0, Some(0));
    assert!(told(http), "requests are told now");
    let (_, level) = user(&node, &["config", "get", "logger/1", "highwater.request"]);
    assert!(level.contains("TRACE"), "a client of the broker sees the same: {level}");
    assert_eq!(user(&node, &["config", "set", "logger/1", "highwater.request=WARN"]).0, Some(0));
    assert!(ask(http, "/loggers").contains("\"highwater.request\":\"WARN\""));
    node.signal("TERM");
    let (code, _, log) = node.end();
    assert!(code == Some(0) && log.contains("\"target\":\"highwater.request\""), "{log}");
}

#[test]
fn debug_bundle_holds_no_secret() {
    let dir = Dir::new("bundle");
    let secret = "correct-horse-battery";
    let config = dir.0.join("node.toml");
    let text = format!(
        "# {secret}\nlisteners = \"127.0.0.1:0\"\nhttp.listen = \"127.0.0.1:0\"\nlog.dirs = \"{}\"\nshards = 1\n",
        dir.data()
    );
    fs::write(&config, text).unwrap();
    let mut child = highwater(&["serve", "--config", config.to_str().unwrap()])
        .env("HIGHWATER_PASSWORD", secret)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"message\":\"ready\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
    }
    let ready: Vec<&str> = line.split('"').collect();
    let after = |name: &str| ready[ready.iter().position(|word| *word == name).unwrap() + 2].to_owned();
    let (kafka, http) = (after("kafka"), after("http"));
    // The rest of its log goes nowhere, so that it never waits for a reader.
    let rest =
        std::thread::spawn(move || log.read_to_string(&mut String::new()).map(|_| String::new()).unwrap());
    let node = Node { child, banner: format!("Kafka {kafka}\nHTTP http://{http}\n"), stderr: Some(rest) };
    assert_eq!(user(&node, &["topic", "create", "a"]).0, Some(0));
    assert_eq!(user(&node, &["produce", "a", secret, "--key", secret]).0, Some(0));
    for name in ["bundle", "bundle.tar.gz"] {
        let output = dir.0.join(name);
        let args = ["debug", "bundle", "--http", &http, "--output", output.to_str().unwrap()];
        let shown = highwater(&args).output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let again = failure(&highwater(&args).output().unwrap());
        assert!(again.contains(output.to_str().unwrap()), "{again}");
    }
    let unpacked = dir.0.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let archive = dir.0.join("bundle.tar.gz");
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success());
    let inner = fs::read_dir(&unpacked).unwrap().next().unwrap().unwrap().path();
    for place in [dir.0.join("bundle"), inner] {
        let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
        let contents = read("CONTENTS.txt");
        for entry in fs::read_dir(&place).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let text = read(&name);
            assert!(!text.is_empty(), "{name} is empty");
            assert!(!text.contains(secret), "{name} holds the secret");
            assert!(name == "CONTENTS.txt" || contents.contains(&name), "{name} is not listed");
        }
        assert!(read("metrics.txt").contains("\nhighwater_ready 1\n"));
        assert!(read("config.json").contains("log.dirs") && read("system.txt").contains("Max open files"));
        assert!(read("partitions.json").contains("\"high_watermark\":1"));
        assert!(read("logs.jsonl").contains("\"message\":\"ready\""));
    }
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
}
