package sink

import (
	"fmt"
	"time"

	"sfrelay/shared/verdict"
)

// Refuse says that the change can never be applied as it is, and that nothing was: the
// sink says so, or it is known before the sink is asked. The change is parked as
// permanent/<name>, and comes again when a person redrives it. The name is short and
// stable, e.g. "invalid-currency"; docs/reference/failures.md explains each one. The text says
// what, where and what to do, never a field value.
func Refuse(name, format string, args ...any) error {
	return &Error{Class: verdict.Permanent(name), Applied: No, Err: fmt.Errorf(format, args...)}
}

// NotYet says that the sink certainly did not apply the change, and may do so later:
// the change comes again by itself. The class says what it waits for:
// verdict.Throttled, verdict.Conflict, verdict.DependencyMissing, verdict.Auth, or
// verdict.Unfinished for something of our own.
func NotYet(class verdict.Class, format string, args ...any) error {
	return &Error{Class: class, Applied: No, Err: fmt.Errorf(format, args...)}
}

// TooMany says that the sink takes so many calls a time, and that this was one more, which it
// certainly did not apply: the process makes fewer of them. after is when the sink wants to
// be asked again; zero: it does not say.
func TooMany(after time.Duration, format string, args ...any) error {
	return &Error{Class: verdict.Throttled, Applied: No, TooMany: true, RetryAfter: after, Err: fmt.Errorf(format, args...)}
}

// InDoubt says that the sink may have applied the change, and did not tell: a time-out
// after the request was sent, a broken connection. The change comes again, and the sink
// is asked first where it can be asked.
func InDoubt(err error) error {
	return &Error{Class: verdict.Unknown, Applied: Maybe, Err: err}
}
