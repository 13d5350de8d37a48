package migrate

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "old", "a"), filepath.Join(dir, "old", "b")
	write(t, a, "one")
	write(t, b, "two")
	if err := os.Symlink(a, filepath.Join(dir, "old", "link")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state", "backup.tar.gz")
	files := []string{b, a, a, filepath.Join(dir, "old", "link"), filepath.Join(dir, "gone"), filepath.Join(dir, "old")}
	if n, err := Backup(path, files); n != 3 || err != nil {
		t.Fatalf("%d files, %v", n, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		got[filepath.Base(h.Name)] = string(text)
		if strings.HasPrefix(h.Name, "/") {
			t.Errorf("%q is absolute", h.Name)
		}
	}
	if len(got) != 3 || got["a"] != "one" || got["b"] != "two" || got["link"] != "one" {
		t.Errorf("%q", got)
	}
	if _, err := Backup(path, files); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a backup was overwritten: %v", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("something was left over: %v", list)
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	old := &Old{Tool: "mbsync", Name: "a b\x1b\n[x]", Settings: []Setting{{Key: "tls", Value: `"none"`, Comment: "rc:1\nx"}, {Key: "user", Value: `"me"`}}}
	name := AccountName(old.Name)
	if name != "a_b___x_" {
		t.Errorf("%q", name)
	}
	for line := range strings.Lines(Section("a.b", old)) {
		if line[0] != '#' && line != "[account.\"a.b\"]\n" && !strings.HasPrefix(line, "tls") && !strings.HasPrefix(line, "user") {
			t.Errorf("%q", line)
		}
	}
	if AccountName("--") != "mail" || AccountName("..x") != "x" {
		t.Error("names that config.toml does not take")
	}
}

func TestAddSection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config", "mailtwin", "config.toml")
	if err := AddSection(path, nil, "[account.a]\n"); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	write(t, filepath.Join(dir, "elsewhere"), "# mine")
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if err := AddSection(link, []byte("# mine"), "[account.a]\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "elsewhere")); string(b) != "# mine\n\n[account.a]\n" {
		t.Errorf("%q", b)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link became a file")
	}
	if err := AddSection(link, []byte("# mine"), "x"); err == nil {
		t.Error("a file that had changed was overwritten")
	}
}
