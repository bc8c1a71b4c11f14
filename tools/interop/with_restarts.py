"""What was acknowledged is there after the broker is killed or stopped and started again."""

import subprocess
import tempfile
import time

from broker import Broker, Refused
from check import check, raises, same, that, until
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from with_confluent import consumer, create, poll, producer, read, send

PARTITIONS = 4
NOT_YET = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT)


def produce_until_killed(broker, topic, seconds):
    """Produces with acks=all and kills the broker on the way; gives what was acknowledged as {partition: {offset: value}}."""
    acknowledged = {partition: {} for partition in range(PARTITIONS)}

    def on_delivery(error, message):
        if error is None:
            acknowledged[message.partition()][message.offset()] = message.value()

    client = producer(broker.bootstrap, enable_idempotence=True, linger_ms=2, log_level=2)
    client.produce(topic, b"%s-0" % topic.encode(), partition=0, on_delivery=on_delivery)
    same(client.flush(20), 0, "a first record is acknowledged")
    deadline = time.monotonic() + seconds
    index = 1
    while time.monotonic() < deadline:
        for _ in range(50):
            client.produce(topic, b"%s-%d" % (topic.encode(), index), partition=index % PARTITIONS, on_delivery=on_delivery)
            index += 1
        client.poll(0.005)
    broker.kill()
    client.poll(0.2)
    client.purge()
    client.flush(2)
    return acknowledged


def verify(bootstrap, topic, acknowledged):
    client = consumer(bootstrap)
    for partition, wanted in acknowledged.items():
        low, high = until(20, "watermarks", lambda: watermarks(client, TopicPartition(topic, partition)))
        same(low, 0)
        that(high > max(wanted, default=-1), f"{topic}/{partition} ends at {high}, {max(wanted)} was acknowledged")
        client.assign([TopicPartition(topic, partition, 0)])
        found = {message.offset(): message.value() for message in poll(client, high)}
        same(sorted(found), list(range(high)), "offsets without a gap")
        lost = {offset: value for offset, value in wanted.items() if found.get(offset) != value}
        same(lost, {}, f"acknowledged and not there in {topic}/{partition}")
        numbers = [int(value.rsplit(b"-", 1)[1]) for value in found.values()]
        same(numbers, sorted(set(numbers)), f"order, once each, in {topic}/{partition}")
    client.close()


def watermarks(client, place):
    """The first and the end offset, or None while the broker says that it is not ready."""
    try:
        return client.get_watermark_offsets(place, timeout=10)
    except KafkaException as error:
        if error.args[0].code() in NOT_YET:
            return None
        raise


@check(seconds=120, own_broker=True)
def acknowledged_records_survive_kill_9(context):
    broker = context.start()
    history = {}
    for turn in range(3):
        topic = context.name(f"turn{turn}")
        create(broker.bootstrap, topic, partitions=PARTITIONS)
        history[topic] = produce_until_killed(broker, topic, 1.0)
        that(sum(map(len, history[topic].values())) > 100, "too little was acknowledged to prove anything")
        broker.start()
        for each, acknowledged in history.items():
            verify(broker.bootstrap, each, acknowledged)
    broker.kill()


@check(seconds=60, own_broker=True)
def offsets_go_on_after_a_stop(context):
    broker = context.start()
    topic = context.name("stop")
    create(broker.bootstrap, topic)
    send(producer(broker.bootstrap), topic, [{"value": b"before", "key": b"k"}] * 100)
    that(broker.stop() in (0, 143), "a stop that was asked for is no failure")
    broker.start()
    same(read(broker.bootstrap, topic, 100)[99].value(), b"before")
    same(send(producer(broker.bootstrap), topic, [{"value": b"after"}]), [(0, 100)])
    same(read(broker.bootstrap, topic, 101)[100].value(), b"after")
    broker.kill()


@check(seconds=60, own_broker=True)
def deleted_topics_stay_deleted_after_kill_9(context):
    broker = context.start()
    kept, gone = context.name("kept"), context.name("gone")
    for topic in [kept, gone]:
        create(broker.bootstrap, topic)
        send(producer(broker.bootstrap), topic, [{"value": topic.encode()}])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([gone])[gone].result(15)
    broker.kill()
    broker.start()
    topics = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
    same((kept in topics, gone in topics), (True, False))
    same(read(broker.bootstrap, kept, 1)[0].value(), kept.encode())
    broker.kill()


@check(seconds=60, own_broker=True)
def producer_survives_a_restart(context):
    """An idempotent producer that lives through a kill -9 of its broker delivers each record once, in order."""
    broker = context.start()
    topic = context.name("lives")
    create(broker.bootstrap, topic)
    client = producer(broker.bootstrap, enable_idempotence=True, linger_ms=5, log_level=2)
    failures = []
    for index in range(3000):
        client.produce(topic, b"%d" % index, on_delivery=lambda error, _: error and failures.append(error))
        client.poll(0)
        if index == 1500:
            broker.kill()
            broker.start()
    same(client.flush(40), 0)
    same(failures, [])
    same([int(message.value()) for message in read(broker.bootstrap, topic, 3000)], list(range(3000)))
    broker.kill()


@check(seconds=60, own_broker=True)
def second_broker_on_the_same_directory_is_refused(context):
    broker = context.start()
    second = Broker(broker.command, broker.directory)
    second.log_path = tempfile.mktemp(dir=broker.directory)
    raises(Refused, second.start)
    that(broker.is_alive(), "the first broker is still there")
    topic = context.name("first")
    send(producer(broker.bootstrap), topic, [{"value": b"a"}])
    broker.kill()


@check(seconds=60, own_broker=True)
def second_broker_on_the_same_port_is_refused(context):
    broker = context.start()
    words = [word.replace("{listen}", broker.bootstrap).replace("{port}", str(broker.port)) for word in broker.command]
    second = Broker(words, tempfile.mkdtemp(dir=broker.directory))
    # Its port is still unknown to it, so that the first broker's answer is not taken for its own.
    try:
        second.start()
    except (Refused, subprocess.SubprocessError):
        pass
    else:
        second.kill()
        raise AssertionError("two brokers listen on one port")
    broker.kill()
