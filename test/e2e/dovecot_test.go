package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mailtwin/internal/imap/imaptest"
)

// server is a private Dovecot on loopback; any user, password "pass". It speaks plain text with STARTTLS on one port and TLS
// on another.
type server struct {
	*imaptest.Dovecot
	plain, tls int
	ca         string // file with the certificate, which signs itself
}

func startDovecot() (*server, error) {
	d, err := imaptest.Start("imap_max_line_length = 64k")
	if err != nil {
		return nil, err
	}
	return &server{Dovecot: d, plain: port(d.Addr), tls: port(d.TLSAddr), ca: filepath.Join(d.Dir, "cert.pem")}, nil
}

func port(address string) int {
	_, p, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(p)
	return n
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	return port(l.Addr().String())
}

// impostor is a TLS server with a certificate that signs itself, for a name and until a moment. It returns its port and the
// file with the certificate.
func impostor(t *testing.T, name string, end time.Time) (int, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	file := filepath.Join(t.TempDir(), "impostor.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("* OK hello\r\n"))
			_ = c.Close()
		}
	}()
	return port(l.Addr().String()), file
}
