"""The same broker seen from a shell by Debian's kcat, an older librdkafka."""

import json
import subprocess

from check import check, same, that, until

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def kcat(context, *words, text=None):
    done = subprocess.run(
        ["kcat", "-b", context.bootstrap, *words], input=text, capture_output=True, timeout=20, text=True, check=False
    )
    same(done.returncode, 0, f"status of kcat {' '.join(words)}: {done.stderr}")
    return done.stdout


def read(context, topic, *words):
    return kcat(context, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", *words)


def register_codec(codec):
    @check(seconds=40)
    def codec_check(context):
        topic = context.name("kcat")
        lines = "".join(f"key{index}:value {index} {'x' * 100}\n" for index in range(300))
        kcat(context, "-P", "-t", topic, "-p", "0", "-K", ":", "-z", codec, "-X", "acks=all", text=lines)
        same(read(context, topic, "-K", ":"), lines)

    codec_check.__name__ = f"kcat_round_trip_with_codec_{codec}"


for each in CODECS:
    register_codec(each)


@check()
def kcat_idempotent_and_every_acks(context):
    for settings in [["acks=0"], ["acks=1"], ["acks=all", "-X", "enable.idempotence=true"]]:
        topic = context.name("acks")
        kcat(context, "-P", "-t", topic, "-p", "0", "-X", *settings, text="a\nb\nc\n")
        until(10, "all three lines", lambda: read(context, topic) == "a\nb\nc\n")


@check()
def kcat_keys_headers_and_nulls(context):
    topic = context.name("shapes")
    kcat(context, "-P", "-t", topic, "-p", "0", "-H", "a=1", "-H", "a=2", "-K", ":", text="k:v\n")
    kcat(context, "-P", "-t", topic, "-p", "0", "-Z", "-K", ":", text="tombstone:\n")
    kcat(context, "-P", "-t", topic, "-p", "0", "-K", ":", text="empty:\n")
    found = read(context, topic, "-f", "%k %K|%S|%h|%o\\n")
    same(found, "k 1|1|a=1,a=2|0\ntombstone 9|-1||1\nempty 5|0||2\n")


@check()
def kcat_lists_the_topic(context):
    topic = context.name("listed")
    kcat(context, "-P", "-t", topic, text="a\n")
    listed = json.loads(kcat(context, "-L", "-J"))
    found = [each for each in listed["topics"] if each["topic"] == topic]
    same([partition["partition"] for partition in found[0]["partitions"]], [0])
    broker = listed["brokers"][0]
    same(broker["name"], context.bootstrap)
    same(found[0]["partitions"][0]["leader"], broker["id"])
    that(listed["controllerid"] == broker["id"], "the broker is its controller")


@check()
def kcat_asks_for_offsets_by_time(context):
    topic = context.name("query")
    kcat(context, "-P", "-t", topic, "-p", "0", text="a\nb\n")
    same(kcat(context, "-Q", "-t", f"{topic}:0:-2").strip(), f"{topic} [0] offset 0")
    same(kcat(context, "-Q", "-t", f"{topic}:0:-1").strip(), f"{topic} [0] offset 2")
    same(kcat(context, "-Q", "-t", f"{topic}:0:1").strip(), f"{topic} [0] offset 0")


@check()
def kcat_reads_from_an_offset_and_the_tail(context):
    topic = context.name("tail")
    kcat(context, "-P", "-t", topic, "-p", "0", text="".join(f"{index}\n" for index in range(10)))
    same(kcat(context, "-C", "-t", topic, "-p", "0", "-o", "7", "-e", "-q"), "7\n8\n9\n")
    same(kcat(context, "-C", "-t", topic, "-p", "0", "-o", "-2", "-e", "-q"), "8\n9\n")
    same(kcat(context, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-c", "1", "-q"), "0\n")
