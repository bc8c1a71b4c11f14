#!/usr/bin/env python3
"""What a broker answers to hostile input: a table of inputs, the answers that we allow ourselves, and Kafka's beside ours.

    hostile.py --bootstrap HOST:PORT [--kafka HOST:PORT] [--row N]

The rows have the numbers of our list of what Kafka 4.3.1 gets wrong; those from 20 on are inputs that it answers well. The suite
runs each row as a check (with_hostile.py). Ends with status 1 where ours gives an answer that is not allowed.
"""

import argparse
import dataclasses
import struct
import sys
import time
import uuid
from collections.abc import Callable

import raw
from raw import GZIP, INT_MAX, LZ4, SNAPPY, ZSTD, batch, compress, packed, record, varint

REFUSED = {"CORRUPT_MESSAGE", "INVALID_RECORD"}
UNREADABLE = REFUSED | {"MESSAGE_TOO_LARGE"}
MIB = 1 << 20


@dataclasses.dataclass
class Probe:
    row: int
    what: str
    allowed: set
    # Of a link and the name of a topic that is there; the answer in a word.
    ask: Callable
    # An API that a broker may lack; then there is nothing to ask.
    key: int | None = None


PROBES = []


def probe(row, what, allowed, ask, key=None):
    PROBES.append(Probe(row, what, allowed if isinstance(allowed, set) else {allowed}, ask, key))


def send(row, what, allowed, make):
    """A probe that produces the bytes of one batch."""
    probe(row, what, allowed, lambda link, topic: raw.produce(link, topic, make())[0])


def three(**wrong):
    """Three records, the second of them with something wrong."""
    return record(0) + record(1, **wrong) + record(2)


def each_codec(row, what, allowed, payload, codecs=raw.CODECS, count=3):
    for name, codec in codecs.items():
        send(row, f"{what}, {name}", allowed, lambda codec=codec: packed(codec, payload(), count=count))


def rows_of_broken_records():
    for name, codec in raw.CODECS.items():
        junk = lambda codec=codec: batch(compress(codec, three()) + b"junk", count=3, attributes=codec)
        send(1, f"bytes behind the stream, {name}", REFUSED, junk)
    each_codec(1, "bytes behind the last record", REFUSED, lambda: three() + b"junk")
    send(1, "bytes behind the last record, plain", REFUSED, lambda: batch(three() + b"junk", count=3))
    codecs = {"plain": 0, **raw.CODECS}
    for more in (1, -1):
        each_codec(2, f"record length {more:+}", REFUSED, lambda more=more: three(more=more), codecs)
    each_codec(3, "key length -2", REFUSED, lambda: three(key=-2), codecs)
    each_codec(3, "value length -5", REFUSED, lambda: three(value=-5), codecs)
    for places in [(5,), (-1,), (0, 0), (1, 0), (0, 2)]:
        payload = lambda places=places: b"".join(record(place) for place in places)
        each_codec(4, f"offset deltas {places}", REFUSED, payload, {"plain": 0, "gzip": GZIP}, len(places))
    header = varint(1) + varint(1) + b"h" + varint(-2)
    each_codec(5, "header value length -2", REFUSED, lambda: three(headers=header), {"plain": 0, "zstd": ZSTD})
    send(5, "header key null", REFUSED, lambda: batch(record(headers=varint(1) + varint(-1) + varint(-1))))
    send(5, "attribute bits of a record", REFUSED, lambda: batch(record(attributes=0x81)))
    send(5, "attribute bits of a batch", REFUSED, lambda: batch(attributes=0x4000))
    send(5, "a producer id without an epoch", REFUSED, lambda: batch(who=(77, -1, 0)))
    probe(6, "Produce with null records", REFUSED, lambda link, topic: raw.produce(link, topic, None)[0])
    send(6, "Produce with no bytes of records", REFUSED, lambda: b"")


