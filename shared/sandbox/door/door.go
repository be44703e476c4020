// Package door is what stands before a sandbox that is served: it lets in the programs of
// the one who started it. A sandbox speaks plain HTTP on loopback, where every page of a
// browser and every user of the machine can reach it.
package door

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// KeyHeader is the header of a request that says the key.
const KeyHeader = "Sandbox-Key"

// Before lets a request to h pass where its Host is exactly the address that h is served
// at, by number or as localhost, and it has no Origin: a page can make neither so. What lies
// below /_sandbox/ also asks for the key. Whatever else comes is answered with 403.
func Before(h http.Handler, at net.Addr, key string) http.Handler {
	_, port, err := net.SplitHostPort(at.String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, page := r.Header["Origin"]
		control := strings.HasPrefix(r.URL.Path, "/_sandbox/")
		switch {
		case err != nil || r.Host != at.String() && r.Host != "localhost:"+port:
			http.Error(w, "the Host of the request is not the sandbox's; use http://"+at.String(), http.StatusForbidden)
		case page:
			http.Error(w, "a request with an Origin comes from a page in a browser, which the sandbox does not serve", http.StatusForbidden)
		case control && !says(r, key):
			http.Error(w, "the header "+KeyHeader+" does not say the key of the sandbox; sfrelay stack env prints it as SANDBOX_KEY, sfrelay sandbox when it starts", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// Delayed is h behind a slow line: wait is called before every request, those to the
// sandbox itself below /_sandbox/ excepted.
func Delayed(h http.Handler, wait func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			wait()
		}
		h.ServeHTTP(w, r)
	})
}

// says reports whether a request says the key. An empty key opens nothing.
func says(r *http.Request, key string) bool {
	given := r.Header.Get(KeyHeader)
	return key != "" && subtle.ConstantTimeCompare([]byte(given), []byte(key)) == 1
}
