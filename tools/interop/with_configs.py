"""Settings: altered while the broker runs, in force at once, described with their sources, and there after a restart."""

from check import check, same, that
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource
from with_confluent import create, producer
from with_confluent_admin import admin, code_of

TOPIC, BROKER = ConfigResource.Type.TOPIC, ConfigResource.Type.BROKER
SET, DELETE = AlterConfigOpType.SET, AlterConfigOpType.DELETE
APPEND, SUBTRACT = AlterConfigOpType.APPEND, AlterConfigOpType.SUBTRACT


def alter(client, kind, name, *changes):
    """Changes as (setting, operation, value); raises what the broker answers."""
    entries = [ConfigEntry(name=key, value=value, incremental_operation=how) for key, how, value in changes]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    return client.incremental_alter_configs([resource], request_timeout=10)[resource].result(15)


def describe(client, kind, name):
    resource = ConfigResource(kind, name)
    return client.describe_configs([resource], request_timeout=10)[resource].result(15)


def source(entry):
    return ConfigSource(entry.source)


def delivery(context, topic, size):
    """The error of a batch with one record of that size, or None."""
    outcome = []
    client = producer(context.bootstrap, message_max_bytes=2_000_000)
    client.produce(topic, b"x" * size, on_delivery=lambda error, _: outcome.append(error and error.code()))
    client.flush(20)
    return outcome[0]


def node_of(client):
    return str(min(client.list_topics(timeout=10).brokers))


@check(seconds=60)
def topic_setting_is_in_force_when_it_is_altered(context):
    client, topic = admin(context), context.name("configs")
    create(context.bootstrap, topic)
    same(source(describe(client, TOPIC, topic)["max.message.bytes"]), ConfigSource.DEFAULT_CONFIG)
    same(delivery(context, topic, 5000), None)
    alter(client, TOPIC, topic, ("max.message.bytes", SET, "1000"))
    same(delivery(context, topic, 5000), KafkaError.MSG_SIZE_TOO_LARGE)
    same(delivery(context, topic, 100), None)
    entry = describe(client, TOPIC, topic)["max.message.bytes"]
    same((entry.value, source(entry), entry.is_read_only), ("1000", ConfigSource.DYNAMIC_TOPIC_CONFIG, False))
    that("message.max.bytes" in entry.synonyms, f"synonyms: {list(entry.synonyms)}")
    alter(client, TOPIC, topic, ("max.message.bytes", DELETE, None))
    same(delivery(context, topic, 5000), None)


@check(seconds=60)
def list_takes_and_loses_elements(context):
    client, topic = admin(context), context.name("lists")
    create(context.bootstrap, topic)
    throttled = "leader.replication.throttled.replicas"
    alter(client, TOPIC, topic, (throttled, APPEND, "0:1,1:1"))
    alter(client, TOPIC, topic, (throttled, SUBTRACT, "0:1"))
    same(describe(client, TOPIC, topic)[throttled].value, "1:1")


@check(seconds=60)
def wrong_changes_have_kafkas_codes(context):
    client, topic = admin(context), context.name("wrong")
    create(context.bootstrap, topic)

    def code(kind, name, *changes):
        return code_of(alter, client, kind, name, *changes)

    same(code(TOPIC, topic, ("retention.msec", SET, "1")), KafkaError.INVALID_CONFIG)
    same(code(TOPIC, topic, ("retention.ms", SET, "soon")), KafkaError.INVALID_CONFIG)
    same(code(TOPIC, topic, ("retention.ms", APPEND, "1")), KafkaError.INVALID_CONFIG)
    same(code(TOPIC, context.name("none"), ("retention.ms", SET, "1")), KafkaError.UNKNOWN_TOPIC_OR_PART)
    same(code(BROKER, node_of(client), ("num.partitions", SET, "3")), KafkaError.INVALID_REQUEST)
    same(describe(client, TOPIC, topic)["retention.ms"].value, "604800000", "nothing was changed")


@check(seconds=60)
def brokers_setting_is_the_default_of_topics(context):
    client, topic = admin(context), context.name("default")
    create(context.bootstrap, topic)
    node = node_of(client)
    that(describe(client, BROKER, node)["num.partitions"].is_read_only, "num.partitions needs a restart")
    alter(client, BROKER, node, ("log.segment.delete.delay.ms", SET, "61000"))
    entry = describe(client, TOPIC, topic)["file.delete.delay.ms"]
    same((entry.value, source(entry)), ("61000", ConfigSource.DYNAMIC_BROKER_CONFIG))
    alter(client, BROKER, node, ("log.segment.delete.delay.ms", DELETE, None))
    entry = describe(client, TOPIC, topic)["file.delete.delay.ms"]
    same((entry.value, source(entry)), ("60000", ConfigSource.DEFAULT_CONFIG))


@check(seconds=60, own_broker=True)
def settings_are_there_after_kill_9(context):
    broker = context.start()
    topic = context.name("kept")
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    create(broker.bootstrap, topic)
    node = node_of(client)
    alter(client, TOPIC, topic, ("retention.ms", SET, "77000"), ("segment.bytes", SET, "2000000"))
    alter(client, TOPIC, topic, ("segment.bytes", DELETE, None))
    alter(client, BROKER, node, ("log.roll.ms", SET, "88000"))
    broker.kill()
    broker.start()
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    found = describe(client, TOPIC, topic)
    values = [(found[key].value, source(found[key])) for key in ("retention.ms", "segment.bytes", "segment.ms")]
    same(values, [
        ("77000", ConfigSource.DYNAMIC_TOPIC_CONFIG),
        ("1073741824", ConfigSource.DEFAULT_CONFIG),
        ("88000", ConfigSource.DYNAMIC_BROKER_CONFIG),
    ])
    broker.kill()
