"""What one client takes too much of is not missing elsewhere: connections, topics, memory for answers, room in the metadata log."""

import socket
import time

import load
import raw
import soak
import topics
from check import check, same, that

MIB = 1 << 20
SETTINGS = ["shards=1", f"memory.bytes={128 * MIB}"]
# Descriptors of a broker that gets into the neighbourhood of its bound.
FILES = 2_000
# The longest value of a list.
LIST = ",".join(f"{number % 10_000}:0" for number in range(5_000))[:30_000].rsplit(",", 1)[0]


@check(seconds=60, own_broker=True)
def connections_beyond_the_bound_are_closed(context):
    broker = context.start(SETTINGS, before=["prlimit", f"--nofile={FILES}"])
    load.run(broker, FILES)
    broker.kill()


@check(seconds=90, own_broker=True)
def a_thousand_topics_come_and_go(context):
    broker = context.start(SETTINGS)
    topics.run(broker, 1_000)
    broker.kill()


@check(seconds=60, own_broker=True)
def more_than_the_metadata_log_takes_is_refused(context):
    broker = context.start(SETTINGS)
    link = raw.Link(("127.0.0.1", broker.port))
    same(raw.create(link, "wide", partitions=10_000), "NONE", "all partitions that one request may create")
    names = [f"talkative-{number}" for number in range(3_000)]
    settings = raw.array([raw.text("leader.replication.throttled.replicas") + raw.text(LIST)])
    head = b"\0\0\0\1\0\1" + raw.array([])
    body = raw.array([raw.text(name) + head + settings for name in names]) + b"\0\0\x3a\x98\0"
    answer = raw.Answer(link.ask(raw.CREATE_TOPICS, 2, body))
    answer.take("ii")
    for name in names:
        same(answer.text(), name)
        same(raw.ERRORS[answer.take("h")], "POLICY_VIOLATION", f"{name}, of {len(body) >> 20} MiB")
        that("in parts" in answer.text(), "the message says what to do")
    same(raw.create(link, names[0]), "NONE", "what was refused was not done")
    that(broker.is_alive(), "the broker goes on")
    broker.kill()


@check(seconds=90, own_broker=True)
def readers_that_take_nothing_hold_up_nobody(context):
    broker = context.start(SETTINGS)
    address = ("127.0.0.1", broker.port)
    writer = raw.Link(address)
    raw.ready(writer, "pinned")
    payload = raw.record(value=bytes(900_000))
    batch = raw.batch(payload)
    readers, base = [], 0
    with raw.Canary(address, "canary") as canary:
        for _ in range(300):
            error, base, message = raw.produce(writer, "pinned", batch)
            same(error, "NONE", message)
            # Each holds what was just written.
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(address)
            one.sendall(soak.greedy_fetch("pinned", max(base - 8, 0), 1))
            readers.append(one)
        time.sleep(3)
    same(canary.trouble, None)
    that(canary.slowest < 5, f"another client waited for {canary.slowest:.1f} s")
    memory = broker.memory_bytes()
    that(memory < soak.MEMORY_BYTES + soak.OVERHEAD_BYTES, f"{memory >> 20} MiB of memory")
    print(f"{len(readers)} readers, {memory >> 20} MiB, slowest round of another client {canary.slowest:.2f} s")
    for one in readers:
        one.close()
    broker.kill()
