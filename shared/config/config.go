// Package config reads the environment of a function once and reports all mistakes
// in it together.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Env is a source of variables: os.LookupEnv, or a map in tests.
type Env func(name string) (string, bool)

// Config is what a function may be told. Which of it is required depends on the
// function: see Reader.
type Config struct {
	GuardTable      string
	RestoredAt      time.Time // GUARD_RESTORED_AT; zero: the table was never restored
	FailureQueueURL string
	BufferQueueURL  string   // only in buffered mode
	Orgs            []string // SALESFORCE_ORGS, as written; at least one, or Reader.Err says so
	ClientName      string   // SALESFORCE_CLIENT_NAME: our own writes carry it
	AccountFields   map[string]string
	WonStages       []string
	MaxAttempts     int     // 0: the default of the transport
	TimeScale       float64 // 1 on AWS
	LogLevel        slog.Level
	ServiceName     string
}

// Stripe is how to reach Stripe.
type Stripe struct {
	Secret  string // name or ARN of the secret with the API key
	APIBase string // overrides the endpoint; empty: Stripe's
}

// ERP is how to reach the HTTP sink.
type ERP struct {
	URL    string
	Secret string // name or ARN of the secret with the bearer key
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
		GuardTable:      r.required("GUARD_TABLE", "the name of the guard table"),
		FailureQueueURL: r.url("FAILURE_QUEUE_URL", "the URL of the failure queue"),
		BufferQueueURL:  r.optionalURL("BUFFER_QUEUE_URL"),
		ClientName:      r.optional("SALESFORCE_CLIENT_NAME", ""),
		ServiceName:     r.optional("SERVICE_NAME", "sfrelay"),
		AccountFields:   r.pairs("ACCOUNT_FIELDS"),
		WonStages:       r.list("OPPORTUNITY_WON_STAGES", "Closed Won"),
		MaxAttempts:     int(r.integer("MAX_ATTEMPTS", 0, 1, 1000)),
		TimeScale:       r.scale("TIME_SCALE"),
	}
	// Commas alone name no org. Taken for an empty list they would allow any.
	if c.Orgs = r.list("SALESFORCE_ORGS", ""); len(c.Orgs) == 0 {
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

// Stripe reads what a function that bills needs.
func (r *Reader) Stripe() Stripe {
	if b := r.required("BILLING", `the billing system: "stripe"`); b != "" && b != "stripe" {
		r.mistake("BILLING", `is %q: the only billing system so far is "stripe"`, b)
	}
	return Stripe{
		Secret:  r.required("STRIPE_SECRET", "the name or ARN of the secret with Stripe's API key"),
		APIBase: r.optionalURL("STRIPE_API_BASE"),
	}
}

// ERP reads what a function that writes to the ERP needs.
func (r *Reader) ERP() ERP {
	if e := r.required("ERP", `the ERP's protocol: "http"`); e != "" && e != "http" {
		r.mistake("ERP", `is %q: the only protocol so far is "http"`, e)
	}
	return ERP{
		URL:    r.url("ERP_URL", "the base URL of the ERP's HTTP contract"),
		Secret: r.required("ERP_SECRET", "the name or ARN of the secret with the ERP's bearer key"),
	}
}

// Check notes a mistake that somebody else found in a value.
func (r *Reader) Check(name string, err error) {
	if err != nil {
		r.mistake(name, "%v", err)
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

func (r *Reader) required(name, what string) string {
	v, _ := r.env(name)
	if v = strings.TrimSpace(v); v == "" {
		r.mistake(name, "is missing: set it to %s", what)
	}
	return v
}

func (r *Reader) optional(name, fallback string) string {
	if v, ok := r.env(name); ok && strings.TrimSpace(v) != "" {
		return strings.TrimSpace(v)
	}
	return fallback
}

func (r *Reader) url(name, what string) string {
	v := r.required(name, what)
	r.checkURL(name, v)
	return strings.TrimRight(v, "/")
}

func (r *Reader) optionalURL(name string) string {
	v := r.optional(name, "")
	r.checkURL(name, v)
	return strings.TrimRight(v, "/")
}

func (r *Reader) checkURL(name, v string) {
	if v == "" {
		return
	}
	// The value itself may carry credentials: it is not repeated.
	if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		r.mistake(name, "is not a URL: write https://host/path, without user and password")
	}
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

func (r *Reader) list(name, fallback string) []string { return split(r.optional(name, fallback)) }

func (r *Reader) pairs(name string) map[string]string {
	v := r.optional(name, "")
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
