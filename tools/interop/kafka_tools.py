#!/usr/bin/env python3
"""Runs a script of Kafka's own tools against Apache Kafka and against our broker, and compares what they print.

    kafka_tools.py --binary PATH [--only WORD] [--keep DIR]

Both run at once, each with a Java machine of its own in which the tools run one after the other (java/Tools.java). What differs
by nature (ids, ports, times, directories, throughput) is masked. Every other difference must stand in differences.toml, and
everything that stands there must still differ.
"""

import argparse
import ast
import collections
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import threading
import time
import tomllib

import java
from broker import Broker
from kafka_broker import HERE, kafka

SCRIPT = os.path.join(HERE, "kafka_tools.txt")
DIFFERENCES = os.path.join(HERE, "differences.toml")
COMMAND_SECONDS = 20
LATE_MAX = 5
SEAL_SECONDS = 15

# Kafka's broker learns of a change after the controller has answered.
SETTLE_SECONDS = 0.15
CHANGES = {"--alter", "--create", "--delete", "upgrade", "--execute"}
FIRST_SEGMENT = "00000000000000000000.log"

TOOLS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}

# These read files.
WITHOUT_ADDRESS = ("kafka-dump-log",)

# These want the address before their own command.
ADDRESS_FIRST = ("kafka-features", "kafka-metadata-quorum", "kafka-transactions")

# What no two runs have in common, and what takes its place.
MASKS = [
    (re.compile(r"DIR/data(/logs)?\""), 'LOG-DIR"'),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "HOST:PORT"),
    (re.compile(r"\b127\.0\.0\.1\s+\d+\b"), "HOST PORT"),
    (re.compile(r"(Cluster ID|ClusterId):(\s+)[\w-]{22}"), r"\1:\2CLUSTER-ID"),
    (re.compile(r"TopicId: [\w-]{22}"), "TopicId: TOPIC-ID"),
    (re.compile(r"\b1[789]\d{11}\b"), "MILLISECONDS"),
    (re.compile(r"clientId=adminclient-\d+"), "clientId=adminclient-N"),
    (re.compile(r"(\"directoryId\": \"|^\d+\s+)[\w-]{22}\b", re.MULTILINE), r"\1DIRECTORY-ID"),
    # The column is padded to the number's width.
    (re.compile(r"\d+ ms ago *"), "N ms ago "),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"console-consumer-\d+"), "console-consumer-N"),
    (re.compile(r"(\"topicId\":\")[\w-]{22}"), r"\1TOPIC-ID"),
]

# What is written to the log of groups: as often as clients came to commit. What counts is the last word on each key.
RECORDS = re.compile(r"OffsetsMessageFormatter|GroupMetadataMessageFormatter")
PROCESSED = re.compile(r"Processed a total of \d+ messages")

# Names in the order of a hash table.
NAMES = re.compile(r"(?<=successfully: )'.+'")

# A producer's id and the times of its records; the rest of a segment is the same to the byte.
SEGMENT = re.compile(r"(producerId: |crc: |Dumping )\S+")

SPEED = re.compile(r'"avg_throughput":[^,}]+')
PRODUCER = re.compile(r"^\d+ +(?=\t)", re.MULTILINE)

# How far the metadata log has come is a matter of how often it was written, and no business of a client.
METADATA_LOG = re.compile(r"(HighWatermark: +|Epoch: |DIRECTORY-ID\t)\d+ *")

# A broker's message for an error: the error is compared, its wording is each broker's own.
MESSAGE = re.compile(r"(?:org\.apache\.kafka\.common\.errors\.\w+: |(?:Can|Could) not upgrade \S+ to \d+\. )(.+)")

# The settings of a topic come in the order of a hash table, where two in one place stand as they came.
CONFIGS = re.compile(r"(?<=\tConfigs: ).+")

# Figures of speed: the words around them are compared.
FIGURES = re.compile(r"\d+(?:\.\d+)?(?:[Ee]-?\d+)?|NaN")
WITH_FIGURES = ("kafka-producer-perf-test",)

Line = collections.namedtuple("Line", "text words input is_sorted")
Outcome = collections.namedtuple("Outcome", "status lines messages seconds")


