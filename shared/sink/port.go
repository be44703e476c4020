package sink

// Port is a way to a sink: the interface of package billing or erp through which a
// consumer writes, with what the sink promises for its operations.
type Port interface {
	Contract() Contract
}
