package orgsandbox

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// job is a bulk query: its rows are those of the moment when it was made.
type job struct {
	info  pairs
	names []string
	rows  [][]string
}

// mostBulkRows is a page of results where the client does not say.
const mostBulkRows = 50_000

func (s *Org) jobCreate(c *call) (*answer, error) {
	var asked struct{ Operation, Query, ContentType, ColumnDelimiter, LineEnding string }
	if err := c.json(&asked); err != nil {
		return nil, err
	}
	if asked.Operation != "query" && asked.Operation != "queryAll" {
		return nil, refuse(http.StatusBadRequest, "INVALIDJOB", "Operation is not supported: %s", asked.Operation)
	}
	st, err := parse(asked.Query)
	if err != nil {
		return nil, err
	}
	j := &job{}
	for _, f := range st.fields {
		if f.sub != nil || st.count {
			return nil, refuse(http.StatusBadRequest, "API_ERROR", "Sub-selects and COUNT() are not supported in a bulk query")
		}
		name := ""
		for _, t := range f.path {
			name += "." + t.text
		}
		j.names = append(j.names, name[1:])
	}
	r := &reader{org: s, text: st.text, version: c.version, now: s.now(), binned: asked.Operation == "queryAll"}
	rows, _, err := r.run(st)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		j.rows = append(j.rows, cells(row, st.fields))
	}
	id, stamp := s.newID("750"), s.now().Format(restTime)
	version, _ := strconv.ParseFloat(strings.TrimPrefix(c.version, "v"), 64)
	j.info = pairs{{"id", id}, {"operation", asked.Operation}, {"object", s.visible(st.from.text).name}, {"createdById", UserID}, {"createdDate", stamp}, {"systemModstamp", stamp},
		{"state", "UploadComplete"}, {"concurrencyMode", "Parallel"}, {"contentType", "CSV"}, {"apiVersion", version}, {"lineEnding", "LF"}, {"columnDelimiter", "COMMA"}}
	if len(s.jobs) >= maxCursors {
		s.jobs = map[string]*job{}
	}
	s.jobs[id] = j
	return ok(j.info)
}

// cells are a row's columns as text; parents are looked into.
func cells(row pairs, fields []selected) (line []string) {
	for _, f := range fields {
		var v any = row
		for _, t := range f.path {
			in, _ := v.(pairs)
			v = nil
			for _, m := range in {
				if strings.EqualFold(m.name, t.text) {
					v = m.value
				}
			}
		}
		switch one := v.(type) {
		case nil:
			line = append(line, "")
		case json.Number:
			line = append(line, string(one))
		default:
			line = append(line, fmt.Sprint(one))
		}
	}
	return line
}

func (s *Org) jobState(c *call) (*answer, error) {
	j := s.jobs[c.PathValue("id")]
	if j == nil {
		return nil, notFound()
	}
	done := append(pairs{}, j.info...)
	for i, m := range done {
		if m.name == "state" {
			done[i].value = "JobComplete"
		}
	}
	return ok(append(done, pair{"jobType", "V2Query"}, pair{"numberRecordsProcessed", len(j.rows)}, pair{"retries", 0}, pair{"totalProcessingTime", 1}))
}

func (s *Org) jobResults(c *call) (*answer, error) {
	j := s.jobs[c.PathValue("id")]
	if j == nil {
		return nil, notFound()
	}
	q := c.URL.Query()
	from, most := 0, mostBulkRows
	var err error
	if l := q.Get("locator"); l != "" {
		from, err = strconv.Atoi(l)
	}
	if m := q.Get("maxRecords"); err == nil && m != "" {
		most, err = strconv.Atoi(m)
	}
	if err != nil || from < 0 || from > len(j.rows) || most < 1 || s.takes(expiredLocator, "", "") {
		return nil, refuse(http.StatusBadRequest, "INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	end := min(from+most, len(j.rows))
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(append([][]string{j.names}, j.rows[from:end]...)) // a buffer takes everything
	next := "null"
	if end < len(j.rows) {
		next = strconv.Itoa(end)
	}
	return &answer{status: http.StatusOK, body: b.Bytes(), header: map[string]string{
		"Content-Type": "text/csv", "Sforce-Locator": next, "Sforce-NumberOfRecords": strconv.Itoa(end - from)}}, nil
}
