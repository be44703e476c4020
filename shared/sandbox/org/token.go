package orgsandbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Credentials are what clients log in with. Key, secret and password are new with every org, the
// private key with every process.
type Credentials struct {
	ConsumerKey    string `json:"consumerKey"`
	ConsumerSecret string `json:"consumerSecret"`
	Username       string `json:"username"`
	Password       string `json:"password"`   // and the security token, for SOAP
	PrivateKey     string `json:"privateKey"` // PEM, for the JWT bearer flow
}

type credentials struct {
	once sync.Once
	Credentials
}

// signer signs the assertions of all orgs of a process, because to make a key takes longer than
// most tests. An org takes only those that name its own consumer key.
var signer = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no system without random numbers is served
	}
	return key
})

// username is that of the one user.
const username = "integration@sfrelay.example"

// Credentials are made when they are first asked for.
func (s *Org) Credentials() Credentials {
	s.keys.once.Do(func() {
		s.keys.Credentials = Credentials{
			ConsumerKey: "consumer-" + rand.Text(), ConsumerSecret: rand.Text(), Username: username, Password: rand.Text(),
			PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signer())})),
		}
	})
	return s.keys.Credentials
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// noToken is the form of the token endpoint's errors: no list, other names.
func noToken(code, description string) (*answer, error) {
	return &answer{status: http.StatusBadRequest, body: pairs{{"error", code}, {"error_description", description}}}, nil
}

func (s *Org) token(c *call) (*answer, error) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return noToken("invalid_request", "the body is no form")
	}
	switch form.Get("grant_type") {
	case "client_credentials":
		key, secret, basic := c.BasicAuth()
		if !basic {
			key, secret = form.Get("client_id"), form.Get("client_secret")
		}
		switch known := s.Credentials(); {
		case key != known.ConsumerKey:
			return noToken("invalid_client_id", "client identifier invalid")
		case secret != known.ConsumerSecret:
			return noToken("invalid_client", "invalid client credentials")
		}
		return s.granted(c)
	case jwtBearer:
		if code, description := s.judge(form.Get("assertion"), c.base()); code != "" {
			return noToken(code, description)
		}
		return s.granted(c)
	}
	return noToken("unsupported_grant_type", "grant type not supported")
}

// skew is how long an assertion is taken after its end. CumulusCI writes the present second
// as the end, and orgs let it in; how far they go nobody published.
const skew = 3 * time.Minute

// judge says what is wrong with an assertion; nothing where it is right.
func (s *Org) judge(assertion, base string) (code, description string) {
	known := s.Credentials()
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "invalid_grant", "invalid assertion"
	}
	signature, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[2], "="))
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&signer().PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return "invalid_grant", "invalid assertion"
	}
	var claims struct {
		Iss, Sub string
		Aud      any
		Exp      any // a number; some clients say it in quotes, and get in
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return "invalid_grant", "invalid assertion"
	}
	aud, _ := claims.Aud.(string)
	switch expires, until := expiry(claims.Exp), s.now(); {
	case claims.Iss != known.ConsumerKey:
		return "invalid_client_id", "client identifier invalid"
	case !audience(strings.TrimSuffix(aud, "/"), base):
		return "invalid_grant", "audience is invalid"
	case expires.Before(until.Add(-skew)):
		return "invalid_grant", "invalid assertion"
	case claims.Sub != known.Username:
		return "invalid_grant", "user hasn't approved this consumer"
	}
	return "", ""
}

// audience takes the two login hosts and the org's own address.
func audience(aud, base string) bool {
	return aud == "https://login.salesforce.com" || aud == "https://test.salesforce.com" || aud == base
}

func expiry(v any) time.Time {
	switch e := v.(type) {
	case float64:
		return time.Unix(int64(e), 0)
	case string:
		if n, err := strconv.ParseInt(e, 10, 64); err == nil {
			return time.Unix(n, 0)
		}
	}
	return time.Time{}
}

// session is a new one, in the form of Salesforce's: org, exclamation mark, secret.
func (s *Org) session() string {
	token := s.options.OrgID[:15] + "!" + rand.Text()
	s.sessions[token] = true
	return token
}

