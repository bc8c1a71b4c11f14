// Runs kafkajs against a broker: administration, the codecs it has, a restart in the middle. It reads only as a member of a group,
// so that its parent reads back what it wrote.
"use strict";

const assert = require("node:assert/strict");
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, KafkaJSProtocolError, logLevel } = require("kafkajs");

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");

const RECORDS = 50;
const FIRST_TIMESTAMP = 1_700_000_000_000;
const CODECS = [["none", CompressionTypes.None], ["gzip", CompressionTypes.GZIP], ["snappy", CompressionTypes.Snappy]];

const value = (codec, i) => `${codec}-${i}-${"x".repeat(i * 10)}`;
const passed = (what) => console.log("ok", what);

function restart() {
  console.log("RESTART");
  return new Promise((resolve) => process.stdin.once("data", resolve));
}

// Kafka's brokers learn of a change after its answer.
async function until(what, question) {
  for (const deadline = Date.now() + 10_000; !(await question()); ) {
    assert.ok(Date.now() < deadline, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function administration(admin, topic) {
  const cluster = await admin.describeCluster();
  assert.equal(cluster.brokers.length, 1);
  assert.ok(cluster.clusterId);
  const configEntries = [{ name: "retention.ms", value: "-1" }];
  const topics = [{ topic, numPartitions: 2, replicationFactor: 1, configEntries }];
  assert.equal(await admin.createTopics({ topics, waitForLeaders: true }), true);
  assert.equal(await admin.createTopics({ topics }), false, "it exists");
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
  await until("3 partitions", async () => {
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
    return metadata.topics[0].partitions.length === 3;
  });
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
  const wanted = [{ name: "max.message.bytes", value: "2000000" }];
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: wanted }] });
  await until("the configs are in force, and what is not named goes back to its default", async () => {
    const described = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] });
    const found = new Map(described.resources[0].configEntries.map((entry) => [entry.configName, entry.configValue]));
    return found.get("max.message.bytes") === "2000000" && found.get("retention.ms") === "604800000";
  });
  await assert.rejects(admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }), KafkaJSProtocolError);
  passed("administration");
}

async function codecs(kafka, admin, topic) {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  for (const [codec, compression] of CODECS) {
    const messages = Array.from({ length: RECORDS }, (_, i) => ({
      partition: 0,
      key: codec,
      value: value(codec, i),
      timestamp: String(FIRST_TIMESTAMP + i),
      headers: { codec },
    }));
    await producer.send({ topic, compression, messages, acks: -1 });
  }
  await producer.disconnect();
  const ends = await admin.fetchTopicOffsets(topic);
  const first = ends.find((end) => end.partition === 0);
  assert.equal(first.low, "0");
  assert.equal(first.high, String(RECORDS * CODECS.length));
  const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, FIRST_TIMESTAMP + 7);
  assert.equal(byTime.find((end) => end.partition === 0).offset, "7");
  console.log("WRITTEN", topic, RECORDS * CODECS.length);
  passed("codecs, offsets");
}

async function lives(kafka, admin, topic) {
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: -1 }], waitForLeaders: false });
  const described = () => admin.fetchTopicMetadata({ topics: [topic] });
  await until("the topic is there", () => described().then(() => true, () => false));
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const send = async (from) => {
    for (let i = from; i < from + RECORDS; i += 1) {
      await producer.send({ topic, messages: [{ value: String(i) }] });
    }
  };
  await send(0);
  await restart();
  await send(RECORDS);
  await producer.disconnect();
  const [end] = await admin.fetchTopicOffsets(topic);
  assert.equal(end.high, String(2 * RECORDS));
  passed("a producer lives through a restart");
}

async function main() {
  const retry = { retries: 30, initialRetryTime: 100, maxRetryTime: 500 };
  const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING, retry });
  const admin = kafka.admin();
  await admin.connect();
  await administration(admin, "kafkajs");
  await codecs(kafka, admin, "kafkajs");
  await lives(kafka, admin, "kafkajs-restart");
  await admin.deleteTopicRecords({ topic: "kafkajs", partitions: [{ partition: 0, offset: "60" }] });
  const ends = await admin.fetchTopicOffsets("kafkajs");
  assert.equal(ends.find((end) => end.partition === 0).low, "60");
  await admin.deleteTopics({ topics: ["kafkajs"] });
  passed("deletions");
  await admin.disconnect();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.log("FAILED:", error.stack);
    process.exit(1);
  },
);
