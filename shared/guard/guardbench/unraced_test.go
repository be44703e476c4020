//go:build !race

package guardbench_test

const raced = false
