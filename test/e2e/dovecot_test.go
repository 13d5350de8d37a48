package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// server is a private Dovecot on loopback; any user, password "pass". It speaks plain text with STARTTLS on one port and TLS
// on another.
type server struct {
	dir           string
	plain, tls    int
	ca, foreign   string // files: the authority that signed the certificate; one that did not
	process       *exec.Cmd
	stopped       chan struct{}
	configuration string
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

const dovecotConf = `
protocols = imap
listen = 127.0.0.1
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
instance_name = mailtwin-e2e-%[2]d
ssl = yes
ssl_cert = <%[1]s/server.pem
ssl_key = <%[1]s/server.key
disable_plaintext_auth = no
mail_uid = %[4]s
mail_gid = %[5]s
first_valid_uid = 1
mail_home = %[1]s/home/%%u
mail_location = sdbox:~/mail
mail_max_userip_connections = 200
imap_max_line_length = 64k
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = uid=%[4]s gid=%[5]s home=%[1]s/home/%%u
}
service imap-login {
  chroot =
  client_limit = 1000
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = %[3]d
    ssl = yes
  }
}
service anvil {
  chroot =
}
`

// startDovecot starts the server; errNoDovecot if it is not installed.
func startDovecot(dir string) (*server, error) {
	path, err := exec.LookPath("dovecot")
	if err != nil {
		path = "/usr/sbin/dovecot"
		if _, err := os.Stat(path); err != nil {
			return nil, errNoDovecot
		}
	}
	if os.Getuid() != 0 {
		return nil, errNotRoot
	}
	s := &server{dir: dir, plain: freePort(), tls: freePort(), stopped: make(chan struct{})}
	owner, err := user.Lookup("mail")
	if err != nil {
		return nil, err
	}
	if err := s.files(owner); err != nil {
		return nil, err
	}
	s.process = exec.Command(path, "-F", "-c", s.configuration)
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.process.Wait()
		close(s.stopped)
	}()
	for range 100 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.plain)); err == nil {
			return s, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	log, _ := os.ReadFile(filepath.Join(dir, "dovecot.log"))
	return nil, fmt.Errorf("dovecot does not answer: %s", log)
}

var (
	errNoDovecot = errors.New("Dovecot is not installed (make test installs it)") //nolint:revive,staticcheck // a name
	errNotRoot   = errors.New("a private Dovecot needs root")
)

func (s *server) files(owner *user.User) error {
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	home := filepath.Join(s.dir, "home")
	if err := errors.Join(os.MkdirAll(home, 0o755), os.Chmod(s.dir, 0o755), os.Chown(home, uid, gid)); err != nil {
		return err
	}
	if err := s.certificates(); err != nil {
		return err
	}
	s.configuration = filepath.Join(s.dir, "dovecot.conf")
	return os.WriteFile(s.configuration, fmt.Appendf(nil, dovecotConf, s.dir, s.plain, s.tls, owner.Uid, owner.Gid), 0o644)
}

// certificates makes an authority, a certificate for localhost that it signs, and an authority that signs nothing.
func (s *server) certificates() error {
	s.ca, s.foreign = filepath.Join(s.dir, "ca.pem"), filepath.Join(s.dir, "foreign.pem")
	authority := func(file string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
		t := template("authority", time.Now().Add(time.Hour))
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
		cert, key, err := sign(t, t, nil, file, "")
		return cert, key, err
	}
	ca, caKey, err := authority(s.ca)
	if err != nil {
		return err
	}
	if _, _, err := authority(s.foreign); err != nil {
		return err
	}
	t := template("localhost", time.Now().Add(time.Hour))
	t.DNSNames = []string{"localhost"}
	_, _, err = sign(t, ca, caKey, filepath.Join(s.dir, "server.pem"), filepath.Join(s.dir, "server.key"))
	return err
}

func template(name string, end time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end}
}

func sign(t, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, nil, err
	}
	if keyFile != "" {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), 0o600); err != nil {
			return nil, nil, err
		}
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// stop ends the server by its process id.
func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.stopped:
	case <-time.After(10 * time.Second):
		_ = s.process.Process.Kill()
		<-s.stopped
	}
}
