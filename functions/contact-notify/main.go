// Command contact-notify tells a webhook of every change of a contact.
package main

import (
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/function"
	"sfrelay/shared/notify/webhook"
)

func main() {
	function.Main(func(f *function.Function) consumer.Definition {
		return functions.ContactNotify(webhook.FromEnv(f.Reader, f.Secret), f.List("NOTIFY_FIELDS", ""))
	})
}
