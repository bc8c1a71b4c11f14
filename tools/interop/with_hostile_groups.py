"""Bad input about groups: each gets Kafka's error, in bounded time and memory, and nobody else is disturbed."""

import contextlib
import threading
import time

import groups
import raw
import raw_groups as rg
from check import check, same, shown, that, until
from with_confluent import create
from with_hostile import MIB, is_undisturbed

STRANGER = "nobody-4711"

# What an answer says when there is none.
CLOSED = "closed"

# 32 KB, of which a string of the older encoding can just tell the length.
LONG_MAX = 32_767

MEMBERS = 10_000
GROUPS = 100_000


class Either(tuple):
    """Outcomes of which one is as good as another."""


# Where Kafka's engine ends by an overflow of its stack or its heap it calls that an error of its own.
REFUSED = Either(["INVALID_REGULAR_EXPRESSION", "UNKNOWN_SERVER_ERROR"])

# What it is, what it is answered, and the expression: of a linear engine, most of them are harmless.
EXPRESSIONS = [
    ("nested repetition", "NONE", "(a+)+$"),
    ("nested alternatives", "NONE", "(a|a|aa)*b"),
    ("multiplied repetition", REFUSED, "((((a{1,1000}){1,1000}){1,1000}){1,1000})"),
    ("multiplied optional", REFUSED, "(?:x{0,1000}){0,1000}"),
    ("open group", "INVALID_REGULAR_EXPRESSION", "("),
    ("open class", "INVALID_REGULAR_EXPRESSION", "["),
    ("large repetition", "INVALID_REGULAR_EXPRESSION", "a{100000}"),
    ("reference", "INVALID_REGULAR_EXPRESSION", "(a)\\1"),
    ("look-ahead", "INVALID_REGULAR_EXPRESSION", "(?=a)"),
    ("4,000 letters", "NONE", "a" * 4_000),
    # Longer than ours takes them.
    ("30,000 letters", Either(["NONE", "INVALID_REGULAR_EXPRESSION"]), "a" * 30_000),
    ("nothing", "NONE", ""),
    ("deep nesting", REFUSED, "(a|" * 2000 + "b" + ")" * 2000),
]


@contextlib.contextmanager
def undisturbed(context):
    """A link, beside a client that has to be served all the while."""
    link = raw.Link(context.address)
    until(20, "the coordinator", lambda: rg.find(link, "any") == "NONE" and rg.fetch(link, "any", None)[0] == "NONE")
    with raw.Canary(context.address, context.name("canary")) as canary:
        yield link
    link.close()
    is_undisturbed(canary)


def long_id(context):
    return context.name("g").ljust(LONG_MAX, "g")


class Table:
    """What was asked, what was found and what may be; all that is wrong is said at once."""

    def __init__(self, link):
        self.link, self.wrong, self.count = link, [], 0

    def row(self, what, wanted, function, *arguments, **named):
        """`wanted` is the error, or either of several."""
        self.count += 1
        try:
            found = function(self.link, *arguments, **named)
        except raw.Closed:
            found = CLOSED
        if isinstance(found, (rg.Joined, rg.Beat)):
            found = found.error
        if found not in (wanted if isinstance(wanted, Either) else (wanted,)):
            self.wrong.append(f"{what}: found {shown(found)}, wanted {wanted}")

    def judge(self):
        that(not self.wrong, f"{len(self.wrong)} of {self.count} are wrong:\n" + "\n".join(self.wrong))


class Classic:
    """A group with one member, who is its leader."""

    def __init__(self, link, group, instance=None, **fields):
        self.link, self.group, self.instance = link, group, instance
        joined = rg.join_fully(link, group, instance=instance, **fields)
        same((joined.error, joined.leader), ("NONE", joined.member))
        self.member, self.generation = joined.member, joined.generation
        same(rg.sync(link, group, self.generation, self.member, [(self.member, b"mine")], instance), ("NONE", b"mine"))

    def commit(self, topic, offset=1, **fields):
        wanted = {"generation": self.generation, "member": self.member, "instance": self.instance, **fields}
        return rg.commit(self.link, self.group, [(topic, [(0, offset)])], **wanted)