def unescaped(word):
    """Text with escapes; {4x600} is four lines of 600 characters."""
    lines = re.fullmatch(r"\{(\d+)x(\d+)\}", word)
    return ("x" * int(lines[2]) + "\n") * int(lines[1]) if lines else ast.literal_eval(f"'{word}'")


def parsed(text):
    """The commands of a script."""
    lines = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        words, given, is_sorted = shlex.split(line), "", False
        if words[-2:] == ["|", "sort"]:
            words, is_sorted = words[:-2], True
        if len(words) > 2 and words[-2] == "<<<":
            given, words = unescaped(words[-1]), words[:-2]
        lines.append(Line(line, words, given, is_sorted))
    return lines


class Side:
    """A broker, and a Java machine for the tools that are pointed at it."""

    def __init__(self, name, broker, directory):
        self.name = name
        self.broker = broker
        self.directory = directory
        self.ids = {}
        self.outcomes = []
        self.failure = None

    def run(self, script):
        try:
            self.broker.start()
            tools = java.Tools(self.directory)
            try:
                for line in script:
                    self.outcomes.append(self.step(tools, line))
                    if sum(outcome.status < 0 for outcome in self.outcomes) > LATE_MAX:
                        raise TimeoutError(f"{LATE_MAX} commands were not done within {COMMAND_SECONDS} s each")
            finally:
                tools.close()
        except BaseException as failure:
            self.failure = failure
        finally:
            self.close()

    def close(self):
        if self.broker.is_alive():
            self.broker.kill()

    def step(self, tools, line):
        tool, *words = line.words
        if tool == "restart":
            self.broker.stop()
            self.broker.start()
            return Outcome(0, [], [], 0)
        if tool == "file":
            with open(os.path.join(self.directory, words[0]), "w", encoding="utf-8") as file:
                file.write(unescaped(words[1]))
            return Outcome(0, [], [], 0)
        found = tools.run(TOOLS[tool], self.arguments(tool, words), line.input, COMMAND_SECONDS)
        if CHANGES.intersection(words):
            time.sleep(SETTLE_SECONDS)
        for topic, topic_id in re.findall(r"Topic: (\S+)\s+TopicId: (\S+)", found["out"]):
            self.ids[topic] = topic_id
        lines = [f"exit {found['status']}" if found["status"] >= 0 else f"not done within {COMMAND_SECONDS} s"]
        messages = sorted(set(MESSAGE.findall(found["out"] + "\n" + found["err"])), key=len, reverse=True)
        if RECORDS.search(line.text):
            found["out"] = last_words(found["out"])
            found["err"] = PROCESSED.sub("Processed a total of N messages", found["err"])
        if tool == "kafka-verifiable-consumer":
            found["out"] = in_sum(found["out"])
        for stream in ["out", "err"]:
            for message in messages:
                found[stream] = found[stream].replace(message, "MESSAGE")
            lines += [f"{stream}: {text}" for text in self.masked(tool, found[stream])]
        return Outcome(found["status"], sorted(lines) if line.is_sorted else lines, messages, found["seconds"])

    def arguments(self, tool, words):
        def topic_id(match):
            return self.ids.get(match[1], "no-such-id")

        def segment(match):
            return self.segment(match[1], match[2])

        words = [re.sub(r"\{id:([^}]+)\}", topic_id, word.replace("{dir}", self.directory)) for word in words]
        words = [re.sub(r"\{segment:(.+)-(\d+)\}", segment, word) for word in words]
        if tool in WITHOUT_ADDRESS:
            return words
        address = ["--bootstrap-server", self.broker.bootstrap]
        return address + words if tool in ADDRESS_FIRST else words + address

    def segment(self, topic, partition):
        """The first segment of a partition, once it is sealed: ours has a footer then, Kafka's a successor."""
        logs, ours = (os.path.join(self.directory, "data", name) for name in ["logs", "partitions"])
        topic_id = self.ids.get(topic, "no-such-id")
        homes = [os.path.join(logs, f"{topic}-{partition}"), os.path.join(ours, f"{topic_id}-{partition}")]
        deadline = time.monotonic() + SEAL_SECONDS
        while time.monotonic() < deadline:
            for home in homes:
                names = os.listdir(home) if os.path.isdir(home) else []
                is_sealed = FIRST_SEGMENT.replace(".log", ".footer") in names or sum(name.endswith(".log") for name in names) > 1
                if FIRST_SEGMENT in names and is_sealed:
                    return os.path.join(home, FIRST_SEGMENT)
            time.sleep(0.1)
        return "no-sealed-segment"

    def masked(self, tool, text):
        text = text.replace(self.directory, "DIR")
        for topic_id in self.ids.values():
            text = text.replace(topic_id, "TOPIC-ID")
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        if tool == "kafka-dump-log":
            text = SEGMENT.sub(r"\1MASKED", text)
        text = SPEED.sub('"avg_throughput":N', text)
        if tool == "kafka-log-dirs":
            text = "\n".join(log_dirs(line) if line.startswith("{") else line for line in text.splitlines())
        if tool == "kafka-transactions":
            text = PRODUCER.sub("PRODUCER-ID", text)
        if tool in ("kafka-features", "kafka-metadata-quorum"):
            text = METADATA_LOG.sub(r"\1N", text)
        if tool in WITH_FIGURES:
            text = FIGURES.sub("N", text)
        text = NAMES.sub(lambda names: ", ".join(sorted(names[0].split(", "))), text)
        text = CONFIGS.sub(lambda configs: ",".join(sorted(configs[0].split(","))), text)
        lines = [line.rstrip() for line in text.splitlines()]
        return [line for line in lines if line and not re.match(r"\s+(at |\.\.\. \d+ more)", line)]


