package api

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

const (
	loginTime = 15 * time.Second // for the secret and the token
	again     = time.Minute      // when a login that was refused is tried anew
	soon      = time.Second      // the same for one that failed for the time being: all who waited hear of it
)

// session is the access token, of which Salesforce does not say when it ends.
type session struct {
	free    chan struct{} // full while somebody looks at the rest
	token   string
	refused error // of the last login
	until   time.Time
}

// Format implements fmt.Formatter for every verb: no log shows the token.
func (*session) Format(w fmt.State, _ rune) { _, _ = w.Write([]byte("[session]")) }

// token is one other than that which ended. Of all who wait for it one logs in.
func (c *Client) token(ctx context.Context, ended string) (string, error) {
	s := c.session
	select {
	case s.free <- struct{}{}:
		defer func() { <-s.free }()
	case <-ctx.Done():
		return "", &Error{What: "login", Code: codeNoAnswer, Err: ctx.Err()}
	}
	if s.token != "" && s.token != ended {
		return s.token, nil
	}
	if s.refused != nil && time.Now().Before(s.until) {
		return "", s.refused
	}
	bounded, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	var err error
	s.token, err = c.login(bounded)
	s.refused, s.until = err, time.Now().Add(again)
	if e, ok := errors.AsType[*Error](err); ok && e.Temporary() {
		s.until = time.Now().Add(soon)
	}
	if ctx.Err() != nil { // who had no time says nothing of the others
		s.refused = nil
	}
	return s.token, err
}

// login asks for a token. All its errors are *Error.
func (c *Client) login(ctx context.Context) (string, error) {
	secret, err := c.secret(ctx)
	if err != nil {
		return "", &Error{What: "login", Code: codeSecret, Setting: "SALESFORCE_SECRET, or the function's right to read that secret", Err: err}
	}
	form, wrong := c.grant(secret, time.Now())
	if wrong != "" {
		return "", &Error{What: "login", Code: codeSecret, Setting: "the secret that SALESFORCE_SECRET names: " + wrong}
	}
	resp, err := c.send(ctx, "login", c.org.String()+"/services/oauth2/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, _ := object(head(resp.Body)) // what is read shows below
	e := &Error{What: "login", Status: resp.StatusCode, Code: codeUnreadable}
	text := func(name string) string { s, _ := jsonobject.Text(answer[name]); return s }
	if resp.StatusCode != http.StatusOK {
		if code := strings.ToUpper(text("error")); isCode(code) {
			e.Code = code
		}
		e.Setting = settingOf(strings.ToLower(text("error") + " " + text("error_description")))
		return "", e
	}
	token := text("access_token")
	if u, err := url.Parse(text("instance_url")); err != nil || u.Scheme != c.org.Scheme || u.Host != c.org.Host {
		e.Code = codeForeign
	} else if token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return token, nil
	}
	return "", e
}

// settingOf is what has to be corrected, by the texts of the token endpoint (Salesforce Help,
// "OAuth 2.0 JWT Bearer Flow" and "OAuth 2.0 Authorization Errors"). The first that fits counts.
func settingOf(text string) string {
	for _, s := range [...][2]string{
		{"approved", "the policies of the app: pre-authorize the user by a permission set"},
		{"audience", "audience in the secret: leave it out, or write the My Domain address"},
		{"assertion", "privateKey in the secret, or the certificate of the app: they are no pair"},
		{"no client credentials user", "the policies of the app: name the user to run as"},
		{"this domain", "SALESFORCE_URL: the My Domain address of the org"},
		{"app", "the app: it is not installed in this org"},
		{"invalid_client_id", "clientId in the secret"},
		{"client", "clientSecret in the secret"},
		{"user", "username in the secret: want an active user of this org"},
	} {
		if strings.Contains(text, s[0]) {
			return s[1]
		}
	}
	return ""
}

// grant is the form of the token request. wrong says what is wrong with the secret, and
// repeats nothing of it.
func (c *Client) grant(secret string, now time.Time) (form url.Values, wrong string) {
	var id, password, private, user string
	audience := c.org.String()
	into := map[string]*string{"clientId": &id, "clientSecret": &password, "privateKey": &private, "username": &user, "audience": &audience}
	err := jsonobject.Members([]byte(secret), func(name string, v jsontext.Value) (err error) {
		if into[name] == nil {
			return errors.ErrUnsupported
		}
		*into[name], err = jsonobject.Text(v)
		return err
	})
	switch {
	case err != nil:
		return nil, "want a JSON object of texts, with no other keys than clientId, clientSecret, username, privateKey and audience"
	case id == "" || (password == "") == (private == "") || (user == "") != (private == ""):
		return nil, "want clientId and clientSecret, or clientId, username and privateKey"
	case private == "":
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {password}}, ""
	}
	key := privateKey(private)
	if key == nil {
		return nil, "privateKey is no RSA key in PEM"
	}
	claims := []byte(`{"iss":`)
	claims, _ = jsontext.AppendQuote(claims, id)
	claims, _ = jsontext.AppendQuote(append(claims, `,"sub":`...), user)
	claims, _ = jsontext.AppendQuote(append(claims, `,"aud":`...), audience)
	claims = append(strconv.AppendInt(append(claims, `,"exp":`...), now.Add(3*time.Minute).Unix(), 10), '}')
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"RS256"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(token))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, "privateKey is too short to sign with"
	}
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {token + "." + b64(signature)}}, ""
}

// privateKey reads PKCS #8 (RFC 5208) or PKCS #1. The x509 package's own reader of the first
// brings 10 KB for keys of other kinds into every function.
func privateKey(text string) *rsa.PrivateKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	var pkcs8 struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	if _, err := asn1.Unmarshal(block.Bytes, &pkcs8); err == nil {
		block.Bytes = pkcs8.Key
	}
	key, _ := x509.ParsePKCS1PrivateKey(block.Bytes)
	return key
}
