// Command sarama runs Sarama against a broker: administration, all codecs, times, a restart in the middle.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"highwater/interop/check"

	"github.com/IBM/sarama"
)

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Producer.Retry.Max = 50
	config.Net.MaxOpenRequests = 1
	return config
}

func producer(bootstrap string, codec sarama.CompressionCodec) sarama.SyncProducer {
	config := config()
	config.Producer.Compression = codec
	created, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	check.OK(err, "producer")
	return created
}

func read(bootstrap, topic string, count int) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config())
	check.OK(err, "consumer")
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	check.OK(err, "consume")
	defer partition.Close()
	var found []*sarama.ConsumerMessage
	for len(found) < count {
		select {
		case message := <-partition.Messages():
			found = append(found, message)
		case <-time.After(20 * time.Second):
			check.That(false, "only %d of %d records read", len(found), count)
		}
	}
	return found
}

func codecs(bootstrap, topic string) {
	kinds := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for number, codec := range check.Codecs {
		producer := producer(bootstrap, kinds[number])
		var messages []*sarama.ProducerMessage
		for i := range check.Records {
			messages = append(messages, &sarama.ProducerMessage{
				Topic:     topic,
				Partition: 0,
				Key:       sarama.StringEncoder(codec),
				Value:     sarama.StringEncoder(check.Value(codec, i)),
				Timestamp: time.UnixMilli(check.FirstTimestamp + int64(i)),
				Headers:   []sarama.RecordHeader{{Key: []byte("codec"), Value: []byte(codec)}},
			})
		}
		check.OK(producer.SendMessages(messages), "produce with "+codec)
		check.OK(producer.Close(), "close")
	}
	for index, found := range read(bootstrap, topic, check.Records*len(check.Codecs)) {
		codec, i := check.Codecs[index/check.Records], index%check.Records
		check.Same(found.Offset, int64(index), "offset")
		check.Same(string(found.Key), codec, "key")
		check.Same(string(found.Value), check.Value(codec, i), "value")
		check.Same(found.Timestamp.UnixMilli(), check.FirstTimestamp+int64(i), "timestamp")
		check.Same(len(found.Headers), 1, "headers")
		check.Same(string(found.Headers[0].Value), codec, "header")
	}
	check.Passed("every codec, keys, headers, times")
}

func offsets(client sarama.Client, topic string) {
	for time, wanted := range map[int64]int64{
		sarama.OffsetOldest:      0,
		sarama.OffsetNewest:      int64(check.Records * len(check.Codecs)),
		check.FirstTimestamp + 7: 7,
	} {
		found, err := client.GetOffset(topic, 0, time)
		check.OK(err, "list offsets")
		check.Same(found, wanted, fmt.Sprintf("offset at %d", time))
	}
	check.Passed("offsets")
}

func restart(bootstrap, topic string) {
	producer := producer(bootstrap, sarama.CompressionNone)
	defer producer.Close()
	send := func(from int) {
		for i := range check.Records {
			value := sarama.StringEncoder(fmt.Sprint(from + i))
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: value})
			check.OK(err, "send")
		}
	}
	send(0)
	check.Restart()
	send(check.Records)
	for index, found := range read(bootstrap, topic, 2*check.Records) {
		check.Same(string(found.Value), fmt.Sprint(index), "each once, in order")
	}
	check.Passed("a producer lives through a restart")
}

func administration(admin sarama.ClusterAdmin, topic string) {
	brokers, _, err := admin.DescribeCluster()
	check.OK(err, "describe cluster")
	check.Same(len(brokers), 1, "brokers")
	forever := "-1"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &forever}}
	check.OK(admin.CreateTopic(topic, detail, false), "create")
	err = admin.CreateTopic(topic, detail, false)
	check.That(errors.Is(err, sarama.ErrTopicAlreadyExists), "create again: %v", err)
	check.OK(admin.CreatePartitions(topic, 3, nil, false), "create partitions")
	check.Until("3 partitions", func() bool {
		described, err := admin.DescribeTopics([]string{topic})
		check.OK(err, "describe topics")
		return len(described[0].Partitions) == 3
	})
	bytes := "2000000"
	entries := map[string]sarama.IncrementalAlterConfigsEntry{
		"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &bytes},
	}
	check.OK(admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false), "alter configs")
	check.Until("the configs are in force", func() bool {
		configs, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		check.OK(err, "describe configs")
		found := map[string]string{}
		for _, config := range configs {
			found[config.Name] = config.Value
		}
		return found["retention.ms"] == "-1" && found["max.message.bytes"] == "2000000"
	})
	check.Passed("administration")
}

func deletions(admin sarama.ClusterAdmin, client sarama.Client, topic string) {
	check.OK(admin.DeleteRecords(topic, map[int32]int64{0: 60}), "delete records")
	offset, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	check.OK(err, "start")
	check.Same(offset, 60, "start after deleting records")
	check.OK(admin.DeleteTopic(topic), "delete")
	check.Passed("deletions")
}

func main() {
	bootstrap, topic := os.Args[1], "sarama"
	client, err := sarama.NewClient([]string{bootstrap}, config())
	check.OK(err, "client")
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	check.OK(err, "admin")
	administration(admin, topic)
	codecs(bootstrap, topic)
	offsets(client, topic)
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	check.OK(admin.CreateTopic("sarama-restart", detail, false), "create")
	restart(bootstrap, "sarama-restart")
	check.OK(client.RefreshMetadata(topic), "metadata after the restart")
	deletions(admin, client, topic)
}
