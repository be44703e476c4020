package login_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/salesforce/login"
)

// org is a token endpoint. Every token is another one.
type org struct {
	t        *testing.T
	url      string
	instance string
	secret   string
	secrets  int             // times that it was read
	key      *rsa.PrivateKey // of the app's certificate
	refuses  string          // instead of a token, with 400

	mu     sync.Mutex
	logins []url.Values
}

func newOrg(t *testing.T) (*org, *login.Session) {
	t.Helper()
	o := &org{t: t, secret: `{"clientId":"app","clientSecret":"word"}`}
	s := httptest.NewServer(o)
	t.Cleanup(s.Close)
	o.url, o.instance = s.URL, s.URL
	return o, session(t, s.URL, s.Client(), func(context.Context) (string, error) { o.secrets++; return o.secret, nil })
}

func session(t *testing.T, address string, client *http.Client, secret func(context.Context) (string, error)) *login.Session {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return login.New(u, client, secret)
}

func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.URL.String() != "/services/oauth2/token" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		o.t.Errorf("a token is asked for with %s %s: %v", r.Method, r.URL, err)
	}
	o.logins = append(o.logins, form)
	if o.refuses != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, o.refuses)
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"00D5f000005KcCnEAK!%d","instance_url":%q,"token_type":"Bearer","scope":"api"}`, len(o.logins), o.instance)
}

// Of all who wait for a token, also for another one than that which ended, one logs in.
func TestOneLoginForAllWhoWait(t *testing.T) {
	o, s := newOrg(t)
	ended := ""
	for want := 1; want <= 2; want++ {
		var wait sync.WaitGroup
		next := fmt.Sprintf("00D5f000005KcCnEAK!%d", want)
		for range 20 {
			wait.Go(func() {
				if token, err := s.Token(t.Context(), ended); err != nil || token != next {
					t.Errorf("%q, %v, want %s", token, err, next)
				}
			})
		}
		wait.Wait()
		if len(o.logins) != want || o.secrets != want {
			t.Errorf("%d logins, %d times the secret was read, want %d", len(o.logins), o.secrets, want)
		}
		ended = next
	}
	if f := o.logins[1]; f.Encode() != "client_id=app&client_secret=word&grant_type=client_credentials" {
		t.Errorf("the form %v", f)
	}
	if got := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(got, "00D5f000005KcCnEAK!") {
		t.Errorf("the token is printed: %s", got)
	}
}

func TestJWTBearer(t *testing.T) {
	for _, pkcs8 := range []bool{true, false} {
		for audience, want := range map[string]string{"": "", `,"audience":"https://test.salesforce.com"`: "https://test.salesforce.com"} {
			o, s := newOrg(t)
			o.secret = fmt.Sprintf(`{"clientId":"a\"pp","username":"integration@example.test","privateKey":%q%s}`, o.newKey(pkcs8), audience)
			if _, err := s.Token(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			if g := o.logins[0].Get("grant_type"); g != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(o.logins[0]) != 2 {
				t.Errorf("grant %q", g)
			}
			got := o.claims(o.logins[0].Get("assertion"))
			if want == "" {
				want = o.url
			}
			if len(got) != 3 || got["iss"] != `a"pp` || got["sub"] != "integration@example.test" || got["aud"] != want {
				t.Errorf("claims %v", got)
			}
		}
	}
}

func TestASecretThatIsWrongIsNotRepeated(t *testing.T) {
	for _, secret := range []string{
		"", "hidden", `["hidden"]`, `{"clientId":"hidden"}`, `{"clientSecret":"hidden"}`, `{"clientId":"hidden","clientSecret":7}`, `{"clientId":"hidden","clientSecret":"hidden","hidden":"x"}`,
		`{"clientId":"hidden","clientSecret":"hidden","privateKey":"hidden","username":"hidden"}`, `{"clientId":"hidden","clientSecret":"hidden","username":"hidden"}`,
		`{"clientId":"hidden","privateKey":"hidden"}`, `{"clientId":"hidden","privateKey":"hidden","username":"hidden"}`,
		`{"clientId":"hidden","privateKey":"-----BEGIN PRIVATE KEY-----\naGlkZGVu\n-----END PRIVATE KEY-----\n","username":"hidden"}`,
	} {
		o, s := newOrg(t)
		o.secret = secret
		_, e := s.Token(t.Context(), "")
		if e == nil || e.Code != "SECRET" || e.Temporary() || !strings.Contains(e.Setting, "SALESFORCE_SECRET") || strings.Contains(fmt.Sprintf("%+v", *e), "hidden") || len(o.logins) > 0 {
			t.Errorf("%s: %+v after %d logins", secret, e, len(o.logins))
		}
	}
}

