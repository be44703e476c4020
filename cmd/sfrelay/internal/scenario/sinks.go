package scenario

import (
	"encoding/json"
	"fmt"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// PrintSink writes what the state of a sandbox says that it holds: of "billing", "erp" or
// "receiver".
func PrintSink(p *terminal.Printer, sink string, state []byte) error {
	var decoded any
	if err := json.Unmarshal(state, &decoded); err != nil {
		return fmt.Errorf("the state of %s: %w", sink, err)
	}
	switch sink {
	case "billing":
		printBilling(p, decoded)
	case "receiver":
		printReceiver(p, decoded)
	default:
		printERP(p, decoded)
	}
	return nil
}
