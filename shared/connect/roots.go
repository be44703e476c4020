package connect

import (
	"bytes"
	"os"
)

// bundles are the files of which crypto/x509 takes the first one that it can read
// (root_linux.go of Go 1.26).
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// noDirectory is none, so that Go looks into none.
const noDirectory = "/nonexistent"

// RootsOnce has this process read the system's root certificates once. Go reads the bundle
// and then every file of the certificate directories, in which the same certificates stand
// once or twice more: most of the work of a cold start. Who has set SSL_CERT_FILE or
// SSL_CERT_DIR gets what they say. Call it before the first connection.
func RootsOnce() {
	if directory := rootDirectory(os.Getenv, os.ReadFile); directory != "" {
		_ = os.Setenv("SSL_CERT_DIR", directory) // the name is valid, so it does not fail
	}
}

// rootDirectory is what SSL_CERT_DIR has to be; empty: as it is.
func rootDirectory(env func(string) string, read func(string) ([]byte, error)) string {
	if env("SSL_CERT_FILE") != "" || env("SSL_CERT_DIR") != "" {
		return ""
	}
	for _, file := range bundles {
		text, err := read(file)
		switch {
		case err != nil:
			continue
		case bytes.Contains(text, []byte("-----BEGIN CERTIFICATE-----")):
			return noDirectory
		default:
			return "" // Go takes this file and no other one
		}
	}
	return ""
}
