package login

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

// setting is what has to be corrected, by the texts of the token endpoint (Salesforce Help,
// "OAuth 2.0 JWT Bearer Flow" and "OAuth 2.0 Authorization Errors"). The first that fits counts.
func setting(text string) string {
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

// form is that of the request for a token of the org. wrong says what is wrong with the
// secret, and repeats nothing of it.
func form(secret, org string, now time.Time) (values url.Values, wrong string) {
	var id, password, private, user string
	audience := org
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
