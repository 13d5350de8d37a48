package offlineimap

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// call evaluates re.NAME(...), a method of a text or of a dictionary, and a few functions.
func (e *evaluation) call(n *node) (any, error) {
	f := n.kids[0]
	if f.op != "attr" && f.op != "name" {
		return nil, errPython
	}
	isRe := f.op == "attr" && f.kids[0].op == "name" && f.kids[0].text == "re"
	var args []any
	flags := ""
	for i, k := range n.kids[1:] {
		if isRe && i >= 2 {
			if s, ok := reFlags(k); ok {
				flags = s
				continue
			}
		}
		v, err := e.eval(k)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	switch {
	case isRe:
		return e.re(f.text, args, flags)
	case f.op == "name" && f.text == "str" && len(args) == 1:
		if s, ok := args[0].(string); ok {
			return s, nil
		}
		return nil, errPython
	case f.op == "name" && f.text == "len" && len(args) == 1:
		if s, ok := args[0].(string); ok {
			return len([]rune(s)), nil
		}
		return nil, errPython
	case f.op == "name" && f.text == "bool" && len(args) == 1:
		return isTrue(args[0]), nil
	case f.op == "name":
		return nil, errPython
	}
	of, err := e.eval(f.kids[0])
	if err != nil {
		return nil, err
	}
	switch of := of.(type) {
	case string:
		return method(of, f.text, args)
	case map[string]any:
		key, ok := "", false
		if len(args) > 0 {
			key, ok = args[0].(string)
		}
		if f.text == "get" && ok && len(args) <= 2 {
			if v, has := of[key]; has {
				return v, nil
			}
			return append(args, nil)[1], nil
		}
	}
	return nil, errPython
}

// reFlags reads re.IGNORECASE and the like; false if it is something else.
func reFlags(n *node) (string, bool) {
	if n.op == "attr" && n.kids[0].op == "name" && n.kids[0].text == "re" {
		switch n.text {
		case "I", "IGNORECASE":
			return "i", true
		case "U", "UNICODE":
			return "", true
		}
	}
	return "", false
}

// method calls a method of a text.
func method(s, name string, args []any) (any, error) {
	texts := make([]string, 0, len(args))
	for _, a := range args {
		if t, ok := a.(string); ok {
			texts = append(texts, t)
		}
	}
	all := len(texts) == len(args)
	switch {
	case name == "replace" && all && len(texts) == 2:
		if texts[0] == "" && len(s) > 100 || len(s)*(len(texts[1])+1) > 64*maxText {
			return nil, errPython
		}
		return short(strings.ReplaceAll(s, texts[0], texts[1]))
	case name == "lower" && len(args) == 0:
		return strings.ToLower(s), nil
	case name == "upper" && len(args) == 0:
		return strings.ToUpper(s), nil
	case slices.Contains([]string{"strip", "lstrip", "rstrip"}, name) && all && len(texts) <= 1:
		cut := append(texts, " \t\n\r\v\f")[0]
		if name != "rstrip" {
			s = strings.TrimLeft(s, cut)
		}
		if name != "lstrip" {
			s = strings.TrimRight(s, cut)
		}
		return s, nil
	case name == "removeprefix" && all && len(texts) == 1:
		return strings.TrimPrefix(s, texts[0]), nil
	case name == "removesuffix" && all && len(texts) == 1:
		return strings.TrimSuffix(s, texts[0]), nil
	case (name == "startswith" || name == "endswith") && len(args) == 1:
		return affix(s, name, args[0])
	case name == "find" && all && len(texts) == 1:
		i := strings.Index(s, texts[0])
		return len([]rune(s[:max(i, 0)])) + min(i, 0), nil
	case name == "count" && all && len(texts) == 1 && texts[0] != "":
		return strings.Count(s, texts[0]), nil
	case name == "split" && all && len(texts) == 1 && texts[0] != "":
		var l list
		for _, part := range strings.Split(s, texts[0]) {
			l = append(l, part)
		}
		return l, nil
	case name == "join" && len(args) == 1:
		return join(s, args[0])
	}
	return nil, errPython
}

func join(sep string, v any) (any, error) {
	l, ok := v.(list)
	parts := make([]string, len(l))
	size := 0
	for i, x := range l {
		if parts[i], ok = x.(string); !ok {
			return nil, errPython
		}
		if size += len(parts[i]) + len(sep); size > maxText+len(sep) {
			return nil, errPython
		}
	}
	if !ok && len(l) == 0 && v == nil {
		return nil, errPython
	}
	return short(strings.Join(parts, sep))
}

// affix does startswith and endswith, which take a text or a tuple of texts.
func affix(s, name string, what any) (any, error) {
	l, ok := what.(list)
	if !ok {
		l = list{what}
	}
	for _, x := range l {
		t, ok := x.(string)
		if !ok {
			return nil, errPython
		}
		if name == "startswith" && strings.HasPrefix(s, t) || name == "endswith" && strings.HasSuffix(s, t) {
			return true, nil
		}
	}
	return false, nil
}

// matched is the result of a search that found something.
type matched struct{}

// re calls a function of the module re.
func (e *evaluation) re(name string, args []any, flags string) (any, error) {
	texts := make([]string, len(args))
	for i, a := range args {
		var ok bool
		if texts[i], ok = a.(string); !ok {
			return nil, errPython
		}
	}
	want := 2
	if name == "sub" {
		want = 3
	}
	if len(texts) != want || !slices.Contains([]string{"sub", "search", "match", "fullmatch"}, name) {
		return nil, errPython
	}
	subject := texts[want-1]
	r, err := e.compile(name, texts[0], flags, subject)
	if err != nil {
		return nil, err
	}
	if name == "sub" {
		return substitute(r, texts[0], texts[1], subject)
	}
	if r.MatchString(subject) {
		return matched{}, nil
	}
	return nil, nil //nolint:nilnil // None
}

// maxRegexp is how long a regular expression may be, in octets. Go's take time in proportion to the text, whatever they are.
const maxRegexp = 4096

// differs finds what Python's regular expressions and Go's take differently; look-around does not compile in Go at all.
var differs = regexp.MustCompile(`\\[ZzGpPCQEhHRXNK]|\(\?[^:P)iims-]|\[\[:|\\[0-9]|&&|--|~~|\|\|`)

// classes are those that take letters other than ASCII's in Python.
var classes = regexp.MustCompile(`\\[wWdDsSbB]`)

func (e *evaluation) compile(name, pattern, flags, subject string) (*regexp.Regexp, error) {
	if len(pattern) > maxRegexp || differs.MatchString(pattern) || !isASCII(subject) && (classes.MatchString(pattern) || flags != "") || strings.Contains(subject, "\n") {
		return nil, errPython
	}
	text := map[string]string{"match": `\A(?:` + pattern + `)`, "fullmatch": `\A(?:` + pattern + `)\z`}[name]
	if text == "" {
		text = pattern
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	if r := e.f.cache[text]; r != nil {
		return r, nil
	}
	r, err := regexp.Compile(text)
	if err != nil {
		return nil, errPython
	}
	if e.f.cache != nil && len(e.f.cache) < 1000 {
		e.f.cache[text] = r
	}
	return r, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// substitute is re.sub.
func substitute(r *regexp.Regexp, pattern, with, s string) (any, error) {
	var b strings.Builder
	last, empty := 0, false
	found := r.FindAllStringSubmatchIndex(s, -1)
	for _, m := range found {
		empty = empty || m[0] == m[1]
		b.WriteString(s[last:m[0]])
		last = m[1]
		if !expand(&b, r, with, s, m) || b.Len() > maxText {
			return nil, errPython
		}
	}
	// After a match Python looks for an empty one at its end, and Go does not.
	if len(found) > 0 && !empty && r.MatchString("") && !strings.HasPrefix(pattern, "^") {
		return nil, errPython
	}
	if empty && len(found) > 1 {
		return nil, errPython
	}
	b.WriteString(s[last:])
	return short(b.String())
}

// expand writes the replacement of a match, with \1 and \g<name> put in.
func expand(b *strings.Builder, r *regexp.Regexp, with, s string, m []int) bool {
	for with != "" {
		i := strings.IndexByte(with, '\\')
		if i < 0 || i == len(with)-1 {
			b.WriteString(with)
			return i < 0
		}
		b.WriteString(with[:i])
		with = with[i+1:]
		var group int
		switch c := with[0]; {
		case c == '\\':
			b.WriteByte('\\')
			with = with[1:]
			continue
		case c >= '1' && c <= '9':
			if group = int(c - '0'); len(with) > 1 && with[1] >= '0' && with[1] <= '9' {
				return false
			}
			with = with[1:]
		case strings.HasPrefix(with, "g<"):
			name, after, ok := strings.Cut(with[2:], ">")
			if !ok {
				return false
			}
			with = after
			if n, err := strconv.Atoi(name); err == nil {
				group = n
			} else {
				group = r.SubexpIndex(name)
			}
		case c == '.' || c == '-' || c == '/' || c == ' ': // an error in new Pythons, and what was meant is plain
			b.WriteByte(c)
			with = with[1:]
			continue
		default:
			return false
		}
		if group < 0 || 2*group+1 >= len(m) {
			return false
		}
		if m[2*group] >= 0 {
			b.WriteString(s[m[2*group]:m[2*group+1]])
		}
	}
	return true
}
