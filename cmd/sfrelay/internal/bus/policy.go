package bus

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// permits reports whether a resource policy lets EventBridge do action on behalf
// of the rule. It knows the conditions that such policies carry: aws:SourceArn,
// aws:SourceAccount, aws:SecureTransport (EventBridge always speaks TLS). Any
// other condition does not hold, which is what the reader should hear of.
func permits(policy, action, ruleARN string) (bool, error) {
	if policy == "" {
		return false, nil
	}
	var document struct {
		Statement oneOrMore[statement] `json:"Statement"`
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return false, fmt.Errorf("its resource policy cannot be read: %w", err)
	}
	allowed := false
	for _, s := range document.Statement {
		if !s.Principal.is("events.amazonaws.com") || !anyMatches(s.Action, action) || !s.holds(ruleARN) {
			continue
		}
		if s.Effect == "Deny" {
			return false, nil
		}
		allowed = true
	}
	return allowed, nil
}

type statement struct {
	Effect    string
	Principal principal
	Action    oneOrMore[string]
	Condition map[string]map[string]oneOrMore[string]
}

func (s statement) holds(ruleARN string) bool {
	account := ""
	if parts := strings.Split(ruleARN, ":"); len(parts) > 4 {
		account = parts[4]
	}
	actual := map[string]string{"aws:sourcearn": ruleARN, "aws:sourceaccount": account, "aws:securetransport": "true"}
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			value, known := actual[strings.ToLower(key)]
			if !known {
				return false
			}
			switch operator {
			case "ArnLike", "ArnEquals", "StringLike":
				if !anyMatches(wanted, value) {
					return false
				}
			case "StringEquals", "Bool":
				if !contains(wanted, value) {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}

// principal is "*", or {"Service": …} and the like.
type principal struct {
	all      bool
	services oneOrMore[string]
}

func (p *principal) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		p.all = true
		return nil
	}
	var kinds map[string]oneOrMore[string]
	if err := json.Unmarshal(b, &kinds); err != nil {
		return err
	}
	p.services = kinds["Service"]
	p.all = contains(kinds["AWS"], "*")
	return nil
}

func (p principal) is(service string) bool { return p.all || contains(p.services, service) }

// oneOrMore is a value or a list of them, as policies may write both.
type oneOrMore[T any] []T

func (o *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(string(b), "[") {
		return json.Unmarshal(b, (*[]T)(o))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*o = oneOrMore[T]{one}
	return nil
}

func contains(list []string, s string) bool {
	for _, each := range list {
		if strings.EqualFold(each, s) {
			return true
		}
	}
	return false
}

// anyMatches reports whether s matches one of the patterns of IAM: * is any run of
// characters, ? one of them.
func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(p))
		if regexp.MustCompile(`(?is)^` + expression + `$`).MatchString(s) {
			return true
		}
	}
	return false
}
