"""The same broker seen by kafka-python, which shares no code with librdkafka."""

import os
import time

from check import check, raises, same, that, until
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


def create(context, topic, partitions=1):
    admin = KafkaAdminClient(bootstrap_servers=context.bootstrap)
    admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    until(10, "the topic is listed", lambda: topic in admin.list_topics())
    admin.close()


def consumer(context, **settings):
    return KafkaConsumer(bootstrap_servers=context.bootstrap, group_id=None, enable_auto_commit=False, **settings)


def read(context, topic, count, partition=0, offset=0, seconds=20, **settings):
    client = consumer(context, **settings)
    place = TopicPartition(topic, partition)
    client.assign([place])
    client.seek(place, offset)
    records = []
    deadline = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < deadline:
        records += client.poll(timeout_ms=500).get(place, [])
    client.close()
    records = records[:count]
    same([record.offset for record in records], list(range(offset, offset + count)), "offsets")
    return records


def round_trip(context, **settings):
    topic = context.name("python")
    create(context, topic)
    client = KafkaProducer(bootstrap_servers=context.bootstrap, linger_ms=100, **settings)
    now = int(time.time() * 1000)
    sent = []
    for index in range(64):
        record = {
            "key": [None, b"", b"key-%d" % index][index % 3],
            "value": [b"value-%d" % index * 10, b"", None, os.urandom(200)][index % 4],
            "headers": [[], [("h", b"1"), ("h", b"2")], [("bytes", bytes(range(256))), ("empty", b"")]][index % 3],
        }
        if record["key"] is None and record["value"] is None:
            record["value"] = b"kafka-python wants a key or a value"
        sent.append({**record, "timestamp": now + index})
    futures = [
        client.send(topic, record["value"], record["key"], record["headers"], 0, record["timestamp"]) for record in sent
    ]
    client.flush(timeout=20)
    places = [future.get(timeout=10).offset for future in futures]
    client.close(timeout=5)
    if settings.get("acks") != 0:
        same(places, list(range(64)), "acknowledged offsets")
    found = [
        {"key": r.key, "value": r.value, "headers": list(r.headers), "timestamp": r.timestamp}
        for r in read(context, topic, 64)
    ]
    same(found, sent, f"records with {settings}")


def register_codec(codec):
    @check(seconds=40)
    def codec_check(context):
        round_trip(context, compression_type=codec, acks="all", enable_idempotence=True)

    codec_check.__name__ = f"kafka_python_idempotent_with_codec_{codec or 'none'}"


for each in CODECS:
    register_codec(each)


@check()
def kafka_python_acks_1(context):
    round_trip(context, acks=1, enable_idempotence=False)


@check()
def kafka_python_acks_0(context):
    round_trip(context, acks=0, enable_idempotence=False)


@check()
def kafka_python_offsets(context):
    topic = context.name("offsets")
    create(context, topic, partitions=2)
    producer = KafkaProducer(bootstrap_servers=context.bootstrap, linger_ms=200, compression_type="gzip")
    base = 1_700_000_000_000
    for index in range(50):
        producer.send(topic, b"%d" % index, partition=1, timestamp_ms=base + 10 * index)
    producer.flush(timeout=20)
    producer.close(timeout=5)
    client = consumer(context)
    empty, full = TopicPartition(topic, 0), TopicPartition(topic, 1)
    same(client.beginning_offsets([empty, full]), {empty: 0, full: 0})
    same(client.end_offsets([empty, full]), {empty: 0, full: 50})
    found = client.offsets_for_times({full: base + 101})[full]
    same((found.offset, found.timestamp), (11, base + 110))
    same(client.offsets_for_times({full: base + 500})[full], None)
    client.close()


@check()
def kafka_python_starts_in_the_middle_of_a_batch(context):
    topic = context.name("middle")
    create(context, topic)
    producer = KafkaProducer(bootstrap_servers=context.bootstrap, linger_ms=300, compression_type="lz4")
    for index in range(100):
        producer.send(topic, b"%d" % index)
    producer.flush(timeout=20)
    producer.close(timeout=5)
    same(read(context, topic, 1, offset=63)[0].value, b"63")
    same([record.value for record in read(context, topic, 2, offset=98)], [b"98", b"99"])


@check()
def kafka_python_administers_topics(context):
    topic = context.name("admin")
    create(context, topic, partitions=5)
    client = consumer(context)
    same(client.partitions_for_topic(topic), {0, 1, 2, 3, 4})
    that(topic in client.topics(), "the topic is not listed")
    client.close()
    admin = KafkaAdminClient(bootstrap_servers=context.bootstrap)
    raises(TopicAlreadyExistsError, admin.create_topics, [NewTopic(topic, num_partitions=1, replication_factor=1)])
    admin.delete_topics([topic])
    until(10, "the topic is gone", lambda: topic not in admin.list_topics())
    raises(UnknownTopicOrPartitionError, admin.delete_topics, [topic])
    admin.close()


@check()
def kafka_python_large_messages(context):
    topic = context.name("large")
    create(context, topic)
    values = [os.urandom(900_000) for _ in range(4)]
    producer = KafkaProducer(bootstrap_servers=context.bootstrap)
    for value in values:
        producer.send(topic, value)
    producer.flush(timeout=20)
    producer.close(timeout=5)
    same([record.value for record in read(context, topic, 4)] == values, True, "large values")


@check()
def kafka_python_long_poll_is_woken_by_a_record(context):
    topic = context.name("wake")
    create(context, topic)
    place = TopicPartition(topic, 0)
    client = consumer(context, fetch_max_wait_ms=5000)
    client.assign([place])
    client.seek(place, 0)
    producer = KafkaProducer(bootstrap_servers=context.bootstrap, linger_ms=0)
    for index in range(5):
        same(client.poll(timeout_ms=200), {}, "a record out of nowhere")
        begun = time.monotonic()
        producer.send(topic, b"%d" % index)
        records = until(5, "delivery", lambda: client.poll(timeout_ms=5000).get(place))
        same(records[0].value, b"%d" % index)
        that(time.monotonic() - begun < 2, f"delivery took {time.monotonic() - begun:.2f} s")
    producer.close(timeout=5)
    client.close()


@check(seconds=60)
def kafka_python_unsupported_requests_end(context):
    admin = KafkaAdminClient(bootstrap_servers=context.bootstrap, request_timeout_ms=8000)
    for method, arguments in [("list_groups", []), ("describe_cluster", []), ("describe_acls", [None])]:
        function = getattr(admin, method, None)
        if function is None:
            continue
        begun = time.monotonic()
        try:
            function(*arguments)
        except (KafkaError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
            print(f"{method}: {type(error).__name__}")
        that(time.monotonic() - begun < 15, f"{method} hangs")
    admin.close()