func (s *Org) granted(c *call) (*answer, error) {
	id := c.base() + "/id/" + s.options.OrgID + "/" + UserID
	return ok(pairs{
		{"access_token", s.session()}, {"signature", base64.StdEncoding.EncodeToString([]byte(rand.Text()))}, {"scope", "api id"},
		{"instance_url", c.base()}, {"id", id}, {"token_type", "Bearer"}, {"issued_at", strconv.FormatInt(s.now().UnixMilli(), 10)},
		{"api_instance_url", "https://api.salesforce.com"},
	})
}

func (s *Org) identity(c *call) (*answer, error) {
	if c.PathValue("org") != s.options.OrgID || c.PathValue("user") != UserID {
		return nil, refuse(http.StatusForbidden, "Bad_OAuth_Token", "Bad_OAuth_Token")
	}
	return ok(append(s.user(c), pair{"urls", s.urls(c)}))
}

func (s *Org) userinfo(c *call) (*answer, error) {
	u := s.user(c)
	return ok(append(pairs{{"sub", u.get("id")}, {"preferred_username", u.get("username")}, {"name", u.get("display_name")}}, append(u[1:], pair{"urls", s.urls(c)})...))
}

func (s *Org) user(c *call) pairs {
	return pairs{
		{"id", c.base() + "/id/" + s.options.OrgID + "/" + UserID}, {"asserted_user", true}, {"user_id", UserID}, {"organization_id", s.options.OrgID},
		{"username", username}, {"nick_name", "integration"}, {"display_name", "Integration User"}, {"email", "integration@sfrelay.example"},
		{"active", true}, {"user_type", "STANDARD"}, {"language", "en_US"}, {"locale", "en_US"},
	}
}

func (s *Org) urls(c *call) pairs {
	data := c.base() + "/services/data/v{version}/"
	return pairs{
		{"enterprise", c.base() + "/services/Soap/c/{version}/" + s.options.OrgID[:15]}, {"metadata", c.base() + "/services/Soap/m/{version}/" + s.options.OrgID[:15]},
		{"partner", c.base() + "/services/Soap/u/{version}/" + s.options.OrgID[:15]}, {"rest", data}, {"sobjects", data + "sobjects/"}, {"query", data + "query/"},
		{"tooling_rest", data + "tooling/"}, {"custom_domain", c.base()},
	}
}

var soapText = map[string]*regexp.Regexp{
	"username": regexp.MustCompile(`<(?:\w+:)?username>([^<]*)<`),
	"password": regexp.MustCompile(`<(?:\w+:)?password>([^<]*)<`),
}

// soapLogin is the call login of the Partner API: password and security token in one text.
func (s *Org) soapLogin(c *call) (*answer, error) {
	if operation(c.body) != "login" {
		return fault("sf:UNKNOWN_EXCEPTION", "UNKNOWN_EXCEPTION: No operation available for request")
	}
	given := map[string]string{}
	for name, form := range soapText {
		if m := form.FindSubmatch(c.body); m != nil {
			given[name] = string(m[1])
		}
	}
	known := s.Credentials()
	if given["username"] != known.Username || given["password"] != known.Password {
		return fault("sf:INVALID_LOGIN", "INVALID_LOGIN: Invalid username, password, security token; or user locked out.")
	}
	version, _, _ := strings.Cut(c.PathValue("soap"), "/")
	result := pairs{
		{"metadataServerUrl", c.base() + "/services/Soap/m/" + version + "/" + s.options.OrgID[:15]}, {"passwordExpired", false}, {"sandbox", true},
		{"serverUrl", c.base() + "/services/Soap/u/" + version + "/" + s.options.OrgID[:15]}, {"sessionId", s.session()}, {"userId", UserID},
		{"userInfo", pairs{{"organizationId", s.options.OrgID}, {"sessionSecondsValid", 7200}, {"userEmail", "integration@sfrelay.example"}, {"userId", UserID}, {"userName", known.Username}}},
	}
	return envelope("urn:partner.soap.sforce.com", "login", result)
}
