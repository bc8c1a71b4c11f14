import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import sun.misc.Signal;

/** A member of a group, as groups.py describes it: an address, a group, a topic, and settings of the client. */
public final class Member implements ConsumerRebalanceListener {
    private static volatile boolean over;
    private final Map<TopicPartition, OffsetAndMetadata> pending = new HashMap<>();

    private static synchronized void tell(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static void tell(String how, Collection<TopicPartition> partitions) {
        String numbers = partitions.stream().map(each -> " " + each.partition()).collect(Collectors.joining());
        tell(how + " " + System.currentTimeMillis() + numbers);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        tell("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(pending::remove);
        tell("revoked", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        partitions.forEach(pending::remove);
        tell("lost", partitions);
    }

    private void turn(KafkaConsumer<String, String> consumer) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
        for (TopicPartition partition : records.partitions()) {
            List<ConsumerRecord<String, String>> those = records.records(partition);
            long first = those.get(0).offset();
            long last = those.get(those.size() - 1).offset();
            if (last - first != those.size() - 1) {
                throw new AssertionError(those.size() + " records from " + first + " to " + last);
            }
            int generation = consumer.groupMetadata().generationId();
            tell("handled " + System.currentTimeMillis() + " " + generation + " " + partition.partition() + " " + first + " " + last);
            pending.put(partition, new OffsetAndMetadata(last + 1));
        }
        if (!pending.isEmpty()) {
            Map<TopicPartition, OffsetAndMetadata> wanted = Map.copyOf(pending);
            consumer.commitSync(wanted);
            wanted.forEach((partition, offset) ->
                tell("committed " + System.currentTimeMillis() + " " + partition.partition() + " " + offset.offset()));
            pending.clear();
        }
    }

    public static void main(String[] arguments) {
        Signal.handle(new Signal("TERM"), signal -> over = true);
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", arguments[0], "group.id", arguments[1], "enable.auto.commit", false, "auto.offset.reset", "earliest",
            "max.poll.records", 100, "reconnect.backoff.max.ms", 500));
        for (int i = 3; i < arguments.length; i++) {
            String[] setting = arguments[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        Member member = new Member();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(arguments[2]), member);
            while (!over) {
                try {
                    member.turn(consumer);
                } catch (KafkaException failure) {
                    tell("not committed: " + failure);
                }
            }
        }
    }
}
