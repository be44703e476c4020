package api

import "net/http"

// Through makes the client ask a function instead of the network, for tests on a clock of
// their own.
func Through(c *Client, f func(*http.Request) (*http.Response, error)) { c.http.Transport = through(f) }

type through func(*http.Request) (*http.Response, error)

func (f through) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
