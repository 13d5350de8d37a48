package offlineimap

import (
	"slices"
	"strconv"
)

// node is a part of a parsed expression. op is what it is: "lambda", "if", "or", "and", "not", "in", "not in", "==", "!=", "+", "str",
// "int", "const" (True, False, None), "name", "list" (also of tuples and sets), "dict", "call", "attr", "index", "slice", "|".
type node struct {
	op   string
	text string // a name, a string
	num  int
	kids []*node // nil where a slice has no bound
}

// parser reads the part of Python's grammar that configurations use.
type parser struct {
	toks  []token
	depth int
	comma bool // the last list had a comma at its end: a tuple
}

const maxNesting = 60

// parsePython parses an expression. Nothing of it is run by Python, here or elsewhere.
func parsePython(s string) (*node, error) {
	toks, err := lexPython(s)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	n, err := p.expr()
	if err == nil && p.toks[0].kind != tokEnd {
		err = errPython
	}
	return n, err
}

func (p *parser) take(op string) bool {
	if p.toks[0].is(op) {
		p.toks = p.toks[1:]
		return true
	}
	return false
}

func (p *parser) word(w string) bool {
	if p.toks[0].kind == tokName && p.toks[0].text == w {
		p.toks = p.toks[1:]
		return true
	}
	return false
}

func (p *parser) name() (string, bool) {
	t := p.toks[0]
	if t.kind != tokName {
		return "", false
	}
	p.toks = p.toks[1:]
	return t.text, true
}

// expr reads a lambda or a condition.
func (p *parser) expr() (*node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errPython
	}
	defer func() { p.depth-- }()
	if p.word("lambda") {
		n := &node{op: "lambda"}
		for {
			name, ok := p.name()
			if !ok {
				return nil, errPython
			}
			n.kids = append(n.kids, &node{op: "name", text: name})
			if !p.take(",") {
				break
			}
		}
		if !p.take(":") {
			return nil, errPython
		}
		body, err := p.expr()
		n.kids = append(n.kids, body)
		return n, err
	}
	n, err := p.binary(0)
	if err != nil || !p.word("if") {
		return n, err
	}
	cond, err := p.binary(0)
	if err != nil || !p.word("else") {
		return nil, errPython
	}
	other, err := p.expr()
	return &node{op: "if", kids: []*node{cond, n, other}}, err
}

// operators by level, the weakest first; "not" stands between the second and the third.
var operators = [][]string{{"or"}, {"and"}, {"in", "==", "!=", "not"}, {"|"}, {"+"}}

// binary reads operators of a level and of those that bind stronger.
func (p *parser) binary(level int) (*node, error) {
	if level == len(operators) {
		return p.unary()
	}
	if level == 2 {
		if p.word("not") {
			negations := 1
			for ; p.word("not"); negations++ {
				if negations > maxNesting {
					return nil, errPython
				}
			}
			n, err := p.binary(level)
			for range negations {
				n = &node{op: "not", kids: []*node{n}}
			}
			return n, err
		}
	}
	n, err := p.binary(level + 1)
	for count := 0; err == nil; count++ {
		t := p.toks[0]
		if t.kind != tokName && t.kind != tokOp || !slices.Contains(operators[level], t.text) {
			return n, nil
		}
		if level == 2 && count > 0 || count > 1000 {
			return nil, errPython // a chain such as a == b == c
		}
		p.toks = p.toks[1:]
		op := t.text
		if op == "not" {
			if op = "not in"; !p.word("in") {
				return nil, errPython
			}
		}
		var right *node
		right, err = p.binary(level + 1)
		if level < 2 && n.op == op { // a long chain is flat, not deep
			n.kids = append(n.kids, right)
		} else {
			n = &node{op: op, kids: []*node{n, right}}
		}
	}
	return nil, err
}

func (p *parser) unary() (*node, error) {
	if p.take("-") {
		t := p.toks[0]
		if t.kind != tokNumber {
			return nil, errPython
		}
		n, err := p.atom()
		if err == nil {
			n.num = -n.num
		}
		return n, err
	}
	n, err := p.atom()
	for count := 0; err == nil; count++ {
		if count > 500 {
			return nil, errPython
		}
		switch {
		case p.take("."):
			name, ok := p.name()
			if !ok {
				return nil, errPython
			}
			n = &node{op: "attr", text: name, kids: []*node{n}}
		case p.take("("):
			var args []*node
			args, err = p.list(")")
			n = &node{op: "call", kids: append([]*node{n}, args...)}
		case p.take("["):
			n, err = p.index(n)
		default:
			return n, nil
		}
	}
	return nil, err
}

// index reads what follows "[".
func (p *parser) index(of *node) (*node, error) {
	n := &node{op: "index", kids: []*node{of}}
	var bound *node
	var err error
	if !p.toks[0].is(":") {
		if bound, err = p.expr(); err != nil {
			return nil, err
		}
	}
	n.kids = append(n.kids, bound)
	if p.take(":") {
		n.op = "slice"
		bound = nil
		if !p.toks[0].is("]") {
			if bound, err = p.expr(); err != nil {
				return nil, err
			}
		}
		n.kids = append(n.kids, bound)
	}
	if !p.take("]") {
		return nil, errPython
	}
	return n, nil
}

// list reads expressions up to a closing bracket.
func (p *parser) list(end string) (all []*node, err error) {
	comma := false
	for !p.take(end) {
		var n *node
		if n, err = p.expr(); err != nil {
			return nil, err
		}
		all = append(all, n)
		if comma = p.take(","); !comma && !p.toks[0].is(end) {
			return nil, errPython
		}
	}
	p.comma = comma
	return all, nil
}

func (p *parser) atom() (*node, error) {
	t := p.toks[0]
	if t.kind == tokEnd {
		return nil, errPython
	}
	p.toks = p.toks[1:]
	switch {
	case t.kind == tokString:
		n := &node{op: "str", text: t.text}
		for p.toks[0].kind == tokString { // neighbours are one string
			n.text += p.toks[0].text
			p.toks = p.toks[1:]
		}
		return n, nil
	case t.kind == tokNumber:
		v, err := strconv.ParseInt(t.text, 10, 31)
		if err != nil {
			return nil, errPython
		}
		return &node{op: "int", num: int(v)}, nil
	case t.kind == tokName && slices.Contains([]string{"True", "False", "None"}, t.text):
		return &node{op: "const", text: t.text}, nil
	case t.kind == tokName && !slices.Contains([]string{"lambda", "if", "else", "for", "and", "or", "not", "in", "is", "await", "yield"}, t.text):
		return &node{op: "name", text: t.text}, nil
	case t.is("("):
		kids, err := p.list(")")
		if err == nil && len(kids) == 1 && !p.comma {
			return kids[0], nil
		}
		return &node{op: "list", kids: kids}, err
	case t.is("["):
		kids, err := p.list("]")
		return &node{op: "list", kids: kids}, err
	case t.is("{"):
		return p.dict()
	}
	return nil, errPython
}

// dict reads a dictionary or a set.
func (p *parser) dict() (*node, error) {
	n := &node{op: "dict"}
	for !p.take("}") {
		key, err := p.expr()
		if err != nil {
			return nil, err
		}
		switch {
		case p.take(":"):
			value, err := p.expr()
			if err != nil || n.op == "list" {
				return nil, errPython
			}
			n.kids = append(n.kids, key, value)
		case n.op == "dict" && len(n.kids) > 0:
			return nil, errPython
		default:
			n.op = "list"
			n.kids = append(n.kids, key)
		}
		if !p.take(",") && !p.toks[0].is("}") {
			return nil, errPython
		}
	}
	return n, nil
}
