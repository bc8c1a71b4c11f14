"""Producing and consuming with confluent-kafka, which is librdkafka."""

import json
import os
import statistics
import threading
import time

from check import check, raises, same, that, until
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def create(bootstrap, topic, partitions=1, config=None):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
    admin.create_topics([new], request_timeout=10)[topic].result(15)
    # Kafka answers before each broker knows of the topic.
    until(10, f"{topic} has leaders", lambda: len(leaders(admin, topic)) == partitions)


def leaders(admin, topic):
    partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions
    return [partition for partition in partitions.values() if partition.leader >= 0]


def named(settings):
    """Settings under librdkafka's names, most of which have dots where Python's arguments have underscores."""
    return {key if key.endswith("_cb") or key == "log_level" else key.replace("_", "."): value for key, value in settings.items()}


def producer(bootstrap, **settings):
    return Producer({"bootstrap.servers": bootstrap, **named(settings)})


def consumer(bootstrap, **settings):
    """A consumer that is only ever assigned; librdkafka wants a group id all the same."""
    base = {
        "bootstrap.servers": bootstrap,
        "group.id": "unused",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
    }
    return Consumer({**base, **named(settings)})


def send(client, topic, records):
    """Sends dicts of produce's arguments; gives the (partition, offset) of each once all are acknowledged."""
    outcomes = [None] * len(records)

    def remember(index):
        def on_delivery(error, message):
            outcomes[index] = error or (message.partition(), message.offset())

        return on_delivery

    for index, record in enumerate(records):
        client.produce(topic, on_delivery=remember(index), **record)
        client.poll(0)
    same(client.flush(20), 0, "messages left in the queue")
    for outcome in outcomes:
        that(isinstance(outcome, tuple), f"not delivered: {outcome}")
    return outcomes


def poll(client, count, seconds=20):
    messages = []
    deadline = time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        message = client.poll(0.2)
        if message is None:
            continue
        that(message.error() is None, f"consumer error {message.error()}")
        messages.append(message)
    same(len(messages), count, "messages within the time")
    return messages


def read(bootstrap, topic, count, partition=0, offset=0, **settings):
    client = consumer(bootstrap, **settings)
    client.assign([TopicPartition(topic, partition, offset)])
    try:
        messages = poll(client, count)
    finally:
        client.close()
    same([m.offset() for m in messages], list(range(max(offset, 0), max(offset, 0) + count)), "offsets")
    return messages


def fields(message):
    return {
        "key": message.key(),
        "value": message.value(),
        "headers": message.headers(),
        "timestamp": message.timestamp()[1],
    }


