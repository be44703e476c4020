package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/salesforce"
)

// StartJob has Bulk API 2.0 collect all records of an object. It takes no children.
func (c *Client) StartJob(ctx context.Context, s Select) (id string, err error) {
	if _, err := s.check(); err != nil || !s.All || len(s.Children) > 0 {
		return "", &Error{What: "start job", Code: codeInvalid, Err: errors.Join(err, errors.New("a job is of all records, without children"))}
	}
	operation := "query"
	if s.Deleted {
		operation = "queryAll"
	}
	id, _, err = c.job(ctx, request{what: "start job of " + s.Object, path: "jobs/query", fields: s.Fields,
		body: `{"operation":"` + operation + `","query":"` + s.soql("") + `"}`})
	return id, err
}

// JobDone reports whether the rows of a job can be read. A job that failed is an error.
func (c *Client) JobDone(ctx context.Context, id string) (bool, error) {
	r := request{what: "job", path: "jobs/query/" + id}
	if _, err := salesforce.ID18(id); err != nil {
		return false, &Error{What: r.what, Code: codeInvalid, Err: err}
	}
	_, state, err := c.job(ctx, r)
	if state == "Failed" || state == "Aborted" {
		return false, &Error{What: r.what, Status: http.StatusOK, Code: "JOB_FAILED"}
	}
	return state == "JobComplete", err
}

func (c *Client) job(ctx context.Context, r request) (id, state string, err error) {
	text, err := c.text(ctx, r)
	if err != nil {
		return "", "", err
	}
	job, _ := object(text)
	id, _ = jsonobject.Text(job["id"])
	if state, _ = jsonobject.Text(job["state"]); id == "" || state == "" {
		return "", "", r.unreadable("it is no job")
	}
	return id, state, nil
}

// JobRows hands over a page of a job's rows, with the names of their columns; an empty text
// is null. locator is empty for the first page; next is that of the page behind, empty after
// the last. Where it returns an error, the rows come again.
func (c *Client) JobRows(ctx context.Context, id, locator string, each func(names, row []string) error) (next string, err error) {
	r := request{what: "rows of job", path: "jobs/query/" + id + "/results", query: url.Values{"maxRecords": {"10000"}}}
	if _, err := salesforce.ID18(id); err != nil {
		return "", &Error{What: r.what, Code: codeInvalid, Err: err}
	}
	if locator != "" {
		r.query.Set("locator", locator)
	}
	resp, err := c.ask(ctx, r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	names, err := row(body)
	n := 0
	for ; err == nil; n++ {
		var values []string
		if values, err = row(body); err != nil || len(values) != len(names) {
			break
		}
		if err := each(names, values); err != nil {
			return "", err
		}
	}
	if !errors.Is(err, io.EOF) || resp.Header.Get("Sforce-NumberOfRecords") != strconv.Itoa(n) {
		return "", &Error{What: r.what, Code: codeNoAnswer, Err: errors.New("the rows broke off")}
	}
	if next = resp.Header.Get("Sforce-Locator"); next == "null" {
		next = ""
	}
	return next, nil
}

// row is a line of CSV (RFC 4180) with LF. Encoding/csv would bring an init of its own.
func row(r *bufio.Reader) (cells []string, err error) {
	var cell []byte
	for quoted := false; ; {
		b, err := r.ReadByte()
		switch {
		case err != nil && (quoted || cells != nil || cell != nil), len(cell) > maxAnswer:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case b == '"':
			if next, _ := r.Peek(1); quoted && len(next) == 1 && next[0] == '"' {
				_, _ = r.Discard(1)
				cell = append(cell, '"')
			} else {
				quoted = !quoted
			}
		case b == ',' && !quoted:
			cells, cell = append(cells, string(cell)), nil
		case b == '\n' && !quoted:
			return append(cells, string(cell)), nil
		default:
			cell = append(cell, b)
		}
	}
}
