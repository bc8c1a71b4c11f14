"""A group of members of any client, each a process, under a writer's load: what each of them tells, and whether it may be so.

A member is a program that is given an address, a group and a topic. It commits what it has handled, leaves on SIGTERM with
status 0, and prints lines, times in milliseconds since 1970:

    assigned TIME PARTITION..                  it has these from now on, beside those it has
    revoked TIME PARTITION..                   it has them no longer
    lost TIME PARTITION..                      it has learnt that it has them no longer since it cannot say when
    handled TIME GENERATION PARTITION A B      it has handled all offsets from A to B; a generation that it does not know is -1
    committed TIME PARTITION OFFSET            the broker has said that this is committed
"""

import collections
import os
import re
import signal
import subprocess
import threading
import time

import raw
import raw_groups
from check import Context, same, that, until
from confluent_kafka import Producer
from with_confluent import create

PARTITIONS = 6
SESSION_MS = 4000
HEARTBEAT_MS = 300

# Records of a partition that show that a group goes on.
RECORDS_MIN = 50

# Seconds in which a group has to come to rest.
REST_SECONDS = 30
LEAVE_SECONDS = 20


# What a coordinator that is about to be there says.
NOT_YET = {"COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"}

Handled = collections.namedtuple("Handled", "member time generation partition first last")
Recruit = collections.namedtuple("Recruit", "name command tells_times")


def settings(session_ms=SESSION_MS):
    """A broker for members that are missed after so long."""
    return (
        "group.initial.rebalance.delay.ms=0",
        "group.min.session.timeout.ms=1000",
        "group.consumer.min.session.timeout.ms=1000",
        f"group.consumer.session.timeout.ms={session_ms}",
        "group.consumer.min.heartbeat.interval.ms=100",
        f"group.consumer.heartbeat.interval.ms={HEARTBEAT_MS}",
        "offsets.topic.num.partitions=3",
        "offsets.topic.replication.factor=1",
    )


def recruit(name, *command, tells_times=True):
    """A member to be: {address}, {group} and {topic} in its command are filled in. One that does not tell times of its own tells
    what it has only roughly."""
    return Recruit(name, command, tells_times)


def now():
    return time.time_ns() // 1_000_000


class Period:
    """While a member has a partition."""

    def __init__(self, partition, begin):
        self.partition, self.begin, self.end, self.is_lost = partition, begin, None, False


class Member:
    """A process that is a member, and what it told."""

    def __init__(self, story, kind, place):
        words = {"address": story.bootstrap, "group": story.group, "topic": story.topic}
        self.name, self.tells_times = f"{kind.name} {place}", kind.tells_times
        self.story, self.periods, self.noise, self.is_killed = story, [], collections.deque(maxlen=30), False
        self.process = subprocess.Popen(
            [word.format(**words) for word in kind.command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        for line in self.process.stdout:
            with self.story.lock:
                if not self.told(line) and not self.kcat_told(line):
                    self.noise.append(line.rstrip())

    def told(self, line):
        words = line.split()
        numbers = [int(word) for word in words[1:] if re.fullmatch(r"-?\d+", word)]
        if not words or len(numbers) != len(words) - 1:
            return False
        if words[0] == "assigned":
            self.assigned(numbers[0], numbers[1:])
        elif words[0] in ("revoked", "lost"):
            self.revoked(numbers[0], numbers[1:], words[0] == "lost")
        elif words[0] == "handled":
            self.story.handled.append(Handled(self, *numbers))
        elif words[0] == "committed":
            self.story.acknowledged.append(numbers)
        else:
            return False
        return True

    def kcat_told(self, line):
        """kcat's own words; its records come one by one."""
        found = re.search(r"rebalanced .*: (assigned|revoked): (.*)", line)
        if found:
            partitions = [int(number) for number in re.findall(r"\[(\d+)\]", found[2])]
            getattr(self, found[1])(now(), partitions)
        return bool(found) or line.startswith("% Reached end of topic")

    def assigned(self, moment, partitions):
        has = self.owned()
        self.periods += [Period(partition, moment) for partition in partitions if partition not in has]

    def revoked(self, moment, partitions, is_lost=False):
        for period in self.periods:
            if period.end is None and period.partition in partitions:
                period.end, period.is_lost = moment, is_lost

    def owned(self):
        return {period.partition for period in self.periods if period.end is None}

    def ended(self):
        self.reader.join(LEAVE_SECONDS)
        self.process.stdout.close()
        with self.story.lock:
            self.revoked(now(), self.owned())
        self.story.members.remove(self)

    def kill(self):
        """kill -9: the group has to miss it by itself."""
        self.is_killed = True
        self.process.kill()
        self.process.wait()
        self.ended()

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            status = f"not done within {LEAVE_SECONDS} s"
        if status != 0:
            raise AssertionError(f"{self.name} does not leave: {status}\n" + "\n".join(self.noise))
        self.ended()


class Watch:
    """Asks all the while what is committed, and takes note when less is committed than before or than was acknowledged."""

    def __init__(self, story):
        self.story, self.committed, self.trouble, self.count = story, {}, None, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        link = raw.Link(self.story.address)
        while not self.over.is_set() and self.trouble is None:
            try:
                self.look(link)
            except raw.Closed:
                pass
            except BaseException as error:
                self.trouble = f"{type(error).__name__} {error}"
            self.over.wait(0.05)
        link.close()

    def look(self, link):
        with self.story.lock:
            floor = dict(self.committed)
            for _, partition, offset in self.story.acknowledged:
                floor[partition] = max(floor.get(partition, -1), offset)
        error, found = raw_groups.fetch(link, self.story.group, [(self.story.topic, range(PARTITIONS))])
        if error in NOT_YET or any(each[2] in NOT_YET for each in found):
            return
        same((error, {each[2] for each in found}), ("NONE", {"NONE"}), "errors of OffsetFetch")
        for (_, partition), offset, _, _ in found:
            if offset < floor.get(partition, -1):
                self.trouble = f"the offset of {partition} went from {floor[partition]} to {offset}"
            self.committed[partition] = offset
        self.count += 1

    def stop(self):
        self.over.set()
        self.thread.join(30)


class Writer:
    """Writes to all partitions in turn until it is told to stop."""

    def __init__(self, bootstrap, topic):
        self.ends, self.failures, self.count, self.over = collections.Counter(), [], 0, threading.Event()
        self.client = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 2})
        self.topic = topic
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_delivery(self, error, message):
        if error is None:
            self.ends[message.partition()] += 1
        else:
            self.failures.append(error)

    def run(self):
        while not self.over.wait(0.02):
            for _ in range(20):
                self.client.produce(self.topic, b"%d" % self.count, partition=self.count % PARTITIONS, on_delivery=self.on_delivery)
                self.count += 1
            self.client.poll(0)

    def stop(self):
        self.over.set()
        self.thread.join(30)
        same(self.client.flush(30), 0, "records without an outcome")
        same(self.failures, [], "records that failed")


