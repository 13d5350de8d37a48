package offlineimap

import (
	"regexp"
	"slices"
	"strings"
)

// Our own small evaluator of expressions: texts, numbers, truth, lists and dictionaries of these, the methods of texts that have
// no effect, and re's functions. It can touch nothing; what it does not know is errPython. Values are string, int, bool, nil, list,
// map[string]any and the regular expression's match, which is only true.

type list []any

// maxText and maxSteps bound what an expression can make of a name.
const (
	maxText  = 4096
	maxSteps = 10_000
)

// function is a lambda with one parameter.
type function struct {
	param string
	body  *node
	cache map[string]*regexp.Regexp
}

// parseFunction parses "lambda name: ...".
func parseFunction(text string) (*function, error) {
	n, err := parsePython(text)
	if err != nil {
		return nil, err
	}
	if n.op != "lambda" || len(n.kids) != 2 {
		return nil, errPython
	}
	return &function{n.kids[0].text, n.kids[1], map[string]*regexp.Regexp{}}, nil
}

// str calls a function from text to text.
func (f *function) str(name string) (string, error) {
	v, err := (&evaluation{f: f, arg: name}).eval(f.body)
	s, ok := v.(string)
	if err == nil && !ok {
		err = errPython
	}
	return s, err
}

// truth calls a function from text to what is true or not.
func (f *function) truth(name string) (bool, error) {
	v, err := (&evaluation{f: f, arg: name}).eval(f.body)
	return isTrue(v), err
}

// evalList evaluates a list of texts.
func evalList(text string) ([]string, error) {
	n, err := parsePython(text)
	if err != nil {
		return nil, err
	}
	v, err := (&evaluation{f: &function{}}).eval(n)
	l, ok := v.(list)
	if err != nil || !ok {
		return nil, errPython
	}
	all := make([]string, len(l))
	for i, x := range l {
		if all[i], ok = x.(string); !ok {
			return nil, errPython
		}
	}
	return all, nil
}

// evaluation is one call of a function.
type evaluation struct {
	f     *function
	arg   string
	steps int
}

func isTrue(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case string:
		return v != ""
	case list:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func (e *evaluation) eval(n *node) (any, error) {
	if e.steps++; e.steps > maxSteps || n == nil {
		return nil, errPython
	}
	switch n.op {
	case "str":
		return n.text, nil
	case "int":
		return n.num, nil
	case "const":
		return map[string]any{"True": true, "False": false}[n.text], nil
	case "name":
		if n.text == e.f.param && n.text != "" {
			return e.arg, nil
		}
		return nil, errPython
	case "or", "and":
		for i, k := range n.kids {
			v, err := e.eval(k)
			if err != nil || i == len(n.kids)-1 || isTrue(v) == (n.op == "or") {
				return v, err
			}
		}
	case "if":
		cond, err := e.eval(n.kids[0])
		if err != nil {
			return nil, err
		}
		if isTrue(cond) {
			return e.eval(n.kids[1])
		}
		return e.eval(n.kids[2])
	case "call":
		return e.call(n)
	case "dict":
		return e.dict(n)
	case "lambda", "attr":
		return nil, errPython
	}
	kids := make([]any, len(n.kids))
	for i, k := range n.kids {
		if k == nil && n.op == "slice" {
			continue
		}
		var err error
		if kids[i], err = e.eval(k); err != nil {
			return nil, err
		}
	}
	return operate(n.op, kids)
}

// operate does what needs only values.
func operate(op string, v []any) (any, error) {
	switch op {
	case "list":
		return list(v), nil
	case "not":
		return !isTrue(v[0]), nil
	case "==", "!=":
		eq, err := equal(v[0], v[1])
		return eq == (op == "=="), err
	case "in", "not in":
		has, err := contains(v[1], v[0])
		return has == (op == "in"), err
	case "+":
		switch a := v[0].(type) {
		case string:
			if b, ok := v[1].(string); ok {
				return short(a + b)
			}
		case list:
			if b, ok := v[1].(list); ok && len(a)+len(b) <= maxText {
				return slices.Concat(a, b), nil
			}
		}
	case "index":
		if m, ok := v[0].(map[string]any); ok {
			key, _ := v[1].(string)
			if x, ok := m[key]; ok {
				return x, nil
			}
			return nil, errPython // KeyError
		}
		if i, ok := v[1].(int); ok {
			return item(v[0], i)
		}
	case "slice":
		return slice(v)
	}
	return nil, errPython
}

func short(s string) (any, error) {
	if len(s) > maxText {
		return nil, errPython
	}
	return s, nil
}

func equal(a, b any) (bool, error) {
	switch a.(type) {
	case list, map[string]any:
		return false, errPython
	}
	switch b.(type) {
	case list, map[string]any:
		return false, errPython
	}
	return a == b, nil
}

func contains(in, what any) (bool, error) {
	switch in := in.(type) {
	case string:
		if s, ok := what.(string); ok {
			return strings.Contains(in, s), nil
		}
	case map[string]any:
		s, ok := what.(string)
		_, has := in[s]
		return ok && has, nil
	case list:
		for _, x := range in {
			if eq, err := equal(x, what); eq || err != nil {
				return eq, err
			}
		}
		return false, nil
	}
	return false, errPython
}

func item(v any, i int) (any, error) {
	switch v := v.(type) {
	case list:
		if i < 0 {
			i += len(v)
		}
		if i >= 0 && i < len(v) {
			return v[i], nil
		}
	case string:
		r := []rune(v)
		if i < 0 {
			i += len(r)
		}
		if i >= 0 && i < len(r) {
			return string(r[i]), nil
		}
	}
	return nil, errPython
}

// slice does s[a:b], where a bound may be absent.
func slice(v []any) (any, error) {
	s, isText := v[0].(string)
	l, isList := v[0].(list)
	r := []rune(s)
	n := len(r)
	if isList {
		n = len(l)
	}
	bounds := [2]int{0, n}
	for i, b := range v[1:] {
		if b == nil {
			continue
		}
		k, ok := b.(int)
		if !ok {
			return nil, errPython
		}
		if k < 0 {
			k += n
		}
		bounds[i] = min(max(k, 0), n)
	}
	bounds[1] = max(bounds[0], bounds[1])
	switch {
	case isText:
		return string(r[bounds[0]:bounds[1]]), nil
	case isList:
		return l[bounds[0]:bounds[1]], nil
	}
	return nil, errPython
}

func (e *evaluation) dict(n *node) (any, error) {
	m := map[string]any{}
	for i := 0; i < len(n.kids); i += 2 {
		k, err := e.eval(n.kids[i])
		if err != nil {
			return nil, err
		}
		v, err := e.eval(n.kids[i+1])
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, errPython
		}
		m[key] = v
	}
	return m, nil
}
