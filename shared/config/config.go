// Package config reads the environment of a function once and reports all mistakes
// in it together: what every function is told, and by FromEnv of its connector what
// that needs.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Env is a source of variables: os.LookupEnv, or a map in tests.
type Env func(name string) (string, bool)

// Config is what every function may be told.
type Config struct {
	GuardTable      string
	RestoredAt      time.Time // GUARD_RESTORED_AT; zero: the table was never restored
	FailureQueueURL string
	FailureBucket   string   // FAILURE_BUCKET: the name of the bucket for what no message holds
	BufferQueueURL  string   // the consumer's own buffer
	Orgs            []string // SALESFORCE_ORGS, as written; at least one, or Reader.Err says so
	ClientName      string   // SALESFORCE_CLIENT_NAME: our own writes carry it
	AccountFields   map[string]string

	OpportunityFields map[string]string
	RetryFor          time.Duration // RETRY_HOURS, not scaled: then a change is parked
	TimeScale         float64       // 1 on AWS
	LogLevel          slog.Level
	ServiceName       string
	Stage             string // STAGE: production, or whatever the stack is for
}

// Reader collects the mistakes of one reading.
type Reader struct {
	env  Env
	errs []error
}

// NewReader reads from env.
func NewReader(env Env) *Reader { return &Reader{env: env} }

// Common reads what every function needs.
func (r *Reader) Common() Config {
	c := Config{
		GuardTable:      r.Required("GUARD_TABLE", "the name of the guard table"),
		FailureQueueURL: r.URL("FAILURE_QUEUE_URL", "the URL of the failure queue"),
		FailureBucket:   r.Required("FAILURE_BUCKET", "the name of the failure bucket"),
		BufferQueueURL:  r.OptionalURL("BUFFER_QUEUE_URL"),
		ClientName:      r.Optional("SALESFORCE_CLIENT_NAME", ""),
		ServiceName:     r.Optional("SERVICE_NAME", "sfrelay"),
		Stage:           r.Optional("STAGE", ""),
		AccountFields:   r.pairs("ACCOUNT_FIELDS"),

		OpportunityFields: r.pairs("OPPORTUNITY_FIELDS"),
		RetryFor:          time.Duration(r.integer("RETRY_HOURS", 6, 1, 96)) * time.Hour,
		TimeScale:         r.scale("TIME_SCALE"),
	}
	// Commas alone name no org. Taken for an empty list they would allow any.
	if c.Orgs = r.List("SALESFORCE_ORGS", ""); len(c.Orgs) == 0 {
		r.mistake("SALESFORCE_ORGS", "is missing: set it to the allowed org ids, comma separated")
	}
	if ms := r.integer("GUARD_RESTORED_AT", 0, 1, 1<<47); ms > 0 {
		c.RestoredAt = time.UnixMilli(ms)
	}
	if text, ok := r.env("LOG_LEVEL"); ok && text != "" {
		if err := c.LogLevel.UnmarshalText([]byte(text)); err != nil {
			r.mistake("LOG_LEVEL", "is %q: use DEBUG, INFO, WARN or ERROR", text)
		}
	}
	return c
}

// Check notes a mistake that somebody else found in a value.
func (r *Reader) Check(name string, err error) {
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", name, err))
	}
}

// Err is all mistakes, one a line, or nil.
func (r *Reader) Err() error {
	if len(r.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%d mistakes in the environment:\n%w", len(r.errs), errors.Join(r.errs...))
}

func (r *Reader) mistake(name, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(name+" "+format, args...))
}

// Required is the text of a variable. what says what it is, should it be missing.
func (r *Reader) Required(name, what string) string {
	v, _ := r.env(name)
	if v = strings.TrimSpace(v); v == "" {
		r.mistake(name, "is missing: set it to %s", what)
	}
	return v
}

// Optional is the text of a variable, or the fallback.
func (r *Reader) Optional(name, fallback string) string {
	if v, ok := r.env(name); ok && strings.TrimSpace(v) != "" {
		return strings.TrimSpace(v)
	}
	return fallback
}

// Only is Required for a variable that has one value so far.
func (r *Reader) Only(name, value, what string) {
	if v := r.Required(name, fmt.Sprintf("%s: %q", what, value)); v != "" && v != value {
		r.mistake(name, "is %q: the only value so far is %q", v, value)
	}
}

// OneOf is one of the values, the first one where the variable is not set.
func (r *Reader) OneOf(name string, values ...string) string {
	v := r.Optional(name, values[0])
	if !slices.Contains(values, v) {
		r.mistake(name, "is %q: use one of %s", v, strings.Join(values, ", "))
	}
	return v
}

// URL is a required URL, without the slash in the end. It is empty when it is wrong.
func (r *Reader) URL(name, what string) string { return r.checkedURL(name, r.Required(name, what)) }

// OptionalURL is a URL, without the slash in the end. It is empty when it is wrong.
func (r *Reader) OptionalURL(name string) string { return r.checkedURL(name, r.Optional(name, "")) }

func (r *Reader) checkedURL(name, v string) string {
	if v == "" {
		return ""
	}
	// The value itself may carry credentials: it is not repeated.
	if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		r.mistake(name, "is not a URL: write https://host/path, without user and password")
		return ""
	}
	return strings.TrimRight(v, "/")
}

func (r *Reader) integer(name string, fallback, least, most int64) int64 {
	v, ok := r.env(name)
	if v = strings.TrimSpace(v); !ok || v == "" {
		return fallback
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		r.mistake(name, "is %q: write a whole number from %d to %d", v, least, most)
		return fallback
	}
	return n
}

func (r *Reader) scale(name string) float64 {
	v, ok := r.env(name)
	if v = strings.TrimSpace(v); !ok || v == "" {
		return 1
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0 && f <= 1) {
		r.mistake(name, "is %q: write a factor above 0 and up to 1, the value on AWS", v)
		return 1
	}
	return f
}

// List is a comma separated list.
func (r *Reader) List(name, fallback string) []string { return split(r.Optional(name, fallback)) }

func (r *Reader) pairs(name string) map[string]string {
	v := r.Optional(name, "")
	if v == "" {
		return nil
	}
	m := make(map[string]string)
	for _, pair := range split(v) {
		from, to, ok := strings.Cut(pair, "=")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		if !ok || from == "" || to == "" || m[from] != "" {
			r.mistake(name, "has %q: write Default__c=Yours__c pairs, comma separated, each once", pair)
			continue
		}
		m[from] = to
	}
	return m
}

func split(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
