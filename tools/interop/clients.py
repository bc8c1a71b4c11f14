#!/usr/bin/env python3
"""Runs client libraries of other languages against Apache Kafka and against our broker: what the one takes, the other takes.
Then members of groups with each of them live through what groups.py has for them.

    clients.py --binary PATH [--only WORD]

A client is a program that is given the address. It prints `ok WHAT` for what it has shown, and ends with a status. It prints
RESTART to have its broker killed and started again, and goes on when it gets a line. What it says it has WRITTEN is read back
with librdkafka.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import groups
import java
from broker import Broker
from kafka_broker import HERE, kafka, libraries

CLIENT_SECONDS = 120

GO_PROGRAMS = ["./franz", "./sarama", "./franzmember", "./saramamember"]

Client = collections.namedtuple("Client", "name command")


def built():
    """Where what is installed and built for the clients lies."""
    home = os.path.join(os.path.dirname(libraries()), "clients")
    os.makedirs(home, exist_ok=True)
    return home


def go():
    home = os.path.join(built(), "go", "")
    subprocess.run([os.environ.get("GO", "go"), "build", "-o", home, *GO_PROGRAMS], cwd=os.path.join(HERE, "go"), check=True)
    return home


def javascript():
    """The program beside its packages, where Node.js looks for them."""
    home, source = os.path.join(built(), "js"), os.path.join(HERE, "js")
    os.makedirs(home, exist_ok=True)
    lock = os.path.join(source, "package-lock.json")
    installed = os.path.join(home, "package-lock.json")
    if not os.path.exists(installed) or read(installed) != read(lock):
        shutil.copy(os.path.join(source, "package.json"), home)
        shutil.copy(lock, home)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=home, check=True)
    for program in ["kafkajs.js", "member.js"]:
        shutil.copy(os.path.join(source, program), home)
    return home


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def clients(directory):
    binaries, scripts = go(), javascript()
    plain = [
        Client("java", java.command(directory, "Clients")),
        Client("kafkajs", ["node", os.path.join(scripts, "kafkajs.js")]),
        Client("franz-go", [os.path.join(binaries, "franz")]),
        Client("sarama", [os.path.join(binaries, "sarama")]),
        *([Client("rdkafka", [os.environ["RDKAFKA_CLIENT"]])] if "RDKAFKA_CLIENT" in os.environ else []),
    ]
    place, timing = ["{address}", "{group}", "{topic}"], [str(groups.SESSION_MS), str(groups.HEARTBEAT_MS)]
    member = [*java.command(directory, "Member"), *place]
    classic = [*member, f"session.timeout.ms={timing[0]}", f"heartbeat.interval.ms={timing[1]}"]
    franz, sarama = ([os.path.join(binaries, name), *place, *timing] for name in ["franzmember", "saramamember"])
    kafkajs = ["node", os.path.join(scripts, "member.js"), *place, *timing]
    kinds = [
        groups.recruit("java", *classic),
        groups.recruit("java-consumer", *member, "group.protocol=consumer"),
        groups.recruit("kafkajs", *kafkajs, tells_times=False),
        groups.recruit("franz-go", *franz),
        groups.recruit("franz-go-consumer", *franz, "consumer"),
        groups.recruit("sarama", *sarama),
        groups.recruit("sarama-sticky", *sarama, "sticky"),
    ]
    return plain, kinds


def read_back(bootstrap, topic, count):
    """What kafkajs wrote, as librdkafka reads it: the keys are the codecs, and the values begin with them."""
    from with_confluent import read as consume

    for index, message in enumerate(consume(bootstrap, topic, count)):
        codec, i = message.key().decode(), index % 50
        assert message.value().decode() == f"{codec}-{i}-{'x' * (i * 10)}", f"{topic} at {index}: {message.value()[:50]}"
        assert message.timestamp()[1] == 1_700_000_000_000 + i, f"{topic} at {index}: {message.timestamp()}"
        assert message.headers() == [("codec", codec.encode())], f"{topic} at {index}: {message.headers()}"


def run_client(client, broker):
    """What the client printed, and whether it succeeded."""
    process = subprocess.Popen(
        [*client.command, broker.bootstrap], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    timer = threading.Timer(CLIENT_SECONDS, process.kill)
    timer.start()
    lines, failure = [], None
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if line == "RESTART\n":
                restart(broker)
                process.stdin.write("\n")
                process.stdin.flush()
            elif line.startswith("WRITTEN "):
                _, topic, count = line.split()
                read_back(broker.bootstrap, topic, int(count))
        status = process.wait()
    except Exception as error:
        failure = repr(error)
        status = -1
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    return [line for line in lines if line.startswith("ok ")], None if status == 0 else "\n".join(lines[-25:] + [failure or f"status {status}"])


def restart(broker):
    """kill -9 for ours; a Kafka that is killed waits 9 s until it believes so itself."""
    if broker.command[0] == sys.executable:
        broker.stop()
    else:
        broker.kill()
    broker.start()


class Restart:
    """One restart of a broker in which many stories take part: it comes when none of them goes on without it."""

    def __init__(self, broker, count):
        self.broker, self.missing, self.is_done, self.condition = broker, count, False, threading.Condition()

    def arrive(self):
        with self.condition:
            self.missing -= 1
            if self.missing == 0:
                restart(self.broker)
                self.is_done = True
                self.condition.notify_all()

    def __call__(self):
        self.arrive()
        with self.condition:
            self.condition.wait_for(lambda: self.is_done)


def live_in_group(kind, broker, common, results):
    is_in_time = []

    def together():
        is_in_time.append(True)
        common()

    begun, failure = time.monotonic(), None
    try:
        groups.live(groups.Story(broker.bootstrap, kind.name), [kind] * 4, together)
    except BaseException:
        failure = traceback.format_exc()
    finally:
        if not is_in_time:
            common.arrive()
    results.append((kind.name, ["group"], failure, time.monotonic() - begun))


def run_groups(name, broker, kinds, results):
    """So many groups at once: what they do most is to wait."""
    common, found = Restart(broker, len(kinds)), []
    threads = [threading.Thread(target=live_in_group, args=(kind, broker, common, found)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kind, shown, failure, seconds in sorted(found):
        results.append((f"group of {kind}", shown, failure))
        say(f"group of {kind}", name, failure, seconds)


def say(client, broker, failure, seconds):
    print(f"{'FAILED' if failure else 'ok':6} {client} against {broker} {seconds:.1f} s", flush=True)
    if failure:
        print(failure, flush=True)


def run_side(name, broker, chosen, kinds, results):
    try:
        broker.start()
        for client in chosen:
            begun = time.monotonic()
            shown, failure = run_client(client, broker)
            results.append((client.name, shown, failure))
            say(client.name, name, failure, time.monotonic() - begun)
        if kinds:
            run_groups(name, broker, kinds, results)
    except Exception as error:
        results.append(("broker", [], repr(error)))
        print(f"FAILED {name}: {error!r}", flush=True)
    finally:
        if broker.is_alive():
            broker.kill()


def run(options, directory):
    chosen, kinds = ([each for each in those if options.only in each.name] for those in clients(directory))
    if options.groups:
        chosen = []
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--shards", "2", "--io", options.io, "{settings}"]
    homes = [tempfile.mkdtemp(dir=directory) for _ in range(2)]
    ours = Broker([os.path.abspath(options.binary), "dev", *flags], homes[0], groups.settings())
    sides = [("highwater", ours, []), ("kafka", kafka(homes[1], groups.settings()), [])]
    sides = [side for side in sides if options.side in side[0]]
    threads = [threading.Thread(target=run_side, args=(name, broker, chosen, kinds, results)) for name, broker, results in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [f"{client}@{name}" for name, _, results in sides for client, _, failure in results if failure]
    shown = [[(client, lines) for client, lines, _ in results] for _, _, results in sides]
    if not failed and any(each != shown[0] for each in shown):
        failed = ["what was shown differs"]
        print(shown)
    count = len(sides) * (len(chosen) + len(kinds))
    print(f"clients: {count - len(failed)} passed, {len(failed)} failed {' '.join(failed)}")
    return 1 if failed or not count else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--only", default="", help="run the clients whose name contains this")
    parser.add_argument("--groups", action="store_true", help="run the groups alone")
    parser.add_argument("--side", default="", help="run against one of highwater and kafka alone")
    directory = tempfile.mkdtemp(prefix="highwater-clients-")
    try:
        return run(parser.parse_args(), directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
