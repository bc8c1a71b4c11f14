#!/usr/bin/env python3
"""Every key and version of the protocol with bodies that are empty, random, cut short, or full of absurd counts and lengths.

    catalogue.py --bootstrap HOST:PORT

Each request is followed by an ApiVersions on the same connection: either both are answered, in order, or the connection is closed. The
bodies are made of those in core/tests/data, which Kafka's own encoder wrote.
"""

import argparse
import dataclasses
import io
import json
import os
import random
import socket
import struct
import sys
import time

import raw
import zstandard

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/tests/data/vectors.ndjson.zst")
SECONDS = 10
ABSURD = [struct.pack(">i", number) for number in (2**31 - 1, -1, -(2**31), 1 << 24, 65_535)]
ABSURD += [b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80" * 12, b"\x7f\xff"]
PROBE = 1 << 30


@dataclasses.dataclass
class Report:
    requests: int = 0
    answered: int = 0
    closed: int = 0
    # Produce with acks 0 has no answer.
    unanswered: int = 0
    silent: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def __str__(self):
        word = f"{self.requests} requests in {self.seconds:.1f} s: {self.answered} answered, {self.closed} closed"
        return f"{word}, {self.unanswered} without acks, {len(self.silent)} silent"


def vectors():
    """The bodies of requests by key and version."""
    found = {}
    with open(VECTORS, "rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        for line in lines:
            vector = json.loads(line)
            if vector["kind"] == "request":
                found.setdefault((vector["key"], vector["version"]), []).append(bytes.fromhex(vector["hex"]))
    return found


def patient(key, version, body):
    """A Fetch says how long it may wait, and would be right to do so."""
    at = 0 if version >= 15 else 4
    return body[:at] + bytes(4) + body[at + 4 :] if key == raw.FETCH and len(body) >= at + 4 else body


def bodies(samples, dice):
    yield b""
    for length in (3, 40, 700):
        yield dice.randbytes(length)
    yield ABSURD[0] * 8
    yield ABSURD[5] * 8
    for sample in samples[:3]:
        yield sample
        for _ in range(2):
            yield sample[: dice.randrange(len(sample) + 1)]
        for _ in range(3):
            at = dice.randrange(len(sample) + 1)
            absurd = dice.choice(ABSURD)
            yield sample[:at] + absurd + sample[at + len(absurd) :]


def requests():
    dice = random.Random(1)
    known = vectors()
    versions = dict(known)
    for key in {key for key, _ in known}:
        of_key = [version for other, version in known if other == key]
        for version in (min(of_key) - 1, max(of_key) + 1):
            versions.setdefault((key, version), known[key, of_key[0]])
    for key in (-1, 93, 999, 2**15 - 1):
        versions[key, 0] = [bytes(8)]
    for (key, version), samples in sorted(versions.items()):
        for body in bodies(samples, dice):
            # With and without the tags that the header of a flexible version has.
            for tags in (b"", b"\0"):
                yield key, version, tags + patient(key, version, body)


def framed(key, version, correlation, body):
    head = struct.pack(">hhih", key, version, correlation, 3) + b"cat"
    return struct.pack(">i", len(head) + len(body)) + head + body


class Stream:
    """A connection, and the frames that come on it."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def correlation(self):
        """That of the next answer; None at the end of the connection."""
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack_from(">i", self.data)[0]:
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionError:
                return None
            if not more:
                return None
            self.data += more
        length, found = struct.unpack_from(">ii", self.data)
        self.data = self.data[4 + length :]
        return found


def judge(stream, one, correlation, report):
    """What became of a request; whether its connection goes on."""
    key, version, body = one
    try:
        stream.socket.sendall(framed(key, version, correlation, body) + framed(raw.API_VERSIONS, 0, PROBE, b""))
        found = stream.correlation()
        if found == correlation:
            report.answered += 1
            found = stream.correlation()
        elif found == PROBE and key == raw.PRODUCE:
            report.unanswered += 1
        if found not in (PROBE, None):
            raise AssertionError(f"key {key} version {version}: an answer to {found}")
    except TimeoutError:
        report.silent.append(f"key {key} version {version} body {body[:60].hex()}")
        found = None
    except ConnectionError:
        found = None
    report.closed += found is None
    return found == PROBE


def run(address):
    report, stream, begun = Report(), None, time.monotonic()
    for correlation, one in enumerate(requests()):
        report.requests += 1
        stream = stream or Stream(address)
        if not judge(stream, one, correlation, report):
            stream.socket.close()
            stream = None
    report.seconds = time.monotonic() - begun
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    host, port = parser.parse_args().bootstrap.rsplit(":", 1)
    report = run((host, int(port)))
    print(report, *report.silent, sep="\n")
    return 1 if report.silent else 0


if __name__ == "__main__":
    sys.exit(main())