@check(seconds=60)
def hostile_groups_stale_generations_and_unknown_members_are_refused(context):
    topic, group, absent = context.name("t"), context.name("classic"), context.name("absent")
    create(context.bootstrap, topic)
    with undisturbed(context) as link:
        one, table = Classic(link, group), Table(link)
        at, place = one.generation, [(topic, [(0, 1)])]
        for generation, member, error in [
            (at + 1, one.member, "ILLEGAL_GENERATION"),
            (at - 1, one.member, "ILLEGAL_GENERATION"),
            (-2, one.member, "ILLEGAL_GENERATION"),
            (raw.INT_MAX, one.member, "ILLEGAL_GENERATION"),
            (at, STRANGER, "UNKNOWN_MEMBER_ID"),
            (at, "", "UNKNOWN_MEMBER_ID"),
            (at, "m" * LONG_MAX, "UNKNOWN_MEMBER_ID"),
        ]:
            what = f"generation {generation} of {at}, member {member[:20]}"
            table.row(f"heartbeat, {what}", error, rg.heartbeat, group, generation, member)
            table.row(f"sync, {what}", (error, b""), rg.sync, group, generation, member)
            table.row(f"commit, {what}", [error], rg.commit, group, place, generation=generation, member=member)
        table.row("commit of nobody", ["UNKNOWN_MEMBER_ID"], rg.commit, group, place)
        table.row("join", "UNKNOWN_MEMBER_ID", rg.join, group, STRANGER)
        table.row("leave", ("NONE", ["UNKNOWN_MEMBER_ID"]), rg.leave, group, (STRANGER, None))
        table.row("leave, other instance", ("NONE", ["UNKNOWN_MEMBER_ID"]), rg.leave, group, (one.member, "no-such-instance"))
        table.row("heartbeat, absent group", "UNKNOWN_MEMBER_ID", rg.heartbeat, absent, 1, one.member)
        table.row("sync, absent group", ("UNKNOWN_MEMBER_ID", b""), rg.sync, absent, 1, one.member)
        table.row("commit, absent group", ["ILLEGAL_GENERATION"], rg.commit, absent, place, generation=1, member="m")
        table.row("leave, absent group", ("NONE", ["UNKNOWN_MEMBER_ID"]), rg.leave, absent, (one.member, None))
        table.row("join, absent group", "UNKNOWN_MEMBER_ID", rg.join, absent, STRANGER)
        table.judge()
        same(one.commit(topic, 5), ["NONE"], "the member itself is as before")
        same(rg.heartbeat(link, group, at, one.member), "NONE")
        same(rg.fetch(link, group, [(topic, [0])])[1][0][1], 5, "what was refused is not committed")


@check(seconds=60)
def hostile_groups_stale_epochs_are_fenced(context):
    topic, group = context.name("t"), context.name("consumer")
    create(context.bootstrap, topic)
    with undisturbed(context) as link:
        one, table = rg.beat(link, group, "one", 0, topics=[topic]), Table(link)
        same((one.error, one.member), ("NONE", "one"), one.message)
        at = one.epoch
        table.row("epoch ahead", "FENCED_MEMBER_EPOCH", rg.beat, group, "one", at + 1)
        table.row("largest epoch", "FENCED_MEMBER_EPOCH", rg.beat, group, "one", raw.INT_MAX)
        table.row("epoch that means nothing", "INVALID_REQUEST", rg.beat, group, "one", -3)
        table.row("stranger", "UNKNOWN_MEMBER_ID", rg.beat, group, STRANGER, at)
        table.row("stranger leaves", "UNKNOWN_MEMBER_ID", rg.beat, group, STRANGER, -1)
        table.row("leaves for a while, not static", "INVALID_REQUEST", rg.beat, group, "one", -2)
        table.row("absent group", "GROUP_ID_NOT_FOUND", rg.beat, context.name("absent"), "one", 1)
        table.row("absent group, leaves", "GROUP_ID_NOT_FOUND", rg.beat, context.name("absent"), "one", -1)
        for epoch in (at + 1, at - 1, -2, raw.INT_MAX):
            table.row(f"commit at {epoch} of {at}", "STALE_MEMBER_EPOCH", rg.commit_compact, group, topic, 1, epoch, "one")
        place = [(topic, [(0, 1)])]
        table.row("commit of nobody", "UNKNOWN_MEMBER_ID", rg.commit_compact, group, topic, 1, -1, "")
        table.row("commit of a stranger", "UNKNOWN_MEMBER_ID", rg.commit_compact, group, topic, 1, at, STRANGER)
        table.row("old commit", ["UNSUPPORTED_VERSION"], rg.commit, group, place, generation=at + 1, member="one")
        table.row("old commit of a stranger", ["UNKNOWN_MEMBER_ID"], rg.commit, group, place, generation=at, member=STRANGER)
        table.row("classic heartbeat", "UNKNOWN_MEMBER_ID", rg.heartbeat, group, at, "one")
        table.row("classic sync", ("UNKNOWN_MEMBER_ID", b""), rg.sync, group, at, "one")
        table.row("classic join, no such protocol", "INCONSISTENT_GROUP_PROTOCOL", rg.join_fully, group, kind="connect")
        table.row("member itself", "NONE", rg.beat, group, "one", at)
        table.row("commit of the member", "NONE", rg.commit_compact, group, topic, 7, at, "one")
        table.judge()
        same(rg.fetch(link, group, [(topic, [0])])[1][0][1], 7, "what was refused is not committed")


