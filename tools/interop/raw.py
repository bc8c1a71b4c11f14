"""Requests and record batches written byte by byte, so that each byte can be wrong on purpose. Uses no Kafka client."""

import gzip
import socket
import struct
import threading
import time
import zlib

import lz4.frame
import snappy
import zstandard

ERRORS = {
    -1: "UNKNOWN_SERVER_ERROR", 0: "NONE", 1: "OFFSET_OUT_OF_RANGE", 2: "CORRUPT_MESSAGE", 3: "UNKNOWN_TOPIC_OR_PARTITION",
    10: "MESSAGE_TOO_LARGE", 12: "OFFSET_METADATA_TOO_LARGE", 14: "COORDINATOR_LOAD_IN_PROGRESS",
    15: "COORDINATOR_NOT_AVAILABLE", 16: "NOT_COORDINATOR", 17: "INVALID_TOPIC_EXCEPTION", 18: "RECORD_LIST_TOO_LARGE",
    21: "INVALID_REQUIRED_ACKS", 22: "ILLEGAL_GENERATION", 23: "INCONSISTENT_GROUP_PROTOCOL", 24: "INVALID_GROUP_ID",
    25: "UNKNOWN_MEMBER_ID", 26: "INVALID_SESSION_TIMEOUT", 27: "REBALANCE_IN_PROGRESS", 28: "INVALID_COMMIT_OFFSET_SIZE",
    29: "TOPIC_AUTHORIZATION_FAILED", 32: "INVALID_TIMESTAMP", 35: "UNSUPPORTED_VERSION", 36: "TOPIC_ALREADY_EXISTS",
    37: "INVALID_PARTITIONS", 38: "INVALID_REPLICATION_FACTOR", 39: "INVALID_REPLICA_ASSIGNMENT", 40: "INVALID_CONFIG",
    41: "NOT_CONTROLLER", 42: "INVALID_REQUEST", 43: "UNSUPPORTED_FOR_MESSAGE_FORMAT", 44: "POLICY_VIOLATION",
    45: "OUT_OF_ORDER_SEQUENCE_NUMBER", 46: "DUPLICATE_SEQUENCE_NUMBER", 47: "INVALID_PRODUCER_EPOCH", 48: "INVALID_TXN_STATE",
    49: "INVALID_PRODUCER_ID_MAPPING", 53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", 56: "KAFKA_STORAGE_ERROR",
    59: "UNKNOWN_PRODUCER_ID", 68: "NON_EMPTY_GROUP", 69: "GROUP_ID_NOT_FOUND", 70: "FETCH_SESSION_ID_NOT_FOUND",
    71: "INVALID_FETCH_SESSION_EPOCH", 76: "UNSUPPORTED_COMPRESSION_TYPE", 79: "MEMBER_ID_REQUIRED",
    81: "GROUP_MAX_SIZE_REACHED", 82: "FENCED_INSTANCE_ID", 86: "GROUP_SUBSCRIBED_TO_TOPIC", 87: "INVALID_RECORD",
    100: "UNKNOWN_TOPIC_ID", 110: "FENCED_MEMBER_EPOCH", 111: "UNRELEASED_INSTANCE_ID", 112: "UNSUPPORTED_ASSIGNOR",
    113: "STALE_MEMBER_EPOCH", 120: "TRANSACTION_ABORTABLE", 128: "INVALID_REGULAR_EXPRESSION",
}  # fmt: skip

# Keys of the protocol that are written here.
PRODUCE, FETCH, METADATA, OFFSET_COMMIT, API_VERSIONS = 0, 1, 3, 8, 18
CREATE_TOPICS, DELETE_TOPICS, DESCRIBE_CONFIGS, CREATE_PARTITIONS = 19, 20, 32, 37

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
TRANSACTIONAL, CONTROL = 0x10, 0x20
INT_MAX = 2**31 - 1

CRC_TABLE = []
for value in range(256):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    CRC_TABLE.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    table = CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


def now():
    return int(time.time() * 1000)


def record(place=0, attributes=0, time_delta=0, key=b"key", value=b"value", headers=varint(0), more=0):
    """A record; key and value may be bytes with their length or, as a number, a length alone. Its own length is off by `more`."""
    part = [varint(field) if isinstance(field, int) else sized(field) for field in (key, value)]
    body = bytes([attributes]) + varint(time_delta) + varint(place) + part[0] + part[1] + headers
    return varint(len(body) + more) + body


def compress(codec, data):
    if codec == GZIP:
        return gzip.compress(data)
    if codec == SNAPPY:
        return snappy.compress(data)
    if codec == LZ4:
        return lz4.frame.compress(data, block_linked=False)
    return zstandard.ZstdCompressor().compress(data) if codec == ZSTD else data


