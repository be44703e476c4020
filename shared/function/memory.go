package function

import (
	"runtime/debug"
	"strconv"

	"sfrelay/shared/config"
)

// limitMemory has Go collect its garbage in time. With the template's GOGC=400 alone the heap
// may become five times as large as what is in use, and the largest batch of SQS would fill a
// function of 256 MB. Who has set GOMEMLIMIT gets what it says.
func limitMemory(env config.Env) {
	if limit := memoryLimit(env); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// memoryLimit is three fifths of the function's memory, in bytes: the rest is for what Go does
// not count, e.g. the pages of the program. 0: none.
func memoryLimit(env config.Env) int64 {
	if own, _ := env("GOMEMLIMIT"); own != "" {
		return 0
	}
	size, _ := env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
	mb, err := strconv.ParseInt(size, 10, 32)
	if err != nil || mb < 0 {
		return 0
	}
	return mb << 20 / 5 * 3
}
