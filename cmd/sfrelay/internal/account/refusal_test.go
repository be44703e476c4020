package account_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/account"
)

// asked opens an account whose AWS answers so.
func asked(t *testing.T, status int, body string) (*account.Account, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	return open(t)
}

func open(t *testing.T) (*account.Account, error) {
	return account.Flags{AWS: true, StackName: "sfrelay"}.Open(t.Context())
}

// noSettings hides the reader's own.
func noSettings(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_PROFILE": "", "AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "",
		"AWS_ENDPOINT_URL": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
}

func refusal(code, message string) string {
	return `<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + `</Message></Error></ErrorResponse>`
}

func TestWhatAWSRefusesIsOneSentence(t *testing.T) {
	for _, test := range []struct{ code, message, want string }{
		{"ExpiredToken", "The security token included in the request is expired",
			"the AWS credentials have expired (ExpiredToken, cloudformation:DescribeStacks); renew them, for example with: aws sso login"},
		{"InvalidClientTokenId", "The security token included in the request is invalid.",
			"AWS does not accept these credentials (InvalidClientTokenId, cloudformation:DescribeStacks); check them with: aws sts get-caller-identity"},
		{"AccessDenied", "User: arn:aws:iam::123456789012:user/me is not authorized to perform: cloudformation:DescribeStacks on resource: x",
			"access denied: arn:aws:iam::123456789012:user/me may not call cloudformation:DescribeStacks; allow the action in IAM, or set AWS_PROFILE to a profile that may"},
		{"AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/me/x is not authorized to perform: sqs:sendmessage on resource: arn:aws:sqs:eu-west-2:123456789012:q with an explicit deny in a resource-based policy",
			"access denied: the queue takes no messages from arn:aws:sts::123456789012:assumed-role/me/x; add its role or user to the parameter Operators and deploy, or set AWS_PROFILE to an operator's profile"},
		{"ValidationError", "Stack with id sfrelay does not exist",
			`region eu-west-2 has no CloudFormation stack "sfrelay"; deploy it with make deploy, or name another with --stack-name`},
	} {
		t.Run(test.code, func(t *testing.T) {
			noSettings(t)
			_, err := asked(t, http.StatusForbidden, refusal(test.code, test.message))
			if err == nil {
				t.Fatal("no error")
			}
			if got := account.Plainly(err).Error(); strings.TrimPrefix(got, `reading the CloudFormation stack "sfrelay": `) != test.want {
				t.Errorf("%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWithoutCredentials(t *testing.T) {
	noSettings(t)
	_, err := open(t)
	if got := fmt.Sprint(account.Plainly(err)); got != "no AWS credentials were found; set AWS_PROFILE, or sign in with: aws sso login" {
		t.Error(got)
	}
	t.Setenv("AWS_PROFILE", "nobody")
	_, err = open(t)
	if got := fmt.Sprint(account.Plainly(err)); got != `the AWS profile "nobody" does not exist; choose one of: aws configure list-profiles` {
		t.Error(got)
	}
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_REGION", "")
	if _, err = open(t); err == nil || !strings.Contains(err.Error(), "set AWS_REGION") {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	noSettings(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	_, err := open(t)
	if got := fmt.Sprint(account.Plainly(err)); !strings.Contains(got, "AWS does not answer cloudformation:DescribeStacks (") || !strings.Contains(got, "check the network") || strings.Contains(got, "operation error") {
		t.Error(got)
	}
}

func TestOpenSaysWhere(t *testing.T) {
	noSettings(t)
	const stage = "<member><ParameterKey>Stage</ParameterKey><ParameterValue>acceptance</ParameterValue></member>"
	orgs := func(ids string) string {
		return "<member><ParameterKey>SalesforceOrgs</ParameterKey><ParameterValue>" + ids + "</ParameterValue></member>"
	}
	for parameters, serves := range map[string]string{
		"": "", orgs("00D5f000005KcCnEAK"): ", org 00D5f000005KcCnEAK", // of an earlier version
		stage + orgs("00D5f000005KcCn"):                 ", stage acceptance, org 00D5f000005KcCn",
		stage + orgs("00D5f000005KcCn,00D5f000005KcCo"): ", stage acceptance, org 00D5f000005KcCn and 00D5f000005KcCo",
	} {
		a, err := asked(t, http.StatusOK, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
			<StackId>arn:aws:cloudformation:eu-west-2:123456789012:stack/sfrelay/1</StackId><StackName>sfrelay</StackName>
			<CreationTime>2026-11-22T07:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Parameters>`+parameters+`</Parameters>
			<Outputs><member><OutputKey>FailureQueueUrl</OutputKey><OutputValue>u</OutputValue></member></Outputs>
			</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
		if err != nil {
			t.Fatal(err)
		}
		if a.Where != "account 123456789012, region eu-west-2, stack sfrelay"+serves || a.Outputs["FailureQueueUrl"] != "u" {
			t.Errorf("%+v", a)
		}
	}
}

func TestOtherErrorsStayAsTheyAre(t *testing.T) {
	err := errors.New("the queue is gone")
	if got := account.Plainly(err); !errors.Is(got, err) || got.Error() != err.Error() {
		t.Error(got)
	}
}
