//go:build race

package bootstrap_test

// raced: the race detector allocates too.
const raced = true
