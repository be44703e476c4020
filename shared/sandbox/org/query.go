package orgsandbox

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// cursor is what is left of a query.
type cursor struct{ rows []pairs }

// Pages of queries. Salesforce makes them smaller where it likes; the fault short-page does.
const (
	pageSize  = 2000
	shortPage = 1000
)

func (s *Org) query(c *call) (*answer, error) { return s.answerQuery(c, "") }

func (s *Org) answerQuery(c *call, path string) (*answer, error) {
	st, err := s.asks(c)
	if err != nil {
		return nil, err
	}
	if c.URL.Query().Get("columns") == "true" {
		return s.columns(st)
	}
	all := strings.HasSuffix(c.URL.Path, "/queryAll")
	r := &reader{org: s, text: st.text, version: c.version, path: path, now: s.now(), binned: all}
	rows, count, err := r.run(st)
	if err != nil {
		return nil, err
	}
	if st.count {
		return ok(pairs{{"totalSize", count}, {"done", true}, {"records", []pairs{}}})
	}
	under := path[min(1, len(path)):]
	if under != "" {
		under += "/"
	}
	return ok(s.page(rows, c.version, under+"query"))
}

// page is the first page of rows; the others wait under a locator.
func (s *Org) page(rows []pairs, version, resource string) pairs {
	size := s.pageSize()
	if len(rows) <= size {
		return pairs{{"totalSize", len(rows)}, {"done", true}, {"records", list(rows)}}
	}
	if len(s.locators) >= maxCursors {
		s.locators = map[string]*cursor{}
	}
	locator := "0r8xx" + rand.Text()[:13]
	s.locators[locator] = &cursor{rows}
	return pairs{{"totalSize", len(rows)}, {"done", false}, {"nextRecordsUrl", nextURL(version, resource, locator, size)}, {"records", rows[:size]}}
}

func (s *Org) pageSize() int {
	if s.meets(shortPageFault, "", "") {
		return shortPage
	}
	return pageSize
}

func nextURL(version, resource, locator string, at int) string {
	return fmt.Sprintf("/services/data/%s/%s/%s-%d", version, resource, locator, at)
}

func list(rows []pairs) []pairs {
	if rows == nil {
		return []pairs{}
	}
	return rows
}

func (s *Org) queryMore(c *call) (*answer, error) {
	name, offset, _ := strings.Cut(c.PathValue("locator"), "-")
	at, err := strconv.Atoi(offset)
	rest := s.locators[name]
	if s.takes(expiredLocator, "", "") {
		delete(s.locators, name)
		rest = nil
	}
	if rest == nil || err != nil || at < 0 || at >= len(rest.rows) {
		return nil, refuse(http.StatusBadRequest, "INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	end := min(at+s.pageSize(), len(rest.rows))
	page := pairs{{"totalSize", len(rest.rows)}, {"done", end == len(rest.rows)}}
	if end < len(rest.rows) {
		resource := "query"
		if strings.Contains(c.URL.Path, "/tooling/") {
			resource = "tooling/query"
		}
		page = append(page, pair{"nextRecordsUrl", nextURL(c.version, resource, name, end)})
	}
	return ok(append(page, pair{"records", rest.rows[at:end]}))
}

// columns describes the columns of a query instead of answering it.
func (s *Org) columns(st *statement) (*answer, error) {
	o := s.visible(st.from.text)
	if o == nil {
		return nil, noObject(st.text, st.from)
	}
	r := &reader{org: s, text: st.text}
	columns := []pairs{}
	for _, f := range st.fields {
		if f.sub != nil {
			continue
		}
		if _, err := r.value(o, nil, f.path); err != nil {
			return nil, err
		}
		name := f.path[len(f.path)-1].text
		columns = append(columns, pairs{{"aggregate", false}, {"apexType", "String"}, {"booleanType", false}, {"columnName", name}, {"custom", strings.HasSuffix(name, "__c")},
			{"displayName", name}, {"foreignKeyName", nil}, {"insertable", false}, {"joinColumns", []any{}}, {"numberType", false}, {"textType", true}, {"updatable", false}})
	}
	return ok(pairs{{"columnMetadata", columns}, {"entityName", o.name}, {"groupBy", false}, {"idSelected", true}, {"keyPrefix", o.prefix}})
}
