#!/usr/bin/env python3
"""Runs client libraries of other languages against Apache Kafka and against our broker: what the one takes, the other takes.

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

import java
from broker import Broker
from kafka_broker import HERE, kafka, libraries

CLIENT_SECONDS = 120

Client = collections.namedtuple("Client", "name command")


def built():
    """Where what is installed and built for the clients lies."""
    home = os.path.join(os.path.dirname(libraries()), "clients")
    os.makedirs(home, exist_ok=True)
    return home


def go():
    home = os.path.join(built(), "go", "")
    subprocess.run([os.environ.get("GO", "go"), "build", "-o", home, "./franz", "./sarama"], cwd=os.path.join(HERE, "go"), check=True)
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
    shutil.copy(os.path.join(source, "kafkajs.js"), home)
    return os.path.join(home, "kafkajs.js")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def clients(directory):
    binaries = go()
    return [
        Client("java", java.command(directory, "Clients")),
        Client("kafkajs", ["node", javascript()]),
        Client("franz-go", [os.path.join(binaries, "franz")]),
        Client("sarama", [os.path.join(binaries, "sarama")]),
        *([Client("rdkafka", [os.environ["RDKAFKA_CLIENT"]])] if "RDKAFKA_CLIENT" in os.environ else []),
    ]


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


def run_side(name, broker, chosen, results):
    try:
        broker.start()
        for client in chosen:
            begun = time.monotonic()
            shown, failure = run_client(client, broker)
            results.append((client.name, shown, failure))
            word = "FAILED" if failure else "ok"
            print(f"{word:6} {client.name} against {name} {time.monotonic() - begun:.1f} s", flush=True)
            if failure:
                print(failure, flush=True)
    except Exception as error:
        results.append(("broker", [], repr(error)))
        print(f"FAILED {name}: {error!r}", flush=True)
    finally:
        if broker.is_alive():
            broker.kill()


def run(options, directory):
    chosen = [client for client in clients(directory) if options.only in client.name]
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--io", options.io, "{settings}"]
    homes = [tempfile.mkdtemp(dir=directory) for _ in range(2)]
    ours = Broker([os.path.abspath(options.binary), "dev", *flags], homes[0])
    sides = [("highwater", ours, []), ("kafka", kafka(homes[1]), [])]
    threads = [threading.Thread(target=run_side, args=(name, broker, chosen, results)) for name, broker, results in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [f"{client}@{name}" for name, _, results in sides for client, _, failure in results if failure]
    shown = [[(client, lines) for client, lines, _ in results] for _, _, results in sides]
    if not failed and shown[0] != shown[1]:
        failed = ["what was shown differs"]
        print(shown)
    print(f"clients: {2 * len(chosen) - len(failed)} passed, {len(failed)} failed {' '.join(failed)}")
    return 1 if failed or not chosen else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--only", default="", help="run the clients whose name contains this")
    directory = tempfile.mkdtemp(prefix="highwater-clients-")
    try:
        return run(parser.parse_args(), directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
