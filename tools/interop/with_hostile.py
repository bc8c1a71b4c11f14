"""Hostile input over the wire: each row of hostile.py, what it did to others, and that nothing corrupt was appended."""

import socket
import struct
import threading
import time

import catalogue
import hostile
import raw
from check import check, same, that
from confluent_kafka import KafkaError, TopicPartition
from with_confluent import CODECS, consumer, create, send, producer

MIB = 1 << 20

# A round of produce and fetch beside all that; a commit takes its time on a slow disk.
ROUND_SECONDS_MAX = 5.0


def read_back(bootstrap, topic):
    """How many records a real client reads from the topic's first to its last offset, each CRC checked."""
    client = consumer(bootstrap, **{"enable.partition.eof": True, "check.crcs": True})
    client.assign([TopicPartition(topic, 0, 0)])
    offsets = []
    while True:
        message = client.poll(20)
        that(message is not None, f"{topic} cannot be read on after {len(offsets)} records")
        if message.error():
            same(message.error().code(), KafkaError._PARTITION_EOF, str(message.error()))
            break
        offsets.append(message.offset())
    client.close()
    same(offsets, list(range(len(offsets))), "offsets without a gap")
    return len(offsets)


def is_undisturbed(canary):
    that(canary.trouble is None, f"another client was disturbed: {canary.trouble}")
    that(canary.rounds > 0, "another client was not served at all")
    that(canary.slowest < ROUND_SECONDS_MAX, f"another client waited for {canary.slowest:.1f} s")


def hold(context, *rows):
    """All probes of the rows are answered as they must be, others go on, and what was appended can be read."""
    with raw.Canary(context.address, context.name("canary")) as canary:
        for row in rows:
            topic, found = hostile.answers(context.address, row)
            wrong = [f"{one.what}: {answer}" for one, answer, _ in found if answer not in one.allowed]
            same(wrong, [], f"row {row}")
            # The one that made it ready, and none of the refused.
            same(read_back(context.bootstrap, topic), 1, f"row {row}: what was refused was not appended")
    is_undisturbed(canary)


@check(seconds=60)
def hostile_1_bytes_behind_a_compressed_stream_are_refused(context):
    hold(context, 1)


@check(seconds=60)
def hostile_2_record_lengths_that_lie_are_refused(context):
    hold(context, 2)


@check(seconds=60)
def hostile_3_lengths_below_minus_1_are_refused(context):
    hold(context, 3)


@check(seconds=60)
def hostile_4_offset_deltas_out_of_place_are_refused(context):
    hold(context, 4)


@check(seconds=60)
def hostile_5_headers_attributes_and_producers_that_lie_are_refused(context):
    hold(context, 5)


@check(seconds=60)
def hostile_6_null_records_are_answered(context):
    hold(context, 6)


@check(seconds=150, own_broker=True, aside=True)
def hostile_7_announced_frames_cost_no_memory_and_drips_are_closed(context):
    broker = context.start()
    address = ("127.0.0.1", broker.port)
    with raw.Canary(address, "canary") as canary:
        before = broker.memory_bytes()
        links = [socket.create_connection(address) for _ in range(10)]
        for link in links:
            link.sendall(struct.pack(">ib", 99 * MIB, 0))
        begun, dripping = time.monotonic(), links[0]
        while not is_over(dripping):
            that(time.monotonic() - begun < 60, "a frame that comes by one byte a second is waited for")
            grown = broker.memory_bytes() - before
            # What the canary writes is cached meanwhile; the announced frames would be 990 MiB.
            that(grown < 128 * MIB, f"ten bytes and the announcement of more cost {grown // MIB} MiB")
            try:
                dripping.sendall(b"\0")
            except OSError:
                break
            time.sleep(1)
        for link in links:
            that(is_over(link, 40), "a frame of which nothing more comes is waited for")
            link.close()
    is_undisturbed(canary)
    broker.kill()


def is_over(link, seconds=0.0):
    """Whether the other side has closed."""
    link.settimeout(seconds)
    try:
        return link.recv(1) == b""
    except (BlockingIOError, TimeoutError):
        return False
    except OSError:
        return True


@check(seconds=60)
def hostile_8_one_config_ten_thousand_times_is_refused_at_once(context):
    begun = time.monotonic()
    hold(context, 8)
    that(time.monotonic() - begun < 10, "it took too long")


@check(seconds=60)
def hostile_9_a_fetch_of_too_many_topics_is_answered(context):
    hold(context, 9)


