//go:build race

package consumer_test

// raced: the race detector allocates too.
const raced = true