class Story:
    """A topic, its writer, a group over it and whoever is a member."""

    def __init__(self, bootstrap, word, group=None):
        self.bootstrap, self.topic = bootstrap, Context.name(word)
        self.group = group or f"{self.topic}-group"
        self.lock = threading.RLock()
        self.members, self.handled, self.acknowledged, self.everyone = [], [], [], []
        self.begun, self.course = time.monotonic(), []

    @property
    def address(self):
        return Context(self.bootstrap, None).address

    def __enter__(self):
        create(self.bootstrap, self.topic, partitions=PARTITIONS)
        self.writer = Writer(self.bootstrap, self.topic)
        self.watch = Watch(self)
        return self

    def __exit__(self, kind, *_):
        self.writer.over.set()
        self.watch.over.set()
        for member in list(self.members):
            if kind is not None:
                print(f"--- {member.name} has {sorted(member.owned())}:", *member.noise, sep="\n")
            member.process.kill()
            member.process.wait()

    def join(self, *kinds):
        """Starts members at once."""
        for kind in kinds:
            self.members.append(Member(self, kind, len(self.everyone)))
            self.everyone.append(self.members[-1])
        return self.members[-1]

    def rest(self, what):
        """Waits until each partition has one owner, and each member some."""
        until(REST_SECONDS, f"{what}: an owner for each partition", self.is_at_rest)
        self.passed(what)

    def is_at_rest(self):
        for member in self.members:
            if member.process.poll() is not None:
                raise AssertionError(f"{member.name} ended with {member.process.returncode}\n" + "\n".join(member.noise))
        with self.lock:
            owned = sorted(partition for member in self.members for partition in member.owned())
            return owned == list(range(PARTITIONS)) and all(member.owned() for member in self.members)

    def nothing_is_lost(self):
        """As long as the broker lives it takes nothing from a member that lives."""
        lost = [(member.name, period.partition) for member in self.everyone for period in member.periods if period.is_lost]
        same(lost, [], "what members have lost")

    def goes_on(self, what):
        """Waits until more is committed in each partition."""
        before = {partition: max(self.watch.committed.get(partition, 0), 0) for partition in range(PARTITIONS)}
        moved = lambda: all(self.watch.committed.get(each, 0) > at + RECORDS_MIN for each, at in before.items())
        until(REST_SECONDS, f"{what}: more committed in each partition than {before}", moved)
        that(self.watch.trouble is None, self.watch.trouble)
        self.passed(what)

    def passed(self, what):
        self.course.append(f"{time.monotonic() - self.begun:.1f} {what}")

    def end(self):
        """Ends the load, waits until all of it is committed, dismisses all members, and judges."""
        self.writer.stop()
        ends = dict(self.writer.ends)
        that(all(ends.get(partition, 0) > RECORDS_MIN for partition in range(PARTITIONS)), f"too little to prove anything: {ends}")
        done = lambda: self.watch.trouble or self.watch.committed == ends
        try:
            until(REST_SECONDS, "all is handled and committed", done)
        except AssertionError:
            same(self.watch.committed, ends, "what is committed at the end")
        for member in list(self.members):
            member.leave()
        count = self.watch.count
        until(REST_SECONDS, "another look at what is committed", lambda: self.watch.trouble or self.watch.count > count)
        self.watch.stop()
        that(self.watch.trouble is None, self.watch.trouble)
        same(self.watch.committed, ends, "what is committed when all have left")
        self.judge(ends)
        self.passed("the end")
        print(f"{self.topic}: {', '.join(self.course)}", flush=True)

    def judge(self, ends):
        handled = collections.defaultdict(list)
        for each in self.handled:
            handled[each.partition].append(each)
        for partition, end in ends.items():
            is_complete(handled[partition], end)
            is_once(handled[partition], self.everyone)
            has_one_owner(partition, self.everyone)
            goes_forward(partition, self.everyone, handled[partition], self.acknowledged)


