// Package check is what the client programs share: records to send and to expect, and words with the parent process.
package check

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// Records of one batch of a codec, and of each side of a restart.
const Records = 50

// FirstTimestamp is in milliseconds; record i is i milliseconds younger.
const FirstTimestamp = int64(1_700_000_000_000)

// Codecs in the order in which they are sent.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Value of record i of a batch.
func Value(codec string, i int) string {
	return fmt.Sprintf("%s-%d-%s", codec, i, strings.Repeat("x", i*10))
}

// That ends the program unless the condition holds.
func That(condition bool, format string, arguments ...any) {
	if !condition {
		fmt.Printf("FAILED: "+format+"\n", arguments...)
		os.Exit(1)
	}
}

// OK ends the program on an error.
func OK(err error, what string) {
	That(err == nil, "%s: %v", what, err)
}

// Same ends the program unless both are equal.
func Same[T comparable](found, wanted T, what string) {
	That(found == wanted, "%s: found %v, wanted %v", what, found, wanted)
}

// Until ends the program unless the question is true within a while: Kafka's brokers learn of a change after its answer.
func Until(what string, question func() bool) {
	deadline := time.Now().Add(10 * time.Second)
	for !question() {
		That(time.Now().Before(deadline), "not in time: %s", what)
		time.Sleep(20 * time.Millisecond)
	}
}

// Restart asks the parent to kill and start the broker, and waits until it serves again.
func Restart() {
	fmt.Println("RESTART")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	OK(err, "the parent answers")
}

// Passed tells what has been shown.
func Passed(what string) {
	fmt.Println("ok", what)
}