def assorted(count):
    """Records of every shape: keys, values and headers that are present, empty and null."""
    now = int(time.time() * 1000) - count
    records = []
    for index in range(count):
        records.append({
            "key": [None, b"", b"key-%d" % index, os.urandom(16)][index % 4],
            "value": [b"value-%d" % index * 20, b"", None, os.urandom(300)][index // 4 % 4],
            "headers": [
                None,
                [("a", b"1")],
                [("twice", b"1"), ("twice", b"2"), ("binary", bytes(range(256)))],
                [("null", None), ("empty", b""), ("grüße", "schön".encode())],
            ][index // 16 % 4],
            "timestamp": now + index,
        })
    return records


def round_trip(context, **settings):
    topic = context.name("round")
    create(context.bootstrap, topic)
    records = assorted(128)
    places = send(producer(context.bootstrap, linger_ms=50, **settings), topic, records)
    found = [fields(message) for message in read(context.bootstrap, topic, len(records))]
    same(found, records, f"records with {settings}")
    if settings.get("acks") != 0:
        same(places, [(0, index) for index in range(len(records))], "acknowledged offsets")


def register_codec(codec):
    @check(seconds=40)
    def codec_check(context):
        round_trip(context, compression_type=codec, acks="all", enable_idempotence=True)

    codec_check.__name__ = f"confluent_idempotent_with_codec_{codec}"


for each in CODECS:
    register_codec(each)


@check()
def confluent_acks_all_without_idempotence(context):
    round_trip(context, acks="all")


@check()
def confluent_acks_1(context):
    round_trip(context, acks=1)


@check()
def confluent_acks_0_is_not_waited_for(context):
    round_trip(context, acks=0, compression_type="lz4")


@check()
def confluent_timestamps_are_those_of_creation(context):
    topic = context.name("times")
    create(context.bootstrap, topic)
    send(producer(context.bootstrap), topic, [{"value": b"a", "timestamp": 1_600_000_000_123}])
    message = read(context.bootstrap, topic, 1)[0]
    same(message.timestamp(), (TIMESTAMP_CREATE_TIME, 1_600_000_000_123))


def time_queries(context, codec):
    """One batch of 100 records 10 ms apart, so that the answer lies within a batch."""
    topic = context.name("by-time")
    create(context.bootstrap, topic)
    base = 1_700_000_000_000
    records = [{"value": b"v" * 50, "timestamp": base + index * 10} for index in range(100)]
    send(producer(context.bootstrap, linger_ms=500, compression_type=codec), topic, records)
    client = consumer(context.bootstrap)
    queries = [(base - 5, 0), (base, 0), (base + 1, 1), (base + 455, 46), (base + 460, 46), (base + 990, 99)]
    for timestamp, offset in queries:
        found = client.offsets_for_times([TopicPartition(topic, 0, timestamp)], timeout=10)[0]
        that(found.error is None, f"error {found.error}")
        same(found.offset, offset, f"first offset at or after base + {timestamp - base} with {codec}")
    found = client.offsets_for_times([TopicPartition(topic, 0, base + 991)], timeout=10)[0]
    same(found.offset, OFFSET_END, "offset after the last timestamp")
    client.close()


@check()
def confluent_offset_by_time_is_exact(context):
    time_queries(context, "none")


@check(seconds=60)
def confluent_offset_by_time_is_exact_in_compressed_batches(context):
    for codec in CODECS[1:]:
        time_queries(context, codec)


@check()
def confluent_starts_in_the_middle_of_a_batch(context):
    topic = context.name("middle")
    create(context.bootstrap, topic)
    records = [{"value": b"%d" % index} for index in range(200)]
    for codec in ["none", "zstd"]:
        send(producer(context.bootstrap, linger_ms=300, compression_type=codec), topic, records)
    for offset in [57, 199, 200, 399]:
        first = read(context.bootstrap, topic, 1, offset=offset)[0]
        same(first.value(), b"%d" % (offset % 200))


@check()
def confluent_watermarks_and_logical_offsets(context):
    topic = context.name("marks")
    create(context.bootstrap, topic)
    client = consumer(context.bootstrap)
    same(client.get_watermark_offsets(TopicPartition(topic, 0), timeout=10), (0, 0))
    send(producer(context.bootstrap), topic, [{"value": b"a"}] * 17)
    same(client.get_watermark_offsets(TopicPartition(topic, 0), timeout=10), (0, 17))
    client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    same(poll(client, 17)[-1].offset(), 16)
    client.close()


@check()
def confluent_offset_out_of_range_is_said(context):
    topic = context.name("range")
    create(context.bootstrap, topic)
    send(producer(context.bootstrap), topic, [{"value": b"a"}] * 5)
    client = consumer(context.bootstrap)
    client.assign([TopicPartition(topic, 0, 1000)])
    message = until(15, "an answer to a fetch beyond the end", lambda: client.poll(0.2))
    same(message.error().code(), KafkaError._AUTO_OFFSET_RESET)
    client.close()
    client = consumer(context.bootstrap, auto_offset_reset="earliest")
    client.assign([TopicPartition(topic, 0, 1000)])
    same(poll(client, 5)[0].offset(), 0)
    client.close()


@check()
def confluent_long_poll_is_woken_by_a_record(context):
    """The client asks to wait 5 s; a broker that does not wake it up is far beyond the bound."""
    topic = context.name("wake")
    create(context.bootstrap, topic)
    client = consumer(context.bootstrap, fetch_wait_max_ms=5000)
    client.assign([TopicPartition(topic, 0, 0)])
    sender = producer(context.bootstrap, linger_ms=0)
    taken = []
    for index in range(20):
        that(client.poll(0.15) is None, "a record out of nowhere")
        begun = time.monotonic()
        sender.produce(topic, b"%d" % index)
        sender.poll(0)
        message = client.poll(5)
        taken.append(time.monotonic() - begun)
        same(message and message.value(), b"%d" % index)
    same(sender.flush(5), 0)
    client.close()
    median = statistics.median(taken)
    that(median < 0.25 and max(taken) < 2, f"delivery took {median:.3f} s at the median, {max(taken):.3f} s at most")


@check()
def confluent_idle_long_poll_is_no_busy_loop(context):
    topic = context.name("idle")
    create(context.bootstrap, topic)
    fetches = []

    def on_statistics(text):
        brokers = json.loads(text)["brokers"].values()
        fetches.append(sum(broker.get("req", {}).get("Fetch", 0) for broker in brokers))

    client = consumer(context.bootstrap, fetch_wait_max_ms=500, statistics_interval_ms=200, stats_cb=on_statistics)
    client.assign([TopicPartition(topic, 0, 0)])
    until(10, "a first fetch", lambda: client.poll(0.1) or (fetches and fetches[-1] > 0))
    before = fetches[-1]
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        that(client.poll(0.1) is None, "a record out of nowhere")
    count = fetches[-1] - before
    client.close()
    that(3 <= count <= 9, f"{count} fetches in 3 s that wait 0.5 s each")


@check()
def confluent_large_messages(context):
    topic = context.name("large")
    create(context.bootstrap, topic)
    records = [{"key": b"%d" % index, "value": os.urandom(900_000)} for index in range(8)]
    for settings in [{}, {"compression_type": "zstd"}]:
        send(producer(context.bootstrap, **settings), topic, records)
    found = read(context.bootstrap, topic, 16)
    same([m.value() == records[index % 8]["value"] for index, m in enumerate(found)], [True] * 16)


@check()
def confluent_too_large_message_is_refused(context):
    topic = context.name("too-large")
    create(context.bootstrap, topic)
    client = producer(context.bootstrap, message_max_bytes=4_000_000)
    errors = []
    client.produce(topic, os.urandom(2_000_000), on_delivery=lambda error, _: errors.append(error))
    same(client.flush(15), 0)
    same(errors[0] and errors[0].code(), KafkaError.MSG_SIZE_TOO_LARGE)
    send(client, topic, [{"value": b"small"}])


@check()
def confluent_produce_creates_the_topic(context):
    topic = context.name("auto")
    send(producer(context.bootstrap), topic, [{"value": b"a"}] * 3)
    same([m.value() for m in read(context.bootstrap, topic, 3)], [b"a"] * 3)


@check()
def confluent_unknown_topic_is_said_to_a_consumer(context):
    client, topic = consumer(context.bootstrap), context.name("unknown")
    for _ in range(2):
        error = client.list_topics(topic, timeout=10).topics[topic].error
        same(error and error.code(), KafkaError.UNKNOWN_TOPIC_OR_PART, "asking does not create")
    client.close()


@check(seconds=60)
def confluent_many_partitions(context):
    topic = context.name("wide")
    create(context.bootstrap, topic, partitions=32)
    records = [{"partition": index % 32, "value": b"%d" % index} for index in range(3200)]
    places = send(producer(context.bootstrap, linger_ms=20), topic, records)
    same(places, [(index % 32, index // 32) for index in range(3200)])
    client = consumer(context.bootstrap)
    client.assign([TopicPartition(topic, partition, 0) for partition in range(32)])
    messages = poll(client, 3200, seconds=30)
    client.close()
    for partition in range(32):
        values = [int(m.value()) for m in messages if m.partition() == partition]
        same(values, list(range(partition, 3200, 32)), f"values of partition {partition}")


@check()
def confluent_keys_choose_the_partition(context):
    topic = context.name("keyed")
    create(context.bootstrap, topic, partitions=4)
    records = [{"key": b"k%d" % (index % 10), "value": b"%d" % index} for index in range(100)]
    places = send(producer(context.bootstrap), topic, records)
    of_key = {}
    for record, (partition, _) in zip(records, places):
        of_key.setdefault(record["key"], set()).add(partition)
    same([len(partitions) for partitions in of_key.values()], [1] * 10)


@check(seconds=60)
def confluent_many_producers_share_a_partition(context):
    topic = context.name("shared")
    create(context.bootstrap, topic)
    places = {}

    def work(name):
        client = producer(context.bootstrap, enable_idempotence=name % 2 == 0, linger_ms=1)
        places[name] = send(client, topic, [{"value": b"%d-%d" % (name, index)} for index in range(500)])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(sorted(offset for of_one in places.values() for _, offset in of_one), list(range(4000)))
    messages = read(context.bootstrap, topic, 4000)
    for name, of_one in places.items():
        values = [messages[offset].value() for _, offset in of_one]
        same(values, [b"%d-%d" % (name, index) for index in range(500)], f"records of producer {name}")


@check()
def confluent_pause_seek_and_resume(context):
    topic = context.name("seek")
    create(context.bootstrap, topic)
    send(producer(context.bootstrap), topic, [{"value": b"%d" % index} for index in range(50)])
    client = consumer(context.bootstrap)
    place = TopicPartition(topic, 0, 0)
    client.assign([place])
    same(len(poll(client, 50)), 50)
    client.seek(TopicPartition(topic, 0, 20))
    same(poll(client, 1)[0].offset(), 20)
    client.pause([place])
    that(client.poll(0.5) is None, "a record of a paused partition")
    client.resume([place])
    same(poll(client, 29)[-1].offset(), 49)
    client.close()


@check()
def confluent_watermarks_of_an_unknown_topic_are_an_error(context):
    client = consumer(context.bootstrap)
    error = raises(KafkaException, client.get_watermark_offsets, TopicPartition(context.name("no"), 0), timeout=5)
    that(error.args[0].code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION), error)
    client.close()
