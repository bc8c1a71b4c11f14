import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Runs the Java client against a broker: administration, all codecs, offsets, errors, a restart in the middle. */
public final class Clients {
    private static final int RECORDS = 50;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    private static void that(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void same(Object found, Object wanted, String what) {
        that(Objects.equals(found, wanted), what + ": found " + found + ", wanted " + wanted);
    }

    private interface Question {
        boolean holds() throws Exception;
    }

    /** Kafka's brokers learn of a change after its answer. */
    private static void until(String what, Question question) throws Exception {
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (!question.holds()) {
            that(System.nanoTime() < deadline, what);
            Thread.sleep(20);
        }
    }

    private static void fails(Class<?> kind, Future<?> future) throws InterruptedException {
        try {
            Object found = future.get();
            throw new AssertionError("no " + kind.getSimpleName() + " but " + found);
        } catch (ExecutionException error) {
            that(kind.isInstance(error.getCause()), "wanted " + kind.getSimpleName() + ", found " + error.getCause());
        }
    }

    private static void passed(String what) {
        System.out.println("ok " + what);
    }

    private static String value(String codec, int i) {
        return codec + "-" + i + "-" + "x".repeat(i * 10);
    }

    private static KafkaProducer<String, String> producer(String bootstrap, Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    private static KafkaConsumer<String, String> consumer(String bootstrap, String isolation) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap, "enable.auto.commit", false, "auto.offset.reset", "none", "isolation.level", isolation);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static List<ConsumerRecord<String, String>> read(String bootstrap, String topic, int count, String isolation) {
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(bootstrap, isolation)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long deadline = System.nanoTime() + 20_000_000_000L;
            while (found.size() < count && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(200)).forEach(found::add);
            }
        }
        same(found.size(), count, "records read");
        return found;
    }

    private static TopicDescription described(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private static Config config(Admin admin, ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource);
    }

    private static void administration(Admin admin, String topic) throws Exception {
        var cluster = admin.describeCluster();
        same(cluster.nodes().get().size(), 1, "nodes");
        same(cluster.controller().get().id(), cluster.nodes().get().iterator().next().id(), "controller");
        NewTopic wanted = new NewTopic(topic, Optional.of(2), Optional.empty()).configs(Map.of("retention.ms", "-1"));
        var created = admin.createTopics(List.of(wanted));
        created.all().get();
        same(created.numPartitions(topic).get(), 2, "partitions created");
        same(created.replicationFactor(topic).get(), 1, "replicas created");
        same(created.config(topic).get().get("retention.ms").value(), "-1", "config created");
        until("the topic is there", () -> admin.listTopics().names().get().contains(topic));
        fails(TopicExistsException.class, admin.createTopics(List.of(wanted)).all());
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        fails(InvalidPartitionsException.class, admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all());
        until("3 partitions", () -> described(admin, topic).partitions().size() == 3);
        same(described(admin, topic).topicId(), created.topicId(topic).get(), "topic id");
        fails(UnknownTopicOrPartitionException.class, admin.describeTopics(List.of("absent")).allTopicNames());
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry("max.message.bytes", "2000000"), AlterConfigOp.OpType.SET);
        AlterConfigOp append = new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(set, append))).all().get();
        until("cleanup.policy", () -> config(admin, resource).get("cleanup.policy").value().length() > 6);
        Config config = config(admin, resource);
        same(config.get("max.message.bytes").value(), "2000000", "max.message.bytes");
        same(config.get("max.message.bytes").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
        same(Set.copyOf(Arrays.asList(config.get("cleanup.policy").value().split(","))), Set.of("delete", "compact"), "cleanup.policy");
        AlterConfigOp delete = new AlterConfigOp(new ConfigEntry("cleanup.policy", null), AlterConfigOp.OpType.DELETE);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(delete))).all().get();
        until("the default", () -> config(admin, resource).get("cleanup.policy").value().equals("delete"));
        passed("administration");
    }

    private static void codecs(String bootstrap, String topic) throws Exception {
        for (String codec : CODECS) {
            try (KafkaProducer<String, String> producer = producer(bootstrap, Map.of("compression.type", codec, "linger.ms", 50))) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int i = 0; i < RECORDS; i++) {
                    ProducerRecord<String, String> record =
                        new ProducerRecord<>(topic, 0, FIRST_TIMESTAMP + i, codec, value(codec, i));
                    record.headers().add("codec", codec.getBytes()).add("none", null);
                    sent.add(producer.send(record));
                }
                for (Future<RecordMetadata> each : sent) {
                    each.get();
                }
            }
        }
        for (String isolation : List.of("read_uncommitted", "read_committed")) {
            int index = 0;
            for (ConsumerRecord<String, String> found : read(bootstrap, topic, RECORDS * CODECS.size(), isolation)) {
                String codec = CODECS.get(index / RECORDS);
                int i = index % RECORDS;
                same(found.offset(), (long) index, "offset");
                same(found.key(), codec, "key");
                same(found.value(), value(codec, i), "value");
                same(found.timestamp(), FIRST_TIMESTAMP + i, "timestamp");
                same(found.leaderEpoch().isPresent(), true, "leader epoch");
                Header[] headers = found.headers().toArray();
                same(headers.length, 2, "headers");
                same(new String(headers[0].value()), codec, "header");
                same(headers[1].value(), null, "header without a value");
                index++;
            }
        }
        passed("every codec, keys, headers, times, both isolation levels");
    }

    private static void offsets(String bootstrap, Admin admin, String topic) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        long all = (long) RECORDS * CODECS.size();
        Map<OffsetSpec, Long> wanted = Map.of(
            OffsetSpec.earliest(), 0L,
            OffsetSpec.latest(), all,
            OffsetSpec.maxTimestamp(), RECORDS - 1L,
            OffsetSpec.earliestLocal(), 0L,
            OffsetSpec.latestTiered(), -1L,
            OffsetSpec.forTimestamp(FIRST_TIMESTAMP + 7), 7L,
            OffsetSpec.forTimestamp(FIRST_TIMESTAMP + RECORDS), -1L);
        for (var entry : wanted.entrySet()) {
            var found = admin.listOffsets(Map.of(partition, entry.getKey())).partitionResult(partition).get();
            same(found.offset(), entry.getValue(), entry.getKey().getClass().getSimpleName());
        }
        try (KafkaConsumer<String, String> consumer = consumer(bootstrap, "read_uncommitted")) {
            consumer.assign(List.of(partition));
            same(consumer.beginningOffsets(List.of(partition)).get(partition), 0L, "beginning");
            same(consumer.endOffsets(List.of(partition)).get(partition), all, "end");
            same(consumer.offsetsForTimes(Map.of(partition, FIRST_TIMESTAMP + 7)).get(partition).offset(), 7L, "for times");
            consumer.seek(partition, 77);
            same(consumer.poll(Duration.ofSeconds(10)).iterator().next().offset(), 77L, "in the middle of a batch");
            consumer.seek(partition, all + 1);
            try {
                consumer.poll(Duration.ofSeconds(10));
                throw new AssertionError("an offset past the end was read");
            } catch (OffsetOutOfRangeException expected) {
                same(expected.offsetOutOfRangePartitions().get(partition), all + 1, "offset out of range");
            }
        }
        passed("offsets");
    }

    private static void errors(String bootstrap, Admin admin, String topic) throws Exception {
        try (KafkaProducer<String, String> producer = producer(bootstrap, Map.of("max.request.size", 10_000_000, "max.block.ms", 2000))) {
            fails(RecordTooLargeException.class, producer.send(new ProducerRecord<>(topic, 0, null, "x".repeat(2_500_000))));
        }
        TopicPartition beyond = new TopicPartition(topic, 0);
        fails(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
            admin.deleteRecords(Map.of(beyond, RecordsToDelete.beforeOffset(1_000_000))).all());
        passed("errors");
    }

    private static void restart(String bootstrap, Admin admin, String topic) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
        until("the topic is there", () -> admin.listTopics().names().get().contains(topic));
        try (KafkaProducer<String, String> producer = producer(bootstrap, Map.of())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 2 * RECORDS; i++) {
                if (i == RECORDS) {
                    producer.flush();
                    System.out.println("RESTART");
                    that(System.in.read() == '\n', "the parent answers");
                }
                sent.add(producer.send(new ProducerRecord<>(topic, 0, null, String.valueOf(i))));
            }
            for (int i = 0; i < 2 * RECORDS; i++) {
                same(sent.get(i).get().offset(), (long) i, "offset");
            }
        }
        int index = 0;
        for (ConsumerRecord<String, String> found : read(bootstrap, topic, 2 * RECORDS, "read_committed")) {
            same(found.value(), String.valueOf(index++), "each once, in order");
        }
        passed("a producer lives through a restart");
    }

    private static void deletions(Admin admin, String topic) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(60)));
        same(deleted.lowWatermarks().get(partition).get().lowWatermark(), 60L, "low watermark");
        same(admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition).get().offset(), 60L, "earliest");
        var logs = admin.describeLogDirs(List.of(admin.describeCluster().controller().get().id())).allDescriptions().get();
        var replicas = logs.values().iterator().next().values().iterator().next().replicaInfos();
        that(replicas.get(partition).size() > 0, "the log has a size");
        admin.deleteTopics(List.of(topic)).all().get();
        until("the topic is gone", () -> !admin.listTopics().names().get().contains(topic));
        fails(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(topic)).all());
        passed("deletions");
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String topic = "java";
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            administration(admin, topic);
            codecs(bootstrap, topic);
            offsets(bootstrap, admin, topic);
            errors(bootstrap, admin, topic);
            restart(bootstrap, admin, "java-restart");
            deletions(admin, topic);
        }
    }
}
