"""A broker process of our own: started on a free port, watched, killed, started again on the same data."""

import os
import re
import signal
import socket
import struct
import subprocess
import time

START_SECONDS = 30
STOP_SECONDS = 20


class Refused(Exception):
    """The broker ended before it served; the message is what it printed."""


class Broker:
    def __init__(self, command, directory, settings=(), port=0, seconds=START_SECONDS):
        """`command` has {dir}, {listen} or {port}, and {settings} where the settings go; port 0 is any that is free.
        It starts within so many seconds, or has failed."""
        self.command = command
        self.directory = directory
        self.settings = settings
        self.port = port
        self.seconds = seconds
        self.process = None
        self.log_path = os.path.join(directory, "broker.log")

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts and waits until Kafka's protocol is answered. The port stays the same over restarts."""
        assert self.process is None
        data = os.path.join(self.directory, "data")
        words = []
        for word in self.command:
            if word == "{settings}":
                words += [word for setting in self.settings for word in ("--set", setting)]
            else:
                words.append(word.format(listen=self.bootstrap, port=self.port, dir=data))
        begin = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.process = None
                raise Refused(self.log()[begin:])
            for port in [self.port] if self.port else announced_ports(self.log()[begin:]):
                if speaks_kafka(port):
                    self.port = port
                    return self
            time.sleep(0.02)
        self.kill()
        raise Refused(f"no answer within {self.seconds} s:\n{self.log()[begin:]}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def memory_bytes(self, field="VmRSS"):
        """What the process holds of the machine's memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            line = next(line for line in status if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024

    def most_memory_bytes(self):
        """The most that it ever held."""
        return self.memory_bytes("VmHWM")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self):
        """kill -9: what was acknowledged must have been durable before."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def stop(self):
        """Asks to stop and gives the exit status."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def announced_ports(text):
    """The loopback ports that a text names; colours are no part of it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [int(port) for port in re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", plain) if 0 < int(port) < 65536]


def speaks_kafka(port):
    """Whether an ApiVersions request is answered; an HTTP port closes or answers something else."""
    request = struct.pack(">hhih", 18, 0, 77, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = connection.recv(8, socket.MSG_WAITALL)
            return len(head) == 8 and struct.unpack(">ii", head)[1] == 77
    except OSError:
        return False