def batch(payload=None, count=1, attributes=0, base=0, delta=None, start=None, most=None, who=(-1, -1, -1), magic=2, crc=None):
    """A record batch around a payload, each field of its header as said."""
    payload = record() if payload is None else payload
    start = now() if start is None else start
    most = start if most is None else most
    delta = count - 1 if delta is None else delta
    checked = struct.pack(">hiqqqhii", attributes, delta, start, most, *who, count) + payload
    crc = crc32c(checked) if crc is None else crc
    return struct.pack(">qiibI", base, len(checked) + 9, -1, magic, crc) + checked


def packed(codec, payload, **fields):
    return batch(compress(codec, payload), attributes=codec | fields.pop("attributes", 0), **fields)


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">h", len(raw)) + raw


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def blob(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


class Answer:
    """Reads a response front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        found = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return found if len(found) > 1 else found[0]

    def text(self):
        length = self.take("h")
        self.at += max(length, 0)
        return None if length < 0 else self.data[self.at - length : self.at].decode()

    def blob(self):
        length = max(self.take("i"), 0)
        self.at += length
        return self.data[self.at - length : self.at]


class Closed(Exception):
    """The broker closed the connection instead of an answer."""


class Silent(Exception):
    """Neither an answer nor the end of the connection came in time."""


class Link:
    """One connection, opened when needed and again after its end."""

    def __init__(self, address, seconds=20):
        self.address, self.seconds, self.socket, self.correlation = address, seconds, None, 0

    def ask(self, key, version, body, tags=b""):
        """The body of the response, behind its correlation id; `tags` are those of a flexible header."""
        self.correlation += 1
        head = struct.pack(">hhih", key, version, self.correlation, 7) + b"hostile" + tags
        data = self.exchange(struct.pack(">i", len(head) + len(body)) + head + body)
        found = struct.unpack_from(">i", data)[0]
        if found != self.correlation:
            raise AssertionError(f"the answer to {found} came for {self.correlation}")
        return data[4:]

    def exchange(self, frame):
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.address, timeout=self.seconds)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(frame)
            return self.exactly(struct.unpack(">i", self.exactly(4))[0])
        except TimeoutError as error:
            self.close()
            raise Silent from error
        except OSError as error:
            self.close()
            raise Closed from error

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), 1 << 20))
            if not more:
                raise ConnectionResetError
            data += more
        return bytes(data)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def keys(link):
    """The keys that the broker says it serves."""
    answer = Answer(link.ask(API_VERSIONS, 0, b""))
    _, count = answer.take("hi")
    return [answer.take("hhh")[0] for _ in range(count)]


def produce_body(topic, records, acks=-1, partition=0):
    parts = array([struct.pack(">i", partition) + blob(records)])
    return struct.pack(">hhi", -1, acks, 30_000) + array([text(topic) + parts])


def produce(link, topic, records, acks=-1):
    """The name of the error, the base offset and the message of a Produce of one batch."""
    answer = Answer(link.ask(PRODUCE, 8, produce_body(topic, records, acks)))
    answer.take("i")
    answer.text()
    answer.take("i")
    _, error, base, _, _ = answer.take("ihqqq")
    for _ in range(answer.take("i")):
        answer.take("i")
        answer.text()
    return ERRORS.get(error, str(error)), base, answer.text()


def fetch_body(topics, session=(0, -1), isolation=0, wait=0):
    """A Fetch of version 7 of [(name, [(partition, offset)])]."""
    parts = [
        text(name) + array([struct.pack(">iqqi", index, offset, -1, 1 << 20) for index, offset in wanted])
        for name, wanted in topics
    ]
    return struct.pack(">iiiibii", -1, wait, 0, 1 << 20, isolation, *session) + array(parts) + array([])


def fetch(link, topics, **settings):
    """The error of a whole Fetch, and of each partition its error, high watermark and records."""
    answer = Answer(link.ask(FETCH, 7, fetch_body(topics, **settings)))
    _, error, _, count = answer.take("ihii")
    found = []
    for _ in range(count):
        answer.text()
        for _ in range(answer.take("i")):
            _, code, high, _, _, aborted = answer.take("ihqqqi")
            answer.at += 16 * max(aborted, 0)
            length = max(answer.take("i"), 0)
            found.append((ERRORS.get(code, str(code)), high, answer.data[answer.at : answer.at + length]))
            answer.at += length
    return ERRORS.get(error, str(error)), found


def create(link, name, partitions=1, configs=(), copies=1):
    """The name of the error of a CreateTopics."""
    settings = array([text(key) + text(value) for key, value in configs])
    topic = text(name) + struct.pack(">ih", partitions, copies) + array([]) + settings
    answer = Answer(link.ask(CREATE_TOPICS, 2, array([topic]) + struct.pack(">ib", 15_000, 0)))
    answer.take("ii")
    answer.text()
    code = answer.take("h")
    return ERRORS.get(code, str(code))


def create_partitions(link, name, count):
    topic = text(name) + struct.pack(">ii", count, -1)
    answer = Answer(link.ask(CREATE_PARTITIONS, 0, array([topic]) + struct.pack(">ib", 15_000, 0)))
    answer.take("ii")
    answer.text()
    code = answer.take("h")
    return ERRORS.get(code, str(code))


def ready(link, name):
    """Creates a topic and waits until it takes records: Kafka answers before its brokers know."""
    error = create(link, name)
    deadline = time.monotonic() + 20
    while produce(link, name, batch())[0] != "NONE":
        if time.monotonic() > deadline:
            raise AssertionError(f"{name}: {error}, and takes no records")
        time.sleep(0.05)


class Canary:
    """A client that produces and fetches all the while, and tells what it suffered."""

    def __init__(self, address, name):
        self.link, self.name = Link(address), name
        self.rounds, self.slowest, self.trouble = 0, 0.0, None
        # Seconds of each round since `taken` was called last.
        self.took = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.sing, daemon=True)

    def __enter__(self):
        ready(self.link, self.name)
        self.thread.start()
        return self

    def sing(self):
        try:
            while not self.over.is_set():
                begun = time.monotonic()
                value = b"round %d" % self.rounds
                error, base, message = produce(self.link, self.name, batch(record(value=value)))
                if error != "NONE":
                    raise AssertionError(f"produce: {error} {message}")
                _, parts = fetch(self.link, [(self.name, [(0, base)])])
                if parts[0][0] != "NONE" or value not in parts[0][2]:
                    raise AssertionError(f"fetch at {base}: {parts[0]}")
                self.took.append(time.monotonic() - begun)
                self.slowest = max(self.slowest, self.took[-1])
                self.rounds += 1
                self.over.wait(0.002)
        except BaseException as error:
            self.trouble = f"{type(error).__name__} {error}"

    def taken(self):
        """The rounds since the last call: how many, and the milliseconds of the median and of the slowest in a hundred."""
        took, self.took = sorted(self.took), []
        if not took:
            return 0, float("nan"), float("nan")
        return len(took), 1000 * took[len(took) // 2], 1000 * took[len(took) * 99 // 100]

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)
        self.link.close()


def gzip_zeros(head, count):
    """A gzip stream of `head` and then `count` zeros, made without compressing all of them."""
    step = 1 << 20
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = encoder.compress(head) + encoder.flush(zlib.Z_FULL_FLUSH)
    zeros = encoder.compress(bytes(step)) + encoder.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    crc = zlib.crc32(head)
    for _ in range(count // step):
        crc = zlib.crc32(bytes(step), crc)
    trailer = struct.pack("<II", crc, (len(head) + count) % 2**32)
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + first + zeros * (count // step) + last + trailer


def zstd_zeros(head, count):
    """A raw block and then blocks of one repeated byte; window 128 KiB, neither size nor checksum."""
    step = 128 * 1024
    out = b"\x28\xb5\x2f\xfd\x00" + bytes([7 << 3]) + struct.pack("<I", len(head) << 3)[:3] + head
    blocks = count // step
    block = struct.pack("<I", step << 3 | 1 << 1)[:3] + b"\0"
    return out + block * (blocks - 1) + struct.pack("<I", step << 3 | 1 << 1 | 1)[:3] + b"\0"


def lz4_zeros(head, count):
    """Independent blocks of 4 MiB, the first of them stored."""
    step = 4 << 20
    # One literal, and a copy of it from one byte back, up to five literals that must end a block.
    match = step - 1 - 5 - 4 - 15
    zeros = b"\x1f\0" + b"\x01\0" + b"\xff" * (match // 255) + bytes([match % 255]) + b"\x50" + bytes(5)
    out = struct.pack("<I", 0x184D2204) + b"\x60\x70\x73" + struct.pack("<I", len(head) | 1 << 31) + head
    return out + (struct.pack("<I", len(zeros)) + zeros) * (count // step) + bytes(4)


def snappy_zeros(head, count):
    """A raw block: literals, and copies of 64 bytes each."""
    total = len(head) + count
    out = bytearray()
    while total >= 0x80:
        out.append(total & 0x7F | 0x80)
        total >>= 7
    out.append(total)
    out += bytes([60 << 2, len(head)]) + head + b"\0"
    # The first zero is a literal, so that the last copy is one shorter.
    return bytes(out) + b"\xfe\x01\0" * (count // 64 - 1) + b"\xfa\x01\0"


def bomb(codec, count):
    """The payload of one record whose value is `count` zeros."""
    # What stands before the value; the zeros are the value, and the last of them the count of headers.
    inner = b"\0" + varint(0) + varint(0) + varint(-1) + varint(count - 1)
    head = varint(len(inner) + count) + inner
    return {GZIP: gzip_zeros, ZSTD: zstd_zeros, LZ4: lz4_zeros, SNAPPY: snappy_zeros}[codec](head, count)
