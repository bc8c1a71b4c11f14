#!/usr/bin/env python3
"""Mixed load on one broker, which is started here: its memory stays under what it was given, and others are served all the while.

    soak.py --binary PATH [--minutes N] [--csv FILE] [--io uring|epoll|auto] [--dir DIR]

Producers, readers, readers that take nothing or little, writers that send byte by byte, connections that come and go, topics that do so too,
administration and hostile input, each in a process of its own. Every five seconds tells the memory of the broker and how one other client is
served; fails when the memory ever passed the bound, or when that client waits ever longer.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

import catalogue
import raw
from broker import Broker

MIB = 1 << 20
SHARDS = 2
# The least that a shard may be given.
MEMORY_BYTES = 128 * MIB
# What a broker has beside its pools: its program and stacks, connections, topics, what is decoded and uncompressed, and what the allocator
# does not give back.
OVERHEAD_BYTES = 128 * MIB
BOUND_BYTES = SHARDS * MEMORY_BYTES + OVERHEAD_BYTES
SAMPLE_SECONDS = 5
# A round of the other client is slower than this only if something holds it up.
ROUND_SECONDS_MAX = 10
# The latency of the last third beside that of the first.
GROWTH_MAX, GROWN_MILLIS_MIN = 5, 250
TOPICS = [f"soak-{number}" for number in range(4)]
SETTINGS = [("segment.bytes", str(8 * MIB)), ("retention.bytes", str(64 * MIB))]


def patiently(step):
    """Repeats a step; a connection that was closed begins anew."""

    def worker(address):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        state = {}
        while True:
            try:
                step(address, state)
            except (raw.Closed, raw.Silent, OSError):
                state.clear()
                time.sleep(0.1)

    worker.__name__ = step.__name__
    return worker


def link(address, state):
    if "link" not in state:
        state["link"] = raw.Link(address, 60)
    return state["link"]


@patiently
def produces(address, state):
    """Batches that were made once, so that this process is not the limit; some are compressed."""
    if "batches" not in state:
        payload = b"".join(raw.record(place=place, value=random.randbytes(1000)) for place in range(64))
        packed = [raw.packed(codec, payload, count=64) for codec in (raw.LZ4, raw.ZSTD)]
        state["batches"] = [raw.batch(payload, count=64), *packed]
    raw.produce(link(address, state), random.choice(TOPICS), random.choice(state["batches"]))
    time.sleep(0.002)


def start_of(address, state, topic):
    """The first offset of a topic, by ListOffsets."""
    part = raw.array([struct.pack(">iq", 0, -2)])
    answer = raw.Answer(link(address, state).ask(2, 1, struct.pack(">i", -1) + raw.array([raw.text(topic) + part])))
    answer.take("i")
    answer.text()
    return answer.take("iihqq")[4]


@patiently
def reads(address, state):
    topic = state.setdefault("topic", random.choice(TOPICS))
    if "offset" not in state:
        state["offset"] = start_of(address, state, topic)
    error, parts = raw.fetch(link(address, state), [(topic, [(0, state["offset"])])], wait=100)
    if error != "NONE" or parts[0][0] != "NONE":
        del state["offset"]
        return
    data, at = parts[0][2], 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        state["offset"] = base + struct.unpack_from(">i", data, at + 23)[0] + 1
        at += 12 + length
    time.sleep(0.01)


def greedy_fetch(topic, offset, correlation):
    part = struct.pack(">iqqi", 0, offset, -1, 64 * MIB)
    body = struct.pack(">iiiibii", -1, 0, 0, 64 * MIB, 0, 0, -1) + raw.array([raw.text(topic) + raw.array([part])])
    data = struct.pack(">hhih", 1, 7, correlation, -1) + body + raw.array([])
    return struct.pack(">i", len(data)) + data


@patiently
def takes_little(address, state):
    """Greedy fetches of all there is, of which next to nothing is taken."""
    if "sockets" not in state:
        state["sockets"] = []
        for _ in range(16):
            topic = random.choice(TOPICS)
            offset = start_of(address, state, topic)
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(address)
            one.sendall(b"".join(greedy_fetch(topic, offset, number) for number in range(8)))
            one.setblocking(False)
            state["sockets"].append(one)
        state["until"] = time.monotonic() + random.uniform(5, 30)
    if time.monotonic() > state["until"]:
        for one in state.pop("sockets"):
            one.close()
        return
    for one in state["sockets"]:
        try:
            one.recv(100)
        except OSError:
            pass
    time.sleep(1)


@patiently
def writes_slowly(address, state):
    """Large frames that come in small pieces."""
    if "sockets" not in state:
        state["sockets"] = [socket.create_connection(address, timeout=10) for _ in range(32)]
        for one in state["sockets"]:
            one.sendall(struct.pack(">i", random.randrange(MIB, 90 * MIB)))
    for one in state["sockets"]:
        one.sendall(bytes(random.randrange(2_000, 20_000)))
    time.sleep(1)
    if random.random() < 0.03:
        for one in state.pop("sockets"):
            one.close()


@patiently
def comes_and_goes(address, state):
    for _ in range(20):
        one = socket.create_connection(address, timeout=10)
        if random.random() < 0.5:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request = struct.pack(">hhih", raw.API_VERSIONS, 0, 1, -1)
        one.sendall(struct.pack(">i", len(request)) + request)
        if random.random() < 0.7:
            one.recv(100)
        one.close()
    time.sleep(0.05)


@patiently
def makes_topics(address, state):
    names = [f"short-{random.randrange(10**9)}" for _ in range(5)]
    for name in names:
        raw.create(link(address, state), name, partitions=10)
        raw.produce(link(address, state), name, raw.batch(raw.record(value=bytes(10_000))))
    body = raw.array([raw.text(name) for name in names]) + struct.pack(">i", 30_000)
    time.sleep(0.2)
    link(address, state).ask(raw.DELETE_TOPICS, 3, body)


@patiently
def administers(address, state):
    one = link(address, state)
    one.ask(raw.METADATA, 1, struct.pack(">i", -1))
    topic = random.choice(TOPICS)
    one.ask(raw.DESCRIBE_CONFIGS, 1, raw.array([b"\2" + raw.text(topic) + struct.pack(">i", -1)]) + b"\0")
    settings = raw.array([raw.text(name) + raw.text(value) for name, value in [*SETTINGS, ("index.interval.bytes", "4096")]])
    one.ask(33, 0, raw.array([b"\2" + raw.text(topic) + settings]) + b"\0")
    start_of(address, state, topic)
    time.sleep(0.1)


@patiently
def is_hostile(address, state):
    catalogue.run(address)
    one = link(address, state)
    for codec in raw.CODECS.values():
        raw.produce(one, TOPICS[0], raw.batch(raw.bomb(codec, 256 * MIB), attributes=codec))
    time.sleep(20)


WORKERS = [*[produces] * 3, *[reads] * 2, takes_little, takes_little, writes_slowly, comes_and_goes, makes_topics, administers, is_hostile]


class Sample:
    def __init__(self, begun, broker, canary):
        self.at = time.monotonic() - begun
        self.memory, self.files = broker.memory_bytes(), broker.open_files()
        self.rounds, self.median, self.slow = canary.taken()

    def __str__(self):
        return f"{self.at:.0f},{self.memory},{self.files},{self.rounds},{self.median:.2f},{self.slow:.2f}"


def curve(samples, rows=40):
    """The samples as text, a row for each of some equal stretches of time: the most of memory, and how the other client was served."""
    step = max(1, (len(samples) + rows - 1) // rows)
    print(f"{'s':>5} {'MiB':>5} {'of the bound':40} {'p50 ms':>8} {'p99 ms':>8}")
    for at in range(0, len(samples), step):
        some = samples[at : at + step]
        memory = max(sample.memory for sample in some)
        bar = "#" * round(40 * memory / BOUND_BYTES)
        median = sorted(sample.median for sample in some)[len(some) // 2]
        slow = max(sample.slow for sample in some)
        print(f"{some[-1].at:5.0f} {memory >> 20:5} {bar:40} {median:8.1f} {slow:8.1f}")


def median(numbers):
    return sorted(numbers)[len(numbers) // 2]


def judge(samples, canary, peak):
    """What is wrong, as text."""
    wrong = []
    if canary.trouble:
        wrong.append(f"another client was disturbed: {canary.trouble}")
    if peak > BOUND_BYTES:
        wrong.append(f"{peak >> 20} MiB of memory, {BOUND_BYTES >> 20} are allowed")
    if canary.slowest > ROUND_SECONDS_MAX:
        wrong.append(f"another client waited for {canary.slowest:.1f} s")
    third = max(1, len(samples) // 3)
    first, last = (median([sample.slow for sample in part]) for part in (samples[:third], samples[-third:]))
    if last > GROWN_MILLIS_MIN and last > GROWTH_MAX * first:
        wrong.append(f"the p99 of another client grew from {first:.0f} to {last:.0f} ms")
    return wrong


def run(broker, seconds, out):
    address = ("127.0.0.1", broker.port)
    first = raw.Link(address)
    for topic in TOPICS:
        raw.create(first, topic, configs=SETTINGS)
    samples = []
    workers = [multiprocessing.Process(target=worker, args=(address,), daemon=True) for worker in WORKERS]
    with raw.Canary(address, "canary") as canary:
        for worker in workers:
            worker.start()
        begun = time.monotonic()
        print("seconds,memory bytes,open files,rounds,p50 ms,p99 ms", file=out)
        while time.monotonic() < begun + seconds and not canary.trouble:
            time.sleep(SAMPLE_SECONDS)
            if not broker.is_alive():
                raise SystemExit(f"the broker died:\n{broker.log()[-4000:]}")
            samples.append(Sample(begun, broker, canary))
            print(samples[-1], file=out, flush=True)
        for worker in workers:
            worker.kill()
            worker.join()
    curve(samples)
    peak = broker.most_memory_bytes()
    print(f"{SHARDS} shards of {MEMORY_BYTES >> 20} MiB and {OVERHEAD_BYTES >> 20} MiB beside: {peak >> 20} MiB at most; ", end="")
    print(f"{canary.rounds} rounds of the canary, the slowest {canary.slowest:.2f} s")
    wrong = judge(samples, canary, peak)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def main():
    multiprocessing.set_start_method("fork")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--csv", help="where the samples go; by default they are not kept")
    parser.add_argument("--io", default="auto")
    parser.add_argument("--dir", help="where the data lies meanwhile")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="highwater-soak-", dir=options.dir)
    settings = [f"shards={SHARDS}", f"memory.bytes={MEMORY_BYTES}", "log.retention.check.interval.ms=1000"]
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--io", options.io, "{settings}"]
    broker = Broker([os.path.abspath(options.binary), "dev", *flags], directory, settings)
    try:
        with open(options.csv or os.devnull, "w", encoding="utf-8") as out:
            return run(broker.start(), 60 * options.minutes, out)
    finally:
        if broker.is_alive():
            broker.kill()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