// A login that was refused is not repeated for a minute, and says nothing of the answer but
// its code.
func TestARefusedLoginIsNotRepeated(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"invalid_grant","error_description":"hidden user hasn't approved this consumer"}`: "INVALID_GRANT",
		`{"error":"hidden value"}`: "UNREADABLE", `hidden`: "UNREADABLE", `{"error":7}`: "UNREADABLE",
	} {
		o, s := newOrg(t)
		o.refuses = answer
		for range 3 {
			if _, e := s.Token(t.Context(), ""); e == nil || e.Status != 400 || e.Code != want || e.Temporary() || strings.Contains(fmt.Sprintf("%+v", *e), "hidden") {
				t.Errorf("%s: %+v", answer, e)
			}
		}
		if len(o.logins) != 1 {
			t.Errorf("%s: %d logins within a minute", answer, len(o.logins))
		}
	}
}

// A token of another org is refused.
func TestTheOrgStaysWhereItIs(t *testing.T) {
	for _, instance := range []string{"https://other.my.salesforce.com", "", "//127.0.0.1", "https://127.0.0.1"} {
		o, s := newOrg(t)
		o.instance = instance
		if token, e := s.Token(t.Context(), ""); e == nil || e.Code != "FOREIGN_HOST" || token != "" {
			t.Errorf("instance_url %q: %q, %v", instance, token, e)
		}
	}
}

// All who wait for a login that fails for the time being hear of it; the next second tries
// again. Who had no time to wait spoils nothing.
func TestALoginThatFailsForNowIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logins, hangs := 0, false
		client := &http.Client{Transport: through(func(r *http.Request) (*http.Response, error) {
			if hangs {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			w := httptest.NewRecorder()
			if logins++; logins == 1 {
				time.Sleep(100 * time.Millisecond)
				w.WriteHeader(503)
			}
			_, _ = w.WriteString(`{"access_token":"t","instance_url":"http://127.0.0.1:9"}`)
			return w.Result(), nil
		})}
		s := session(t, "http://127.0.0.1:9", client, func(context.Context) (string, error) { return `{"clientId":"a","clientSecret":"b"}`, nil })
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if _, e := s.Token(t.Context(), ""); e == nil || !e.Temporary() {
					t.Error(e)
				}
			})
		}
		wait.Wait()
		if logins != 1 {
			t.Errorf("%d logins for all", logins)
		}
		time.Sleep(2 * time.Second)
		hangs = true
		began := time.Now()
		if _, e := s.Token(t.Context(), ""); e == nil || !e.Temporary() || time.Since(began) != 15*time.Second {
			t.Errorf("a login that hangs: %v after %s", e, time.Since(began))
		}
		time.Sleep(2 * time.Second)
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, e := s.Token(short, ""); e == nil || !errors.Is(e, context.DeadlineExceeded) {
			t.Error(e)
		}
		hangs = false
		if _, e := s.Token(t.Context(), ""); e != nil || logins != 2 {
			t.Errorf("%v after %d logins", e, logins)
		}
	})
}

type through func(*http.Request) (*http.Response, error)

func (f through) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newKey makes the key pair of the app, and the PEM of its private half.
func (o *org) newKey(pkcs8 bool) string {
	o.t.Helper()
	var err error
	if o.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		o.t.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(o.key)}
	if pkcs8 {
		block.Type = "PRIVATE KEY"
		if block.Bytes, err = x509.MarshalPKCS8PrivateKey(o.key); err != nil {
			o.t.Fatal(err)
		}
	}
	return string(pem.EncodeToMemory(block))
}

// claims checks an assertion as Salesforce does (Help, "OAuth 2.0 JWT Bearer Flow").
func (o *org) claims(assertion string) (claims map[string]any) {
	o.t.Helper()
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		o.t.Fatalf("an assertion of %d parts", len(parts))
	}
	var texts [3][]byte
	for i, p := range parts {
		var err error
		if texts[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			o.t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&o.key.PublicKey, crypto.SHA256, sum[:], texts[2]); err != nil {
		o.t.Errorf("the signature: %v", err)
	}
	if string(texts[0]) != `{"alg":"RS256"}` {
		o.t.Errorf("the header %s", texts[0])
	}
	if err := json.Unmarshal(texts[1], &claims); err != nil {
		o.t.Fatal(err)
	}
	if exp, _ := claims["exp"].(float64); int64(exp) <= time.Now().Unix() || int64(exp) > time.Now().Add(3*time.Minute).Unix() {
		o.t.Errorf("it ends at %v, want within 3 minutes", claims["exp"])
	}
	delete(claims, "exp")
	return claims
}
