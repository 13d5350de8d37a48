package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text returns a value that must be text and not empty; false if it is absent or wrong.
func (p *problems) text(n *node, key string) (string, bool) {
	if n == nil {
		return "", false
	}
	s, ok := n.value.(string)
	if !ok {
		p.add(n.line, fmt.Sprintf("write %s = \"...\"", key), "%q must be text, not %s", key, n.kind())
		return "", false
	}
	if strings.TrimSpace(s) == "" {
		p.add(n.line, "remove the line or give it a value", "%q is empty", key)
		return "", false
	}
	if i := strings.IndexFunc(s, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }); i >= 0 {
		p.add(n.line, "", "%q has a control character", key)
		return "", false
	}
	return s, true
}

// oneOf returns a text that must be one of words, "" if it is absent or wrong.
func (p *problems) oneOf(n *node, key string, words ...string) string {
	s, ok := p.text(n, key)
	if !ok {
		return ""
	}
	return p.word(n, key, s, words...)
}

func (p *problems) word(n *node, key, s string, words ...string) string {
	if slices.Contains(words, s) {
		return s
	}
	hint := ""
	if near := Nearest(s, words); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	last := len(quoted) - 1
	p.add(n.line, hint, "%q must be %s or %s, not %q", key, strings.Join(quoted[:last], ", "), quoted[last], s)
	return ""
}

// list returns a list of texts.
func (p *problems) list(n *node, key string) []string {
	if n == nil {
		return nil
	}
	values, ok := n.value.([]any)
	if !ok {
		p.add(n.line, fmt.Sprintf("write %s = [\"...\", \"...\"]", key), "%q must be a list, not %s", key, n.kind())
		return nil
	}
	var all []string
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			p.add(n.line, "put each in quotes", "%q must be a list of texts", key)
			return nil
		}
		all = append(all, s)
	}
	return all
}

// number returns a whole number in the given range, 0 if it is absent or wrong.
func (p *problems) number(n *node, key string, least, most int64) int {
	if n == nil {
		return 0
	}
	i, ok := n.value.(int64)
	if !ok {
		p.add(n.line, fmt.Sprintf("write %s = %d", key, max(least, 1)), "%q must be a whole number, not %s", key, n.kind())
		return 0
	}
	if i < least || i > most {
		p.add(n.line, "", "%q must be from %d to %d, not %d", key, least, most, i)
		return 0
	}
	return int(i)
}

// duration returns a time such as "90s", or a number of seconds; 0 if it is absent or wrong.
func (p *problems) duration(n *node, key string, least, most time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	var d time.Duration
	switch v := n.value.(type) {
	case int64:
		if v < 0 || v > int64(most/time.Second) {
			v = int64(most/time.Second) + 1
		}
		d = time.Duration(v) * time.Second
	case string:
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			p.add(n.line, fmt.Sprintf("write %s = \"90s\" or \"2m\"", key), "%q is not a time: %q", key, v)
			return 0
		}
	default:
		p.add(n.line, fmt.Sprintf("write %s = \"90s\" or \"2m\"", key), "%q must be a time, not %s", key, n.kind())
		return 0
	}
	if d < least || d > most {
		p.add(n.line, "", "%q must be from %v to %v", key, least, most)
		return 0
	}
	return d
}

// days returns a time in days, "30d", or in weeks, "4w"; 0 if it is absent or wrong.
func (p *problems) days(n *node, key string) time.Duration {
	s, ok := p.text(n, key)
	if !ok {
		return 0
	}
	days := 0
	number, unit := s[:len(s)-1], s[len(s)-1]
	if n, err := strconv.ParseUint(number, 10, 16); err == nil {
		days = int(n) * map[byte]int{'d': 1, 'w': 7}[unit]
	}
	if days < 1 || days > 36500 {
		p.add(n.line, fmt.Sprintf("write %s = \"30d\" or \"8w\"; the least is a day", key), "%q is not a number of days or weeks: %q", key, s)
		return 0
	}
	return time.Duration(days) * 24 * time.Hour
}

var units = []struct {
	name   string
	octets float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}

// size returns a number of octets, written as "500MB" or "1.5 GB"; 0 if it is absent or wrong.
func (p *problems) size(n *node, key string) int64 {
	s, ok := p.text(n, key)
	if !ok {
		return 0
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err == nil && f*u.octets >= 1 && f*u.octets < 1<<60 {
			return int64(f * u.octets)
		}
		break
	}
	p.add(n.line, fmt.Sprintf("write %s = \"1GB\" or \"500MB\"", key), "%q is not a size: %q", key, s)
	return 0
}

// path returns the absolute path of a file, "" if it is absent or wrong.
func (r *accountReader) path(n *node, key string) string {
	s, ok := r.text(n, key)
	if !ok {
		return ""
	}
	full, err := expand(s, r.home)
	if err != nil {
		r.add(n.line, "write it from / or from ~", "%q: %v", key, err)
	}
	return full
}

// expand makes a path absolute that begins with / or ~/.
func expand(path, home string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if !filepath.IsAbs(home) {
			return "", fmt.Errorf("%s: the home directory is not known", path)
		}
		return filepath.Join(home, path[1:]), nil
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s is not an absolute path", path)
	}
	return filepath.Clean(path), nil
}
