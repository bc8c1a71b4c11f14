#!/usr/bin/env python3
"""Apache Kafka beside our broker: one KRaft node on loopback, for comparison. `cargo xtask peer kafka` installs it.

    kafka_broker.py run   --port P --data-dir D [--as-shipped] [--set KEY=VALUE]..    in the foreground, for a parent that watches it
    kafka_broker.py start --port P --data-dir D [--set KEY=VALUE]..    in the background; answers requests when this returns
    kafka_broker.py stop  --data-dir D                                 ends what `start` began on that directory

From Python: `broker = kafka(directory).start()`, then `broker.bootstrap`, `broker.stop()`, `broker.kill()`, `broker.start()`
again on the same data, as with a broker of ours (broker.py).

The controller listens on a free port of its own. A data directory is formatted when it is new. The jars are taken from
$KAFKA_LIBRARIES, else from kafka-4.3.1/libraries under $CARGO_TARGET_DIR or target/.
"""

import argparse
import base64
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

from broker import Broker, speaks_kafka

VERSION = "4.3.1"
HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 90
STOP_SECONDS = 30

# One node is all there is, so that no internal topic may ask for more copies.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={logs}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""

# Warnings on standard output, in which a test finds the reason of a failure.
LOGGING = """\
<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


def libraries():
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "../../target")
    found = os.environ.get("KAFKA_LIBRARIES") or os.path.join(target, f"kafka-{VERSION}", "libraries")
    if not os.path.isdir(found):
        sys.exit(f"no jars of Kafka in {found}: cargo xtask peer kafka")
    return os.path.abspath(found)


def kafka(directory, settings=()):
    """A node that keeps its data and its log under the directory; its port is free and stays the same over restarts."""
    command = [sys.executable, os.path.abspath(__file__), "run", "--port", "{port}", "--data-dir", "{dir}", "{settings}"]
    return Broker(command, directory, settings, free_port(), START_SECONDS)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# For a quick start and little beside it; and as Kafka's own start script does it, for who measures.
FRUGAL = ["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
AS_SHIPPED = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
              "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]


def java(home, *words, machine=FRUGAL):
    machine = ["java", *machine]
    logging = f"-Dlog4j2.configurationFile=file:{home}/logging.xml"
    return [*machine, logging, "-cp", f"{libraries()}/*", *words]


def configure(options):
    """Writes the files that the node reads, and formats a new directory. Gives the command that runs it."""
    home = os.path.abspath(options.data_dir)
    os.makedirs(home, exist_ok=True)
    logs, properties = os.path.join(home, "logs"), os.path.join(home, "server.properties")
    text = PROPERTIES.format(port=options.port, controller=free_port(), logs=logs)
    write(properties, text + "".join(f"{setting}\n" for setting in options.set))
    write(os.path.join(home, "logging.xml"), LOGGING)
    if not os.path.exists(os.path.join(logs, "meta.properties")):
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id(), "--config", properties]
        subprocess.run(java(home, *tool), check=True, stdout=subprocess.DEVNULL)
    return java(home, "kafka.Kafka", properties, machine=AS_SHIPPED if options.as_shipped else FRUGAL)


def cluster_id():
    """Twenty-two characters of URL-safe base 64 that do not look like an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "k")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(options):
    words = configure(options)
    os.execvp(words[0], words)


def start(options):
    words = configure(options)
    home = os.path.abspath(options.data_dir)
    with open(os.path.join(home, "broker.log"), "ab") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    write(os.path.join(home, "pid"), str(process.pid))
    deadline = time.monotonic() + START_SECONDS
    while not speaks_kafka(options.port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            sys.exit(f"Kafka did not start; see {home}/broker.log")
        time.sleep(0.1)
    print(f"Kafka {VERSION} on 127.0.0.1:{options.port}, process {process.pid}")


def stop(options):
    """Ends the process that `start` wrote down, if it is still a Java machine on this very directory."""
    home = os.path.abspath(options.data_dir)
    path = os.path.join(home, "pid")
    with open(path, encoding="utf-8") as file:
        pid = int(file.read())
    if is_node(pid, home):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while is_node(pid, home):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    os.remove(path)


def is_node(pid, home):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.path.join(home, "server.properties").encode() in file.read()
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command in [run, start, stop]:
        sub = commands.add_parser(command.__name__)
        sub.set_defaults(command=command)
        sub.add_argument("--data-dir", required=True)
        if command is not stop:
            sub.add_argument("--port", type=int, required=True)
            sub.add_argument("--as-shipped", action="store_true", help="the Java machine's options of Kafka's start script")
            sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
