package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// AccountName makes the other tool's name of an account one that config.toml takes.
func AccountName(old string) string {
	name := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsNumber(c) || strings.ContainsRune("._@+-", c) {
			return c
		}
		return '_'
	}, old)
	if first := strings.IndexFunc(name, func(c rune) bool { return !strings.ContainsRune(".@+-", c) }); first >= 0 {
		return name[first:]
	}
	return "mail"
}

// Section writes an account's section of config.toml, each line with where it comes from.
func Section(name string, old *Old) string {
	var b strings.Builder
	key := name
	if strings.IndexFunc(key, func(c rune) bool {
		return c != '-' && c != '_' && (c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c))
	}) >= 0 {
		key = `"` + key + `"` // AccountName has left nothing that must be escaped
	}
	fmt.Fprintf(&b, "# from %s: %s\n[account.%s]\n", old.Tool, comment(old.Name), key)
	for _, s := range old.Settings {
		line := s.Key + " = " + s.Value
		if s.Comment != "" {
			line = fmt.Sprintf("%-50s # %s", line, comment(s.Comment))
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// comment makes a text one that a comment of TOML can hold.
func comment(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// AddSection puts a section at the end of the configuration file, which need not exist; what is there stays byte for byte. The file
// is replaced as a whole, so that a crash leaves the old or the new one. before is what the caller read: if the file is another one
// by now, nothing is written.
func AddSection(path string, before []byte, section string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // people keep it in a repository of their own
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	now, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = st.Mode().Perm()
	}
	if string(now) != string(before) {
		return errors.New("it was changed at this moment; import again")
	}
	return replaceFile(path, Joined(now, section), mode)
}

// WriteFile writes a file that only the user may read, or replaces it as a whole.
func WriteFile(path, text string) error {
	if err := replaceFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// replaceFile writes a file under another name and puts it in place, durably.
func replaceFile(path, text string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".mailtwin-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename it is not there any more
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Joined returns a configuration with a section at its end.
func Joined(before []byte, section string) string {
	text := string(before)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if text != "" {
		text += "\n"
	}
	return text + section
}
