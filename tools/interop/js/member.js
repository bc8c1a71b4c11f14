// A member of a group, as groups.py describes it: an address, a group, a topic, the session's timeout and the heartbeats' interval.
"use strict";

const fs = require("node:fs");
const { Kafka, logLevel } = require("kafkajs");

const [address, groupId, topic, sessionTimeout, heartbeatInterval] = process.argv.slice(2);
const tell = (...words) => fs.writeSync(1, `${words.join(" ")}\n`);

async function handle(consumer, { batch, resolveOffset, heartbeat, isStale }) {
  if (isStale() || batch.isEmpty()) {
    return;
  }
  const first = Number(batch.firstOffset());
  const last = Number(batch.lastOffset());
  tell("handled", Date.now(), -1, batch.partition, first, last);
  resolveOffset(batch.lastOffset());
  const offset = String(last + 1);
  try {
    await consumer.commitOffsets([{ topic, partition: batch.partition, offset }]);
    tell("committed", Date.now(), batch.partition, offset);
  } catch (error) {
    tell("not committed:", error.message);
    throw error;
  }
  await heartbeat();
}

async function main() {
  const retry = { retries: 50, initialRetryTime: 100, maxRetryTime: 500, restartOnFailure: async () => true };
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry });
  const timing = { sessionTimeout: Number(sessionTimeout), heartbeatInterval: Number(heartbeatInterval), maxWaitTimeInMs: 100 };
  const consumer = kafka.consumer({ groupId, rebalanceTimeout: 10_000, ...timing, retry });
  let owned = [];
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    tell("revoked", Date.now(), ...owned);
    owned = payload.memberAssignment[topic] ?? [];
    tell("assigned", Date.now(), ...owned);
  });
  process.on("SIGTERM", async () => {
    await consumer.disconnect();
    process.exit(0);
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: (batch) => handle(consumer, batch) });
}

main().catch((error) => {
  tell("FAILED:", error.stack);
  process.exit(1);
});
