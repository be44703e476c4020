//go:build race

package sim_test

// raced: the race detector keeps gigabytes of what it has seen. make prove runs without it.
const raced = true
