"""The registry of checks, and what a check is given. A check is a function that raises when the broker is wrong."""

import time
import uuid

CHECKS = []


def check(seconds=30, own_broker=False, aside=False):
    """Registers a check that may take so long; `own_broker` ones start and kill brokers themselves, those `aside` only wait."""

    def register(function):
        function.seconds = seconds
        function.own_broker = own_broker
        function.aside = aside
        CHECKS.append(function)
        return function

    return register


class Context:
    """What a check works with: the address of a running broker, or the means to start one."""

    def __init__(self, bootstrap, start):
        self.bootstrap = bootstrap
        self.start = start

    @property
    def address(self):
        host, port = self.bootstrap.rsplit(":", 1)
        return host, int(port)

    @staticmethod
    def name(word):
        """A topic name that no other check uses."""
        return f"{word}-{uuid.uuid4().hex[:12]}"


def same(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what}\n  found  {shown(found)}\n  wanted {shown(wanted)}")


def that(condition, what):
    if not condition:
        raise AssertionError(what)


def raises(kind, function, *arguments, **named):
    try:
        found = function(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"no {kind} but {shown(found)}")


def until(seconds, what, function):
    """Calls until the outcome is true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        found = function()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def shown(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:300]} … {text[-300:]}"
