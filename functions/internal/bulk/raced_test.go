//go:build race

package bulk_test

const raced = true
