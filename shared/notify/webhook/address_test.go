package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/notify"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// By the IANA registries of special-purpose addresses, by hand: who may connect to what.
func TestAddressesThatMayBeConnectedTo(t *testing.T) {
	for _, c := range []struct {
		ip                        string
		public, loopback, private bool
	}{
		{"8.8.8.8", true, false, true}, {"100.63.255.255", true, false, true}, {"100.128.0.0", true, false, true},
		{"172.15.255.255", true, false, true}, {"172.32.0.1", true, false, true}, {"11.0.0.1", true, false, true},
		{"2600:1f18::1", true, false, true}, {"2a00:1450::1", true, false, true},
		{"64:ff9b::808:808", true, false, true}, // 8.8.8.8 behind a NAT64

		{"127.0.0.1", false, true, true}, {"127.255.255.254", false, true, true}, {"::1", false, true, true}, {"::ffff:127.0.0.1", false, true, true},

		{"10.0.0.1", false, false, true}, {"172.16.0.1", false, false, true}, {"172.31.255.255", false, false, true}, {"192.168.1.1", false, false, true},
		{"100.64.0.1", false, false, true}, {"100.127.255.255", false, false, true}, {"fc00::1", false, false, true}, {"fd12::1", false, false, true},
		{"::ffff:10.0.0.1", false, false, true}, {"64:ff9b::a00:1", false, false, true},

		{"169.254.169.254", false, false, false}, {"169.254.170.2", false, false, false}, {"::ffff:169.254.169.254", false, false, false},
		{"64:ff9b::a9fe:a9fe", false, false, false}, {"fd00:ec2::254", false, false, false}, {"fd00:ec2::23", false, false, false},
		{"fe80::1", false, false, false}, {"fe80::1%eth0", false, false, false}, {"0.0.0.0", false, false, false}, {"::", false, false, false},
		{"::7f00:1", false, false, false}, {"224.0.0.1", false, false, false}, {"ff02::1", false, false, false}, {"255.255.255.255", false, false, false},
		{"2002:7f00:1::", false, false, false}, {"2001::1", false, false, false}, {"2001:db8::1", false, false, false}, {"192.0.2.1", false, false, false},
		{"198.18.0.1", false, false, false}, {"fec0::1", false, false, false},
	} {
		ip := netip.MustParseAddr(c.ip)
		for reach, want := range map[reach]bool{reachPublic: c.public, reachLoopback: c.loopback, reachPrivate: c.private} {
			if got := reach.allows(ip); got != want {
				t.Errorf("reach %d allows %s: %v", reach, c.ip, got)
			}
		}
	}
	for _, address := range []string{"", "example.com:443", "127.0.0.1", "8.8.8.8"} {
		if reachPublic.control("tcp", address, nil) == nil {
			t.Errorf("what is no address and port is connected to: %q", address)
		}
	}
}

// resolver answers every name with 127.0.0.1, as a name does whose owner changed its records
// after somebody had looked.
func resolver(t *testing.T) *net.Resolver {
	t.Helper()
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dns.Close() })
	go func() {
		for b := make([]byte, 512); ; {
			n, from, err := dns.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12 // of the question: a name ends with an empty label
			for end < n && b[end] != 0 {
				end += 1 + int(b[end])
			}
			end += 5
			reply := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, b[12:end]...)
			if b[end-3] == 1 { // A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
			}
			_, _ = dns.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
}

const (
	recordID = "003000000000001AAA"
	org      = "00D000000000001EAA"
)

var (
	told = notify.Notification{Object: "Contact", RecordID: recordID, Kind: notify.Updated, Fields: []string{"Phone"},
		At: time.UnixMilli(1763800000123), Version: "019aa0000000000000000000000000010000aaaa"}
	toldRef = sink.Ref{Consumer: "contact-notify", Org: org, Subject: "Contact/" + recordID + "/1"}
)

// signing is a secret of n bytes, made of a readable text.
func signing(n int) string { return "whsec_" + encode(strings.Repeat("test key ", 8)[:n]) }

// A name that leads to a forbidden address is not connected to, whatever it led to before.
func TestANameThatLeadsInside(t *testing.T) {
	reached := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	at := "https://example.com:" + port + "/hook"
	for _, c := range []struct {
		options Options
		class   verdict.Class
		reached int
	}{{Options{}, "permanent/receiver-address", 0}, {Options{PrivateAddresses: true}, "", 1}} {
		client, err := New(sinkhttp.Static(signing(32)), at, c.options)
		if err != nil {
			t.Fatal(err)
		}
		reach := reachPublic
		if c.options.PrivateAddresses {
			reach = reachPrivate
		}
		transport := newTransport(reach, resolver(t))
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
		client.http = sinkhttp.Over(transport)
		_, err = client.Tell(t.Context(), toldRef, told)
		e, refused := errors.AsType[*sink.Error](err)
		if refused != (c.class != "") || refused && (e.Class != c.class || e.Applied != sink.No) || reached != c.reached {
			t.Errorf("%+v: %v, the receiver was reached %d times", c.options, err, reached)
		}
	}
}

// The client that New makes has the reach of its address and options.
func TestTheClientHasItsReach(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for _, c := range []struct {
		address string
		options Options
		ok      bool
	}{
		{server.URL, Options{}, true},
		{server.URL, Options{PrivateAddresses: true}, true},
		{"https://example.com/", Options{}, false},
	} {
		client, err := New(sinkhttp.Static(signing(32)), c.address, c.options)
		if err != nil {
			t.Fatal(err)
		}
		client.url = server.URL
		_, err = client.Tell(t.Context(), toldRef, told)
		if (err == nil) != c.ok || !c.ok && sink.ClassOf(err) != "permanent/receiver-address" {
			t.Errorf("%s, %+v: %v", c.address, c.options, err)
		}
	}
	// Loopback is all that an address on loopback reaches.
	client, err := New(sinkhttp.Static(signing(32)), "http://localhost:1/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	client.url = "http://10.0.0.1:1/"
	if _, err := client.Tell(t.Context(), toldRef, told); sink.ClassOf(err) != "permanent/receiver-address" {
		t.Errorf("a receiver on loopback reaches a network: %v", err)
	}
}

// A proxy would make the connections, and nobody would look at their addresses.
func TestNoProxy(t *testing.T) {
	if newTransport(reachPublic, nil).Proxy != nil {
		t.Error("a proxy is asked")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	client, err := New(sinkhttp.Static(signing(32)), server.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Tell(t.Context(), toldRef, told)
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Applied != sink.No || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
}
