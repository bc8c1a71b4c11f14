// Command franz runs franz-go against a broker: administration, all codecs, times, a restart in the middle.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"highwater/interop/check"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func client(bootstrap string, options ...kgo.Opt) *kgo.Client {
	created, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	check.OK(err, "client")
	return created
}

func record(topic, codec string, i int) *kgo.Record {
	return &kgo.Record{
		Topic:     topic,
		Partition: 0,
		Key:       []byte(codec),
		Value:     []byte(check.Value(codec, i)),
		Timestamp: time.UnixMilli(check.FirstTimestamp + int64(i)),
		Headers:   []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}, {Key: "empty", Value: nil}},
	}
}

func read(ctx context.Context, bootstrap, topic string, count int) []*kgo.Record {
	from := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}
	consumer := client(bootstrap, kgo.ConsumePartitions(from))
	defer consumer.Close()
	var found []*kgo.Record
	for len(found) < count {
		fetches := consumer.PollFetches(ctx)
		check.That(len(fetches.Errors()) == 0, "fetch: %v", fetches.Errors())
		found = append(found, fetches.Records()...)
	}
	check.Same(len(found), count, "records read")
	return found
}

func codecs(ctx context.Context, bootstrap, topic string) {
	kinds := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for number, codec := range check.Codecs {
		producer := client(bootstrap, kgo.ProducerBatchCompression(kinds[number]), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		var records []*kgo.Record
		for i := range check.Records {
			records = append(records, record(topic, codec, i))
		}
		check.OK(producer.ProduceSync(ctx, records...).FirstErr(), "produce with "+codec)
		producer.Close()
	}
	for index, found := range read(ctx, bootstrap, topic, check.Records*len(check.Codecs)) {
		codec, i := check.Codecs[index/check.Records], index%check.Records
		check.Same(found.Offset, int64(index), "offset")
		check.Same(string(found.Key), codec, "key")
		check.Same(string(found.Value), check.Value(codec, i), "value")
		check.Same(found.Timestamp.UnixMilli(), check.FirstTimestamp+int64(i), "timestamp")
		check.Same(len(found.Headers), 2, "headers")
		check.Same(string(found.Headers[0].Value), codec, "header")
	}
	check.Passed("every codec, keys, headers, times")
}

func offsets(ctx context.Context, admin *kadm.Client, topic string) {
	at := func(listed kadm.ListedOffsets, err error) int64 {
		check.OK(err, "list offsets")
		offset, found := listed.Lookup(topic, 0)
		check.That(found, "partition is listed")
		check.OK(offset.Err, "list offsets")
		return offset.Offset
	}
	all := int64(check.Records * len(check.Codecs))
	check.Same(at(admin.ListStartOffsets(ctx, topic)), 0, "start")
	check.Same(at(admin.ListEndOffsets(ctx, topic)), all, "end")
	check.Same(at(admin.ListCommittedOffsets(ctx, topic)), all, "last stable")
	check.Same(at(admin.ListOffsetsAfterMilli(ctx, check.FirstTimestamp+7, topic)), 7, "by time")
	check.Same(at(admin.ListMaxTimestampOffsets(ctx, topic)), int64(check.Records-1), "of the largest time")
	check.Passed("offsets")
}

func restart(ctx context.Context, bootstrap, topic string) {
	producer := client(bootstrap, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	defer producer.Close()
	failed := make(chan error, 2*check.Records)
	send := func(from int) {
		for i := range check.Records {
			record := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d", from+i)}
			producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
				if err != nil {
					failed <- err
				}
			})
		}
	}
	send(0)
	check.OK(producer.Flush(ctx), "flush before the restart")
	check.Restart()
	send(check.Records)
	check.OK(producer.Flush(ctx), "flush after the restart")
	check.Same(len(failed), 0, "failures")
	for index, found := range read(ctx, bootstrap, topic, 2*check.Records) {
		check.Same(string(found.Value), fmt.Sprint(index), "each once, in order")
	}
	check.Passed("a producer lives through a restart")
}

func administration(ctx context.Context, admin *kadm.Client, topic string) {
	brokers, err := admin.BrokerMetadata(ctx)
	check.OK(err, "metadata")
	check.Same(len(brokers.Brokers), 1, "brokers")
	check.That(brokers.Cluster != "", "the cluster has an id")
	_, err = admin.CreateTopic(ctx, 2, -1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic)
	check.OK(err, "create")
	_, err = admin.CreateTopic(ctx, 2, -1, nil, topic)
	check.That(err == kerr.TopicAlreadyExists, "create again: %v", err)
	_, err = admin.UpdatePartitions(ctx, 3, topic)
	check.OK(err, "create partitions")
	check.Until("3 partitions", func() bool {
		details, err := admin.ListTopics(ctx, topic)
		check.OK(err, "topics")
		return len(details[topic].Partitions) == 3
	})
	_, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("2000000")}}, topic)
	check.OK(err, "alter configs")
	check.Until("the configs are in force", func() bool {
		configs, err := admin.DescribeTopicConfigs(ctx, topic)
		check.OK(err, "describe configs")
		found := map[string]string{}
		for _, config := range configs[0].Configs {
			found[config.Key] = config.MaybeValue()
		}
		return found["retention.ms"] == "-1" && found["max.message.bytes"] == "2000000"
	})
	check.Passed("administration")
}

func deletions(ctx context.Context, admin *kadm.Client, topic string) {
	upTo := kadm.Offsets{}
	upTo.AddOffset(topic, 0, 60, -1)
	deleted, err := admin.DeleteRecords(ctx, upTo)
	check.OK(err, "delete records")
	check.OK(deleted.Error(), "delete records")
	start, err := admin.ListStartOffsets(ctx, topic)
	check.OK(err, "start")
	offset, _ := start.Lookup(topic, 0)
	check.Same(offset.Offset, 60, "start after deleting records")
	logs, err := admin.DescribeAllLogDirs(ctx, nil)
	check.OK(err, "log dirs")
	check.Same(len(logs), 1, "brokers with log dirs")
	_, err = admin.DeleteTopic(ctx, topic)
	check.OK(err, "delete")
	check.Passed("deletions")
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	bootstrap, topic := os.Args[1], "franz"
	admin := kadm.NewClient(client(bootstrap))
	defer admin.Close()
	administration(ctx, admin, topic)
	codecs(ctx, bootstrap, topic)
	offsets(ctx, admin, topic)
	_, err := admin.CreateTopic(ctx, 1, 1, nil, "franz-restart")
	check.OK(err, "create")
	restart(ctx, bootstrap, "franz-restart")
	deletions(ctx, admin, topic)
}
