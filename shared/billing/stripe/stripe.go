// Package stripe connects the billing ports to Stripe (API v1, the dahlia
// versions) with stripe-go.
//
// stripe-go is kept from deciding anything: no retries, no time-out but the
// context's, no log, an idempotency key of ours on every write. What Stripe
// answers becomes a class and a statement whether the call took effect.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/config"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// What Stripe promises, and what we make of it.
const (
	// keyWindow is how long an idempotency key surely replays. Stripe may forget a
	// key "once it is at least 24 hours old" (API reference, "Idempotent
	// requests"); four hours of margin are for clocks and for waiting.
	keyWindow = 20 * time.Hour
	// settle is how long a request may still take effect at Stripe after we gave it
	// up. Stripe publishes no figure; a list is consistent at once after that.
	settle = 20 * time.Second
	// maxGenerations bounds how many remembered failures of one key are stepped over.
	maxGenerations = 8
	// maxListed bounds a look-up: fifty pages. Beyond it, absence cannot be told.
	maxListed = 5000
	// alwaysListed is how many of a customer's invoices are looked at however old they are.
	alwaysListed = 500
	// recordMargin is how long before the last change of a deal its invoice may have been
	// made: by a delivery of an earlier change, of which the guard knows nothing any more.
	recordMargin = 24 * time.Hour
	// createdMargin is how far clocks of ours and of Stripe's may be apart.
	createdMargin = 5 * time.Minute
)

// Marks on everything that is created: whose it is and which change wrote it last.
const (
	markOrg       = "sf_org"
	markID        = "sf_id"
	markObject    = "sf_object"
	markVersion   = "sf_version"
	markRetired   = "sf_retired"
	markContent   = "sf_content"
	markDelivery  = "sf_delivery"
	markTaxNumber = "sf_tax_number"
)

// Client is one Stripe account. It is safe for concurrent use.
type Client struct {
	key          *sinkhttp.Key
	backends     *stripe.Backends
	delivery     string // one of the constants; of invoices only
	automaticTax bool   // Stripe adds the tax; of invoices only
	taxIDs       bool   // tax numbers are kept as tax ids, too
	taxExempt    string // what a new customer is made with, empty for nothing
	api          atomic.Pointer[keyed]
	http         *http.Client
	base         string
}

// keyed is a client made for one API key: a rotated key makes a new one.
type keyed struct {
	key    string
	client *stripe.Client
}

// FromEnv connects to the account that the environment names. secret reads a secret by
// its name or ARN. What is wrong, r says; then the client is of no use.
//
//	STRIPE_SECRET     the secret with the API key
//	STRIPE_API_BASE   a sandbox's address on loopback instead of Stripe's
//	STRIPE_CONTEXT    the account that a key of an organisation is used for
//	INVOICE_DELIVERY  open, send or advance: who tells a customer of an invoice
//	AUTOMATIC_TAX     off or on: whether Stripe adds the tax to an invoice
//	TAX_NUMBERS       metadata or tax-ids: what an account's tax number becomes
//	TAX_EXEMPT        keep, none, exempt or reverse: what a new customer is made with
func FromEnv(r *config.Reader, secret func(nameOrARN string) func(context.Context) (string, error)) *Client {
	r.Only("BILLING", "stripe", "the billing system")
	name := r.Required("STRIPE_SECRET", "the name or ARN of the secret with Stripe's API key")
	c, err := connect(secret(name), r.OptionalURL("STRIPE_API_BASE"), r.Optional("STRIPE_CONTEXT", ""))
	if err != nil {
		r.Check("STRIPE_API_BASE", err)
		return new(Client)
	}
	c.taxIDs = r.OneOf("TAX_NUMBERS", "metadata", "tax-ids") == "tax-ids"
	if v := r.OneOf("TAX_EXEMPT", "keep", "none", "exempt", "reverse"); v != "keep" {
		c.taxExempt = v
	}
	c.delivery = r.OneOf("INVOICE_DELIVERY", deliverOpen, deliverSend, deliverAdvance)
	c.automaticTax = r.OneOf("AUTOMATIC_TAX", "off", "on") == "on"
	return c
}

// New connects to the account of the API key, which is read before the first call,
// kept, and read once more when Stripe refuses it. base replaces
// https://api.stripe.com by a loopback address.
func New(key sinkhttp.ReadKey, base string) (*Client, error) { return connect(key, base, "") }

