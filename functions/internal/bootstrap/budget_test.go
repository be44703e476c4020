package bootstrap_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The budgets of docs/reference/performance.md, for a fresh change of three fields, with TLS.
// Instructions are those of user space under callgrind: they differ by some thousandths from
// run to run, and with the processor that valgrind finds.
const (
	mostFirst           = 50_000_000 // instructions from the start of the process
	mostFirstInvocation = 5_000_000  // those of them that the first event waits for
	mostEach            = 1_400_000  // of an event of its own
	mostAllocations     = 800        // of the consumer, without runtime and connector
	mostBytesDynamoDB   = 2_540      // on the wire out, TLS and all
	mostBytesERP        = 570
	mostMemory          = 180 // MB in a function of 256, of the largest batch
)

func events(from, n int) (all [][]byte) {
	for i := range n {
		all = append(all, event(from+i))
	}
	return all
}

// want holds what a service has seen.
func (s *service) want(t *testing.T, name string, requests []string, connections int) {
	t.Helper()
	got, conns, handshakes := s.seen()
	if strings.Join(got, ", ") != strings.Join(requests, ", ") || conns != connections || handshakes != connections {
		t.Errorf("%s saw %q in %d connections with %d handshakes, want %q in %d", name, got, conns, handshakes, requests, connections)
	}
}

func path(i int) string { return "PATCH /customer/" + org + "/" + account(i) }

// TestFirstEventRequests: two requests to the table, one for the secret and one to the sink,
// over one connection each; the next event makes the same but the secret's, over the same.
func TestFirstEventRequests(t *testing.T) {
	w := newWorld(t)
	p := start(t, w.environment())
	writes := []string{"POST UpdateItem", "POST UpdateItem"}
	p.take(event(1))
	w.dynamo.want(t, "DynamoDB", writes, 1)
	w.secrets.want(t, "Secrets Manager", []string{"POST GetSecretValue"}, 1)
	w.erp.want(t, "the ERP", []string{path(1)}, 1)
	p.take(event(2))
	w.dynamo.want(t, "DynamoDB", append(writes, writes...), 1)
	w.secrets.want(t, "Secrets Manager", []string{"POST GetSecretValue"}, 1)
	w.erp.want(t, "the ERP", []string{path(1), path(2)}, 1)
	applied(t, p.stop(), 2)
}

// TestBootstrapBatch: every message of a batch costs what an event of its own does.
func TestBootstrapBatch(t *testing.T) {
	w := newWorld(t)
	p := start(t, w.environment())
	p.take(batch(events(1, 10)...))
	if p.lambda.yes != `{"batchItemFailures":[]}` {
		t.Errorf("the answer is %s", p.lambda.yes)
	}
	if d, s, e := w.requests(); d != 20 || s != 1 || e != 10 {
		t.Errorf("%d requests to DynamoDB, %d to Secrets Manager and %d to the ERP, want 20, 1 and 10", d, s, e)
	}
	applied(t, p.stop(), 10)
}

// TestBudgetBytes holds what leaves the function for an event once everything is connected.
func TestBudgetBytes(t *testing.T) {
	w := newWorld(t)
	p := start(t, w.environment())
	const warm, counted = 5, 20
	var before [2]int64
	for i := range warm + counted {
		if i == warm {
			before[0], _ = w.dynamo.bytes()
			before[1], _ = w.erp.bytes()
		}
		p.take(event(i))
	}
	dynamo, _ := w.dynamo.bytes()
	erp, _ := w.erp.bytes()
	dynamo, erp = (dynamo-before[0])/counted, (erp-before[1])/counted
	t.Logf("%d bytes to DynamoDB, %d to the ERP", dynamo, erp)
	if dynamo > mostBytesDynamoDB || erp > mostBytesERP {
		t.Errorf("%d bytes to DynamoDB and %d to the ERP, at most %d and %d", dynamo, erp, mostBytesDynamoDB, mostBytesERP)
	}
	applied(t, p.stop(), warm+counted)
}

// TestBudgetAllocations holds those of consumer, guard, store and SDK together. One more in
// every event is too many.
func TestBudgetAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates too")
	}
	w := newWorld(t)
	plain := &service{answer: w.dynamo.answer}
	plain.serve(t, nil)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), loopVariable+"="+plain.url, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d allocations", n)
	if n > mostAllocations {
		t.Errorf("%d allocations a fresh change, at most %d", n, mostAllocations)
	}
}

// TestFirstEventInstructions holds what it takes from the start of the process to the answer
// to its first event: a cold start, less what Lambda does.
func TestFirstEventInstructions(t *testing.T) {
	needsTime(t)
	n, start := undisturbed(t, event(1)), undisturbed(t)
	for range 2 { // the least of three: the garbage collector and the scheduler may do more
		if n > mostFirst {
			n = min(n, undisturbed(t, event(1)))
		}
	}
	t.Logf("%.1f million instructions to the first answer, %.1f of them after the event came", float64(n)/1e6, float64(n-start)/1e6)
	if n > mostFirst {
		t.Errorf("%d instructions to the first answer, at most %d", n, mostFirst)
	}
	if n-start > mostFirstInvocation {
		t.Errorf("%d instructions from the first event to its answer, at most %d", n-start, mostFirstInvocation)
	}
}

// TestBudgetInstructions holds what an event costs a function that runs.
func TestBudgetInstructions(t *testing.T) {
	needsTime(t)
	const few, many = 20, 120
	n := (undisturbed(t, events(1000, many)...) - undisturbed(t, events(1, few)...)) / (many - few)
	t.Logf("%d thousand instructions an event", n/1000)
	if n > mostEach {
		t.Errorf("%d instructions an event, at most %d", n, mostEach)
	}
}

// undisturbed is the count of a run that had all its connections before its first event, and
// made none twice. On a busy machine a function under callgrind, fifty times slower, can be too
// late for its own time-outs.
func undisturbed(t *testing.T, events ...[]byte) int {
	t.Helper()
	const tries = 8
	for range tries {
		w := newWorld(t)
		var ahead bool
		n, log := instructions(t, w.environment(), func() { ahead = w.connectedOnce() }, events...)
		applied(t, log, len(events))
		if ahead && w.connectedOnce() {
			return n
		}
	}
	t.Fatalf("in each of %d runs some connection came too late or was made twice", tries)
	return 0
}

// connectedOnce says whether each service has finished one handshake and begun no other.
func (w *world) connectedOnce() bool {
	for _, s := range []*service{w.dynamo, w.secrets, w.erp} {
		if _, connections, handshakes := s.seen(); connections != 1 || handshakes != 1 {
			return false
		}
	}
	return true
}

// needsTime leaves a test out of the quick loop: under callgrind everything takes fifty times
// as long.
func needsTime(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("callgrind takes its time; run it without -short")
	}
	if raced {
		t.Skip("make test counts without the race detector, alone: other packages' tests would disturb it")
	}
	valgrind(t)
}
