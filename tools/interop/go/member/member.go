// Package member is what programs that are members of a group share: their arguments, and the lines that groups.py reads.
package member

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"highwater/interop/check"
)

// Arguments are an address, a group, a topic, the session's timeout and the heartbeats' interval in milliseconds, and what more
// a program takes.
type Arguments struct {
	Address, Group, Topic string
	Session, Heartbeat    time.Duration
	More                  []string
}

// Parsed is the command line.
func Parsed() Arguments {
	millis := func(text string) time.Duration {
		number, err := strconv.Atoi(text)
		check.OK(err, "a number")
		return time.Duration(number) * time.Millisecond
	}
	return Arguments{os.Args[1], os.Args[2], os.Args[3], millis(os.Args[4]), millis(os.Args[5]), os.Args[6:]}
}

// Dismissed is closed when the program is asked to leave.
func Dismissed() <-chan struct{} {
	signals, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		close(over)
	}()
	return over
}

// Has tells that partitions are assigned, revoked or lost.
func Has(how string, partitions []int32) {
	line := fmt.Sprintf("%s %d", how, time.Now().UnixMilli())
	for _, partition := range partitions {
		line += fmt.Sprintf(" %d", partition)
	}
	Tell("%s", line)
}

// Handled tells that all offsets from first to last are.
func Handled(generation, partition int32, first, last int64) {
	Tell("handled %d %d %d %d %d", time.Now().UnixMilli(), generation, partition, first, last)
}

// Committed tells that the broker has said so.
func Committed(partition int32, offset int64) {
	Tell("committed %d %d %d", time.Now().UnixMilli(), partition, offset)
}

// Tell writes a line at once, so that a killed member has told it or has not.
func Tell(format string, arguments ...any) {
	_, err := os.Stdout.WriteString(strings.TrimSpace(fmt.Sprintf(format, arguments...)) + "\n")
	check.OK(err, "the parent listens")
}
