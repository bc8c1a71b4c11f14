#!/usr/bin/env python3
"""A member of a group, as groups.py describes it.

    member.py confluent|kafka-python ADDRESS GROUP TOPIC [KEY=VALUE]..      settings of the client, under its names
"""

import os
import signal
import sys
import time

from groups import HEARTBEAT_MS, SESSION_MS

BATCH = 100

over = []


def tell(*words):
    """One write a line, so that a killed member has told a line or has not."""
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def now():
    return time.time_ns() // 1_000_000


class Confluent:
    def __init__(self, address, group, topic, settings):
        from confluent_kafka import Consumer, KafkaException

        self.Failure = KafkaException
        classic = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": HEARTBEAT_MS}
        self.client = Consumer({
            "bootstrap.servers": address,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
            **({} if settings.get("group.protocol") == "consumer" else classic),
            **settings,
        })  # fmt: skip
        # What was handled and not told yet, and what is not committed yet, by partition.
        self.runs, self.pending = {}, {}
        self.topic = topic
        self.client.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)

    def on_assign(self, _, partitions):
        tell("assigned", now(), *(each.partition for each in partitions))

    def on_revoke(self, _, partitions):
        self.flush()
        self.gone("revoked", partitions)

    def on_lost(self, _, partitions):
        self.tell_runs()
        self.gone("lost", partitions)

    def gone(self, how, partitions):
        for each in partitions:
            self.pending.pop(each.partition, None)
        tell(how, now(), *(each.partition for each in partitions))

    def tell_runs(self):
        for partition, (first, last) in self.runs.items():
            tell("handled", now(), -1, partition, first, last)
            self.pending[partition] = last + 1
        self.runs = {}

    def flush(self):
        from confluent_kafka import TopicPartition

        self.tell_runs()
        if not self.pending:
            return
        try:
            done = self.client.commit(offsets=[TopicPartition(self.topic, *each) for each in self.pending.items()], asynchronous=False)
        except self.Failure as failure:
            tell("not committed:", failure)
            return
        for each in done:
            if each.error is None:
                tell("committed", now(), each.partition, each.offset)
                self.pending.pop(each.partition, None)
            else:
                tell("not committed:", each)

    def run(self):
        while not over:
            for place in range(BATCH):
                message = self.client.poll(0 if place else 0.1)
                if message is None:
                    break
                if message.error():
                    tell("error:", message.error())
                else:
                    self.handle(message.partition(), message.offset())
            self.flush()
        self.client.close()

    def handle(self, partition, offset):
        run = self.runs.setdefault(partition, [offset, offset - 1])
        assert offset == run[1] + 1, f"{offset} after {run}"
        run[1] = offset


def confluent(address, group, topic, settings):
    Confluent(address, group, topic, settings).run()


def kafka_python(address, group, topic, settings):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
    from kafka.errors import KafkaError

    pending = {}

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            tell("assigned", now(), *(each.partition for each in assigned))

        def on_partitions_revoked(self, revoked):
            self.gone("revoked", revoked)

        def on_partitions_lost(self, lost):
            self.gone("lost", lost)

        def gone(self, how, partitions):
            for each in partitions:
                pending.pop(each.partition, None)
            tell(how, now(), *(each.partition for each in partitions))

    client = KafkaConsumer(
        bootstrap_servers=address, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=BATCH,
        session_timeout_ms=SESSION_MS, heartbeat_interval_ms=HEARTBEAT_MS, reconnect_backoff_max_ms=500,
        **settings,
    )  # fmt: skip
    client.subscribe([topic], listener=Listener())
    while not over:
        for place, records in client.poll(timeout_ms=100).items():
            offsets = [record.offset for record in records]
            assert offsets == list(range(offsets[0], offsets[-1] + 1)), offsets
            tell("handled", now(), client.group_metadata().generation_id, place.partition, offsets[0], offsets[-1])
            pending[place.partition] = offsets[-1] + 1
        if pending:
            wanted = dict(pending)
            try:
                client.commit({TopicPartition(topic, each): OffsetAndMetadata(offset, "", -1) for each, offset in wanted.items()})
            except KafkaError as failure:
                tell("not committed:", repr(failure))
                continue
            for partition, offset in wanted.items():
                tell("committed", now(), partition, offset)
                pending.pop(partition, None)
    client.close()


def main():
    kind, address, group, topic, *words = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    settings = dict(word.split("=", 1) for word in words)
    {"confluent": confluent, "kafka-python": kafka_python}[kind](address, group, topic, settings)


if __name__ == "__main__":
    main()
