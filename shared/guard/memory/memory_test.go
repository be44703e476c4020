package memory_test

import (
	"testing"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/guardtest"
	"sfrelay/shared/guard/memory"
)

func TestContract(t *testing.T) {
	guardtest.Run(t, func(*testing.T) guard.Store { return &memory.Store{} })
}
