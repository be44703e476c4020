// Command relay-monitor asks on a schedule how the relays do that feed the stack, and writes
// it into its log, with metrics for the alarms.
package main

import "sfrelay/shared/relaymonitor"

func main() { relaymonitor.Main() }
