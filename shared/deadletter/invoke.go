package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// answer is what a function said of a message. With a reason that it was taken all the same, a
// new message lies in the failure queue.
type answer struct {
	taken  bool
	class  string
	reason string
}

// invoke hands the message to its consumer and waits.
func (qs *Queues) invoke(ctx context.Context, m Message, by transport.Redrive) (answer, error) {
	c, _ := qs.byName(m.Consumer)
	out, err := qs.Lambda.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &c.Function, InvocationType: lambdatypes.InvocationTypeRequestResponse, Payload: by.Around([]byte(m.Body)),
	})
	if _, busy := errors.AsType[*lambdatypes.TooManyRequestsException](err); busy {
		return answer{reason: "Lambda throttles the function: redrive with a lower --parallel"}, nil
	}
	if err != nil {
		return answer{}, fmt.Errorf("invoking %s: %w", c.Function, err)
	}
	var said struct {
		Type     string            `json:"errorType"`
		Message  string            `json:"errorMessage"`
		Failures []json.RawMessage `json:"batchItemFailures"`
		Verdicts []changeAnswer    `json:"verdicts"`
	}
	readable := json.Unmarshal(out.Payload, &said) == nil
	switch {
	case aws.ToString(out.FunctionError) != "":
		kind := cmp.Or(said.Type, aws.ToString(out.FunctionError))
		return answer{class: kind, reason: because(kind, cmp.Or(strings.TrimPrefix(said.Message, kind+": "), "the function gave no reason; see its log"))}, nil
	case out.StatusCode != 200:
		return answer{reason: fmt.Sprintf("Lambda answered with status %d", out.StatusCode)}, nil
	case len(said.Failures) > 0:
		return answer{reason: fmt.Sprintf("%d of its events failed", len(said.Failures))}, nil
	case !readable:
		return answer{reason: "the function returned an unexpected answer; check that it is a consumer of this version"}, nil
	case len(said.Verdicts) == 0:
		return answer{reason: "the function does not say what became of the changes, as one of an earlier version; deploy this version with make deploy"}, nil
	}
	return judge(said.Verdicts), nil
}

// changeAnswer is what a consumer says of one change (consumer.Answer).
type changeAnswer struct {
	Subject string          `json:"subject"`
	Verdict verdict.Verdict `json:"verdict"`
	Class   verdict.Class   `json:"class"`
	Error   string          `json:"error"`
}

// through are the verdicts after which a change needs no message any more.
var through = map[verdict.Verdict]bool{
	verdict.Applied: true, verdict.Duplicate: true, verdict.Stale: true, verdict.PartlyStale: true, verdict.Ignored: true,
	verdict.Echo: true, verdict.Probe: true, verdict.Parked: true, verdict.Zombie: true,
}

// judge says whether a message is done with: if each of its changes is.
func judge(changes []changeAnswer) answer {
	failed, again := 0, 0
	var first answer
	for _, c := range changes {
		switch {
		case !through[c.Verdict]:
			if failed++; failed == 1 {
				first = answer{class: string(c.Class), reason: because(cmp.Or(string(c.Class), string(c.Verdict)), c.Error)}
			}
		case c.Class != "" && failed == 0: // decided, and a message says what there is to look at
			if again++; again == 1 {
				first = answer{taken: true, class: string(c.Class), reason: because(string(c.Class), c.Error)}
			}
		}
	}
	switch {
	case failed > 0 && len(changes) > 1:
		first.reason = fmt.Sprintf("%d of %d changes failed, the first: %s", failed, len(changes), first.reason)
	case failed == 0 && again == 0:
		first.taken = true
	}
	return first
}
