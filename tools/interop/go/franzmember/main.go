// Command franzmember is a member of a group with franz-go.
package main

import (
	"context"
	"slices"
	"time"

	"highwater/interop/check"
	"highwater/interop/member"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func has(topic, how string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		if len(partitions[topic]) > 0 {
			member.Has(how, partitions[topic])
		}
	}
}

// What is said of each partition of a commit.
func committed(_ *kgo.Client, request *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
	if err != nil {
		member.Tell("not committed: %v", err)
		return
	}
	codes := map[int32]int16{}
	for _, topic := range response.Topics {
		for _, partition := range topic.Partitions {
			codes[partition.Partition] = partition.ErrorCode
		}
	}
	for _, topic := range request.Topics {
		for _, partition := range topic.Partitions {
			if code := codes[partition.Partition]; code == 0 {
				member.Committed(partition.Partition, partition.Offset)
			} else {
				member.Tell("not committed: code %d", code)
			}
		}
	}
}

func main() {
	arguments, dismissed := member.Parsed(), member.Dismissed()
	topic := arguments.Topic
	options := []kgo.Opt{
		kgo.SeedBrokers(arguments.Address), kgo.ConsumerGroup(arguments.Group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(arguments.Session), kgo.HeartbeatInterval(arguments.Heartbeat), kgo.RebalanceTimeout(10 * time.Second),
		kgo.FetchMaxWait(200 * time.Millisecond), kgo.OnPartitionsAssigned(has(topic, "assigned")),
		kgo.OnPartitionsRevoked(has(topic, "revoked")), kgo.OnPartitionsLost(has(topic, "lost")),
	}
	if slices.Contains(arguments.More, "consumer") {
		options = append(options, kgo.ServerSideBalancer())
	}
	client, err := kgo.NewClient(options...)
	check.OK(err, "client")
	ctx := context.Background()
	for {
		select {
		case <-dismissed:
			client.CloseAllowingRebalance()
			return
		default:
		}
		turn, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollRecords(turn, 100)
		cancel()
		_, generation := client.GroupMetadata()
		fetches.EachPartition(func(fetched kgo.FetchTopicPartition) {
			if len(fetched.Records) == 0 {
				return
			}
			first, last := fetched.Records[0].Offset, fetched.Records[len(fetched.Records)-1].Offset
			check.Same(last-first+1, int64(len(fetched.Records)), "offsets without a gap")
			member.Handled(generation, fetched.Partition, first, last)
		})
		commit, cancel := context.WithTimeout(ctx, 5*time.Second)
		client.CommitOffsetsSync(commit, client.UncommittedOffsets(), committed)
		cancel()
		client.AllowRebalance()
	}
}
