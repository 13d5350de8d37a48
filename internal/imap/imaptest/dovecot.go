package imaptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Password is the password of every user of Dovecot.
const Password = "pass"

// Dovecot is a private Dovecot on 127.0.0.1. Any user name is a user, with an empty account at first.
type Dovecot struct {
	Addr    string // without TLS from the start; STARTTLS is offered
	TLSAddr string // with TLS; trust Certificate().Roots
	Dir     string // all its files; the log is dovecot.log

	cmd   *exec.Cmd
	ended chan struct{}
}

var errNoDovecot = errors.New("dovecot is not installed: apt-get install dovecot-imapd")

// Start starts a Dovecot with extra lines of configuration, which come last and so win. Stop it.
func Start(extra string) (*Dovecot, error) {
	path, err := exec.LookPath("dovecot")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/dovecot"); err != nil {
			return nil, errNoDovecot
		}
	}
	for range 3 { // somebody else may take the ports meanwhile
		var d *Dovecot
		if d, err = start(path, extra); err == nil {
			return d, nil
		}
	}
	return nil, err
}

func start(path, extra string) (*Dovecot, error) {
	dir, err := os.MkdirTemp("", "imaptest-") // short: it holds sockets
	if err != nil {
		return nil, err
	}
	d := &Dovecot{Dir: dir, ended: make(chan struct{})}
	if err := d.run(path, extra); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "dovecot.log"))
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start dovecot: %w: %.2000s", err, log)
	}
	return d, nil
}

func (d *Dovecot) run(path, extra string) error {
	if err := os.Chmod(d.Dir, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"cert.pem": Certificate().PEM, "key.pem": Certificate().KeyPEM} {
		if err := os.WriteFile(filepath.Join(d.Dir, name), data, 0o644); err != nil {
			return err
		}
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	d.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	d.TLSAddr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))
	owner, err := d.owner()
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("$DIR", d.Dir, "$PORT", strconv.Itoa(ports[0]), "$TLSPORT", strconv.Itoa(ports[1]),
		"$OWNER", owner).Replace(dovecotConf) + "\n" + extra + "\n"
	file := filepath.Join(d.Dir, "dovecot.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return err
	}
	d.cmd = exec.Command(path, "-F", "-c", file)
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = d.cmd.Wait() // its log says more
		close(d.ended)
	}()
	return d.ready()
}

// owner makes the directory of the accounts and returns the lines that say whose they are.
func (d *Dovecot) owner() (string, error) {
	home := filepath.Join(d.Dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return "", err
	}
	if os.Getuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		g, err := user.LookupGroupId(u.Gid)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("mail_uid = %s\nmail_gid = %s\ndefault_internal_user = %s\ndefault_login_user = %s\n"+
			"default_internal_group = %s\n", u.Uid, u.Gid, u.Username, u.Username, g.Name), nil
	}
	u, err := user.Lookup("mail")
	if err != nil {
		return "", err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	return "mail_uid = mail\nmail_gid = mail\n", os.Chown(home, uid, gid)
}

// ready waits until the server greets.
func (d *Dovecot) ready() error {
	var err error
	for range 200 {
		select {
		case <-d.ended:
			return errors.New("it ended")
		case <-time.After(50 * time.Millisecond):
		}
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", d.Addr, time.Second); err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 4)
		_, err = conn.Read(buf)
		_ = conn.Close()
		if err == nil {
			return nil
		}
	}
	d.Stop()
	return err
}

// Stop ends the server and removes its files.
func (d *Dovecot) Stop() {
	_ = d.cmd.Process.Signal(os.Interrupt)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	_ = os.RemoveAll(d.Dir)
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

var shared struct {
	once sync.Once
	d    *Dovecot
	err  error
	user atomic.Int64
}

// Shared returns one Dovecot for all tests of a package, which must call Main from its TestMain, and the name of a user that
// no other test has. The test is skipped, with a message, when Dovecot is not installed.
func Shared(t testing.TB) (d *Dovecot, userName string) {
	t.Helper()
	shared.once.Do(func() { shared.d, shared.err = Start("") })
	if errors.Is(shared.err, errNoDovecot) {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.d, fmt.Sprintf("user%d", shared.user.Add(1))
}

// Main runs the tests of a package and stops what Shared started. Call it from TestMain: os.Exit(imaptest.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	if shared.d != nil {
		shared.d.Stop()
	}
	return code
}

const dovecotConf = `
protocols = imap
listen = 127.0.0.1
base_dir = $DIR/run
state_dir = $DIR/state
log_path = $DIR/dovecot.log
instance_name = imaptest-$PORT
ssl = yes
ssl_cert = <$DIR/cert.pem
ssl_key = <$DIR/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain cram-md5 scram-sha-1 scram-sha-256
$OWNER
first_valid_uid = 1
mail_home = $DIR/home/%u
mail_location = sdbox:~/mail
mailbox_list_index = yes
mail_max_userip_connections = 100
protocol imap {
  mail_plugins = $mail_plugins imap_zlib
}
login_log_format_elements =
auth_failure_delay = 0
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = home=$DIR/home/%u
}
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  chroot =
  client_limit = 1000
  inet_listener imap {
    port = $PORT
  }
  inet_listener imaps {
    port = $TLSPORT
  }
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`