// connect is New with the account that a key of an organisation is used for.
func connect(key sinkhttp.ReadKey, base, account string) (*Client, error) {
	c := &Client{key: sinkhttp.NewKey(key), http: sinkhttp.NewClient(), base: stripe.APIURL}
	backend := &stripe.BackendConfig{
		HTTPClient:        c.http,
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
	}
	if account != "" {
		backend.StripeContext = &account
	}
	if base != "" {
		if err := checkBase(base); err != nil {
			return nil, err
		}
		c.base = strings.TrimRight(base, "/")
		backend.URL = &c.base
	}
	c.backends = stripe.NewBackendsWithConfig(backend)
	return c, nil
}

// Prepare implements sink.Preparer for both ports.
func (c *Client) Prepare(ctx context.Context) { sinkhttp.Prepare(ctx, c.key, c.http, c.base) }

// checkBase takes Stripe's own address and loopback: the API key goes nowhere else, also
// where a deployment's settings are wrong or somebody else's. The pattern of the parameter
// StripeApiBase in template.yaml takes the same.
func checkBase(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errors.New("the base address of Stripe must be a scheme and a host, e.g. https://api.stripe.com")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip.IsLoopback()
	if base := strings.TrimRight(base, "/"); base == "https://api.stripe.com" || loopback && (u.Scheme == "http" || u.Scheme == "https") {
		return nil
	}
	return errors.New("the base address of Stripe must be https://api.stripe.com, or loopback for a sandbox: no other host gets the API key")
}

// client is a stripe-go client with the key.
func (c *Client) client(key string) *stripe.Client {
	if k := c.api.Load(); k != nil && k.key == key {
		return k.client
	}
	k := &keyed{key, stripe.NewClient(key, stripe.WithBackends(c.backends))}
	c.api.Store(k)
	return k.client
}

// failure is Stripe's no, with what the next step depends on.
type failure struct {
	sink.Error
	code     stripe.ErrorCode
	status   int
	reused   bool // the key was used with other content: an earlier attempt exists
	replayed bool // the answer is one that Stripe remembered
}

// remembered reports whether the key is used up by an earlier attempt: whether
// that one left anything behind is for a look-up to say.
func (f *failure) remembered() bool { return f.reused || f.replayed }

// missing reports whether the object is not there.
func (f *failure) missing() bool {
	return f.status == http.StatusNotFound || f.code == stripe.ErrorCodeResourceMissing
}

// err is the failure as the port returns it.
func (f *failure) err() error {
	if f.code == stripe.ErrorCodeTaxIDInvalid {
		return taxIDInvalid()
	}
	e := f.Error
	return &e
}

// write makes one call that changes something. replayed says that the answer is
// one that Stripe remembered under the key.
func write[T any](ctx context.Context, c *Client, what string, do func(context.Context, *stripe.Client) (T, error)) (v T, replayed bool, f *failure) {
	key, err := c.key.Get(ctx)
	if err != nil {
		return v, false, credential(err)
	}
	// Two rounds at most: the second one with a key that was rotated meanwhile.
	for renewed := false; ; renewed = true {
		watched, x := sinkhttp.Watch(ctx)
		v, err = do(watched, c.client(key))
		if err == nil {
			return v, x.Header("Idempotent-Replayed") == "true", nil
		}
		f = classify(what, x, err, key)
		if f.Class != verdict.Auth || renewed {
			return v, false, f
		}
		other, changed, err := c.key.Renew(ctx, key)
		if err != nil || !changed {
			return v, false, f
		}
		key = other
	}
}

// read is write for a call that changes nothing: its failure is never an effect, and
// where no answer came nobody has to wonder.
func read[T any](ctx context.Context, c *Client, what string, do func(context.Context, *stripe.Client) (T, error)) (T, *failure) {
	v, _, f := write(ctx, c, what, do)
	if f != nil {
		f.Applied = sink.No
		if f.status == 0 && f.Class == verdict.Unknown {
			f.Class, f.Reason = verdict.Unfinished, what+" at Stripe: no answer; nothing was carried out"
		}
	}
	return v, f
}

func credential(err error) *failure {
	if e, ok := errors.AsType[*sink.Error](err); ok {
		return &failure{Error: *e}
	}
	return &failure{Error: sink.Error{Class: verdict.Auth, Applied: sink.No, Err: err}}
}

