package stack

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// finishTable gives the guard table what template.yaml says of it and the emulator's
// CloudFormation leaves out: its time to live and its backups.
func (s *Stack) finishTable(ctx context.Context) error {
	cfg, err := s.Config(ctx)
	if err != nil {
		return err
	}
	out, err := cloudformation.NewFromConfig(cfg).DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{StackName: aws.String(Name), LogicalResourceId: aws.String("GuardTable")})
	if err != nil {
		return fmt.Errorf("the guard table of the stack: %w", err)
	}
	table, client := out.StackResourceDetail.PhysicalResourceId, dynamodb.NewFromConfig(cfg)
	if _, err := client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("x"), Enabled: aws.Bool(true)},
	}); err != nil {
		return fmt.Errorf("the time to live of the guard table: %w", err)
	}
	if _, err := client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	}); err != nil {
		return fmt.Errorf("the backups of the guard table: %w", err)
	}
	return nil
}
