// Package login gets the access tokens of an org: as the secret says, one login for all who
// wait, and with the setting that is wrong where the org refuses.
package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sfrelay/shared/jsonobject"
)

const (
	loginTime = 15 * time.Second // for the secret and the token
	again     = time.Minute      // when a login that was refused is tried anew
	soon      = time.Second      // the same for one that failed for the time being: all who waited hear of it
)

// Codes that are ours; all others are Salesforce's.
const (
	NoAnswer   = "NO_ANSWER"    // none, or it broke off
	Unreadable = "UNREADABLE"   // another answer than documented
	Foreign    = "FOREIGN_HOST" // the answer leads away from the org
	Secret     = "SECRET"       // it cannot be read, or is not as documented
)

// Error is a login that failed. It holds codes, never the text of an answer.
type Error struct {
	Status  int // of HTTP; 0: no answer
	Code    string
	Setting string // what has to be corrected, where that is known
	Err     error
}

func (e *Error) Error() string { return "login: " + e.Code }
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same login may succeed later without anybody's doing.
func (e *Error) Temporary() bool {
	t, says := e.Err.(interface{ Temporary() bool })
	return e.Code == NoAnswer || Passes(e.Status) || says && t.Temporary()
}

// Passes reports whether a status of HTTP says that the same request may succeed later.
func Passes(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// Session is the access token, of which Salesforce does not say when it ends. It is safe for
// concurrent use.
type Session struct {
	org     *url.URL
	http    *http.Client
	secret  func(context.Context) (string, error)
	free    chan struct{} // full while somebody looks at the rest
	token   string
	refused *Error // of the last login
	until   time.Time
}

// New logs in when a token is asked for. The secret is read with every login, because it may
// be rotated.
func New(org *url.URL, client *http.Client, secret func(context.Context) (string, error)) *Session {
	return &Session{org: org, http: client, secret: secret, free: make(chan struct{}, 1)}
}

// Format implements fmt.Formatter for every verb: no log shows the token.
func (*Session) Format(w fmt.State, _ rune) { _, _ = w.Write([]byte("[session]")) }

// Token is one other than that which ended. Of all who wait for it one logs in.
func (s *Session) Token(ctx context.Context, ended string) (string, *Error) {
	select {
	case s.free <- struct{}{}:
		defer func() { <-s.free }()
	case <-ctx.Done():
		return "", &Error{Code: NoAnswer, Err: ctx.Err()}
	}
	if s.token != "" && s.token != ended {
		return s.token, nil
	}
	if s.refused != nil && time.Now().Before(s.until) {
		return "", s.refused
	}
	bounded, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	var failed *Error
	s.token, failed = s.login(bounded)
	s.refused, s.until = failed, time.Now().Add(again)
	if failed != nil && failed.Temporary() {
		s.until = time.Now().Add(soon)
	}
	if ctx.Err() != nil { // who had no time says nothing of the others
		s.refused = nil
	}
	return s.token, failed
}

func (s *Session) login(ctx context.Context) (string, *Error) {
	secret, err := s.secret(ctx)
	if err != nil {
		return "", &Error{Code: Secret, Setting: "SALESFORCE_SECRET, or the function's right to read that secret", Err: err}
	}
	form, wrong := form(secret, s.org.String(), time.Now())
	if wrong != "" {
		return "", &Error{Code: Secret, Setting: "the secret that SALESFORCE_SECRET names: " + wrong}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.org.String()+"/services/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", &Error{Code: NoAnswer, Err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(req)
	if err != nil {
		return "", &Error{Code: NoAnswer, Err: Cause(err)}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what is there
	answer, _ := jsonobject.Map(body)                        // what is read shows below
	text := func(name string) string { s, _ := jsonobject.Text(answer[name]); return s }
	e := &Error{Status: resp.StatusCode, Code: Unreadable}
	if resp.StatusCode != http.StatusOK {
		if code := strings.ToUpper(text("error")); IsCode(code) {
			e.Code = code
		}
		e.Setting = setting(strings.ToLower(text("error") + " " + text("error_description")))
		return "", e
	}
	token := text("access_token")
	if u, err := url.Parse(text("instance_url")); err != nil || u.Scheme != s.org.Scheme || u.Host != s.org.Host {
		e.Code = Foreign
	} else if token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return token, nil
	}
	return "", e
}

// Cause is why a request got no answer, without the address, which may hold ids.
func Cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// IsCode reports whether a text is a code: it keeps values out of errors.
func IsCode(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}
