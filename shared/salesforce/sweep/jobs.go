package sweep

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
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/salesforce/login"
)

// maxLine is how long a cell may be.
const maxLine = 32 << 20

// StartJob has Bulk API 2.0 collect all records of an object. It takes no children.
func StartJob(ctx context.Context, c *api.Client, s api.Select) (id string, err error) {
	soql, err := s.SOQL("")
	if err != nil || !s.All || len(s.Children) > 0 {
		return "", &api.Error{What: "start job", Code: api.InvalidRequest, Err: errors.Join(err, errors.New("a job is of all records, without children"))}
	}
	operation := "query"
	if s.Deleted {
		operation = "queryAll"
	}
	id, _, err = job(ctx, c, api.Request{What: "start job of " + s.Object, Path: "jobs/query", Fields: s.Fields,
		Body: `{"operation":"` + operation + `","query":"` + soql + `"}`})
	return id, err
}

// JobDone reports whether the rows of a job can be read. A job that failed is an error.
func JobDone(ctx context.Context, c *api.Client, id string) (bool, error) {
	r := api.Request{What: "job", Path: "jobs/query/" + id}
	if _, err := salesforce.ID18(id); err != nil {
		return false, &api.Error{What: r.What, Code: api.InvalidRequest, Err: err}
	}
	_, state, err := job(ctx, c, r)
	if state == "Failed" || state == "Aborted" {
		return false, &api.Error{What: r.What, Status: http.StatusOK, Code: "JOB_FAILED"}
	}
	return state == "JobComplete", err
}

func job(ctx context.Context, c *api.Client, r api.Request) (id, state string, err error) {
	text, err := c.Text(ctx, r)
	if err != nil {
		return "", "", err
	}
	answer, _ := jsonobject.Map(text)
	id, _ = jsonobject.Text(answer["id"])
	if state, _ = jsonobject.Text(answer["state"]); id == "" || state == "" {
		return "", "", r.Unreadable("it is no job")
	}
	return id, state, nil
}

// JobRows hands over a page of a job's rows, with the names of their columns; an empty text
// is null. locator is empty for the first page; next is that of the page behind, empty after
// the last. Where it returns an error, the rows come again.
func JobRows(ctx context.Context, c *api.Client, id, locator string, each func(names, row []string) error) (next string, err error) {
	r := api.Request{What: "rows of job", Path: "jobs/query/" + id + "/results", Query: url.Values{"maxRecords": {"10000"}}}
	if _, err := salesforce.ID18(id); err != nil {
		return "", &api.Error{What: r.What, Code: api.InvalidRequest, Err: err}
	}
	if locator != "" {
		r.Query.Set("locator", locator)
	}
	resp, err := c.Ask(ctx, r)
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
		return "", &api.Error{What: r.What, Code: login.NoAnswer, Err: errors.New("the rows broke off")}
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
		case err != nil && (quoted || cells != nil || cell != nil), len(cell) > maxLine:
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
