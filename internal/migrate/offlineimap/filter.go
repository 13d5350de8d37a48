package offlineimap

import (
	"regexp/syntax"
	"slices"
	"strings"

	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
)

// selection translates folderfilter and folderincludes of the server's repository. A filter that is made of common forms becomes
// patterns; another one that is understood is asked about the mailboxes that are known; of one that is not understood, the mailboxes
// that are on disk are what it let through.
func (a *account) selection(all []*folder) {
	text, line, ok := a.get(a.remote, "folderfilter")
	patterns, translated := []string{"*"}, false
	var filter *function
	if ok {
		var err error
		filter, err = parseFunction(text)
		if err == nil {
			patterns, translated = a.patterns(filter.body, filter.param)
		}
		if !translated {
			patterns = a.asked(all, filter, line)
		}
	}
	if v, at, has := a.get(a.remote, "folderincludes"); has {
		list, err := evalList(v)
		if err != nil {
			a.note(at, "folderincludes: this Python is not run; add the mailboxes to mailboxes = [...]")
		}
		for _, name := range list {
			if p, good := a.pattern(name, ""); good {
				patterns = append(patterns, p)
			} else {
				a.note(at, "folderincludes: a mailbox whose name has one of \"*%%\" in it cannot stand in mailboxes = [...]")
			}
		}
	}
	if len(patterns) == 0 && (translated || len(all) > 0) {
		a.note(line, "folderfilter: it lets no mailbox through; write mailboxes = [...]")
	} else if len(patterns) > 0 && !slices.Equal(patterns, []string{"*"}) {
		a.set("mailboxes", quoteList(patterns), line, "folderfilter")
	}
	if _, at, has := a.get(a.local, "folderfilter"); has {
		a.note(at, "folderfilter: in the local repository it leaves folders out of the upload; name them in mailboxes = [..., \"!name\"]")
	}
	if a.back == nil && a.trans == nil {
		return
	}
	for _, s := range []*section{a.remote, a.local} {
		if _, at, has := a.get(s, "nametrans"); has {
			a.note(at, "nametrans: mailtwin gives mailboxes the same name on both sides; folders that have another one now are told with the name that they need")
		}
	}
}

// asked asks the filter about the mailboxes that are known.
func (a *account) asked(all []*folder, filter *function, line int) (patterns []string) {
	understood := filter != nil
	for _, f := range all {
		in := true
		if understood {
			var err error
			if in, err = filter.truth(f.remote); err != nil {
				understood, in = false, true
			}
		}
		if in {
			if p, ok := a.pattern(string(f.box), "box"); ok {
				patterns = append(patterns, p)
			}
		}
	}
	slices.Sort(patterns)
	patterns = slices.Compact(patterns)
	if understood {
		a.note(line, "folderfilter: the mailboxes that it lets through now are in mailboxes = [...]; add new ones there, or write patterns such as \"*\" and \"!Spam*\"")
	} else {
		a.note(line, "folderfilter: this Python is not one of the forms that are understood here, and it is not run; the mailboxes that are on disk are in mailboxes = [...]: add new ones there, or write patterns such as \"*\" and \"!Spam*\"")
	}
	return patterns
}

