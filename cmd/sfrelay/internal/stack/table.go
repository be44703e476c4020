package stack

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// finishTable gives the guard's table what template.yaml says of it and the emulator's
// CloudFormation leaves out: the time to live, and backups.
func (s *Stack) finishTable(ctx context.Context) error {
	cfg, err := s.Config(ctx)
	if err != nil {
		return err
	}
	described, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(Name)})
	if err != nil {
		return err
	}
	for _, o := range described.Stacks[0].Outputs {
		if aws.ToString(o.OutputKey) == "GuardTable" {
			return finish(ctx, dynamodb.NewFromConfig(cfg), aws.ToString(o.OutputValue))
		}
	}
	return errors.New("the stack has no output GuardTable")
}

func finish(ctx context.Context, client *dynamodb.Client, table string) error {
	_, ttl := client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("x"), Enabled: aws.Bool(true)},
	})
	_, backups := client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: &table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	})
	if err := errors.Join(ttl, backups); err != nil {
		return fmt.Errorf("the guard's table: %w", err)
	}
	return nil
}
