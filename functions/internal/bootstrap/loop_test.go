package bootstrap_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sfrelay/functions"
	"sfrelay/shared/awsclient"
	"sfrelay/shared/consumer"
	"sfrelay/shared/erp"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
)

// loopVariable makes a process of the test binary that takes events through the consumer in
// this process and counts its allocations: what the servers allocate is not counted then.
const loopVariable = "BOOTSTRAP_LOOP"

// loop prints the allocations of an event.
func loop(endpoint string) error {
	h, err := consumer.New(functions.CustomerERP(yes{}), consumer.Env{
		Store: dynamo.New(dynamo.NewClient(aws.Config{
			Region: "eu-west-2", BaseEndpoint: &endpoint, HTTPClient: awsclient.HTTPClient(),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
			}),
		}), "guard"),
		Park: func(context.Context, []byte) error { return nil },
		Log:  telemetry.New(io.Discard, "test", 0),
	})
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1) // a collection empties pools at some moment or other
	const warm, counted = 50, 200
	all := events(1, warm+counted)
	var before, after runtime.MemStats
	for i, e := range all {
		if i == warm {
			runtime.ReadMemStats(&before)
		}
		if _, err := h.Handle(context.Background(), e); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	_, err = fmt.Fprintln(os.Stdout, (after.Mallocs-before.Mallocs)/counted)
	return err
}

// yes is an ERP that takes everything.
type yes struct{}

func (yes) Contract() sink.Contract { return sink.Contract{Fenced: true, Versioned: true} }

func (yes) Put(context.Context, sink.Ref, string, erp.Customer) (sink.Receipt, error) {
	return sink.Receipt{}, nil
}

func (yes) Patch(context.Context, sink.Ref, string, erp.Customer) (sink.Receipt, error) {
	return sink.Receipt{}, nil
}

func (yes) Delete(context.Context, sink.Ref, string) (sink.Receipt, error) {
	return sink.Receipt{}, nil
}