@check(seconds=90, own_broker=True)
def hostile_10_bombs_are_refused_in_bounded_memory(context):
    broker = context.start()
    context.bootstrap = broker.bootstrap
    peak, over = [broker.memory_bytes()], threading.Event()

    def watch():
        while not over.wait(0.01):
            peak.append(broker.memory_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    hold(context, 10, 11)
    over.set()
    watcher.join()
    # One bomb of 128 MiB, twice while it grows, and the request that it came in.
    that(max(peak) - peak[0] < 512 * MIB, f"bombs cost {(max(peak) - peak[0]) // MIB} MiB")
    broker.kill()


@check(seconds=60)
def hostile_12_clients_do_not_write_to_internal_topics(context):
    hold(context, 12)


@check(seconds=60)
def hostile_13_impossible_partition_counts_are_refused(context):
    hold(context, 13)


@check(seconds=60)
def hostile_14_fetch_sessions_and_isolation_levels_out_of_range_have_their_codes(context):
    hold(context, 14)


@check(seconds=60)
def hostile_15_producers_from_nowhere_are_refused(context):
    hold(context, 15, 20)


@check(seconds=60)
def hostile_headers_of_batches_that_lie_are_refused(context):
    hold(context, 21, 22, 23)


@check(seconds=60)
def hostile_topic_names_are_refused(context):
    hold(context, 24)


@check(seconds=120, own_broker=True)
def hostile_catalogue_of_every_key_and_version_is_answered_or_closed(context):
    broker = context.start()
    address = ("127.0.0.1", broker.port)
    with raw.Canary(address, "canary") as canary:
        before = broker.memory_bytes()
        report = catalogue.run(address)
        grown = broker.memory_bytes() - before
    print(report)
    same(report.silent, [], "neither answered nor closed")
    that(report.requests > 1000, f"only {report}")
    that(grown < 256 * MIB, f"the broker grew by {grown // MIB} MiB")
    is_undisturbed(canary)
    same(broker.stop(), 0, "it stops in order")


@check(seconds=60)
def compression_type_recompresses_what_came_otherwise(context):
    """Each codec to each: the stored batch has the topic's codec, and a real client reads the same records."""
    link = raw.Link(context.address)
    values = [b"value %d " % index * 50 for index in range(200)]
    names = {"uncompressed": 0, **raw.CODECS}
    for stored, codec in names.items():
        topic = context.name(f"recompressed-{stored}")
        create(context.bootstrap, topic, config={"compression.type": stored})
        for sent in CODECS:
            client = producer(context.bootstrap, **{"compression.type": sent, "linger.ms": 50})
            send(client, topic, [{"value": value, "key": b"k", "headers": [("h", b"x")]} for value in values])
        _, parts = raw.fetch(link, [(topic, [(0, 0)])])
        that(codecs_of(parts[0][2]) == {codec}, f"{stored}: stored as {codecs_of(parts[0][2])}")
        same(read_values(context.bootstrap, topic), values * len(CODECS), stored)
    link.close()


@check(seconds=60)
def compression_type_keeps_duplicates_and_size_limit(context):
    link = raw.Link(context.address)
    topic = context.name("recompressed")
    create(context.bootstrap, topic, config={"compression.type": "uncompressed", "max.message.bytes": "5000"})
    small = lambda: raw.packed(raw.GZIP, raw.record(value=bytes(4000)), who=(1 << 41, 0, 0))
    one = small()
    same(raw.produce(link, topic, one)[:2], ("NONE", 0))
    same(raw.produce(link, topic, one)[:2], ("NONE", 0), "a duplicate is answered with its first offset")
    large = raw.packed(raw.GZIP, raw.record(value=bytes(6000)))
    same(raw.produce(link, topic, large)[0], "MESSAGE_TOO_LARGE", "what it expands to counts")
    same(read_back(context.bootstrap, topic), 1)
    link.close()


@check(seconds=60)
def batch_validation_crc_trusts_records_and_checks_the_rest(context):
    link = raw.Link(context.address)
    topic = context.name("trusted")
    create(context.bootstrap, topic, config={"batch.validation": "crc"})
    same(raw.produce(link, topic, raw.batch(raw.record(key=-2)))[0], "NONE")
    for wrong in [raw.batch(crc=1), raw.batch(magic=1), raw.batch(attributes=6), raw.batch(attributes=raw.CONTROL)]:
        that(raw.produce(link, topic, wrong)[0] != "NONE", "the header counts nevertheless")
    link.close()


def codecs_of(records):
    found = set()
    while len(records) >= 61:
        length, attributes = struct.unpack_from(">i", records, 8)[0], struct.unpack_from(">h", records, 21)[0]
        found.add(attributes & 7)
        records = records[12 + length :]
    return found


def read_values(bootstrap, topic):
    client = consumer(bootstrap, **{"enable.partition.eof": True, "check.crcs": True})
    client.assign([TopicPartition(topic, 0, 0)])
    values = []
    while (message := client.poll(20)) is not None and not message.error():
        same((message.key(), message.headers()), (b"k", [("h", b"x")]))
        values.append(message.value())
    client.close()
    return values
