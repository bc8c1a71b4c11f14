"""Administration with confluent-kafka, and what it says about the parts of Kafka that a broker may not have."""

import time

from check import check, raises, same, that, until
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from with_confluent import consumer, create, producer, read, send


def admin(context):
    return AdminClient({"bootstrap.servers": context.bootstrap})


def code_of(function, *arguments, **named):
    return raises(KafkaException, function, *arguments, **named).args[0].code()


@check()
def admin_creates_lists_and_deletes_topics(context):
    client, topic = admin(context), context.name("admin")
    create(context.bootstrap, topic, partitions=3)
    listed = client.list_topics(timeout=10).topics
    same(sorted(listed[topic].partitions), [0, 1, 2])
    client.delete_topics([topic], request_timeout=10)[topic].result(15)
    until(10, "the topic is gone", lambda: topic not in client.list_topics(timeout=10).topics)


@check()
def admin_errors_are_kafkas(context):
    client, topic = admin(context), context.name("admin")
    create(context.bootstrap, topic)

    def outcome(new):
        return code_of(client.create_topics([new], request_timeout=10)[new.topic].result, 15)

    same(outcome(NewTopic(topic, 1, 1)), KafkaError.TOPIC_ALREADY_EXISTS)
    same(outcome(NewTopic("no/slash", 1, 1)), KafkaError.TOPIC_EXCEPTION)
    same(outcome(NewTopic("n" * 250, 1, 1)), KafkaError.TOPIC_EXCEPTION)
    same(outcome(NewTopic(context.name("rf"), 1, 3)), KafkaError.INVALID_REPLICATION_FACTOR)
    same(outcome(NewTopic(context.name("none"), 0, 1)), KafkaError.INVALID_PARTITIONS)
    unknown = context.name("unknown")
    deleted = client.delete_topics([unknown], request_timeout=10)[unknown]
    same(code_of(deleted.result, 15), KafkaError.UNKNOWN_TOPIC_OR_PART)


@check()
def admin_creates_topics_with_the_brokers_defaults(context):
    client, topic = admin(context), context.name("defaults")
    client.create_topics([NewTopic(topic, -1, -1)], request_timeout=10)[topic].result(15)
    until(10, "the topic is listed", lambda: topic in client.list_topics(timeout=10).topics)
    send(producer(context.bootstrap), topic, [{"value": b"a"}])


@check()
def admin_validates_without_creating(context):
    client, topic = admin(context), context.name("dry")
    client.create_topics([NewTopic(topic, 1, 1)], validate_only=True, request_timeout=10)[topic].result(15)
    time.sleep(0.3)
    that(topic not in client.list_topics(timeout=10).topics, "a dry run created the topic")


@check(seconds=40)
def topic_created_anew_is_empty(context):
    client, topic = admin(context), context.name("again")
    create(context.bootstrap, topic)
    send(producer(context.bootstrap), topic, [{"value": b"old"}] * 5)
    client.delete_topics([topic], request_timeout=10)[topic].result(15)
    until(10, "the topic is gone", lambda: topic not in client.list_topics(timeout=10).topics)
    create(context.bootstrap, topic)
    same(send(producer(context.bootstrap), topic, [{"value": b"new"}]), [(0, 0)])
    same(read(context.bootstrap, topic, 1)[0].value(), b"new")


@check()
def metadata_names_the_address_that_was_dialled(context):
    _, port = context.address
    for host in ["127.0.0.1", "localhost"]:
        bootstrap = f"{host}:{port}"
        brokers = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).brokers
        found = [(broker.host, broker.port) for broker in brokers.values()]
        that(found in ([("127.0.0.1", port)], [(host, port)]), f"dialled {bootstrap}, told {found}")
        topic = context.name("dialled")
        send(producer(bootstrap, broker_address_family="v4"), topic, [{"value": b"a"}])
        same(read(bootstrap, topic, 1, broker_address_family="v4")[0].value(), b"a")


@check()
def metadata_names_a_controller_and_a_cluster(context):
    metadata = admin(context).list_topics(timeout=10)
    that(metadata.cluster_id, "no cluster id")
    that(metadata.controller_id in metadata.brokers, f"controller {metadata.controller_id} is no broker")


@check(seconds=90)
def unsupported_requests_end_in_an_error_not_in_silence(context):
    """A broker may have these or not; what it may not do is let the client wait."""
    client = admin(context)
    topic = ConfigResource(ConfigResource.Type.TOPIC, context.name("none"))
    asked = {
        "list groups": lambda: client.list_consumer_groups(request_timeout=8).result(10),
        "describe group": lambda: client.describe_consumer_groups(["g"], request_timeout=8)["g"].result(10),
        "delete group": lambda: client.delete_consumer_groups(["g"], request_timeout=8)["g"].result(10),
        "describe configs": lambda: client.describe_configs([topic], request_timeout=8)[topic].result(10),
        "scram": lambda: client.describe_user_scram_credentials(request_timeout=8).result(10),
        "committed": lambda: committed(context),
        "transactions": lambda: transactional(context),
    }
    for what, ask in asked.items():
        begun = time.monotonic()
        try:
            outcome = f"answered: {ask()}"
        except KafkaException as error:
            outcome = f"error: {error.args[0]}"
        seconds = time.monotonic() - begun
        that(seconds < 11, f"{what} took {seconds:.1f} s: {outcome}")
        that(context.bootstrap and len(outcome) > 0, what)


def committed(context):
    client = consumer(context.bootstrap)
    try:
        return client.committed([TopicPartition(context.name("none"), 0)], timeout=6)
    finally:
        client.close()


def transactional(context):
    return producer(context.bootstrap, transactional_id=context.name("t")).init_transactions(6)


@check(seconds=30)
def consumer_group_without_groups_can_be_closed(context):
    topic = context.name("group")
    create(context.bootstrap, topic)
    client = consumer(context.bootstrap, group_id=context.name("g"), auto_offset_reset="earliest")
    client.subscribe([topic])
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        client.poll(0.2)
    begun = time.monotonic()
    client.close()
    that(time.monotonic() - begun < 10, "closing a consumer hangs")
