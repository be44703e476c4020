package orgsandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// controls are what the one who started the sandbox asks of it.
func (s *Org) controls() {
	handle := func(pattern string, h http.HandlerFunc) { s.mux.Handle(pattern, h) }
	handle("GET /_sandbox/state", func(w http.ResponseWriter, _ *http.Request) { show(w, s.State()) })
	handle("GET /_sandbox/credentials", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Credentials()) })
	handle("POST /_sandbox/session", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = io.WriteString(w, s.session()) // the caller may be gone: that is its business
	})
	handle("POST /_sandbox/aws", s.awsEvents) // as /aws, for who asks with the key
	handle("GET /_sandbox/events", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.Atoi(r.URL.Query().Get("after"))
		if err != nil && r.URL.Query().Has("after") {
			http.Error(w, "after: write the number of events that you have", http.StatusBadRequest)
			return
		}
		events := []json.RawMessage{}
		for _, e := range s.Events(after) {
			events = append(events, e.JSON)
		}
		show(w, events)
	})
	handle("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Faults()) })
	handle("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { s.Mend(); w.WriteHeader(http.StatusNoContent) })
	handle("POST /_sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&f)
		if err == nil {
			err = s.Break(f)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	handle("POST /_sandbox/reset", func(w http.ResponseWriter, _ *http.Request) { s.Reset(); w.WriteHeader(http.StatusNoContent) })
}

func show(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone: that is its business
}