def rows_of_bombs():
    for name, codec in raw.CODECS.items():
        # The CRC of a snappy stream for 1 GiB, 49 MiB long, takes Python too long.
        count = 256 * MIB if codec == SNAPPY else 1024 * MIB
        make = lambda codec=codec, count=count: batch(raw.bomb(codec, count), attributes=codec)
        send(10, f"a record of {count // MIB} MiB, {name}", UNREADABLE, make)
    send(11, "a count of 2^30 records", REFUSED, lambda: batch(three(), count=1 << 30))
    send(11, "a count of 2^30 records, gzip", REFUSED, lambda: packed(GZIP, three(), count=1 << 30))
    claim = lambda: batch(b"\xff\xff\xff\xff\x07" + compress(SNAPPY, three())[1:], count=3, attributes=SNAPPY)
    send(11, "a snappy block that claims 2 GiB", UNREADABLE, claim)
    chunk = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + struct.pack(">i", INT_MAX) + compress(SNAPPY, three())
    send(11, "a snappy chunk of 2 GiB", REFUSED, lambda: batch(chunk, count=3, attributes=SNAPPY))
    empty = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + struct.pack(">i", -1) + compress(SNAPPY, three())
    send(11, "a snappy chunk of -1 bytes", REFUSED, lambda: batch(empty, count=3, attributes=SNAPPY))


def write_to(name):
    def ask(link, _):
        return raw.produce(link, name, batch(record(key=b"\0\1garbage", value=b"\xff\xff garbage")))[0]

    return ask


def with_a_session(change):
    """The error of a fetch in a session that was opened properly and is then spoken of wrongly."""

    def ask(link, topic):
        answer = raw.Answer(link.ask(raw.FETCH, 7, raw.fetch_body([(topic, [(0, 0)])], session=(0, 0))))
        _, _, session = answer.take("ihi")
        return raw.fetch(link, [], session=change(session))[0]

    return ask


def top_or_part(link, topics, **settings):
    """The error of a fetch, or else of its first partition."""
    error, parts = raw.fetch(link, topics, **settings)
    return parts[0][0] if error == "NONE" and parts else error


def crowd(count):
    return [(f"nobody-{index}", [(0, 0)]) for index in range(count)]


def rows_of_requests():
    named = lambda count: [("retention.ms", str(index + 1)) for index in range(count)]
    many = lambda link, _: raw.create(link, f"configs-{uuid.uuid4().hex}", configs=named(10_000))
    probe(8, "CreateTopics with one config 10,000 times", "INVALID_REQUEST", many)
    strange = [(f"no.such.config.{index}", "1") for index in range(10_000)]
    unknown = lambda link, _: raw.create(link, f"configs-{uuid.uuid4().hex}", configs=strange)
    probe(8, "CreateTopics with 10,000 unknown configs", {"INVALID_CONFIG", "INVALID_REQUEST"}, unknown)
    refused = {"UNKNOWN_TOPIC_OR_PARTITION", "INVALID_REQUEST", "closed"}
    probe(9, "Fetch of 100,000 topics", refused, lambda link, _: top_or_part(link, crowd(100_000)))
    session = lambda link, _: top_or_part(link, crowd(100_000), session=(0, 0))
    probe(9, "Fetch of 100,000 topics in a session", refused, session)
    internal = {"INVALID_TOPIC_EXCEPTION", "TOPIC_AUTHORIZATION_FAILED"}
    for name in ("__consumer_offsets", "__transaction_state", "__cluster_metadata"):
        probe(12, f"garbage to {name}", internal, write_to(name))
    grow = lambda count: lambda link, topic: raw.create_partitions(link, topic, count)
    for count in (INT_MAX, 0, -1):
        probe(13, f"CreatePartitions to {count}", {"INVALID_PARTITIONS"}, grow(count), raw.CREATE_PARTITIONS)
    new = lambda count: lambda link, _: raw.create(link, f"partitions-{uuid.uuid4().hex}", partitions=count)
    probe(13, "CreateTopics with 2^31-1 partitions", {"INVALID_PARTITIONS", "POLICY_VIOLATION"}, new(INT_MAX))
    probe(13, "CreateTopics with 0 partitions", "INVALID_PARTITIONS", new(0))
    probe(13, "CreateTopics with -2 partitions", "INVALID_PARTITIONS", new(-2))
    gone = "FETCH_SESSION_ID_NOT_FOUND"
    probe(14, "fetch session 2^31-1", gone, lambda link, _: raw.fetch(link, [], session=(INT_MAX, 1))[0])
    probe(14, "fetch session -5", gone, lambda link, _: raw.fetch(link, [], session=(-5, 1))[0])
    stale = "INVALID_FETCH_SESSION_EPOCH"
    probe(14, "fetch session epoch 2^31-1", stale, with_a_session(lambda session: (session, INT_MAX)))
    probe(14, "fetch session epoch -2", stale, with_a_session(lambda session: (session, -2)))
    isolated = lambda link, topic: top_or_part(link, [(topic, [(0, 0)])], isolation=7)
    probe(14, "isolation level 7", {"INVALID_REQUEST"}, isolated)


