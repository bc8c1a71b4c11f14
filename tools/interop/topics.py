#!/usr/bin/env python3
"""Many topics on one broker, which is started here: created, listed, written to, there after a restart, and deleted.

    topics.py --binary PATH [--topics N] [--io uring|epoll|auto]

Each topic has two partitions; one in ten gets a record. Tells the seconds, the broker's memory and open files, and how a client of another
topic is served meanwhile.
"""

import argparse
import os
import shutil
import struct
import sys
import tempfile
import time

import raw
from broker import Broker

PARTITIONS = 2
# Topics of one request, and requests of one topic.
AT_ONCE = 500
ONE_BY_ONE = 200
# Slowest round of the other client, beside a machine that is busy with others.
ROUND_SECONDS_MAX = 5
# Open files beside those of the partitions in use.
FILES_MAX = 2_200
DELETED_SECONDS_MAX = 60


def create(link, names):
    topics = [raw.text(name) + struct.pack(">ih", PARTITIONS, 1) + raw.array([]) + raw.array([]) for name in names]
    answer = raw.Answer(link.ask(raw.CREATE_TOPICS, 2, raw.array(topics) + struct.pack(">ib", 30_000, 0)))
    results(answer, "ii", len(names), with_message=True)


def delete(link, names):
    body = raw.array([raw.text(name) for name in names]) + struct.pack(">i", 30_000)
    results(raw.Answer(link.ask(raw.DELETE_TOPICS, 3, body)), "ii", len(names), with_message=False)


def results(answer, head, count, with_message):
    _, found = answer.take(head)
    if found != count:
        raise AssertionError(f"{found} results for {count} topics")
    for _ in range(count):
        name, error = answer.text(), answer.take("h")
        message = answer.text() if with_message else None
        if error:
            raise AssertionError(f"{name}: {raw.ERRORS.get(error, error)} {message}")


def listed(link):
    """How many topics there are, by a Metadata of all."""
    answer = raw.Answer(link.ask(raw.METADATA, 1, struct.pack(">i", -1)))
    for _ in range(answer.take("i")):
        answer.take("i")
        answer.text()
        answer.take("i")
        answer.text()
    answer.take("i")
    return answer.take("i")


class Meter:
    """Tells what each step took and what it did to the broker and to others."""

    def __init__(self, broker, canary):
        self.broker, self.canary, self.begun = broker, canary, time.monotonic()
        self.slowest = 0

    def begin(self):
        self.canary.taken()
        self.begun = time.monotonic()

    def tell(self, what):
        seconds = time.monotonic() - self.begun
        count, median, slow = self.canary.taken()
        memory, files = self.broker.memory_bytes() >> 20, self.broker.open_files()
        print(f"{what}: {seconds:.2f} s, {memory} MiB, {files} files open; ", end="")
        print(f"meanwhile {count} rounds of the canary, p50 {median:.1f} ms, p99 {slow:.1f} ms", flush=True)
        if self.canary.trouble or self.canary.slowest > ROUND_SECONDS_MAX:
            raise AssertionError(f"{what}: {self.canary.trouble}, slowest round {self.canary.slowest:.1f} s")
        if files > FILES_MAX:
            raise AssertionError(f"{what}: {files} files are open")
        self.begin()


def parts(names, count):
    return [names[at : at + count] for at in range(0, len(names), count)]


def files_left(directory):
    """Files of partitions in the data directory, those of the metadata and of the canary included."""
    return sum(name.endswith(".log") for _, _, names in os.walk(directory) for name in names)


def fill(link, names, meter):
    for some in parts(names[:-ONE_BY_ONE], AT_ONCE):
        create(link, some)
    meter.tell(f"{len(names) - ONE_BY_ONE} topics created, {AT_ONCE} at a time")
    for name in names[-ONE_BY_ONE:]:
        create(link, [name])
    meter.tell(f"{ONE_BY_ONE} topics created one by one")
    for _ in range(5):
        found = listed(link)
    if found != len(names) + 1:
        raise AssertionError(f"{found} topics are listed")
    meter.tell("5 times a Metadata of all")
    for name in names[::10]:
        error, _, message = raw.produce(link, name, raw.batch(raw.record(value=name.encode())))
        if error != "NONE":
            raise AssertionError(f"{name}: {error} {message}")
    meter.tell(f"a record to each of {len(names[::10])} topics")


def run(broker, count):
    """Raises where the broker is wrong."""
    address, names = ("127.0.0.1", broker.port), [f"many-{number}" for number in range(count)]
    link = raw.Link(address, 60)
    with raw.Canary(address, "canary") as canary:
        meter = Meter(broker, canary)
        time.sleep(1)
        meter.tell("before")
        fill(link, names, meter)
    link.close()
    begun = time.monotonic()
    broker.stop()
    stopped = time.monotonic()
    broker.start()
    print(f"stopped in {stopped - begun:.2f} s, serves again {time.monotonic() - stopped:.2f} s later", flush=True)
    if listed(link) != count + 1:
        raise AssertionError("topics are not there after a restart")
    for name in names[::10]:
        if raw.fetch(link, [(name, [(0, 0)])])[1][0][2].count(name.encode()) != 1:
            raise AssertionError(f"the record of {name} is not there after a restart")
    with raw.Canary(address, "canary") as canary:
        meter = Meter(broker, canary)
        for some in parts(names[ONE_BY_ONE:], AT_ONCE):
            delete(link, some)
        meter.tell(f"{count - ONE_BY_ONE} topics deleted, {AT_ONCE} at a time")
        for name in names[:ONE_BY_ONE]:
            delete(link, [name])
        meter.tell(f"{ONE_BY_ONE} topics deleted one by one")
        if listed(link) != 1:
            raise AssertionError(f"{listed(link)} topics are left")
        while files_left(broker.directory) > 4:
            if time.monotonic() > meter.begun + DELETED_SECONDS_MAX:
                raise AssertionError(f"{files_left(broker.directory)} files are left")
            time.sleep(0.05)
        meter.tell("until their files are gone")
    link.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--topics", type=int, default=10_000)
    parser.add_argument("--io", default="auto")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="highwater-topics-")
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--shards", "2", "--io", options.io]
    broker = Broker([os.path.abspath(options.binary), "dev", *flags], directory)
    try:
        run(broker.start(), options.topics)
    finally:
        if broker.is_alive():
            broker.kill()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