@check(seconds=60)
def hostile_groups_joins_of_the_consumer_protocol_are_checked(context):
    topic, group = context.name("t"), context.name("consumer")
    create(context.bootstrap, topic)
    with undisturbed(context) as link:
        table = Table(link)
        same(rg.beat(link, group, "static", 0, topics=[topic], instance="one").error, "NONE")
        for what, error, member, fields in [
            ("instance of another", "UNRELEASED_INSTANCE_ID", "x", {"instance": "one"}),
            ("assignor", "UNSUPPORTED_ASSIGNOR", "x", {"assignor": "none"}),
            ("no assignor", "UNSUPPORTED_ASSIGNOR", "x", {"assignor": ""}),
            ("no member id", "INVALID_REQUEST", "", {}),
            ("neither topics nor expression", "INVALID_REQUEST", "x", {"topics": None}),
            ("null for what is owned", "INVALID_REQUEST", "x", {"owned": None}),
            ("owns something", "INVALID_REQUEST", "x", {"owned": [(rg.NO_ID, [1])]}),
            ("no rebalance timeout", "INVALID_REQUEST", "x", {"rebalance_ms": -1}),
            ("empty instance", "INVALID_REQUEST", "x", {"instance": ""}),
            ("empty rack", "INVALID_REQUEST", "x", {"rack": ""}),
            ("instance of 40,000", CLOSED, "x", {"instance": "i" * 40_000}),
            ("rack of 40,000", CLOSED, "x", {"rack": "r" * 40_000}),
            ("member of 100,000", CLOSED, "m" * 100_000, {}),
            ("member of 32 KB", "NONE", "m" * LONG_MAX, {}),
            ("topic that no topic can be", "NONE", "y", {"topics": ["sla/sh"]}),
            ("topic that is not there", "NONE", "z", {"topics": ["absent"]}),
            ("10,000 topics", "NONE", "many", {"topics": [f"absent-{index}" for index in range(10_000)]}),
        ]:  # fmt: skip
            table.row(what, error, rg.beat, group, member, 0, **{"topics": [topic], **fields})
        fenced = {"instance": "one", "topics": [topic]}
        table.row("instance of another, later", "FENCED_INSTANCE_ID", rg.beat, group, "x", 1, **fenced)
        for id_ in ["", "  ", "g" * 100_000]:
            error = CLOSED if len(id_) > 1000 else "INVALID_REQUEST"
            table.row(f"group of {len(id_)}", error, rg.beat, id_, "x", 0, topics=[topic])
        table.row("group of 32 KB", "NONE", rg.beat, long_id(context), "x", 0, topics=[topic])
        table.judge()


@check(seconds=60)
def hostile_groups_expressions_that_explode_are_bounded(context):
    with undisturbed(context) as link:
        for number in range(20):
            create(context.bootstrap, "a" * 100 + f"-{number}-" + context.name("x")[:20])
        table, slowest = Table(link), 0
        for what, error, expression in EXPRESSIONS:
            begun = time.monotonic()
            group = context.name("expression")
            table.row(what, error, rg.beat, group, "x", 0, topics=None, regex=expression)
            slowest = max(slowest, time.monotonic() - begun)
        table.judge()
        that(slowest < 2, f"an expression took {slowest:.1f} s")