def log_dirs(line):
    """The answer of kafka-log-dirs with a line for each partition, in the order of their names."""
    answer = json.loads(line)
    lines = []
    for broker in answer["brokers"]:
        for log_dir in broker["logDirs"]:
            partitions = log_dir.pop("partitions")
            lines.append(json.dumps({"broker": broker["broker"], **log_dir}))
            lines += [json.dumps(partition) for partition in sorted(partitions, key=lambda each: each["partition"])]
    return "\n".join(lines)


def last_words(text):
    """The last value of each key that has one, of the objects that a formatter of Kafka's prints without anything between them."""
    decoder, last, at = json.JSONDecoder(), {}, 0
    while at < len(text.rstrip()):
        found, at = decoder.raw_decode(text, at)
        # The readers are in groups themselves.
        if not found["key"]["data"]["group"].startswith("console-consumer-"):
            last[json.dumps(found["key"])] = found
    lines = [json.dumps(found, separators=(",", ":")) for found in last.values() if found["value"] is not None]
    return "".join(f"{line}\n" for line in sorted(lines))


def in_sum(text):
    """What a verifiable consumer tells, however many answers its records came in and however often its assignment was not ready yet."""
    lines, ranges, committed = [], {}, {}
    events = [(line, json.loads(line) if line.startswith("{") else {}) for line in text.splitlines()]
    is_assignment = [event.get("name") == "partitions_assigned" for _, event in events]
    has_partitions = any(event["partitions"] for (_, event), is_one in zip(events, is_assignment) if is_one)
    for (line, event), is_one in zip(events, is_assignment):
        if is_one and has_partitions and not event["partitions"]:
            continue
        if event.get("name") == "records_consumed":
            for each in event["partitions"]:
                place = (each["topic"], each["partition"])
                first, last, count = ranges.get(place, (each["minOffset"], 0, 0))
                ranges[place] = (min(first, each["minOffset"]), max(last, each["maxOffset"]), count + each["count"])
        elif event.get("name") == "offsets_committed" and event["success"]:
            committed |= {(each["topic"], each["partition"]): each["offset"] for each in event["offsets"]}
        else:
            lines.append(line)
    lines += [f"consumed {place}: {span}" for place, span in sorted(ranges.items())]
    lines += [f"committed {place}: {offset}" for place, offset in sorted(committed.items())]
    return "".join(f"{line}\n" for line in lines)


def only(lines, others):
    """The lines that the others lack, as often as they lack them."""
    return list((collections.Counter(lines) - collections.Counter(others)).elements())


