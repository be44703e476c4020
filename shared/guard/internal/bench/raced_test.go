//go:build race

package bench_test

// raced: the race detector allocates too.
const raced = true
