"""A real file system that fills up: produce is refused quickly and for the time being, all else goes on, and room is made use of."""

import contextlib
import ctypes
import os
import struct
import subprocess
import tempfile
import time

import raw
from broker import Refused
from check import check, raises, same, that, until

MIB = 1 << 20
DISK_BYTES = 112 * MIB
# The log may fill but a part of the disk.
SETTINGS = ["shards=1", f"wal.file.bytes.min={MIB}", f"wal.file.bytes.max={4 * MIB}", f"wal.bytes.max={16 * MIB}"]
VALUE_BYTES = 200_000
# An answer, be it a refusal, and the end of a node take no longer, beside a disk that is busy with others.
ANSWER_SECONDS_MAX = 5
CLONE_NEWNS = 0x20000


@contextlib.contextmanager
def small_disk():
    """A directory on a file system of its own, which only this process and its children see; None where the system forbids that."""
    libc = ctypes.CDLL(None, use_errno=True)
    run = lambda *words: subprocess.run(words, check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="highwater-disk-") as directory:
        if libc.unshare(CLONE_NEWNS) != 0:
            yield None
            return
        mounted = os.path.join(directory, "mounted")
        os.mkdir(mounted)
        try:
            run("mount", "--make-rprivate", "/")
            image = os.path.join(directory, "image")
            with open(image, "wb") as file:
                file.truncate(DISK_BYTES)
            try:
                run("mke2fs", "-q", "-F", "-t", "ext4", image)
                run("mount", "-o", "loop", image, mounted)
            except (OSError, subprocess.CalledProcessError):
                run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", mounted)
        except subprocess.CalledProcessError:
            yield None
            return
        try:
            yield mounted
        finally:
            subprocess.run(["umount", "--lazy", mounted], check=False)


class Writer:
    """Produces values of which each names its number, and remembers what was acknowledged."""

    def __init__(self, address, topic):
        self.link, self.topic, self.count, self.acknowledged = raw.Link(address), topic, 0, {}

    def value(self, number):
        return (b"%s-%d." % (self.topic.encode(), number)).ljust(VALUE_BYTES, b"x")

    def write(self):
        """The error of one produce, which must come in good time."""
        begun = time.monotonic()
        # The CRC is the whole cost of such a batch in Python.
        error, base, _ = raw.produce(self.link, self.topic, raw.batch(raw.record(value=self.value(self.count))))
        took = time.monotonic() - begun
        that(took < ANSWER_SECONDS_MAX, f"{error} came after {took:.1f} s")
        if error == "NONE":
            self.acknowledged[base] = self.count
        self.count += 1
        return error

    def write_until_full(self, seconds):
        deadline = time.monotonic() + seconds
        while (error := self.write()) == "NONE":
            that(time.monotonic() < deadline, "the disk did not get full")
        same(error, "KAFKA_STORAGE_ERROR")

    def read_back(self, link):
        """All that was acknowledged is there, at its offset."""
        for offset, number in self.acknowledged.items():
            error, parts = raw.fetch(link, [(self.topic, [(0, offset)])])
            same((error, parts[0][0]), ("NONE", "NONE"), f"offset {offset}")
            that(self.value(number) in parts[0][2], f"offset {offset} has lost what was acknowledged")


def fill(path):
    """Takes all room that there is."""
    with open(path, "wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(b"\1" * size)
            except OSError:
                pass
        os.fsync(file.fileno())


def works_but_for_produce(broker, writer):
    """Reading, metadata and settings on a full disk, and a refusal each time that is tried."""
    link = raw.Link(("127.0.0.1", broker.port), ANSWER_SECONDS_MAX)
    writer.read_back(link)
    that(writer.topic.encode() in link.ask(raw.METADATA, 1, raw.array([raw.text(writer.topic)])), "no metadata")
    describe = raw.array([b"\2" + raw.text(writer.topic) + struct.pack(">i", -1)])
    that(b"retention.ms" in link.ask(raw.DESCRIBE_CONFIGS, 1, describe + b"\0"), "no settings")
    for _ in range(3):
        same(writer.write(), "KAFKA_STORAGE_ERROR", "while the disk is full")
    link.close()


@check(seconds=90, own_broker=True)
def a_full_disk_refuses_produce_and_recovers(context):
    with small_disk() as disk:
        if disk is None:
            print("SKIPPED: this system lets nobody mount a file system, so no disk was filled")
            return
        ballast = os.path.join(disk, "ballast")
        broker = context.start(SETTINGS, disk)
        address = ("127.0.0.1", broker.port)
        writer = Writer(address, "full")
        raw.ready(writer.link, "full")
        writer.write()
        fill(ballast)
        writer.write_until_full(20)
        works_but_for_produce(broker, writer)
        os.unlink(ballast)
        until(10, "produce works again", lambda: writer.write() == "NONE")
        fill(ballast)
        writer.write_until_full(20)
        begun = time.monotonic()
        same(broker.stop(), 0, "the exit status of a node that is stopped while its disk is full")
        took = time.monotonic() - begun
        that(took < ANSWER_SECONDS_MAX, f"it took {took:.1f} s to stop")
        refused = raises(Refused, broker.start)
        that("make room, then start again" in str(refused), f"a start on a full disk says what to do: {refused}")
        os.unlink(ballast)
        broker.start()
        writer.link.close()
        writer.read_back(writer.link)
        same(writer.write(), "NONE", "produce after a restart")
        writer.read_back(writer.link)
        broker.kill()
