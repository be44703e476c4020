package sink

import "context"

// Port is a way to a sink: the interface of package billing or erp through which a
// consumer writes, with what the sink promises for its operations.
type Port interface {
	Contract() Contract
}

// Preparer is a Port that can do before its first call what that would have to do first: read
// its credential, connect. The sink gets no request. Prepare ends with its context, and that
// it fails is no error.
type Preparer interface {
	Prepare(ctx context.Context)
}
