package freeport

import (
	"fmt"
	"net"
	"testing"
)

func TestAReservedPortIsNobodyElses(t *testing.T) {
	number, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	// By ip-sysctl of Linux, ip_local_port_range, and RFC 6335, section 6.
	if number < 1024 || number >= 32768 {
		t.Errorf("systems give out %d to anybody", number)
	}
	if _, err := take(number); err == nil {
		t.Errorf("%d is reserved twice", number)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		t.Fatalf("its program cannot bind it: %v", err)
	}
	defer l.Close()
	release()
	if _, err := take(number); err == nil {
		t.Errorf("%d is reserved while somebody listens at it", number)
	}
}
