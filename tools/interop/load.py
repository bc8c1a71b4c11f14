#!/usr/bin/env python3
"""Many connections to one broker, which is started here: what an idle one costs, whether others are served as before, and what
becomes of those beyond the broker's bound.

    load.py --binary PATH [--connections N] [--files N] [--io uring|epoll|auto]

Each connection sends an ApiVersions, later a Metadata. The broker opens as many files as its hard limit allows, or as --files says; where
fewer connections than wanted fit, those are opened that do. Several processes connect, from addresses of their own.
"""

import argparse
import multiprocessing
import os
import re
import resource
import select
import shutil
import socket
import struct
import sys
import tempfile
import time

import raw
from broker import Broker

PROCESSES = 4
# Connections of the canary, and of whoever looks whether the broker is there.
OTHERS = 16
# Connections beyond the bound, and how long the broker may take to close one.
BEYOND = 200
CLOSED_SECONDS = 10
# Idle time over which the canary is measured.
IDLE_SECONDS = 5


def request(key, version, correlation, body=b""):
    data = struct.pack(">hhih", key, version, correlation, -1) + body
    return struct.pack(">i", len(data)) + data


def answered(connection, correlation):
    """Whether the next response is to this request."""
    head = connection.recv(8, socket.MSG_WAITALL)
    if len(head) < 8 or struct.unpack(">ii", head)[1] != correlation:
        return False
    left = struct.unpack(">i", head[:4])[0] - 4
    while left:
        more = connection.recv(min(left, 1 << 16))
        if not more:
            return False
        left -= len(more)
    return True


def ask_all(connections, frame, correlation):
    """Sends to all, then reads from all: how many were answered."""
    for connection in connections:
        connection.sendall(frame)
    return sum(answered(connection, correlation) for connection in connections)


def crowd(number, address, count, orders, found):
    """A process that holds `count` connections and does what it is told with them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    connections = []
    # One request for the topic of the canary: what all topics come to is not the question here.
    metadata = request(raw.METADATA, 1, 2, raw.array([raw.text("canary")]))
    for order in iter(orders.get, "end"):
        try:
            if order == "connect":
                source = (f"127.0.1.{number + 1}", 0)
                for _ in range(count):
                    connections.append(socket.create_connection(address, timeout=30, source_address=source))
                found.put(ask_all(connections, request(raw.API_VERSIONS, 0, 1), 1))
            else:
                found.put(ask_all(connections, metadata, 2))
        except OSError as error:
            found.put(f"{type(error).__name__} {error} with {len(connections)} of {count} connections")


class Crowd:
    """Processes that hold connections together."""

    def __init__(self, address, count):
        self.orders = [multiprocessing.SimpleQueue() for _ in range(PROCESSES)]
        self.found = multiprocessing.SimpleQueue()
        shares = [count // PROCESSES + (number < count % PROCESSES) for number in range(PROCESSES)]
        parts = enumerate(zip(shares, self.orders))
        self.members = [
            multiprocessing.Process(target=crowd, args=(number, address, share, orders, self.found), daemon=True)
            for number, (share, orders) in parts
        ]
        for member in self.members:
            member.start()

    def all(self, order):
        """How many connections were answered, and the seconds that it took."""
        begun = time.monotonic()
        for orders in self.orders:
            orders.put(order)
        found = [self.found.get() for _ in self.members]
        trouble = [one for one in found if isinstance(one, str)]
        if trouble:
            raise AssertionError("; ".join(trouble))
        return sum(found), time.monotonic() - begun

    def leave(self):
        for orders, member in zip(self.orders, self.members):
            orders.put("end")
            member.join(30)


def allowed(broker):
    """How many connections the broker says that it takes."""
    found = re.search(r"(\d+) connections", broker.log())
    if not found:
        raise AssertionError(f"the broker does not say how many connections it takes:\n{broker.log()}")
    return int(found[1])


def closed_beyond(address, count):
    """How many of so many further connections the broker closes, in good time."""
    connections, closed = [], 0
    for _ in range(count):
        try:
            connections.append(socket.create_connection(address, timeout=CLOSED_SECONDS, source_address=("127.0.2.1", 0)))
        except ConnectionError:
            closed += 1
    # The broker says nothing of its own accord: what is readable is over.
    until(CLOSED_SECONDS, lambda: closed + ended(connections) >= BEYOND)
    closed += ended(connections)
    for connection in connections:
        connection.close()
    return closed


def ended(connections):
    watch = select.poll()
    for connection in connections:
        watch.register(connection, select.POLLIN)
    return len(watch.poll(0))


def until(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def tell(canary, what):
    # What went on meanwhile may have held its last round up: that one counts as well.
    rounds = canary.rounds
    until(10, lambda: canary.rounds > rounds)
    count, median, slow = canary.taken()
    print(f"{what}: {count} rounds of the canary, p50 {median:.1f} ms, p99 {slow:.1f} ms", flush=True)
    if not count or canary.trouble:
        raise AssertionError(f"{what}: the canary was not served: {canary.trouble}")


def run(broker, wanted):
    """Raises where the broker is wrong."""
    bound = allowed(broker)
    count = min(wanted, bound - OTHERS)
    address = ("127.0.0.1", broker.port)
    members = Crowd(address, count)
    with raw.Canary(address, "canary") as canary:
        time.sleep(1)
        tell(canary, "before")
        memory, files = broker.memory_bytes(), broker.open_files()
        found, seconds = members.all("connect")
        cost = (broker.memory_bytes() - memory) / count
        print(f"{found} of {wanted} connections ({bound} allowed), each with an ApiVersions, in {seconds:.1f} s", flush=True)
        if found != count:
            raise AssertionError(f"{count - found} of {count} connections were not answered")
        tell(canary, "while they came")
        time.sleep(IDLE_SECONDS)
        tell(canary, "while they are idle")
        print(f"memory: {cost:.0f} bytes for each, {broker.memory_bytes() >> 20} MiB in all", flush=True)
        found, seconds = members.all("metadata")
        if found != count:
            raise AssertionError(f"{count - found} of {count} connections got no Metadata")
        print(f"a Metadata on each, in {seconds:.1f} s", flush=True)
        tell(canary, "meanwhile")
        if count < wanted:
            closed = closed_beyond(address, OTHERS + BEYOND)
            print(f"{closed} connections beyond the bound were closed", flush=True)
            if closed < BEYOND:
                raise AssertionError(f"only {closed} of {BEYOND} connections beyond the bound were closed")
            tell(canary, "meanwhile")
        members.leave()
        if not until(10, lambda: broker.open_files() <= files + 16):
            raise AssertionError(f"{broker.open_files()} open files, of {files} before")
        print(f"after they left: {broker.memory_bytes() >> 20} MiB, {broker.open_files()} open files", flush=True)
    return cost


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--files", type=int)
    parser.add_argument("--io", default="auto")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="highwater-load-")
    limits = ["prlimit", f"--nofile={options.files}"] if options.files else []
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--shards", "2", "--io", options.io]
    broker = Broker([*limits, os.path.abspath(options.binary), "dev", *flags], directory)
    try:
        run(broker.start(), options.connections)
    finally:
        if broker.is_alive():
            broker.kill()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
