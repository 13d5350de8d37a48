package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMigratingNamesSettings: each setting that docs/migrating.md names in a table exists.
func TestMigratingNamesSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(accountKeys, imapKeys, maildirKeys)
	code := regexp.MustCompile("`([a-z_]+)( = [^`]*)?`")
	found := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cells[2], -1) {
			if found++; !slices.Contains(all, m[1]) {
				t.Errorf("there is no setting %q: %s", m[1], strings.TrimSpace(line))
			}
		}
	}
	if found < 40 {
		t.Errorf("%d settings found", found)
	}
}
