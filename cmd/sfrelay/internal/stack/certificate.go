package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// writeCertificates makes the certificate that the emulator's HTTPS endpoint shows, for
// 127.0.0.1 and localhost only and good for a month, and that of the authority which clients are told to
// trust. The queues' own policies refuse plain HTTP, here as on AWS.
func writeCertificates(caFile, certFile, keyFile string) error {
	ca, caKey, err := newAuthority() // its key is written nowhere: this one certificate is all that it signs
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "sfrelay local stack"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost"}, // of containers, see samLocal
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, key, caKey)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		block pem.Block
	}{
		{keyFile, pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}},
		{certFile, pem.Block{Type: "CERTIFICATE", Bytes: cert}},
		{caFile, pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}},
	} {
		if err := write(f.name, pem.EncodeToMemory(&f.block)); err != nil {
			return err
		}
	}
	return nil
}

// newAuthority makes an authority that can speak for loopback only (RFC 5280, 4.2.1.10),
// wherever somebody may come to trust it.
func newAuthority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "sfrelay local stack, authority"},
		KeyUsage:                    x509.KeyUsageCertSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		PermittedIPRanges:           []*net.IPNet{{IP: net.IPv4(127, 0, 0, 1).To4(), Mask: net.CIDRMask(32, 32)}},
		PermittedDNSDomains:         []string{"localhost"},
		PermittedDNSDomainsCritical: true,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

// sign fills in what every certificate has.
func sign(cert, ca *x509.Certificate, key, caKey *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	cert.SerialNumber, cert.NotBefore, cert.NotAfter = serial, now.Add(-time.Hour), now.AddDate(0, 1, 0)
	return x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
}
