// Package freeport finds ports for programs that have to be told theirs and bind it themselves.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Systems give out ports from a range of their own to whoever asks for any: from 32768 on Linux,
// from 49152 elsewhere. A port of that range may be anybody's before the program binds it.
const first, end = 10_000, 32_768

// Reserve finds a TCP port that nobody listens at, below the range that systems give out. Until
// release nobody else who calls Reserve on this machine gets it. Call release when the program
// listens.
func Reserve() (number int, release func(), err error) {
	const tries = 100
	for range tries {
		number = first + rand.IntN(end-first) //nolint:gosec // any port
		if release, err = take(number); err == nil {
			return number, release, nil
		}
	}
	return 0, nil, fmt.Errorf("no free port after %d tries: %w", tries, err)
}

// take reserves one port: it holds the UDP port of that number, which no program here wants.
func take(number int) (release func(), err error) {
	held, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", number)) // on all interfaces
	if err != nil {
		_ = held.Close()
		return nil, err
	}
	return func() { _ = held.Close() }, l.Close()
}
