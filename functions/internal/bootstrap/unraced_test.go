//go:build !race

package bootstrap_test

const raced = false
