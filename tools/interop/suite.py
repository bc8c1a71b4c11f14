"""Runs real Kafka clients against a broker: each check in a process of its own, with a bounded time.

    suite.py --binary PATH --io uring|epoll     against our broker, started here on a free port
    suite.py --start 'COMMAND {port} {dir}'     against any broker that the command starts
    suite.py --bootstrap HOST:PORT              against any running broker, without the checks that kill one
"""

import argparse
import errno
import multiprocessing
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

import with_configs
import with_confluent
import with_confluent_admin
import with_full_disk
import with_groups
import with_hostile
import with_hostile_groups
import with_kafka_python
import with_kcat
import with_limits
import with_prometheus
import with_restarts
import with_sockets
from broker import Broker, Refused
from check import CHECKS, Context

# Why a kernel or a container refuses io_uring, as our broker says it.
URING_REFUSED = ("io_uring is refused", "io_uring_setup", os.strerror(errno.EPERM), os.strerror(errno.ENOSYS))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary")
    parser.add_argument("--io", default="auto")
    parser.add_argument("--start")
    parser.add_argument("--bootstrap")
    parser.add_argument("--only", default="", help="run the checks whose name contains this")
    return parser.parse_args()


def command(options):
    if options.start:
        return shlex.split(options.start)
    flags = ["--listen", "{listen}", "--http", "127.0.0.1:0", "--data-dir", "{dir}", "--io", options.io]
    return [os.path.abspath(options.binary), "dev", *flags, "{settings}"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def in_child(function, context, results):
    os.setpgid(0, 0)
    try:
        function(context)
        results.put(None)
    except BaseException:
        results.put(traceback.format_exc())


def begin(function, context):
    """A process that runs a check, and where its outcome will be."""
    results = multiprocessing.SimpleQueue()
    child = multiprocessing.Process(target=in_child, args=(function, context, results))
    child.start()
    return child, results, time.monotonic()


def finish(function, child, results, begun):
    """The failure of a check as text, or None. Its process group ends with it, so that no child stays behind."""
    child.join(max(0, begun + function.seconds - time.monotonic()))
    is_late = child.is_alive()
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.join()
    if is_late:
        return f"not done within {function.seconds} s"
    return results.get() if not results.empty() else f"ended with status {child.exitcode} and no outcome"


def run_all(checks, context, broker):
    failed = []
    # Those that only wait do so while the others run.
    aside = {function: begin(function, context) for function in checks if function.aside}
    for function in sorted(checks, key=lambda function: function.aside):
        begun = time.monotonic()
        failure = finish(function, *(aside.get(function) or begin(function, context)))
        if broker and not broker.is_alive():
            failure = f"{failure or ''}\nthe broker died:\n{broker.log()[-4000:]}"
            broker.process = None
            broker.start()
        word = "FAILED" if failure else "ok"
        print(f"{word:6} {function.__name__} {time.monotonic() - begun:.2f} s", flush=True)
        if failure:
            print(failure, flush=True)
            failed.append(function.__name__)
    return failed


def run(options, directory):
    words = None if options.bootstrap else command(options)

    def start(settings=(), place=None, before=()):
        port = free_port() if options.start else 0
        if not options.start and not any(setting.startswith("shards=") for setting in settings):
            # Requests shall cross from shard to shard, however few cores there are.
            settings = ["shards=2", *settings]
        return Broker([*before, *words], place or tempfile.mkdtemp(dir=directory), settings, port).start()

    checks = [function for function in CHECKS if options.only in function.__name__]
    broker = None
    if options.bootstrap:
        checks = [function for function in checks if not function.own_broker]
    else:
        try:
            broker = start()
        except Refused as refused:
            if options.io == "uring" and any(reason in str(refused) for reason in URING_REFUSED):
                print(f"SKIPPED: this kernel refuses io_uring, so nothing was tested on it:\n{refused}")
                return 0
            raise
    try:
        context = Context(options.bootstrap or broker.bootstrap, start)
        failed = run_all(checks, context, broker)
    finally:
        if broker and broker.is_alive():
            broker.kill()
    name = options.io if options.binary else "other broker"
    print(f"interop on {name}: {len(checks) - len(failed)} passed, {len(failed)} failed {' '.join(failed)}")
    return 1 if failed or not checks else 0


def main():
    multiprocessing.set_start_method("fork")
    directory = tempfile.mkdtemp(prefix="highwater-interop-")
    try:
        return run(arguments(), directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
