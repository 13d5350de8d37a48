package offlineimap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// option is a line of the configuration, with the lines that continue it.
type option struct {
	line int
	key  string // in lower case
	raw  string // before interpolation; lines are separated by "\n"
}

// section is a part of the file under a name in brackets.
type section struct {
	name    string
	line    int
	options []option
}

// ini is a file as Python's ConfigParser reads it.
type ini struct {
	file     string
	sections []*section
}

const rcHint = "does OfflineIMAP still accept the file? offlineimap --info reads it"

// parseINI reads a configuration. Its errors have no text of the file in them, which may be a password.
func parseINI(text, file string) (*ini, error) {
	f := &ini{file: file}
	var in *section
	var open *option // which a line further to the right continues
	indent, n := 0, 0
	fault := func(text string) error {
		return mail.WithHint(fmt.Errorf("read %s:%d: %s", file, n, text), rcHint)
	}
	for raw := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line := strings.TrimRight(raw, " \t\r\n\v\f")
		value := strings.TrimLeft(line, " \t\v\f")
		at := len(line) - len(value)
		switch {
		case value != "" && (value[0] == '#' || value[0] == ';'):
			continue
		case value == "":
			if open != nil {
				open.raw += "\n"
			}
			continue
		case open != nil && at > indent:
			open.raw += "\n" + value
			continue
		case value[0] == '[' && strings.LastIndexByte(value, ']') > 1:
			indent, open = at, nil
			var err string
			if in, err = f.add(value[1:strings.LastIndexByte(value, ']')], n); err != "" {
				return nil, fault(err)
			}
			continue
		case in == nil:
			return nil, fault("there is no [section] before this line")
		}
		indent = at
		i := strings.IndexAny(value, "=:")
		if i <= 0 {
			return nil, fault("this is neither a section nor an option with a value")
		}
		key := strings.ToLower(strings.TrimRight(value[:i], " \t\v\f"))
		if slices.ContainsFunc(in.options, func(o option) bool { return o.key == key }) {
			return nil, fault(fmt.Sprintf("the option %q is there twice", key))
		}
		in.options = append(in.options, option{line: n, key: key, raw: strings.TrimLeft(value[i+1:], " \t\v\f")})
		open = &in.options[len(in.options)-1]
	}
	for _, s := range f.sections {
		for i := range s.options {
			s.options[i].raw = strings.TrimRight(s.options[i].raw, "\n")
		}
	}
	return f, nil
}

func (f *ini) add(name string, line int) (in *section, err string) {
	if f.section(name) != nil {
		return nil, fmt.Sprintf("the section %q is there twice", name)
	}
	in = &section{name: name, line: line}
	f.sections = append(f.sections, in)
	return in, ""
}

// section returns a section, nil if there is none.
func (f *ini) section(name string) *section {
	for _, s := range f.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// find returns an option of a section, or of [DEFAULT].
func (f *ini) find(s *section, key string) (option, bool) {
	for _, in := range []*section{s, f.section("DEFAULT")} {
		if in == nil {
			continue
		}
		for _, o := range in.options {
			if o.key == key {
				return o, true
			}
		}
	}
	return option{}, false
}

// maxDepth and maxValue bound what a value can become when others are put into it.
const (
	maxDepth = 10 // Python's own
	maxValue = 1 << 20
)

var errInterpolation = errors.New("its %(...)s cannot be resolved")

// value returns an option with what it refers to put in.
func (f *ini) value(s *section, o option) (string, error) {
	var b strings.Builder
	if err := f.interpolate(&b, s, o.raw, 1); err != nil {
		return "", err
	}
	return b.String(), nil
}

// interpolate does what Python's BasicInterpolation does: %(name)s, and %% for a percent sign.
func (f *ini) interpolate(b *strings.Builder, s *section, raw string, depth int) error {
	if depth > maxDepth {
		return errInterpolation
	}
	for {
		i := strings.IndexByte(raw, '%')
		if i < 0 {
			i = len(raw)
		}
		if b.WriteString(raw[:i]); b.Len() > maxValue {
			return errInterpolation
		}
		if raw = raw[i:]; raw == "" {
			return nil
		}
		if strings.HasPrefix(raw, "%%") {
			b.WriteByte('%')
			raw = raw[2:]
			continue
		}
		name, after, ok := strings.Cut(raw, ")s")
		if !ok || !strings.HasPrefix(name, "%(") {
			return errInterpolation
		}
		o, ok := f.find(s, strings.ToLower(name[2:]))
		if !ok {
			return errInterpolation
		}
		if err := f.interpolate(b, s, o.raw, depth+1); err != nil {
			return err
		}
		raw = after
	}
}