// pattern writes a part of a mailbox's name as mailtwin has it; kind "" is a whole name as the server has it, "part" one of which
// something is missing, and "box" one that is mailtwin's already. false: it cannot be said so.
func (a *account) pattern(name, kind string) (string, bool) {
	if strings.ContainsAny(name, "*%") || name == "" || strings.HasPrefix(name, "!") || strings.HasPrefix(name, `\`) {
		return "", false
	}
	if kind == "box" {
		return name, true
	}
	if a.dotted {
		name = strings.ReplaceAll(name, ".", "/")
	}
	if a.stripped {
		name = strings.TrimPrefix(name, "INBOX/")
	}
	if a.utf8 || !strings.Contains(name, "&") {
		return name, true
	}
	if kind == "part" {
		return "", false // it may end inside a letter
	}
	parts := strings.Split(name, "/")
	for i, p := range parts {
		decoded, err := wire.DecodeUTF7(p)
		if err != nil {
			return "", false
		}
		parts[i] = decoded
	}
	return string(mail.JoinBox(parts)), true
}

// maxPatterns is how many patterns a filter becomes at most.
const maxPatterns = 200

// patterns translates an expression into patterns of which the last that fits decides; false: it is of no form for which that is
// possible. They are all positive, or "*" and negative ones.
func (a *account) patterns(n *node, param string) ([]string, bool) {
	negated := false
	for n.op == "not" {
		n, negated = n.kids[0], !negated
	}
	var list []string
	switch n.op {
	case "const":
		if (n.text == "True") != negated {
			return []string{"*"}, true
		}
		return nil, true
	case "or", "and":
		if negated {
			return nil, false
		}
		for _, k := range n.kids {
			more, ok := a.patterns(k, param)
			// "or" joins what is taken in, "and" what is left out.
			if !ok || len(more) == 0 || (more[0] == "*") != (n.op == "and") {
				return nil, false
			}
			list = append(list, more...)
		}
		if n.op == "and" {
			list = append([]string{"*"}, slices.DeleteFunc(list, func(p string) bool { return p == "*" })...)
		}
		return list, len(list) <= maxPatterns
	case "not in", "!=":
		negated = !negated
	}
	positive, ok := a.positive(n, param)
	if !ok || len(positive) > maxPatterns || slices.Contains(positive, "*") {
		return nil, false
	}
	if !negated {
		return positive, true
	}
	list = []string{"*"}
	for _, p := range positive {
		list = append(list, "!"+p)
	}
	return list, true
}

// positive are the patterns of a comparison, startswith, endswith, or a simple search.
func (a *account) positive(n *node, param string) ([]string, bool) {
	isParam := func(n *node) bool { return n.op == "name" && n.text == param }
	switch {
	case (n.op == "in" || n.op == "not in") && isParam(n.kids[0]) && n.kids[1].op == "list":
		return a.names(n.kids[1].kids, "", "")
	case (n.op == "==" || n.op == "!=") && isParam(n.kids[0]):
		return a.names(n.kids[1:], "", "")
	case (n.op == "in" || n.op == "not in") && isParam(n.kids[1]):
		return a.names(n.kids[:1], "*", "*")
	case n.op == "call" && n.kids[0].op == "attr" && isParam(n.kids[0].kids[0]) && len(n.kids) == 2:
		args := n.kids[1:]
		if args[0].op == "list" {
			args = args[0].kids
		}
		switch n.kids[0].text {
		case "startswith":
			return a.names(args, "", "*")
		case "endswith":
			return a.names(args, "*", "")
		}
	case n.op == "call" && n.kids[0].op == "attr" && n.kids[0].kids[0].op == "name" && n.kids[0].kids[0].text == "re" && len(n.kids) == 3 && isParam(n.kids[2]) && n.kids[1].op == "str":
		return a.search(n.kids[0].text, n.kids[1].text)
	}
	return nil, false
}

func (a *account) names(nodes []*node, before, after string) (list []string, ok bool) {
	for _, k := range nodes {
		if k.op != "str" {
			return nil, false
		}
		p, ok := a.piece(before, k.text, after)
		if !ok {
			return nil, false
		}
		list = append(list, p)
	}
	return list, true
}

func (a *account) piece(before, text, after string) (string, bool) {
	kind := ""
	if before+after != "" {
		kind = "part"
	}
	p, ok := a.pattern(text, kind)
	return before + p + after, ok
}

// search translates a regular expression without anything but texts, alternatives, ".*" and anchors.
func (a *account) search(function, expr string) ([]string, bool) {
	if function != "search" && function != "match" || differs.MatchString(expr) {
		return nil, false
	}
	r, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, false
	}
	texts, ok := spell(r.Simplify())
	if !ok {
		return nil, false
	}
	var list []string
	for _, t := range texts {
		begin, end := strings.HasPrefix(t, "^"), strings.HasSuffix(t, "$")
		t = strings.TrimSuffix(strings.TrimPrefix(t, "^"), "$")
		if strings.ContainsAny(t, "^$") {
			return nil, false
		}
		before, after := "*", "*"
		if begin || function == "match" {
			before = ""
		}
		if end {
			after = ""
		}
		if rest, any := strings.CutPrefix(t, "\x00"); any {
			t, before = rest, "*"
		}
		if rest, any := strings.CutSuffix(t, "\x00"); any {
			t, after = rest, "*"
		}
		p, ok := a.piece(before, t, after)
		if !ok || strings.Contains(t, "\x00") {
			return nil, false
		}
		list = append(list, p)
	}
	return list, true
}

// spell lists the texts that a regular expression stands for, with "^" and "$" for anchors and NUL for ".*".
func spell(r *syntax.Regexp) ([]string, bool) {
	switch r.Op {
	case syntax.OpLiteral:
		s := string(r.Rune)
		return []string{s}, r.Flags&syntax.FoldCase == 0 && !strings.ContainsAny(s, "^$\x00")
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpBeginText, syntax.OpBeginLine:
		return []string{"^"}, true
	case syntax.OpEndText, syntax.OpEndLine:
		return []string{"$"}, true
	case syntax.OpCapture:
		return spell(r.Sub[0])
	case syntax.OpStar:
		return []string{"\x00"}, r.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCharClass:
		var list []string
		for i := 0; i < len(r.Rune); i += 2 {
			for c := r.Rune[i]; c <= r.Rune[i+1]; c++ {
				if len(list) == 10 || c == '^' || c == '$' {
					return nil, false
				}
				list = append(list, string(c))
			}
		}
		return list, true
	case syntax.OpAlternate:
		var list []string
		for _, sub := range r.Sub {
			more, ok := spell(sub)
			if list = append(list, more...); !ok || len(list) > maxPatterns {
				return nil, false
			}
		}
		return list, true
	case syntax.OpConcat:
		list := []string{""}
		for _, sub := range r.Sub {
			more, ok := spell(sub)
			if !ok || len(more)*len(list) > maxPatterns {
				return nil, false
			}
			var next []string
			for _, before := range list {
				for _, after := range more {
					next = append(next, before+after)
				}
			}
			list = next
		}
		return list, true
	}
	return nil, false
}
