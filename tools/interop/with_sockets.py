"""Frames that no client sends: one connection's trouble must stay its own."""

import os
import socket
import struct
import time

from check import check, same, that
from with_confluent import create, producer, read, send

API_VERSIONS = 18


def connect(context):
    return socket.create_connection(context.address, timeout=10)


def frame(body):
    return struct.pack(">i", len(body)) + body


def request(key, version, correlation, body=b""):
    return frame(struct.pack(">hhih", key, version, correlation, -1) + body)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError(f"closed after {len(data)} of {count} bytes")
        data += more
    return data


def response(connection):
    """The correlation id and the body of the next response."""
    length = struct.unpack(">i", exactly(connection, 4))[0]
    body = exactly(connection, length)
    return struct.unpack(">i", body[:4])[0], body[4:]


def is_closed(connection, seconds=10):
    """Whether the broker closes the connection without a word."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def works(context, topic):
    """Another client's produce and consume are as they should be."""
    (_, offset), = send(producer(context.bootstrap), topic, [{"value": b"works"}])
    same(read(context.bootstrap, topic, 1, offset=offset)[0].value(), b"works")


def with_a_neighbour(context, disturb):
    topic = context.name("neighbour")
    create(context.bootstrap, topic)
    neighbour = connect(context)
    neighbour.sendall(request(API_VERSIONS, 0, 1))
    same(response(neighbour)[0], 1)
    disturb()
    works(context, topic)
    neighbour.sendall(request(API_VERSIONS, 0, 2))
    same(response(neighbour)[0], 2, "the neighbour's connection still works")
    neighbour.close()


@check(seconds=60)
def frames_of_impossible_length_close_their_connection(context):
    def disturb():
        for length in [-1, -(2**31), 2**31 - 1, 1 << 30]:
            with connect(context) as connection:
                connection.sendall(struct.pack(">i", length) + b"x" * 100)
                that(is_closed(connection), f"a frame of {length} bytes is waited for")

    with_a_neighbour(context, disturb)


@check(seconds=60)
def frames_too_short_or_of_noise_close_their_connection(context):
    def disturb():
        bodies = [b"", b"\0", b"\0\x12\0", b"\0\x12\0\0", struct.pack(">hhih", 3, 9, 7, 30_000), b"\xff" * 64]
        for body in bodies + [os.urandom(200) for _ in range(20)]:
            with connect(context) as connection:
                connection.sendall(frame(body))
                # The reader may get an error response first; what counts is that nobody waits for ever.
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(10)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass

    with_a_neighbour(context, disturb)


@check(seconds=60)
def counts_larger_than_their_frame_are_no_allocation(context):
    """A Metadata request for 2^31 - 1 topics, a Produce request for as many, a Fetch request for as many."""
    many = struct.pack(">i", 2**31 - 1)
    requests = [
        (3, 1, many),
        (0, 3, struct.pack(">hhi", -1, -1, 1000) + many),
        (1, 4, struct.pack(">iiiib", -1, 100, 1, 1 << 20, 0) + many),
    ]

    def disturb():
        for key, version, body in requests:
            with connect(context) as connection:
                connection.sendall(request(key, version, 1, body))
                that(is_closed(connection), f"API {key} with 2^31 - 1 elements is not refused")

    with_a_neighbour(context, disturb)


@check(seconds=60)
def dripping_request_is_answered_and_disturbs_nobody(context):
    def disturb():
        with connect(context) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request(API_VERSIONS, 0, 77):
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
            same(response(connection)[0], 77)

    with_a_neighbour(context, disturb)


@check(seconds=60)
def half_a_frame_and_gone_disturbs_nobody(context):
    def disturb():
        for cut in range(1, 18):
            with connect(context) as connection:
                connection.sendall(request(API_VERSIONS, 0, 1)[:cut])

    with_a_neighbour(context, disturb)


@check(seconds=60)
def many_idle_connections_disturb_nobody(context):
    idle = []

    def disturb():
        for _ in range(300):
            idle.append(connect(context))
        for connection in idle[::50]:
            connection.sendall(request(API_VERSIONS, 0, 5))
            same(response(connection)[0], 5)

    with_a_neighbour(context, disturb)
    for connection in idle:
        connection.close()


@check()
def pipelined_requests_are_answered_in_order(context):
    with connect(context) as connection:
        connection.sendall(b"".join(request(API_VERSIONS, version % 3, version) for version in range(60)))
        same([response(connection)[0] for _ in range(60)], list(range(60)))


@check()
def unknown_api_versions_version_is_answered_in_version_0(context):
    with connect(context) as connection:
        connection.sendall(request(API_VERSIONS, 99, 3, b"\0"))
        correlation, body = response(connection)
        same(correlation, 3)
        error, count = struct.unpack(">hi", body[:6])
        same(error, 35, "UNSUPPORTED_VERSION")
        keys = {struct.unpack(">hhh", body[6 + 6 * index : 12 + 6 * index])[0] for index in range(count)}
        that(API_VERSIONS in keys, f"keys {sorted(keys)}")


@check()
def produce_is_advertised_from_version_0(context):
    """librdkafka drops compression silently where the least version of Produce is not 0."""
    with connect(context) as connection:
        connection.sendall(request(API_VERSIONS, 0, 3))
        _, body = response(connection)
        count = struct.unpack(">i", body[2:6])[0]
        versions = {}
        for index in range(count):
            key, least, most = struct.unpack(">hhh", body[6 + 6 * index : 12 + 6 * index])
            versions[key] = (least, most)
        same(versions[0][0], 0)
        that(versions[1][0] <= 4 <= versions[1][1], f"Fetch {versions[1]}")


@check()
def unknown_api_closes_its_connection(context):
    def disturb():
        for key, version in [(999, 0), (-1, 0), (3, 99), (0, 99)]:
            with connect(context) as connection:
                connection.sendall(request(key, version, 1))
                that(is_closed(connection), f"API {key} version {version} is waited for")

    with_a_neighbour(context, disturb)
