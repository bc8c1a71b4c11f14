"""Requests of groups written byte by byte, over a link of raw.py. What is not said is what a member of good faith would say."""

import collections
import struct

from raw import API_VERSIONS, ERRORS, OFFSET_COMMIT, Answer, array, blob, text

OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 9, 10, 11, 12, 13, 14
DESCRIBE_GROUPS, LIST_GROUPS, DELETE_GROUPS, OFFSET_DELETE, CONSUMER_GROUP_HEARTBEAT = 15, 16, 42, 47, 68

Joined = collections.namedtuple("Joined", "error generation protocol leader member members")
Beat = collections.namedtuple("Beat", "error message member epoch interval_ms partitions")

NO_ID = bytes(16)


def name(code):
    return ERRORS.get(code, str(code))


def ask_all(link, key, version, bodies, tags=b"", window=200):
    """The answers to many requests on one connection, so many of which are on their way at once."""
    link.ask(API_VERSIONS, 0, b"")
    waiting, first = 0, link.correlation + 1
    bodies = iter(bodies)
    while True:
        for body in bodies:
            link.correlation += 1
            head = struct.pack(">hhih", key, version, link.correlation, 7) + b"hostile" + tags
            link.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
            waiting += 1
            if waiting == window:
                break
        if not waiting:
            return
        data = link.exactly(struct.unpack(">i", link.exactly(4))[0])
        if struct.unpack_from(">i", data)[0] != first:
            raise AssertionError("answers come in the order of their requests")
        waiting, first = waiting - 1, first + 1
        yield data[4:]


def optional(value):
    return struct.pack(">h", -1) if value is None else text(value)


def subscription(*topics, owned=()):
    """A consumer's metadata of version 1: topics, no data of its own, and what it owns."""
    parts = [text(topic) + array([struct.pack(">i", each) for each in partitions]) for topic, partitions in owned]
    return struct.pack(">h", 1) + array([text(topic) for topic in topics]) + blob(None) + array(parts)


def join_body(group, member="", instance=None, protocols=None, kind="consumer", session_ms=10_000, rebalance_ms=10_000):
    protocols = [("range", subscription("t"))] if protocols is None else protocols
    head = text(group) + struct.pack(">ii", session_ms, rebalance_ms) + text(member) + optional(instance) + text(kind)
    return head + array([text(protocol) + blob(metadata) for protocol, metadata in protocols])


def joined(data):
    answer = Answer(data)
    _, error, generation = answer.take("ihi")
    protocol, leader, member = answer.text(), answer.text(), answer.text()
    members = []
    for _ in range(answer.take("i")):
        members.append((answer.text(), answer.text()))
        answer.blob()
    return Joined(name(error), generation, protocol, leader, member, members)


def join(link, group, member="", **fields):
    return joined(link.ask(JOIN_GROUP, 5, join_body(group, member, **fields)))


def join_fully(link, group, **fields):
    """Both rounds of joining (KIP-394)."""
    first = join(link, group, **fields)
    return join(link, group, first.member, **fields) if first.error == "MEMBER_ID_REQUIRED" else first


def sync(link, group, generation, member, assignments=(), instance=None):
    """The error, and the assignment."""
    body = text(group) + struct.pack(">i", generation) + text(member) + optional(instance)
    answer = Answer(link.ask(SYNC_GROUP, 3, body + array([text(each) + blob(data) for each, data in assignments])))
    _, error = answer.take("ih")
    return name(error), answer.blob()


def heartbeat(link, group, generation, member, instance=None):
    body = text(group) + struct.pack(">i", generation) + text(member) + optional(instance)
    return name(Answer(link.ask(HEARTBEAT, 3, body)).take("ih")[1])


def leave(link, group, *members):
    """The error, and that of each (member, instance)."""
    body = text(group) + array([text(member) + optional(instance) for member, instance in members])
    answer = Answer(link.ask(LEAVE_GROUP, 3, body))
    _, error, count = answer.take("ihi")
    found = []
    for _ in range(count):
        answer.text()
        answer.text()
        found.append(name(answer.take("h")))
    return name(error), found


def commit_body(group, topics, generation=-1, member="", instance=None, metadata=""):
    """Of [(topic, [(partition, offset)])]."""
    parts = [
        text(topic) + array([struct.pack(">iqi", index, offset, -1) + optional(metadata) for index, offset in offsets])
        for topic, offsets in topics
    ]
    return text(group) + struct.pack(">i", generation) + text(member) + optional(instance) + array(parts)


def commit_compact(link, group, topic, offset, epoch, member):
    """A commit of version 9, from which on members of the consumer protocol are told of a stale epoch."""
    part = struct.pack(">iqi", 0, offset, -1) + compact("") + b"\0"
    body = compact(group) + struct.pack(">i", epoch) + compact(member) + compact(None)
    body += compact_array([compact(topic) + compact_array([part]) + b"\0"]) + b"\0"
    answer = CompactAnswer(link.ask(OFFSET_COMMIT, 9, body, tags=b"\0"))
    answer.take("bi")
    answer.length()
    answer.text()
    answer.length()
    return name(answer.take("ih")[1])


def committed(data):
    """The errors of the partitions."""
    answer = Answer(data)
    answer.take("i")
    found = []
    for _ in range(answer.take("i")):
        answer.text()
        found += [name(answer.take("ih")[1]) for _ in range(answer.take("i"))]
    return found


