"""The metrics page of a broker under traffic: its form judged by Prometheus' own promtool, its figures held against the truth."""

import re
import subprocess
import threading
import urllib.request

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from check import check, same, that

SAMPLE = re.compile(r"^([a-z_]+)(\{.*\})? (\S+)$")


def page(broker):
    """The page at the HTTP address that the broker announced."""
    address = re.findall(r"http://([0-9.]+:\d+)", broker.log())[-1]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        same(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        return answer.read().decode()


def promtool(text):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=20, text=True, check=False
    )
    same((done.returncode, done.stdout + done.stderr), (0, ""), "what promtool says")


def values(text, start):
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start)]


@check(seconds=60, own_broker=True)
def prometheus_metrics_are_clean_and_true_under_traffic(context):
    broker = context.start()
    try:
        topic, partitions, count = context.name("metrics"), 3, 5000
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(10)
        promtool(page(broker))
        ended = threading.Event()
        pages = []

        def scrape():
            while not ended.is_set():
                pages.append(page(broker))

        scraper = threading.Thread(target=scrape)
        scraper.start()
        producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "linger.ms": 1})
        for number in range(count):
            producer.produce(topic, value=b"x" * 100, partition=number % partitions)
            producer.poll(0)
        same(producer.flush(20), 0)
        ended.set()
        scraper.join()
        that(pages, "a scrape under traffic")
        promtool(pages[-1])
        text = page(broker)
        promtool(text)
        for sample in (line for line in text.splitlines() if not line.startswith("#")):
            that(SAMPLE.match(sample), f"a sample, not {sample}")
        ends = f'kafka_topic_partition_current_offset{{topic="{topic}",'
        same(sum(values(text, ends)), float(count), "records by offsets")
        seen = [sum(values(each, ends)) for each in pages]
        same(seen, sorted(seen), "offsets only grow")
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic})
        for index in range(partitions):
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, index), timeout=10)
            same(values(text, f'{ends}partition="{index}"}}'), [float(high)], "what a client is told")
        consumer.commit(offsets=[TopicPartition(topic, 0, 100)], asynchronous=False)
        consumer.close()
        text = page(broker)
        promtool(text)
        labels = f'topic="{topic}",partition="0"}}'
        end = values(text, f"kafka_topic_partition_current_offset{{{labels}")[0]
        for family, group in (("kafka_consumergroup", "consumergroup"), ("highwater_group", "group")):
            of_group = f'{{{group}="{topic}",{labels}'
            lag = "_lag_records" if group == "group" else "_lag"
            same(values(text, f"{family}{lag}{of_group}"), [end - 100], "the lag of the group")
        that(0 < values(text, f'highwater_group_lag_seconds{{group="{topic}",{labels}')[0] < 60, "its age")
        produced = values(text, 'highwater_requests_total{api="Produce",error="NONE"}')
        same(produced, values(text, 'highwater_request_duration_seconds_count{api="Produce"}'))
        that(values(text, f'highwater_topic_log_bytes{{topic="{topic}"}}')[0] > count * 100, "the bytes of the topic")
    finally:
        broker.kill()