@check(seconds=60)
def hostile_groups_empty_and_long_ids_are_answered(context):
    topic, absent, long = context.name("t"), context.name("absent"), long_id(context)
    create(context.bootstrap, topic)
    with undisturbed(context) as link:
        table, place = Table(link), [(topic, [(0, 1)])]
        table.row("join", "INVALID_GROUP_ID", rg.join, "")
        table.row("heartbeat", "INVALID_GROUP_ID", rg.heartbeat, "", 1, "m")
        table.row("sync", ("INVALID_GROUP_ID", b""), rg.sync, "", 1, "m")
        table.row("leave", ("INVALID_GROUP_ID", []), rg.leave, "", ("m", None))
        # An empty id is one under which a consumer without members can commit.
        table.row("commit", ["NONE"], rg.commit, "", place)
        table.row("fetch", ("NONE", [((topic, 0), 1, "NONE", "")]), rg.fetch, "", [(topic, [0])])
        table.row("delete", {"": "NONE", absent: "GROUP_ID_NOT_FOUND"}, rg.delete, "", absent)
        table.row("describe", [("NONE", "Dead", "", "", [])] * 2, rg.describe, "", absent)
        table.row("delete offsets", ("INVALID_GROUP_ID", []), rg.delete_offsets, "", [(topic, [0])])
        table.row("delete offsets, absent", ("GROUP_ID_NOT_FOUND", []), rg.delete_offsets, absent, [(topic, [0])])
        table.row("find", "NONE", rg.find, "")
        table.row("find of a kind that is not", "INVALID_REQUEST", rg.find, "x", 9)
        table.row("32 KB: find", "NONE", rg.find, long)
        table.row("32 KB: commit", ["NONE"], rg.commit, long, place)
        table.row("32 KB: fetch", ("NONE", [((topic, 0), 1, "NONE", "")]), rg.fetch, long, [(topic, [0])])
        table.row("32 KB: join", "NONE", rg.join_fully, long)
        table.row("32 KB: delete", {long: "NON_EMPTY_GROUP"}, rg.delete, long)
        for instance in ["", ".", "..", "sp ace", "i" * 1000]:
            table.row(f"instance {instance[:10]}", "NONE", rg.join, context.name("i"), instance=instance)
        # Kafka's clients take none that is longer than 249; ours takes none of this length either.
        longest = Either(["NONE", "INVALID_REQUEST"])
        table.row("instance of 30,000", longest, rg.join, context.name("i"), instance="i" * 30_000)
        table.judge()


@check(seconds=60)
def hostile_groups_bad_commits_are_refused(context):
    topic, group = context.name("t"), context.name("commits")
    create(context.bootstrap, topic)
    at = lambda: rg.fetch(link, group, [(topic, [0])])[1][0][1:]
    with undisturbed(context) as link:
        table = Table(link)
        for name, index in [(topic, 1), (topic, -1), (topic, raw.INT_MAX), ("absent", 0), ("sla/sh", 0), ("", 0)]:
            table.row(f"commit to {name} {index}", ["UNKNOWN_TOPIC_OR_PARTITION"], rg.commit, group, [(name, [(index, 1)])])
        many = [(topic, [(index, 1) for index in range(1, 10_001)])]
        table.row("10,000 at once", ["UNKNOWN_TOPIC_OR_PARTITION"] * 10_000, rg.commit, group, many)
        table.row("nothing is committed", ("NONE", []), rg.fetch, group, None)
        for size, error in [(4096, "NONE"), (4097, "OFFSET_METADATA_TOO_LARGE"), (32_767, "OFFSET_METADATA_TOO_LARGE")]:
            table.row(f"metadata of {size}", [error], rg.commit, group, [(topic, [(0, 1)])], metadata="m" * size)
        same(at(), (1, "NONE", "m" * 4096))
        table.row("no metadata", ["NONE"], rg.commit, group, [(topic, [(0, 2)])], metadata=None)
        same(at(), (2, "NONE", ""))
        table.row("one partition twice", ["NONE", "NONE"], rg.commit, group, [(topic, [(0, 3), (0, 4)])])
        same(at(), (4, "NONE", ""))
        both = [(topic, [(0, 6)]), ("absent", [(0, 1)])]
        found = sorted(rg.commit(link, group, both))
        same(found, ["NONE", "UNKNOWN_TOPIC_OR_PARTITION"], "one good and one bad")
        same(at(), (6, "NONE", ""), "the good one")
        table.row("largest offset", ["NONE"], rg.commit, group, [(topic, [(0, 2**63 - 1)])])
        wanted = [((topic, 0), 2**63 - 1, "NONE", ""), ((topic, 7), -1, "NONE", ""), (("absent", 0), -1, "NONE", "")]
        table.row("fetch of what is not there", ("NONE", wanted), rg.fetch, group, [(topic, [0, 7]), ("absent", [0])])
        table.judge()