// classify turns an error of stripe-go into a failure. Stripe's messages are left
// out on purpose: they repeat what was sent. So is every word that repeats the API key.
func classify(what string, x *sinkhttp.Exchange, err error, key string) *failure {
	if errors.Is(err, errTooMany) {
		return tooMany(what)
	}
	status := x.Status()
	answer, isAnswer := errors.AsType[*stripe.Error](err)
	if status == 0 || (!isAnswer && status < http.StatusBadRequest) {
		return &failure{Error: *x.Lost(what+" at Stripe", err)}
	}
	f := &failure{status: status, replayed: x.Header("Idempotent-Replayed") == "true"}
	param := ""
	var kind stripe.ErrorType
	if isAnswer {
		f.code, param, kind = stripe.ErrorCode(without(key, string(answer.Code))), answer.Param, answer.Type
		if f.code == "" && strings.HasPrefix(answer.Msg, "Missing email") {
			f.code = "customer_without_email" // Stripe has no code for it
		}
	}
	f.reused = kind == stripe.ErrorTypeIdempotency && status == http.StatusBadRequest
	f.Class, f.Applied = classOf(status, f.code, kind)
	f.TooMany = status == http.StatusTooManyRequests && f.code != stripe.ErrorCodeLockTimeout // that one says that the object is in use
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		f.RetryAfter = sinkhttp.RetryAfter(x.Header("Retry-After"), time.Now())
	}
	f.Reason = fmt.Sprintf("%s: Stripe answered %d", what, status)
	for _, part := range []struct{ name, value string }{
		{"", string(f.code)}, {"parameter ", param}, {"reason ", x.Header("Stripe-Rate-Limited-Reason")}, {"request ", x.Header("Request-Id")},
	} {
		if p := printable(without(key, part.value)); p != "" {
			f.Reason += ", " + part.name + p
		}
	}
	if f.Class == verdict.Auth {
		f.Reason += "; check the API key in the secret and what it may do"
	}
	return f
}

// classOf is the table of docs/reference/connectors.md, "Stripe".
func classOf(status int, code stripe.ErrorCode, kind stripe.ErrorType) (verdict.Class, sink.Applied) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return verdict.Auth, sink.No
	case status == http.StatusTooManyRequests:
		return verdict.Throttled, sink.No
	case code == stripe.ErrorCodeIdempotencyKeyInUse:
		// Another request with this key is under way: ours was not taken, its may be.
		return verdict.Conflict, sink.Maybe
	case kind == stripe.ErrorTypeIdempotency, status == http.StatusConflict:
		return verdict.Conflict, sink.No
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError, status < http.StatusBadRequest:
		return verdict.Unknown, sink.Maybe
	default:
		name := strings.ReplaceAll(printable(string(code)), "_", "-")
		if name == "" {
			name = "refused"
		}
		return verdict.Permanent(name), sink.No
	}
}

// printable keeps machine words (codes, parameter names, request ids) and drops
// everything else: an answer is foreign text.
func printable(s string) string {
	if len(s) > 100 {
		return ""
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("_-[].", c) {
			return ""
		}
	}
	return s
}

// without is the word, or nothing where it repeats the key.
func without(key, word string) string {
	if key != "" && strings.Contains(word, key) {
		return ""
	}
	return word
}

func refused(name, format string, args ...any) *failure {
	return &failure{Error: sink.Error{Class: verdict.Permanent(name), Applied: sink.No, Reason: fmt.Sprintf(format, args...)}}
}

// errTooMany ends a look-up that would go on for ever.
var errTooMany = errors.New("too many objects to look through")

// tooMany says that a look-up could not see everything, so nothing is absent.
func tooMany(what string) *failure {
	return &failure{Error: sink.Error{Class: verdict.InDoubt, Applied: sink.No,
		Reason: fmt.Sprintf("%s: there are more than %d to look through, so that it is not there cannot be told; search Stripe by its metadata and resolve the change by hand", what, maxListed)}}
}

// stuck says that every key that the attempt may use is taken by an older failure.
func stuck(what string) *failure {
	return &failure{Error: sink.Error{Class: verdict.Conflict, Applied: sink.No, RetryAfter: time.Hour,
		Reason: fmt.Sprintf("%s: Stripe remembers %d failed attempts; it forgets them after a day", what, maxGenerations)}}
}

// marks are the metadata that say whose an object is.
func marks(ref sink.Ref, object, id string) map[string]string {
	m := map[string]string{markOrg: ref.Org, markObject: object, markID: id}
	if ref.Version != "" {
		m[markVersion] = ref.Version
	}
	return m
}

func marked(metadata map[string]string, ref sink.Ref, object, id string) bool {
	return metadata[markOrg] == ref.Org && metadata[markObject] == object && metadata[markID] == id
}
