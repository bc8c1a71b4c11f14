#!/usr/bin/env python3
"""Figures of a running broker: durable latency beside that of a bare write, and its CPU per GB.

    measure.py --bootstrap HOST:PORT --pid PID --dir DIR [--seconds N]

Sends batches that were encoded beforehand over a plain socket, so that the client is not the limit. The bare write is
O_DIRECT + RWF_DSYNC of one block to a file that was written before, in DIR, which should be on the broker's disk. Latencies are
those of a closed loop with one request in flight: compare them with each other, not with other tools'.
"""

import argparse
import mmap
import os
import socket
import struct
import time

CRC_TABLE = []
for value in range(256):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    CRC_TABLE.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def batch(records, size):
    """One record batch of `records` values of `size` bytes."""
    body = b""
    for index in range(records):
        record = b"\0" + varint(0) + varint(index) + varint(-1) + varint(size) + b"x" * size + varint(0)
        body += varint(len(record)) + record
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", 0, records - 1, now, now, -1, -1, -1, records) + body
    return struct.pack(">qiiBI", 0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def produce(topic, records, acks):
    body = struct.pack(">hhih", 0, 3, 1, -1) + struct.pack(">hhi", -1, acks, 30000)
    body += struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, 0) + struct.pack(">i", len(records)) + records
    return struct.pack(">i", len(body)) + body


def receive(sock):
    head = b""
    while len(head) < 4:
        head += sock.recv(4 - len(head))
    left = struct.unpack(">i", head)[0]
    body = b""
    while len(body) < left:
        body += sock.recv(left - len(body))
    return body


def create(sock, topic):
    body = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 1) + text(topic)
    for _ in range(50):
        sock.sendall(struct.pack(">i", len(body)) + body)
        receive(sock)
        sock.sendall(produce(topic, batch(1, 10), -1))
        # Response: correlation id, one topic, its name, one partition, its index, the error code.
        if receive(sock)[4 + 4 + 2 + len(topic) + 4 + 4:][:2] == b"\0\0":
            return
        time.sleep(0.05)
    raise SystemExit("the topic could not be written to")


def quantile(values, share):
    return sorted(values)[int(len(values) * share)] * 1e6


def durable_latency(sock, topic, count):
    request = produce(topic, batch(1, 1024), -1)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        sock.sendall(request)
        receive(sock)
        took.append(time.perf_counter() - began)
    return took


def bare_latency(directory, count):
    path = os.path.join(directory, "measure.tmp")
    blocks = 256
    buffer = mmap.mmap(-1, 4096)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    try:
        for block in range(blocks):
            os.pwritev(fd, [buffer], block * 4096)
        os.fsync(fd)
        took = []
        for turn in range(count):
            began = time.perf_counter()
            os.pwritev(fd, [buffer], turn % blocks * 4096, os.RWF_DSYNC)
            took.append(time.perf_counter() - began)
        return took
    finally:
        os.close(fd)
        os.unlink(path)


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def throughput(sock, topic, pid, seconds):
    payload = batch(64, 1024)
    request = produce(topic, payload, 1)
    depth = 5
    cpu, began, sent = cpu_seconds(pid), time.perf_counter(), 0
    for _ in range(depth):
        sock.sendall(request)
    while time.perf_counter() - began < seconds:
        receive(sock)
        sent += 1
        sock.sendall(request)
    for _ in range(depth):
        receive(sock)
        sent += 1
    took, used = time.perf_counter() - began, cpu_seconds(pid) - cpu
    gigabytes = sent * len(payload) / 1e9
    return gigabytes / took * 1000, used / gigabytes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    host, port = options.bootstrap.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    create(sock, "measure")
    for turn in range(3):
        ours, bare = durable_latency(sock, "measure", 3000), bare_latency(options.dir, 3000)
        print(
            f"durable 1 KiB, one in flight: p50 {quantile(ours, 0.5):.0f} us, p99 {quantile(ours, 0.99):.0f} us; "
            f"bare write: p50 {quantile(bare, 0.5):.0f} us, p99 {quantile(bare, 0.99):.0f} us"
        )
        rate, cost = throughput(sock, "measure", options.pid, options.seconds)
        print(f"acks=1, 64 x 1 KiB, 5 in flight: {rate:.0f} MB/s, broker CPU {cost:.2f} s/GB")


if __name__ == "__main__":
    main()
