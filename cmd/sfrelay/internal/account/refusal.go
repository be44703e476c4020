package account

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// credentialsError: there are no credentials to ask AWS with.
type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

// The codes of AWS's services for credentials that do not hold (Common Errors of the
// query protocols and of the JSON protocols).
var (
	expired = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}
	strange = map[string]bool{
		"InvalidClientTokenId": true, "UnrecognizedClientException": true, "SignatureDoesNotMatch": true,
		"InvalidSignatureException": true, "IncompleteSignature": true, "AuthFailure": true, "MissingAuthenticationToken": true,
	}
	denied = map[string]bool{"AccessDenied": true, "AccessDeniedException": true, "UnauthorizedOperation": true}

	// action is what the message of a denial names: "… is not authorized to perform: sqs:ReceiveMessage on …".
	action = regexp.MustCompile(`authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)`)
	// who is the caller that it names.
	who = regexp.MustCompile(`User: (arn:\S+) is not`)
)

// Plainly says in one sentence, with what to type next, that AWS cannot be asked or
// refuses the caller. What was being done stays in front of it, and every other error
// stays as it is.
func Plainly(err error) error {
	said := refusal(err)
	if said == "" {
		return err
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		if before, _, found := strings.Cut(err.Error(), op.Error()); found && !errors.As(err, new(credentialsError)) {
			said = before + said
		}
	}
	return plain{said, err}
}

type plain struct {
	said string
	error
}

func (p plain) Error() string { return p.said }
func (p plain) Unwrap() error { return p.error }

func refusal(err error) string {
	asked := "the call"
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		asked = strings.ToLower(strings.ReplaceAll(op.ServiceID, " ", "")) + ":" + op.OperationName
		asked = strings.Replace(asked, "cloudwatchlogs:", "logs:", 1)
		asked = strings.Replace(asked, "eventbridge:", "events:", 1)
		asked = strings.Replace(asked, "lambda:Invoke", "lambda:InvokeFunction", 1)
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		switch code := e.ErrorCode(); {
		case expired[code]:
			return fmt.Sprintf("the AWS credentials have expired (%s, %s); renew them, for example with: aws sso login", code, asked)
		case strange[code]:
			return fmt.Sprintf("AWS does not accept these credentials (%s, %s); check them with: aws sts get-caller-identity", code, asked)
		case denied[code]:
			caller := "this caller"
			if m := who.FindStringSubmatch(e.ErrorMessage()); m != nil {
				caller = m[1]
			}
			if m := action.FindStringSubmatch(e.ErrorMessage()); m != nil {
				asked = m[1]
			}
			if strings.EqualFold(asked, "sqs:SendMessage") && strings.Contains(e.ErrorMessage(), "explicit deny in a resource-based policy") {
				return fmt.Sprintf("access denied: the queue takes no messages from %s; add its role or user to the parameter Operators and deploy, or set AWS_PROFILE to an operator's profile", caller)
			}
			return fmt.Sprintf("access denied: %s may not call %s; allow the action in IAM, or set AWS_PROFILE to a profile that may", caller, asked)
		}
	}
	if e, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Sprintf("the AWS profile %q does not exist; choose one of: aws configure list-profiles", e.Profile)
	}
	if errors.As(err, new(*ssocreds.InvalidTokenError)) {
		return "the AWS sign-in session has expired or does not exist; sign in with: aws sso login"
	}
	if errors.As(err, new(credentialsError)) {
		return "no AWS credentials were found; set AWS_PROFILE, or sign in with: aws sso login"
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok && !errors.As(err, new(smithy.APIError)) {
		cause := error(e)
		for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
			cause = next
		}
		return fmt.Sprintf("AWS does not answer %s (%v); check the network, AWS_REGION and AWS_ENDPOINT_URL", asked, cause)
	}
	return ""
}