class Differences:
    """What is known to differ: each entry has to be used."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.entries = tomllib.load(file).get("difference", [])
        self.used = set()
        for entry in self.entries:
            assert entry["reason"].strip(), f"no reason for {entry}"

    def explain(self, command, side, line):
        """Whether an entry has this line of that side for this command."""
        found = False
        for number, entry in enumerate(self.entries):
            for pattern in entry.get(side, []):
                if re.fullmatch(entry["command"], command) and re.fullmatch(pattern, line):
                    self.used.add((number, side, pattern))
                    found = True
        return found

    def drop_extras(self, command, missing):
        """Takes away those lines of Kafka's that are ours but for what an entry says that Kafka adds."""
        for number, entry in enumerate(self.entries):
            for pattern in entry.get("kafka_adds", []):
                if not re.fullmatch(entry["command"], command):
                    continue
                for line in list(missing["kafka"]):
                    without = re.sub(pattern, "", line).rstrip()
                    if without != line and without in missing["highwater"]:
                        missing["kafka"].remove(line)
                        missing["highwater"].remove(without)
                        self.used.add((number, "kafka_adds", pattern))

    def unused(self):
        for number, entry in enumerate(self.entries):
            for side in ["kafka", "kafka_adds", "highwater"]:
                for pattern in entry.get(side, []):
                    if (number, side, pattern) not in self.used:
                        yield f"{entry['command']}: {side} no longer prints what is explained by `{entry['reason']}`: {pattern}"


def compare(script, sides, differences):
    """Prints every command that differs without an explanation; gives how many are the same, explained, and not."""
    counts = collections.Counter()
    for line, *pair in zip(script, *(side.outcomes for side in sides)):
        first, second = (outcome.lines for outcome in pair)
        missing = {"kafka": only(first, second), "highwater": only(second, first)}
        is_order = first != second and not any(missing.values())
        differences.drop_extras(line.text, missing)
        unexplained = []
        for side, lines in missing.items():
            unexplained += [(side, text) for text in lines if not differences.explain(line.text, side, text)]
        if is_order:
            unexplained = [("order", f"{ours} <> {theirs}") for ours, theirs in zip(first, second) if ours != theirs]
        word = "differs" if unexplained else "explained" if first != second else "same"
        counts[word] += 1
        if unexplained:
            print(f"--- {line.text}")
            for side, text in unexplained:
                print(f"{side:>9} | {text}")
    return counts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--script", default=SCRIPT)
    parser.add_argument("--transcripts", help="a directory that gets what was printed, masked")
    return parser.parse_args()


def write_transcript(path, side, script):
    with open(path, "w", encoding="utf-8") as file:
        for line, outcome in zip(script, side.outcomes):
            file.write(f"$ {line.text}    ({outcome.seconds:.2f} s)\n" + "".join(f"{text}\n" for text in outcome.lines))
            file.write("".join(f"message: {message}\n" for message in outcome.messages))


def run(options, directory):
    with open(options.script, encoding="utf-8") as file:
        script = parsed(file.read())
    differences = Differences(DIFFERENCES)
    java.classes()
    homes = [os.path.join(directory, name) for name in ["kafka", "highwater"]]
    for home in homes:
        os.makedirs(home)
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--shards", "2", "--io", options.io, "{settings}"]
    ours = Broker([os.path.abspath(options.binary), "dev", *flags], homes[1])
    sides = [Side("kafka", kafka(homes[0]), homes[0]), Side("highwater", ours, homes[1])]
    begun = time.monotonic()
    threads = [threading.Thread(target=side.run, args=(script,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for side in sides:
        if options.transcripts:
            os.makedirs(options.transcripts, exist_ok=True)
            write_transcript(os.path.join(options.transcripts, f"{side.name}.txt"), side, script)
        if side.failure:
            print(f"{side.name}: {side.failure!r}\n{side.broker.log()[-4000:]}")
    if any(side.failure for side in sides):
        return 1
    counts = compare(script, sides, differences)
    unused = list(differences.unused())
    print("".join(f"{text}\n" for text in unused), end="")
    words = ", ".join(f"{counts[word]} {word}" for word in ["same", "explained", "differs"])
    print(f"Kafka's tools: {len(script)} commands in {time.monotonic() - begun:.0f} s: {words}; {len(unused)} entries to remove")
    return 1 if counts["differs"] or unused or not counts["same"] else 0


def main():
    directory = tempfile.mkdtemp(prefix="highwater-peer-")
    try:
        return run(arguments(), directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
