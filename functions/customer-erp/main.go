// Command customer-erp only logs the events it gets.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	lambda.Start(func(_ context.Context, event json.RawMessage) error {
		var envelope struct{ ID string }
		_ = json.Unmarshal(event, &envelope)
		log.Info("change", "consumer", "customer-erp", "eventId", envelope.ID, "verdict", "ignored")
		return nil
	})
}
