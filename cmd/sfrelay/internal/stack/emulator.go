package stack

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	_ "embed" // of door
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"sfrelay/shared/freeport"
)

// door is how ministack is run: it lets in what has the stack's keys, and nothing else.
//
//go:embed door.py
var door string

// NewKey is a key of 20 letters and digits that nobody can guess.
func NewKey() string { return rand.Text()[:20] }

// startEmulator runs ministack with new certificates and new keys.
func (s *Stack) startEmulator(ctx context.Context, tools string) error {
	if err := writeCertificates(s.file("ca.pem"), s.file("cert.pem"), s.file("key.pem")); err != nil {
		return err
	}
	number, release, err := freeport.Reserve()
	if err != nil {
		return err
	}
	defer release()
	port := strconv.Itoa(number)
	s.Endpoint = "https://127.0.0.1:" + port
	key, secret := NewKey(), NewKey()
	if err := s.writeProfile(key, secret); err != nil {
		return err
	}
	cmd := s.python(tools, door, port, key, secret)
	if s.Emulator, err = spawn(cmd, s.file("ministack.log")); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	return s.waitReady(ctx)
}

// python is the program door, with nothing of our environment but what a program needs to
// run at all. The functions inherit all of it.
func (s *Stack) python(tools, program, port, key, secret string) *exec.Cmd {
	scaled := func(d time.Duration) string {
		return strconv.FormatFloat(d.Seconds()*TimeScale, 'f', -1, 64)
	}
	cmd := exec.Command(filepath.Join(tools, "python"), "-I", "-c", program)
	cmd.Dir = s.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.file("tmp"),
		"TMPDIR=" + s.file("tmp"),
		"BIND_HOST=127.0.0.1", // its default is all interfaces
		"MINISTACK_HOST=127.0.0.1",
		"GATEWAY_PORT=" + port,
		"USE_SSL=1",
		"MINISTACK_SSL_CERT=" + s.file("cert.pem"),
		"MINISTACK_SSL_KEY=" + s.file("key.pem"),
		"STATE_DIR=" + s.file("tmp/state"), // else /tmp/ministack-state, which others may have made
		"S3_DATA_DIR=" + s.file("tmp/s3"),
		"IOT_MTLS_ENABLED=0",       // else it listens on all interfaces on 8883
		"AUTH=true",                // roles and policies are enforced
		"AWS_ACCESS_KEY_ID=" + key, // not of the functions: they get those of their roles
		"AWS_SECRET_ACCESS_KEY=" + secret,
		"LAMBDA_ASYNC_RETRY_BASE_SECONDS=" + scaled(firstPause),
		"LAMBDA_ASYNC_RETRY_MAX_SECONDS=" + scaled(secondPause),
		"STORE_DELAY=" + strconv.FormatFloat(s.Delay.Seconds(), 'f', -1, 64), // of door.py
		"STACK_STATE=" + s.file("state.json"),                                // of door.py
		"AWS_ENDPOINT_URL=" + s.Endpoint,                                     // where the functions find AWS
		"AWS_CA_BUNDLE=" + s.file("ca.pem"),
		"AWS_DEFAULT_REGION=" + Region,
		"AWS_EC2_METADATA_DISABLED=true",
		"GODEBUG=http2client=0", // of the functions; see Config
	}
	return cmd
}

func (s *Stack) waitReady(ctx context.Context) error {
	ca, err := os.ReadFile(s.file("ca.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}
	const tries, pause = 1200, 100 * time.Millisecond
	for range tries {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/_ministack/health", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !s.Emulator.alive() {
			break
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("ministack does not answer; see %s", s.file("ministack.log"))
}
