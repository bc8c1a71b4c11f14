#!/usr/bin/env python3
"""Records the traffic of all workloads anew: real clients against a broker that is started here for each of them.

    record.py --broker PATH --bench PATH --counts PATH [--only NAME]

The broker has to be built with the feature `record`: `cargo xtask counts record` sees to all of that. Needs kafka-python. What the clients
send must be the same from time to time but for ids and times, so that counts move with the code and not with the recording; how it
is cut into turns is a matter of the machine.
"""

import argparse
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PORT = 19192
ADDRESS = f"127.0.0.1:{PORT}"
TRANSCRIPTS = pathlib.Path(__file__).parent / "transcripts"
TOPICS = 10
PARTITIONS = 10


def bench(*words):
    def load(options):
        subprocess.run([options.bench, *words, "--bootstrap", ADDRESS], check=True, stdout=subprocess.DEVNULL)

    return load


def with_topics(ask):
    """Asks with kafka-python, on a broker with some topics."""

    def load(_):
        from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
        from kafka.admin import NewTopic

        admin = KafkaAdminClient(bootstrap_servers=ADDRESS)
        names = [f"topic-{number}" for number in range(TOPICS)]
        admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        admin.close()
        consumer = KafkaConsumer(bootstrap_servers=ADDRESS)
        partitions = [TopicPartition(names[0], number) for number in range(PARTITIONS)]
        for _ in range(350):
            ask(consumer, partitions)
        consumer.close()

    return load


# Of each transcript: who asks, the requests that count, how many of them go before, and how many count.
LOADS = {
    "produce-64k": (
        bench("produce", "--acks", "1", "--seconds", "0.5", "--warmup-seconds", "0.2"),
        ("Produce", 100, 400),
    ),
    "produce-unbatched": (
        bench(
            *("produce", "--acks", "1", "--seconds", "0.5", "--warmup-seconds", "0.2", "--connections", "8"),
            *("--partitions", "8", "--record-bytes", "100", "--batch-records", "1"),
        ),
        ("Produce", 2000, 8000),
    ),
    "fetch-tail": (
        bench("fetch", "--load-mib", "64", "--seconds", "0.5", "--warmup-seconds", "0"),
        ("Fetch", 24, 240),
    ),
    # What follows these is in memory, however little there is of it.
    "fetch-cold": (
        bench("fetch", "--load-mib", "64", "--seconds", "0.5", "--warmup-seconds", "0"),
        ("Fetch", 0, 24),
    ),
    "follow": (
        bench("e2e", "--rate", "1000", "--batch-records", "1", "--seconds", "2", "--warmup-seconds", "0"),
        ("Fetch", 100, 1000),
    ),
    "metadata": (with_topics(lambda consumer, _: consumer.topics()), ("Metadata", 30, 300)),
    "list-offsets": (with_topics(lambda consumer, all: consumer.end_offsets(all)), ("ListOffsets", 30, 300)),
    "offset-commit": (
        bench("commits", "--connections", "8", "--depth", "5", "--seconds", "0.5", "--warmup-seconds", "0"),
        ("OffsetCommit", 1000, 4000),
    ),
}


def wait_for_broker(process):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
            return
        except OSError:
            if process.poll() is not None:
                raise SystemExit("the broker did not start")
            time.sleep(0.02)
    raise SystemExit("the broker does not listen")


def record(name, options, directory):
    load, (api, skip, count) = LOADS[name]
    recording = directory / f"{name}.recording"
    data = directory / name
    words = ["dev", "--data-dir", data, "--listen", ADDRESS, "--http", "127.0.0.1:0", "--log", "warn", "--set", "shards=1"]
    environment = dict(os.environ, HIGHWATER_RECORD=str(recording))
    broker = subprocess.Popen([options.broker, *words], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for_broker(broker)
        load(options)
    finally:
        broker.send_signal(signal.SIGTERM)
        broker.wait(10)
    which = ["--api", api, "--skip", str(skip), "--count", str(count)]
    print(name, end=" ", flush=True)
    subprocess.run([options.counts, "pack", recording, TRANSCRIPTS / name, *which], check=True)
    shutil.rmtree(data)
    recording.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in ("--broker", "--bench", "--counts"):
        parser.add_argument(program, required=True)
    parser.add_argument("--only", choices=LOADS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for name in [options.only] if options.only else LOADS:
            record(name, options, pathlib.Path(directory))


if __name__ == "__main__":
    main()
