// Command redrive hands failed messages to their consumers again, on a schedule: those that
// need nobody's decision, after 1, 2, 4, 8 … hours.
package main

import "sfrelay/shared/redrive"

func main() { redrive.Main() }
