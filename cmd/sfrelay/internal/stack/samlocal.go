package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// The files of sam local invoke, as samconfig.toml names them.
const (
	samLocalEnv      = "sam-local.env.json"
	samLocalTemplate = "sam-local.template.json"
)

// writeSAMLocal writes what sam local invoke needs to run the functions against this stack.
func (s *Stack) writeSAMLocal(ctx context.Context) error {
	cfg, err := s.Config(ctx)
	if err != nil {
		return err
	}
	deployed, err := variables(ctx, cfg)
	if err != nil {
		return fmt.Errorf("the variables of the functions: %w", err)
	}
	keys, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(s.file("ca.pem"))
	if err != nil {
		return err
	}
	for id := range deployed { // the only directory of ours that a container sees is the function's code
		if err := write(s.file(filepath.Join("build", id, "ca.pem")), ca); err != nil {
			return err
		}
	}
	env, template := s.samLocal(deployed, keys)
	for name, content := range map[string]any{samLocalEnv: env, samLocalTemplate: template} {
		b, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		if err := write(s.file(name), append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// variables are those of every function as deployed, by its logical id.
func variables(ctx context.Context, cfg aws.Config) (map[string]map[string]string, error) {
	resources, err := cloudformation.NewFromConfig(cfg).DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: aws.String(Name)})
	if err != nil {
		return nil, err
	}
	client, deployed := lambda.NewFromConfig(cfg), map[string]map[string]string{}
	for _, r := range resources.StackResources {
		if aws.ToString(r.ResourceType) != "AWS::Lambda::Function" {
			continue
		}
		f, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: r.PhysicalResourceId})
		if err != nil {
			return nil, err
		}
		deployed[*r.LogicalResourceId] = f.Environment.Variables
	}
	return deployed, nil
}

// samLocal is a file for --env-vars and the template that goes with it. SAM hands on only
// what a template declares, takes it from the shell of the reader before the template, and
// from the file before both. So the template declares every variable without its value.
// The keys and the region are in the file, too, which leaves nothing of the reader's profile.
//
// In a container 127.0.0.1 is the container. The file says localhost, which --add-host
// makes the host; plain HTTP to any other name is refused by the functions.
func (s *Stack) samLocal(deployed map[string]map[string]string, keys aws.Credentials) (env map[string]map[string]string, template map[string]any) {
	own := map[string]string{
		"AWS_ENDPOINT_URL":          s.Endpoint,
		"AWS_CA_BUNDLE":             "/var/task/ca.pem",
		"AWS_REGION":                Region,
		"AWS_DEFAULT_REGION":        Region,
		"AWS_ACCESS_KEY_ID":         keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":     keys.SecretAccessKey,
		"AWS_SESSION_TOKEN":         "", // the reader's profile may have one
		"AWS_EC2_METADATA_DISABLED": "true",
		"GODEBUG":                   "http2client=0", // see Config
	}
	env, resources := map[string]map[string]string{}, map[string]any{}
	for id, variables := range deployed {
		all, declared := maps.Clone(own), map[string]string{}
		maps.Copy(all, variables)
		for name, value := range all {
			all[name], declared[name] = strings.ReplaceAll(value, "://127.0.0.1:", "://localhost:"), ""
		}
		env[id] = all
		resources[id] = map[string]any{"Type": "AWS::Serverless::Function", "Properties": map[string]any{
			"Runtime": "provided.al2023", "Handler": "bootstrap", "MemorySize": 256, "Timeout": 110, "CodeUri": s.file(filepath.Join("build", id)),
			"Architectures": []string{architecture()}, "Environment": map[string]any{"Variables": declared},
		}}
	}
	return env, map[string]any{"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
}

// architecture is that of this machine, in Lambda's words.
func architecture() string {
	return map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
}
