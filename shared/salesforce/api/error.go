package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/salesforce/login"
)

// Codes that are ours, beside those of a login; all others are Salesforce's.
const (
	InvalidRequest = "INVALID_REQUEST" // nothing was asked
	codeBrake      = "BRAKE"           // not asked: the day's requests are nearly used up
	codeMissing    = "FIELD_MISSING"   // the answer lacks a field that was asked for
	codeLimit      = "REQUEST_LIMIT_EXCEEDED"
	codeField      = "INVALID_FIELD"
)

// Error is a request without an answer of use. It holds codes, and names of ours, never the
// text of an answer, which may repeat a field's value.
type Error struct {
	What       string // the request, e.g. "retrieve Account"
	Status     int    // of HTTP; 0: no answer
	Code       string
	Field      string // that is unreadable to the integration user, where the org says which
	Setting    string // what has to be corrected, where the org says it
	Used, Most int    // API requests of the day as the org last counted them; Most is 0 where it did not
	Err        error
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed later without anybody's doing.
func (e *Error) Temporary() bool {
	switch e.Code {
	case codeBrake, login.NoAnswer, codeLimit, "INVALID_SESSION_ID", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "UNABLE_TO_LOCK_ROW":
		return true
	}
	t, says := e.Err.(interface{ Temporary() bool }) // of the secret
	return login.Passes(e.Status) || says && t.Temporary()
}

func (e *Error) Error() string {
	s := "Salesforce, " + e.What + ": "
	if e.Status != 0 {
		s += strconv.Itoa(e.Status) + " "
	}
	s += e.Code
	switch {
	case e.Setting != "":
		s += "; correct " + e.Setting
	case e.Code == codeField || e.Code == codeMissing:
		s += " " + e.Field + "; the field does not exist, or the integration user may not read it: give its permission set the right"
	case e.Code == codeBrake || e.Code == codeLimit:
		s += fmt.Sprintf("; %d of the day's %d API requests are used: look who uses them in Setup, Company Information", e.Used, e.Most)
	case e.Code == login.Foreign || e.Status >= 300 && e.Status < 400:
		s += "; the answer leads to another address, which is never followed: set SALESFORCE_URL to the My Domain address of the org"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unreadable is an answer that is other than documented.
func (r Request) Unreadable(why string) error {
	return &Error{What: r.What, Status: http.StatusOK, Code: login.Unreadable, Err: errors.New(why)}
}

// refusal reads an answer that is no success: [{"message":…,"errorCode":…}], or the HTML of
// a platform that is down.
func refusal(r Request, resp *http.Response) *Error {
	defer resp.Body.Close()
	e := &Error{What: r.What, Status: resp.StatusCode, Code: "NO_CODE"}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what is there
	all, _ := jsonobject.List(text)
	if len(all) == 0 {
		return e
	}
	first, _ := jsonobject.Map(all[0])
	if code, _ := jsonobject.Text(first["errorCode"]); login.IsCode(code) {
		e.Code = code
	}
	// It names the last part of a path: No such column 'Phone' on entity 'Account'.
	message, _ := jsonobject.Text(first["message"])
	_, rest, _ := strings.Cut(message, "No such column '")
	column, _, _ := strings.Cut(rest, "'")
	for _, f := range r.Fields {
		if e.Code == codeField && strings.EqualFold(f[strings.LastIndexByte(f, '.')+1:], column) {
			e.Field = f
		}
	}
	return e
}

// Purpose says how much of the day's API requests may be used before the client stops
// asking, so that others of the org can go on. It is a percentage; 0 never stops.
type Purpose int

// What a client asks for.
const (
	Fetch     Purpose = 90
	Reconcile Purpose = 80
	Status    Purpose = 0
)

// believed is how long a count is believed: the day slides.
const believed = time.Hour

// usage is how many API requests of the day are used, by the last answer.
type usage struct {
	mu         sync.Mutex
	used, most int
	at         time.Time
}

// note reads Sforce-Limit-Info, e.g. "api-usage=24/15000; per-app-api-usage=…". Where the org
// refused, nothing is left, whatever it counted.
func (u *usage) note(header http.Header, refused bool) (used, most int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	count, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Sforce-Limit-Info"), "api-usage="), ";")
	first, second, _ := strings.Cut(count, "/")
	if most, _ = strconv.Atoi(second); most > 0 {
		u.used, _ = strconv.Atoi(first)
		u.most, u.at = most, time.Now()
	}
	if refused {
		u.most = max(u.most, 1)
		u.used, u.at = max(u.used, u.most), time.Now()
	}
	return u.used, u.most
}

// over reports whether too much is used. A count too old to be believed lets one request
// through, whose answer brings a new one.
func (u *usage) over(p Purpose) (used, most int, over bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	over = p > 0 && u.most > 0 && u.used*100 >= u.most*int(p)
	if over && time.Since(u.at) >= believed {
		u.at, over = time.Now(), false
	}
	return u.used, u.most, over
}
