// Command saramamember is a member of a group with Sarama, which says nothing of what came of a commit.
package main

import (
	"context"
	"slices"
	"time"

	"highwater/interop/check"
	"highwater/interop/member"

	"github.com/IBM/sarama"
)

const batch = 100

type handler struct{ topic string }

func (handler handler) Setup(session sarama.ConsumerGroupSession) error {
	member.Has("assigned", session.Claims()[handler.topic])
	return nil
}

func (handler handler) Cleanup(session sarama.ConsumerGroupSession) error {
	member.Has("revoked", session.Claims()[handler.topic])
	return nil
}

func (handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	// What could not be committed is committed a little later.
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			first, last := message.Offset, message
			for last.Offset-first+1 < batch && len(claim.Messages()) > 0 {
				next, open := <-claim.Messages()
				if !open {
					break
				}
				check.Same(next.Offset, last.Offset+1, "offsets without a gap")
				last = next
			}
			member.Handled(session.GenerationID(), claim.Partition(), first, last.Offset)
			session.MarkMessage(last, "")
			session.Commit()
		case <-again.C:
			session.Commit()
		case <-session.Context().Done():
			return nil
		}
	}
}

func main() {
	arguments, dismissed := member.Parsed(), member.Dismissed()
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = arguments.Session
	config.Consumer.Group.Heartbeat.Interval = arguments.Heartbeat
	config.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	if slices.Contains(arguments.More, "sticky") {
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	}
	group, err := sarama.NewConsumerGroup([]string{arguments.Address}, arguments.Group, config)
	check.OK(err, "group")
	go func() {
		for err := range group.Errors() {
			member.Tell("error: %v", err)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-dismissed
		cancel()
	}()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{arguments.Topic}, handler{arguments.Topic}); err != nil {
			member.Tell("error: %v", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	check.OK(group.Close(), "leave")
}