def rows_of_producers():
    unknown = {"UNKNOWN_PRODUCER_ID", "OUT_OF_ORDER_SEQUENCE_NUMBER"}
    far = 1 << 40
    send(15, "a producer id from nowhere, first sequence 5", unknown, lambda: batch(who=(far, 0, 5)))
    send(15, "a producer id from nowhere, first sequence 2^31-1", unknown, lambda: batch(who=(far, 0, INT_MAX)))
    send(15, "a producer id of -2", REFUSED, lambda: batch(who=(-2, 0, 0)))
    send(15, "a producer id with sequence -1", REFUSED, lambda: batch(who=(far, 0, -1)))
    stranger = REFUSED | {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}
    for bit, what in [(raw.CONTROL, "control"), (raw.CONTROL | raw.TRANSACTIONAL, "transactional control")]:
        send(20, f"a {what} batch from a client", stranger, lambda bit=bit: batch(attributes=bit, who=(far, 0, 0)))
    send(20, "the transactional bit without a producer id", stranger, lambda: batch(attributes=raw.TRANSACTIONAL))
    bit = lambda: batch(attributes=raw.TRANSACTIONAL, who=(far, 0, 0))
    send(20, "the transactional bit of a stranger", stranger, bit)


def rows_of_headers():
    for magic in (0, 1, 3, -1, 127):
        send(21, f"magic {magic}", REFUSED, lambda magic=magic: batch(magic=magic))
    for codec in (5, 6, 7):
        allowed = REFUSED | {"UNSUPPORTED_COMPRESSION_TYPE"}
        send(21, f"codec {codec}", allowed, lambda codec=codec: batch(attributes=codec))
    zstd = lambda link, topic: old_produce(link, topic, packed(ZSTD, three(), count=3))
    probe(21, "zstd in Produce 3", "UNSUPPORTED_COMPRESSION_TYPE", zstd)
    for count in (0, -1, 2, 4, INT_MAX):
        send(22, f"a count of {count} for 3 records", REFUSED, lambda count=count: batch(three(), count=count, delta=2))
    send(22, "a span of offsets that is not the count", REFUSED, lambda: batch(three(), count=3, delta=7))
    send(22, "a last offset delta of -1", REFUSED, lambda: batch(three(), count=3, delta=-1))
    send(22, "two batches", REFUSED, lambda: batch() + batch())
    send(22, "a batch cut short", REFUSED, lambda: batch()[:-1])
    send(22, "61 bytes of zeros", REFUSED, lambda: bytes(61))
    send(22, "a wrong CRC", "CORRUPT_MESSAGE", lambda: batch(crc=1))
    # Offsets that a client sends mean nothing, but their end must exist.
    send(22, "a base offset of 2^63-1", REFUSED, lambda: batch(three(), count=3, base=2**63 - 1))
    send(22, "a base offset of -1", REFUSED, lambda: batch(base=-1))
    wide = lambda: batch(record(time_delta=2**63 - 1), start=2**62)
    send(23, "a timestamp that overflows", {"INVALID_TIMESTAMP"} | REFUSED, wide)
    send(23, "a timestamp of 2^63-1", "INVALID_TIMESTAMP", lambda: batch(start=2**63 - 1))
    send(23, "a timestamp two hours ahead", "INVALID_TIMESTAMP", lambda: batch(start=raw.now() + 7_200_000))
    one = lambda: batch(three(time_delta=7_200_000), count=3)
    send(23, "one record two hours ahead, hidden from the header", "INVALID_TIMESTAMP", one)
    send(23, "log append time from a client", {"INVALID_TIMESTAMP"} | REFUSED, lambda: batch(attributes=8))


def old_produce(link, topic, records):
    answer = raw.Answer(link.ask(raw.PRODUCE, 3, raw.produce_body(topic, records)))
    answer.take("i")
    answer.text()
    answer.take("i")
    _, error = answer.take("ih")
    return raw.ERRORS.get(error, str(error))


