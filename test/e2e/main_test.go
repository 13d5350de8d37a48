package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var (
	program string  // the built binary
	dovecot *server // nil: not to be had, and why in missing
	missing error
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("MAILTWIN_E2E") == "" {
		missing = fmt.Errorf("end-to-end tests run with MAILTWIN_E2E=1, as make test sets it")
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "mailtwin-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "mailtwin")
	build := exec.Command("go", "build", "-o", program, "mailtwin/cmd/mailtwin")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build mailtwin: %v\n%s", err, out)
		return 1
	}
	if dovecot, missing = startDovecot(); missing == nil {
		defer dovecot.Stop()
	}
	return m.Run()
}

// sources looks at the program's source files: go test takes a result from its cache as long as no file has changed that the tests
// looked at, and does not know what go build reads.
var sources = sync.OnceFunc(func() {
	for _, dir := range []string{"cmd", "internal"} {
		_ = filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, _ os.DirEntry, _ error) error {
			_, err := os.Stat(path)
			return err
		})
	}
})

// needServer skips a test where there is no server.
func needServer(t *testing.T) {
	t.Helper()
	sources()
	if missing != nil {
		t.Skip(missing)
	}
}

// needProgram skips a test that needs only the program.
func needProgram(t *testing.T) {
	t.Helper()
	sources()
	if program == "" {
		t.Skip(missing)
	}
}
