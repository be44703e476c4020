// Package receivertest is what sfrelay asks of a receiver of notifications
// (docs/connect-a-receiver.md), as tests: Run for a receiver that somebody wrote. It signs
// with code of its own and needs nothing but an address and the signing secrets.
package receivertest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Receiver is the receiver under test.
type Receiver struct {
	URL string
	// Secrets are all signing secrets that it knows, as they are written: whsec_ and base64.
	// While one is rotated there are two.
	Secrets []string
	// Acted says how often the receiver acted on notifications of the record with that id.
	// Without it nobody sees whether a repetition is acted on, nor a forgery that was answered
	// with a refusal.
	Acted func(ctx context.Context, recordID string) (int, error)
}

// Run checks a receiver. It tells it of made-up contacts in an org that no Salesforce has,
// waits for nothing, and may run again and again on the same one.
func Run(t *testing.T, r Receiver) {
	t.Helper()
	u, err := newUnderTest(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Acted == nil {
		t.Log("the receiver does not say what it acted on: that it acts once on an id, and never on what it refuses, is not checked")
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), u); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is one rule. The error says which request was answered in a wrong way.
type check struct {
	name string
	run  func(context.Context, *underTest) error
}

var checks = []check{
	{"a right message is taken", taken},
	{"each of its secrets is taken", eachSecret},
	{"one right signature among others is enough", amongOthers},
	{"a wrong signature is refused", wrongSignature},
	{"what was signed is what came", tampered},
	{"a signature of another form is refused", malformed},
	{"a missing header is refused", missing},
	{"an old time is refused", old},
	{"a time of the future is refused", future},
	{"a time within five minutes is taken", within},
	{"the same id twice is acted on once", twice},
	{"the same id many times at once is acted on once", atOnce},
	{"another id of the same record is acted on", otherID},
	{"an older version is taken, and may be dropped", olderVersion},
	{"every kind of change is taken", everyKind},
	{"members that it does not know are no reason to refuse", unknownMembers},
}

// underTest is the receiver as the checks meet it.
type underTest struct {
	Receiver
	keys   [][]byte
	client *http.Client
}

func newUnderTest(r Receiver) (*underTest, error) {
	u := &underTest{Receiver: r, client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, s := range r.Secrets {
		text, prefixed := strings.CutPrefix(s, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("a secret of the receiver is not whsec_ and the base64 of 24 to 64 bytes")
		}
		u.keys = append(u.keys, key)
	}
	if len(u.keys) == 0 {
		return nil, errors.New("the receiver under test needs a secret")
	}
	return u, nil
}

// message is one notification, and how it is sent.
type message struct {
	id, record, body string
	at               time.Time
}

const (
	newer = "019aa0000000000000000000000000020000aaaa"
	older = "019aa0000000000000000000000000010000aaaa"
)

// contact is the body of a change of a contact; more are members of its data.
func contact(record, change, version, more string) string {
	return `{"type":"contact.` + change + `","timestamp":"2025-11-22T08:26:40.120Z","data":{"org":"00DTEST00000000EAA","object":"Contact","id":"` + record +
		`","account":"001TEST00000000AAA","change":"` + change + `","fields":["Phone"],"committedAt":"2025-11-22T08:26:40.120Z","version":"` + version + `"` + more + `}}`
}

// fresh is a right message about a contact that nobody was told of.
func fresh() message {
	record := "003" + rand.Text()[:15]
	return message{id: newID(), record: record, at: time.Now(), body: contact(record, "updated", newer, `,"values":{"Phone":"+44 1904 000000"}`)}
}

func newID() string { return "msg_" + strings.ToLower(rand.Text()) }

// sign is the scheme of Standard Webhooks 1.0.0, "Signature scheme".
func (m message) sign(key []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", m.id, m.at.Unix(), m.body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// send is the status that the receiver answers. change may change the request when it is
// signed.
func (u *underTest) send(ctx context.Context, m message, signature string, change ...func(*http.Request)) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.URL, strings.NewReader(m.body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", m.id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(m.at.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	for _, c := range change {
		c(r)
	}
	res, err := u.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 1<<16)
	return res.StatusCode, nil
}

// takes wants a 2xx.
func (u *underTest) takes(ctx context.Context, what string, m message, signature string) error {
	status, err := u.send(ctx, m, signature)
	if err == nil && (status < 200 || status > 299) {
		err = fmt.Errorf("it answered %d, want 2xx", status)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// refuses wants a 4xx, and that nothing was done.
func (u *underTest) refuses(ctx context.Context, what string, m message, signature string, change ...func(*http.Request)) error {
	status, err := u.send(ctx, m, signature, change...)
	if err == nil && (status < 400 || status > 499) {
		err = fmt.Errorf("it answered %d, want 401 or another 4xx", status)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return u.acted(ctx, what, m.record, 0)
}

// acted wants that the receiver acted so often on a record, where it can be asked.
func (u *underTest) acted(ctx context.Context, what, record string, want int) error {
	if u.Acted == nil {
		return nil
	}
	got, err := u.Acted(ctx, record)
	if err == nil && got != want {
		err = fmt.Errorf("it acted %d times, want %d", got, want)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func taken(ctx context.Context, u *underTest) error {
	m := fresh()
	if err := u.takes(ctx, "a right message", m, m.sign(u.keys[0])); err != nil {
		return err
	}
	return u.acted(ctx, "a right message", m.record, 1)
}

func eachSecret(ctx context.Context, u *underTest) error {
	for i, key := range u.keys {
		m, what := fresh(), fmt.Sprintf("signed with secret %d only", i+1)
		if err := errors.Join(u.takes(ctx, what, m, m.sign(key)), u.acted(ctx, what, m.record, 1)); err != nil {
			return err
		}
	}
	return nil
}

// stranger is a key that no receiver knows.
func stranger() []byte { return []byte(rand.Text() + rand.Text()) }

func amongOthers(ctx context.Context, u *underTest) error {
	for what, around := range map[string][2]string{
		"after one of another secret":  {"v1,%s ", ""},
		"before one of another secret": {"", " v1,%s"},
		"after one of another version": {"v1a,%s v2,%s ", ""},
		"after nonsense":               {"nonsense v1 ,, v1, ", ""},
	} {
		m := fresh()
		other := strings.TrimPrefix(m.sign(stranger()), "v1,")
		signature := strings.ReplaceAll(around[0], "%s", other) + m.sign(u.keys[0]) + strings.ReplaceAll(around[1], "%s", other)
		if err := errors.Join(u.takes(ctx, what, m, signature), u.acted(ctx, what, m.record, 1)); err != nil {
			return err
		}
	}
	return nil
}

func wrongSignature(ctx context.Context, u *underTest) error {
	m := fresh()
	return u.refuses(ctx, "signed with a secret that it does not know", m, m.sign(stranger()))
}

func tampered(ctx context.Context, u *underTest) error {
	var all []error
	for what, change := range map[string]func(*message){
		"another body":      func(m *message) { m.body = contact(m.record, "deleted", newer, "") },
		"a blank more":      func(m *message) { m.body += " " },
		"another id":        func(m *message) { m.id = newID() },
		"another timestamp": func(m *message) { m.at = m.at.Add(time.Second) },
	} {
		m := fresh()
		signature := m.sign(u.keys[0])
		change(&m)
		all = append(all, u.refuses(ctx, what+" than was signed", m, signature))
	}
	return errors.Join(all...)
}

func malformed(ctx context.Context, u *underTest) error {
	var all []error
	for what, form := range map[string]string{
		"of version v2": "v2,%s", "without a version": "%s", "without a comma": "v1%s", "in a version alone": "v1,", "cut": "v1,%.10s", "of nothing": ",", "twice in one": "v1,%[1]s%[1]s",
	} {
		m := fresh()
		text := strings.TrimPrefix(m.sign(u.keys[0]), "v1,")
		signature := form
		if strings.Contains(form, "%") {
			signature = fmt.Sprintf(form, text)
		}
		all = append(all, u.refuses(ctx, "a signature "+what, m, signature))
	}
	m := fresh()
	nothing := hmac.New(sha256.New, nil) // as a receiver signs that has lost its secret
	fmt.Fprintf(nothing, "%s.%d.%s", m.id, m.at.Unix(), m.body)
	all = append(all, u.refuses(ctx, "a signature with an empty secret", m, "v1,"+base64.StdEncoding.EncodeToString(nothing.Sum(nil))))
	return errors.Join(all...)
}

func missing(ctx context.Context, u *underTest) error {
	var all []error
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		m := fresh()
		all = append(all, u.refuses(ctx, "without "+name, m, m.sign(u.keys[0]), func(r *http.Request) { r.Header.Del(name) }))
	}
	m := fresh()
	all = append(all, u.refuses(ctx, "a webhook-timestamp that is no number", m, m.sign(u.keys[0]), func(r *http.Request) { r.Header.Set("webhook-timestamp", m.at.UTC().Format(time.RFC3339)) }))
	return errors.Join(all...)
}

func old(ctx context.Context, u *underTest) error    { return u.at(ctx, -6*time.Minute) }
func future(ctx context.Context, u *underTest) error { return u.at(ctx, 6*time.Minute) }

// at sends what was rightly signed at another time.
func (u *underTest) at(ctx context.Context, off time.Duration) error {
	m := fresh()
	m.at = m.at.Add(off)
	return u.refuses(ctx, fmt.Sprintf("rightly signed, %v from now", off), m, m.sign(u.keys[0]))
}

func within(ctx context.Context, u *underTest) error {
	m := fresh()
	m.at = m.at.Add(-4 * time.Minute)
	return errors.Join(u.takes(ctx, "four minutes old", m, m.sign(u.keys[0])), u.acted(ctx, "four minutes old", m.record, 1))
}

func twice(ctx context.Context, u *underTest) error {
	m := fresh()
	for i, off := range []time.Duration{-30 * time.Second, 0, time.Second} { // every attempt has its own time
		m.at = time.Now().Add(off)
		if err := u.takes(ctx, fmt.Sprintf("attempt %d with the same id", i+1), m, m.sign(u.keys[0])); err != nil {
			return err
		}
	}
	return u.acted(ctx, "three attempts with the same id", m.record, 1)
}

// atOnce lets the receiver put off all attempts but one, as long as the last one is taken.
func atOnce(ctx context.Context, u *underTest) error {
	const many = 8
	m := fresh()
	statuses, failed := make([]int, many), make([]error, many)
	var group sync.WaitGroup
	for i := range many {
		group.Go(func() { statuses[i], failed[i] = u.send(ctx, m, m.sign(u.keys[0])) })
	}
	group.Wait()
	for i, status := range statuses {
		again := status == http.StatusTooManyRequests || status == http.StatusTooEarly || status >= 500
		if failed[i] == nil && !again && (status < 200 || status > 299) {
			failed[i] = fmt.Errorf("of %d attempts at once one was answered with %d, want 2xx, 425, 429 or 5xx", many, status)
		}
	}
	return errors.Join(errors.Join(failed...), u.takes(ctx, "once more", m, m.sign(u.keys[0])), u.acted(ctx, "many attempts at once", m.record, 1))
}

func otherID(ctx context.Context, u *underTest) error {
	m := fresh()
	m.body = contact(m.record, "created", older, "")
	first := u.takes(ctx, "the first message of a record", m, m.sign(u.keys[0]))
	m.id, m.body = newID(), contact(m.record, "updated", newer, "")
	return errors.Join(first, u.takes(ctx, "the second message of a record", m, m.sign(u.keys[0])), u.acted(ctx, "two messages of a record", m.record, 2))
}

// olderVersion does not ask what was acted on: a receiver that keeps every change may do so.
func olderVersion(ctx context.Context, u *underTest) error {
	m := fresh()
	first := u.takes(ctx, "the newer version", m, m.sign(u.keys[0]))
	m.id, m.body = newID(), contact(m.record, "updated", older, "")
	return errors.Join(first, u.takes(ctx, "the older version after it; refused, it would lie in the failure queue", m, m.sign(u.keys[0])))
}

func everyKind(ctx context.Context, u *underTest) error {
	var all []error
	for _, c := range []struct{ change, more string }{
		{"created", `,"values":{"Phone":"1"}`}, {"updated", `,"values":{"Phone":null}`}, {"deleted", ""}, {"undeleted", ""}, {"updated", `,"partial":true`}, {"deleted", `,"values":{}`},
	} {
		m := fresh()
		m.body = contact(m.record, c.change, newer, c.more)
		all = append(all, u.takes(ctx, c.change+c.more, m, m.sign(u.keys[0])), u.acted(ctx, c.change+c.more, m.record, 1))
	}
	return errors.Join(all...)
}

func unknownMembers(ctx context.Context, u *underTest) error {
	m := fresh()
	m.body = contact(m.record, "updated", newer, `,"later":{"a":[1]}`)
	return u.takes(ctx, "a member that this version does not have", m, m.sign(u.keys[0]))
}