def rows_of_names():
    bad = {"a slash": "a/b", "a NUL": b"a\0b", "250 characters": "x" * 250, "no character": "", "one dot": ".", "two dots": ".."}
    bad |= {"a space": "a b", "a line break": "a\nb", "an umlaut": "ä", "bytes that are no UTF-8": b"\xff\xfe"}
    allowed = {"INVALID_TOPIC_EXCEPTION"}
    for what, name in bad.items():
        is_text = what != "bytes that are no UTF-8"
        wanted = allowed if is_text else allowed | {"closed"}
        probe(24, f"CreateTopics, {what}", wanted, lambda link, _, name=name: raw.create(link, name))
        unknown = wanted | {"UNKNOWN_TOPIC_OR_PARTITION"}
        ask = lambda link, _, name=name: raw.produce(link, name, batch())[0]
        probe(24, f"Produce, {what}", unknown, ask)
        probe(24, f"Metadata, {what}", unknown, lambda link, _, name=name: metadata(link, name))
    longest = lambda link, _: raw.create(link, uuid.uuid4().hex + "y" * 217)
    probe(24, "CreateTopics, 249 characters", "NONE", longest)


def metadata(link, name):
    """The error of a topic whose Metadata is asked for, which may create it."""
    answer = raw.Answer(link.ask(raw.METADATA, 4, raw.array([raw.text(name)]) + b"\1"))
    answer.take("i")
    for _ in range(answer.take("i")):
        answer.take("i")
        answer.text()
        answer.take("i")
        answer.text()
    answer.text()
    answer.take("i")
    answer.take("i")
    code = answer.take("h")
    return raw.ERRORS.get(code, str(code))


def answer_of(one, link, topic):
    """The answer in a word, whatever becomes of the connection."""
    try:
        return one.ask(link, topic)
    except raw.Closed:
        return "closed"
    except raw.Silent:
        return "silent"


# Fifteen rows, and five kinds more.
for rows in (rows_of_broken_records, rows_of_bombs, rows_of_requests, rows_of_producers, rows_of_headers, rows_of_names):
    rows()


def topic_for(link, row):
    """A new topic for what a row sends; bombs must not fail for their length alone."""
    name = f"row-{row}-{uuid.uuid4().hex[:12]}"
    raw.create(link, name, configs=[("max.message.bytes", str(64 * MIB))] if row == 10 else [])
    raw.ready(link, name)
    return name


def answers(address, row):
    """Each probe of a row with its answer and seconds, and the topic that they wrote to."""
    link = raw.Link(address)
    topic, served = topic_for(link, row), raw.keys(link)
    found = []
    for one in [one for one in PROBES if one.row == row and one.key in (None, *served)]:
        begun = time.monotonic()
        found.append((one, answer_of(one, link, topic), time.monotonic() - begun))
    link.close()
    return topic, found


def answers_of_kafka(bootstrap, row):
    """The answers to a row by what was asked. What came before may have ended Kafka's controller, so that no topic can be made."""
    try:
        return {one.what: found for one, found, _ in answers(address_of(bootstrap), row)[1]}
    except (raw.Closed, raw.Silent, AssertionError):
        return {one.what: "makes no topic any more" for one in PROBES}


def address_of(bootstrap):
    host, port = bootstrap.rsplit(":", 1)
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--kafka")
    parser.add_argument("--row", type=int)
    options = parser.parse_args()
    wrong = 0
    print(f"{'row':3} {'input':52} {'Apache Kafka':30} ours")
    for row in sorted({one.row for one in PROBES}):
        if options.row not in (None, row):
            continue
        theirs = answers_of_kafka(options.kafka, row) if options.kafka else {}
        for one, found, seconds in answers(address_of(options.bootstrap), row)[1]:
            is_wrong = found not in one.allowed
            wrong += is_wrong
            mark = f"  WRONG, allowed: {', '.join(sorted(one.allowed))}" if is_wrong else ""
            slow = f" {seconds:.1f} s" if seconds > 1 else ""
            print(f"{row:3} {one.what:52} {theirs.get(one.what, '-'):30} {found}{slow}{mark}", flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