def commit(link, group, topics, **fields):
    return committed(link.ask(OFFSET_COMMIT, 7, commit_body(group, topics, **fields)))


def fetch(link, group, topics):
    """The error, and of each partition ((topic, partition), offset, error, metadata); `topics` None are all."""
    parts = topics and [text(topic) + array([struct.pack(">i", index) for index in indexes]) for topic, indexes in topics]
    body = text(group) + (struct.pack(">i", -1) if topics is None else array(parts))
    answer = Answer(link.ask(OFFSET_FETCH, 5, body))
    answer.take("i")
    found = []
    for _ in range(answer.take("i")):
        topic = answer.text()
        for _ in range(answer.take("i")):
            index, offset, _ = answer.take("iqi")
            metadata = answer.text()
            found.append(((topic, index), offset, name(answer.take("h")), metadata))
    return name(answer.take("h")), found


def find(link, key, kind=0):
    answer = Answer(link.ask(FIND_COORDINATOR, 1, text(key) + struct.pack(">b", kind)))
    return name(answer.take("ih")[1])


def describe(link, *groups):
    """Of each group its error, state, protocol type, protocol and its members' ids."""
    answer = Answer(link.ask(DESCRIBE_GROUPS, 4, array([text(group) for group in groups]) + b"\0"))
    answer.take("i")
    found = []
    for _ in range(answer.take("i")):
        error = name(answer.take("h"))
        answer.text()
        state, kind, protocol = answer.text(), answer.text(), answer.text()
        members = []
        for _ in range(answer.take("i")):
            members.append(answer.text())
            for _ in range(3):
                answer.text()
            answer.blob()
            answer.blob()
        answer.take("i")
        found.append((error, state, kind, protocol, members))
    return found


def listed(link):
    """The error, and the ids of all groups."""
    answer = Answer(link.ask(LIST_GROUPS, 1, b""))
    _, error, count = answer.take("ihi")
    groups = []
    for _ in range(count):
        groups.append(answer.text())
        answer.text()
    return name(error), groups


def delete(link, *groups):
    answer = Answer(link.ask(DELETE_GROUPS, 0, array([text(group) for group in groups])))
    answer.take("i")
    found = {}
    for _ in range(answer.take("i")):
        group = answer.text()
        found[group] = name(answer.take("h"))
    return found


def delete_offsets(link, group, topics):
    """The error of the whole, and those of the partitions of [(topic, [partition])]."""
    parts = [text(topic) + array([struct.pack(">i", index) for index in indexes]) for topic, indexes in topics]
    answer = Answer(link.ask(OFFSET_DELETE, 0, text(group) + array(parts)))
    error, _ = answer.take("hi")
    found = []
    for _ in range(answer.take("i")):
        answer.text()
        found += [name(answer.take("ih")[1]) for _ in range(answer.take("i"))]
    return name(error), found


# The consumer protocol (KIP-848) has lengths of variable size only.


def length(number):
    """A length, plus one: 0 is none at all."""
    out = bytearray()
    number += 1
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def compact(value):
    raw = value.encode() if isinstance(value, str) else value
    return b"\0" if raw is None else length(len(raw)) + raw


def compact_array(items):
    return b"\0" if items is None else length(len(items)) + b"".join(items)


def beat_body(
    group, member, epoch, instance=None, rack=None, rebalance_ms=-1, topics=None, regex=None, assignor=None, owned=None
):  # fmt: skip
    """A heartbeat of version 1; `owned` is [(topic id, [partition])]."""
    parts = owned and [
        topic_id + compact_array([struct.pack(">i", index) for index in indexes]) + b"\0" for topic_id, indexes in owned
    ]
    head = compact(group) + compact(member) + struct.pack(">i", epoch) + compact(instance) + compact(rack)
    names = compact_array(None if topics is None else [compact(topic) for topic in topics])
    owned = compact_array(None if owned is None else parts or [])
    return head + struct.pack(">i", rebalance_ms) + names + compact(regex) + compact(assignor) + owned + b"\0"


class CompactAnswer(Answer):
    def length(self):
        number, shift = 0, 0
        while True:
            byte = self.take("B")
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number - 1

    def text(self):
        count = self.length()
        self.at += max(count, 0)
        return None if count < 0 else self.data[self.at - count : self.at].decode()


def beaten(data):
    answer = CompactAnswer(data)
    # The tags of the header come first.
    answer.take("b")
    _, error = answer.take("ih")
    message, member = answer.text(), answer.text()
    epoch, interval_ms, is_there = answer.take("iib")
    partitions = None
    if is_there > 0:
        partitions = set()
        for _ in range(answer.length()):
            topic_id = answer.data[answer.at : answer.at + 16]
            answer.at += 16
            partitions |= {(topic_id, answer.take("i")) for _ in range(answer.length())}
            answer.take("b")
    return Beat(name(error), message, member, epoch, interval_ms, partitions)


def beat(link, group, member, epoch, **fields):
    """A heartbeat of the consumer protocol; with epoch 0 it joins, with -1 it leaves."""
    if epoch == 0:
        fields = {"rebalance_ms": 30_000, "owned": [], "topics": ["t"], **fields}
    return beaten(link.ask(CONSUMER_GROUP_HEARTBEAT, 1, beat_body(group, member, epoch, **fields), tags=b"\0"))