@check(seconds=60)
def hostile_groups_joins_and_assignments_are_checked(context):
    topic = context.name("t")
    create(context.bootstrap, topic)
    with undisturbed(context) as link:
        table, new = Table(link), lambda: context.name("g")
        table.row("no protocols", "INCONSISTENT_GROUP_PROTOCOL", rg.join, new(), protocols=[])
        table.row("no kind", "INCONSISTENT_GROUP_PROTOCOL", rg.join, new(), kind="")
        for session in (1, -1, raw.INT_MAX):
            table.row(f"session of {session}", "INVALID_SESSION_TIMEOUT", rg.join, new(), session_ms=session)
        garbage = [("range", b"\xff" * 100), ("range", b""), ("", b"")]
        table.row("garbage for a subscription", "NONE", rg.join_fully, new(), protocols=garbage)
        table.row("a subscription of 900 KB", "NONE", rg.join_fully, new(), protocols=[("range", bytes(900_000))])
        group = new()
        one = Classic(link, group, protocols=[("range", rg.subscription(topic))])
        table.row("other kind", "INCONSISTENT_GROUP_PROTOCOL", rg.join, group, kind="connect")
        table.row("other protocol", "INCONSISTENT_GROUP_PROTOCOL", rg.join, group, protocols=[("mine", b"")])
        table.row("delete", {group: "NON_EMPTY_GROUP"}, rg.delete, group)
        table.row("delete offsets", ("NONE", ["UNKNOWN_TOPIC_OR_PARTITION"]), rg.delete_offsets, group, [("absent", [0])])
        table.row("of its topic", ("NONE", ["GROUP_SUBSCRIBED_TO_TOPIC"]), rg.delete_offsets, group, [(topic, [0])])
        table.row("member itself", "NONE", rg.heartbeat, group, one.generation, one.member)
        strangers = [("stranger", b"x"), ("stranger", b"y")]
        group = new()
        joined = rg.join_fully(link, group)
        table.row("assignments of strangers", ("NONE", b""), rg.sync, group, joined.generation, joined.member, strangers)
        group = new()
        joined = rg.join_fully(link, group)
        large = [(joined.member, bytes(2_000_000))]
        # What Kafka cannot store in one batch of its log it refuses; ours can.
        stored = Either([("UNKNOWN_SERVER_ERROR", b""), ("NONE", large[0][1])])
        table.row("2 MB of it", stored, rg.sync, group, joined.generation, joined.member, large)
        group = new()
        old = Classic(link, group, "one")
        young = rg.join(link, group, instance="one")
        same((young.error, young.generation, young.member != old.member), ("NONE", old.generation, True), "the same instance again")
        fenced = "FENCED_INSTANCE_ID"
        table.row("old heartbeat", fenced, rg.heartbeat, group, old.generation, old.member, "one")
        table.row("old sync", (fenced, b""), rg.sync, group, old.generation, old.member, (), "one")
        table.row("old join", fenced, rg.join, group, old.member, instance="one")
        table.row("old leave", ("NONE", [fenced]), rg.leave, group, (old.member, "one"))
        same(old.commit(topic), [fenced])
        table.row("young heartbeat", "NONE", rg.heartbeat, group, young.generation, young.member, "one")
        group = new()
        Classic(link, group, protocols=[("range", b"\xff")])
        table.row("upgrade of garbage", "GROUP_ID_NOT_FOUND", rg.beat, group, "c", 0, topics=[topic])
        table.judge()


