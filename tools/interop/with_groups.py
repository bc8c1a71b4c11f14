"""Groups of real clients under load: members that join, leave and are killed, and a broker that is."""

import sys

import groups
from check import check, same
from groups import Story, live, own_words, recruit


def member(kind, *settings):
    name = " ".join([kind, *settings[:1]])
    return recruit(name, sys.executable, own_words("member.py"), kind, "{address}", "{group}", "{topic}", *settings)


def kcat(*settings):
    words = [f"session.timeout.ms={groups.SESSION_MS}", f"heartbeat.interval.ms={groups.HEARTBEAT_MS}", *settings]
    words += ["auto.commit.interval.ms=100", "auto.offset.reset=earliest", "log_level=2"]
    told = [word for each in words for word in ("-X", each)]
    shape = "handled 0 -1 %p %o %o\\n"
    return recruit("kcat", "kcat", "-b", "{address}", "-G", "{group}", "-E", "-u", "-f", shape, *told, "{topic}", tells_times=False)


CLASSIC = [member("confluent", "partition.assignment.strategy=range"), member("kafka-python"), kcat()]
COOPERATIVE = member("confluent", "partition.assignment.strategy=cooperative-sticky")
CONSUMER = member("confluent", "group.protocol=consumer")


def restart(broker):
    broker.kill()
    broker.start()


def lives(word, kinds):
    @check(seconds=150, own_broker=True, aside=True)
    def group_check(context):
        broker = context.start(groups.settings())
        live(Story(broker.bootstrap, word), kinds, lambda: restart(broker))
        broker.kill()

    group_check.__name__ = f"group_of_{word}_members_lives_on"


# kcat commits what it has got, printed or not, so that it is neither killed nor dismissed before the end.
lives("mixed", [CLASSIC[1], CLASSIC[0], CLASSIC[2], CLASSIC[2]])
lives("kafka_python", [CLASSIC[1]] * 4)
lives("cooperative", [COOPERATIVE] * 4)
lives("consumer_protocol", [CONSUMER] * 4)
# Members of both protocols in one group, which goes over to the one and to the other. An assignor that has data of its own, such as
# the cooperative one, keeps Kafka from it.
lives("upgraded", [CLASSIC[0], CLASSIC[0], CONSUMER, CONSUMER])
lives("downgraded", [CONSUMER, CONSUMER, COOPERATIVE, COOPERATIVE])


# A member that goes must be back before its session ends, however long a client takes to start on a machine that has much to do.
ABSENCE_MS = 20_000


def static(kind, name):
    return kind._replace(command=(*kind.command, f"group.instance.id={name}"))


def changes(story):
    return {member: [(period.partition, period.end) for period in member.periods] for member in story.members}


def static_members_keep_what_they_have(context, kind, go):
    """One goes and comes back with its name: it has what it had, and the others notice nothing."""
    broker = context.start(groups.settings(session_ms=ABSENCE_MS))
    names = ["a", "b", "c"]
    with Story(broker.bootstrap, "static") as story:
        for name in names:
            story.join(static(kind, name))
        story.rest("three join")
        story.goes_on("three members")
        for name, gone in zip(names, list(story.members)):
            before, had = changes(story), gone.owned()
            go(gone)
            before.pop(gone)
            back = story.join(static(kind, name))
            story.rest(f"{name} is back")
            same(back.owned(), had, f"what {name} has")
            story.goes_on(f"after {name} is back")
            now = changes(story)
            now.pop(back)
            same(now, before, f"what the others notice of {name}")
        story.nothing_is_lost()
        story.end()
    broker.kill()


@check(seconds=90, own_broker=True, aside=True)
def static_members_that_are_killed_keep_what_they_have(context):
    patient = member("confluent", "partition.assignment.strategy=range", f"session.timeout.ms={ABSENCE_MS}")
    static_members_keep_what_they_have(context, patient, lambda member: member.kill())


@check(seconds=90, own_broker=True, aside=True)
def static_members_of_the_consumer_protocol_keep_what_they_have(context):
    static_members_keep_what_they_have(context, CONSUMER, lambda member: member.leave())
