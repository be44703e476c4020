// Command floor-stripe is floor for functions that link stripe-go: it does with an
// event the least that decides anything: one conditional write. Size and start of the
// functions are compared with it.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stripe/stripe-go/v85"
)

type floor struct {
	db      *dynamodb.Client
	queue   *sqs.Client
	secrets *secretsmanager.Client
}

// Invoke implements lambda.Handler.
func (f floor) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	_, err := f.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(os.Getenv("GUARD_TABLE")),
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "floor"}},
		UpdateExpression:          aws.String("SET s=:0"),
		ConditionExpression:       aws.String("attribute_not_exists(pk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":0": &types.AttributeValueMemberN{Value: "1"}},
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); refused {
		return []byte("null"), nil
	}
	if err != nil || len(event) == 0 {
		return nil, err
	}
	// Linked, never reached: the item is there before the first event.
	if _, err := f.queue.SendMessage(ctx, &sqs.SendMessageInput{}); err != nil {
		return nil, err
	}
	if _, err := f.queue.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{}); err != nil {
		return nil, err
	}
	if _, err := f.db.GetItem(ctx, &dynamodb.GetItemInput{}); err != nil {
		return nil, err
	}
	secret, err := f.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{})
	if err != nil {
		return nil, err
	}
	api := stripe.NewClient(*secret.SecretString)
	if _, err := api.V1Customers.Create(ctx, &stripe.CustomerCreateParams{}); err != nil {
		return nil, err
	}
	_, err = api.V1Invoices.Create(ctx, &stripe.InvoiceCreateParams{})
	return nil, err
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	lambda.Start(floor{dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)})
}
