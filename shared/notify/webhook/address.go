package webhook

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"sfrelay/shared/sink/sinkhttp"
)

// reach says which addresses may be connected to.
type reach uint8

const (
	reachPublic   reach = iota
	reachLoopback       // the address names loopback itself: nothing else
	reachPrivate        // public ones, private networks, loopback
)

// errForbidden says that a name led to an address that may not be connected to.
var errForbidden = errors.New("the address is not allowed")

var (
	// special are the parts of the IPv4 space and of 2000::/3 that are no public addresses
	// (the registries of special-purpose addresses of IANA, RFC 6890).
	special = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	)
	// private are those of them, and of the rest of IPv6, that a network of one's own uses.
	private = prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
	// metadata is in the private space and is nobody's receiver: EC2's metadata over IPv6
	// and the networks of its kind.
	metadata = prefixes("fd00:ec2::/32")
	global   = netip.MustParsePrefix("2000::/3")
	nat64    = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: an IPv4 address in the last four bytes
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func in(ip netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// allows reports whether an address may be connected to, however it is written: an IPv4
// address within an IPv6 one is judged as what it is.
func (r reach) allows(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch r {
	case reachLoopback:
		return ip.IsLoopback()
	case reachPrivate:
		if in(ip, private) && !in(ip, metadata) {
			return true
		}
	}
	return (ip.Is4() || global.Contains(ip)) && !in(ip, special)
}

func (r reach) advice() string {
	if r == reachPrivate {
		return "this one is neither public nor one of a private network"
	}
	return "set NOTIFY_PRIVATE_ADDRESSES to true if it is in a private network"
}

// control stands between a name and its connection: it sees the address that is really
// connected to, whatever DNS said before.
func (r reach) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !r.allows(at.Addr()) {
		return errForbidden
	}
	return nil
}

// newHTTP is the client for one receiver. It takes no proxy from the environment: a proxy
// would make the connections in our place, and nobody would look at their addresses.
func newHTTP(r reach) *http.Client { return sinkhttp.Over(newTransport(r, nil)) }

func newTransport(r reach, resolver *net.Resolver) *http.Transport {
	d := &net.Dialer{Timeout: 5 * time.Second, Control: r.control, Resolver: resolver}
	return &http.Transport{
		DialContext:            d.DialContext,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
}