def joins_at_once(address, group, count):
    """So many members of the classic protocol, each with a connection of its own, until all that may are in one generation. Gives
    the last answer to a join of each."""
    answers, is_over = [None] * count, threading.Event()

    def member(number):
        link, mine = raw.Link(address, 60), ""
        while not is_over.is_set():
            joined = answers[number] = rg.join(link, group, mine, session_ms=60_000, rebalance_ms=60_000)
            mine = joined.member or mine
            if joined.error == "NONE":
                error, data = rg.sync(link, group, joined.generation, mine, [(each, each.encode()) for each, _ in joined.members])
                if error == "NONE":
                    same(data, mine.encode(), "what is assigned")
                while error == "NONE" and not is_over.wait(0.1):
                    error = rg.heartbeat(link, group, joined.generation, mine)
                that(error in ("NONE", "REBALANCE_IN_PROGRESS"), error)
            elif joined.error != "MEMBER_ID_REQUIRED":
                break
        link.close()

    def is_at_rest():
        errors = [each.error if each else None for each in answers]
        generations = {each.generation for each in answers if each and each.error == "NONE"}
        return None not in errors and "MEMBER_ID_REQUIRED" not in errors and len(generations) == 1

    threads = [threading.Thread(target=member, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        until(60, f"{count} members are in one generation", is_at_rest)
    finally:
        is_over.set()
    for thread in threads:
        thread.join(60)
    return answers


@check(seconds=120, own_broker=True, aside=True)
def hostile_groups_the_size_of_a_group_is_bounded(context):
    broker = context.start(("group.max.size=20", "group.consumer.max.size=20", "group.initial.rebalance.delay.ms=500"))
    context.bootstrap = broker.bootstrap
    with undisturbed(context) as link:
        found = joins_at_once(context.address, "classic", 40)
        errors = sorted(each.error for each in found)
        same(errors, ["GROUP_MAX_SIZE_REACHED"] * 20 + ["NONE"] * 20)
        for number in range(30):
            wanted = "NONE" if number < 20 else "GROUP_MAX_SIZE_REACHED"
            same(rg.beat(link, "consumer", f"m{number}", 0).error, wanted, f"member {number}")
    broker.kill()


@check(seconds=240, own_broker=True, aside=True)
def hostile_groups_ten_thousand_members_are_served(context):
    """Of both protocols; those of the classic one that ask for an id and do not come back are forgotten."""
    broker = context.start(groups.settings())
    context.bootstrap = broker.bootstrap
    create(context.bootstrap, "t", partitions=100)
    with undisturbed(context) as link:
        before, begun = broker.memory_bytes(), time.monotonic()
        fields = {"rebalance_ms": 600_000, "owned": [], "topics": ["t"]}
        joins = (rg.beat_body("consumer", f"member-{number}", 0, **fields) for number in range(MEMBERS))
        for data in rg.ask_all(link, rg.CONSUMER_GROUP_HEARTBEAT, 1, joins, b"\0"):
            same(rg.beaten(data).error, "NONE")
        joined = time.monotonic()
        asks = (rg.join_body("classic", session_ms=2000) for _ in range(MEMBERS))
        answers = [rg.joined(data) for data in rg.ask_all(link, rg.JOIN_GROUP, 5, asks)]
        same({each.error for each in answers}, {"MEMBER_ID_REQUIRED"})
        asked = time.monotonic()
        same(rg.join(link, "classic", answers[-1].member, session_ms=2000).error, "NONE", "one that comes back")
        until(10, "one that comes later", lambda: rg.join_fully(link, "classic", rebalance_ms=100).error == "NONE")
        grown = broker.memory_bytes() - before
        print(f"{MEMBERS} joins in {joined - begun:.1f} s, {MEMBERS} ids in {asked - joined:.1f} s, {grown // MIB} MiB")
        that(grown < 256 * MIB, f"{MEMBERS} members cost {grown // MIB} MiB")
        found = joins_at_once(context.address, "many", 300)
        same({(each.error, each.generation) for each in found}, {("NONE", found[0].generation)}, "300 at once")
    broker.kill()


@check(seconds=240, own_broker=True, aside=True)
def hostile_groups_a_hundred_thousand_groups_are_served(context):
    broker = context.start()
    context.bootstrap = broker.bootstrap
    create(context.bootstrap, "t")
    names = [f"group-{number}" for number in range(GROUPS)]
    with undisturbed(context) as link:
        before, begun = broker.memory_bytes(), time.monotonic()
        commits = (rg.commit_body(name, [("t", [(0, number)])]) for number, name in enumerate(names))
        for data in rg.ask_all(link, raw.OFFSET_COMMIT, 7, commits, window=1000):
            same(rg.committed(data), ["NONE"])
        grown = broker.memory_bytes() - before
        print(f"{GROUPS} groups in {time.monotonic() - begun:.1f} s, {grown // GROUPS} bytes each")
        that(grown < 4096 * GROUPS, f"{GROUPS} groups cost {grown // MIB} MiB")
        begun = time.monotonic()
        error, found = rg.listed(link)
        same((error, set(found) == set(names), len(found)), ("NONE", True, GROUPS), "the list of groups")
        that(time.monotonic() - begun < 10, "the list of groups took too long")
    broker.kill()
    begun = time.monotonic()
    broker.start()
    link = raw.Link(context.address)
    for number in (0, GROUPS // 2, GROUPS - 1):
        there = lambda: rg.fetch(link, names[number], [("t", [0])]) == ("NONE", [(("t", 0), number, "NONE", "")])
        until(30, f"what {names[number]} has committed, after kill -9", there)
    print(f"{GROUPS} groups are back after {time.monotonic() - begun:.1f} s")
    link.close()
    broker.kill()