def is_complete(handled, end):
    """Each record at least once."""
    at = 0
    for each in sorted(handled, key=lambda each: each.first):
        that(each.first <= at, f"{each.partition}: {at}..{each.first} was handled by nobody")
        at = max(at, each.last + 1)
    same(at, end, "the end of what was handled")


def is_once(handled, members):
    """Each record by at most one member in a generation, and once and in order as long as a member has the partition: one that joins
    again may get the generation that it had."""
    # Up to where each member has come in a generation.
    reached = collections.defaultdict(dict)
    for each in sorted(handled, key=lambda each: each.first):
        of_generation = reached[each.generation]
        for other, last in of_generation.items():
            twice = f"{each.partition}: {each.first} twice in generation {each.generation}, by {other.name} and {each.member.name}"
            that(other is each.member or each.generation < 0 or each.first > last, twice)
        of_generation[each.member] = max(each.last, of_generation.get(each.member, -1))
    for member in members:
        own = [each for each in handled if each.member is member]
        for one, two in zip(own, own[1:]):
            is_same = any(period.partition == one.partition and covers(period, one, two) for period in member.periods)
            that(not is_same or two.first == one.last + 1, f"{member.name}: {two.first} of {one.partition} after {one.last}")


def covers(period, *handled):
    # Of what is in the very millisecond of its begin it is not known on which side of it it is.
    return all(period.begin < each.time and (period.end is None or each.time < period.end) for each in handled)


def has_one_owner(partition, members):
    """Who has lost it, has done so before another got it; only when is not known."""
    periods = [
        (period.begin, period.end, member.name)
        for member in members
        for period in member.periods
        if period.partition == partition and member.tells_times and not period.is_lost
    ]
    periods.sort()
    for one, two in zip(periods, periods[1:]):
        that(one[1] is not None and one[1] <= two[0], f"{partition} has two owners: {one} and {two}")


def goes_forward(partition, members, handled, acknowledged):
    """Whoever gets a partition begins at what was committed, or behind it."""
    for member in members:
        for period in member.periods:
            own = [each for each in handled if each.member is member and covers(period, each)]
            before = [offset for moment, of, offset in acknowledged if of == partition and moment < period.begin]
            if own and before and member.tells_times:
                first, floor = min(each.first for each in own), max(before)
                that(first >= floor, f"{member.name} begins with {first} of {partition}, and {floor} was committed before")


def live(story, kinds, restart=None):
    """Members join, leave, are killed and replaced while the writer writes; then the broker may be, too."""
    one, two, three, four = kinds
    with story:
        first = story.join(one)
        second = story.join(two)
        story.rest("two join")
        story.goes_on("two members")
        story.join(three)
        story.rest("a third joins")
        story.goes_on("three members")
        first.leave()
        story.rest("the first leaves")
        story.goes_on("after one left")
        second.kill()
        story.rest("the second is killed")
        story.goes_on("after one was killed")
        story.join(four)
        story.rest("a fourth joins")
        story.goes_on("after another joined")
        story.nothing_is_lost()
        if restart is not None:
            restart()
            story.goes_on("after a restart of the broker")
        story.end()


def own_words(path):
    """Where a program beside this one is."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), path)
