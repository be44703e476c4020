//go:build race

package guardbench_test

// raced: the race detector allocates too.
const raced = true
