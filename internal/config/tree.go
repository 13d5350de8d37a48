package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// node is a value of the file with the line where its key stands.
type node struct {
	line  int
	value any
	kids  map[string]*node // of a table, else nil
	names []string         // of kids, in the order of the file
}

// parseTree reads TOML. The library's decoder checks the file and gives the values, its parser the lines.
func parseTree(text []byte, p *problems) *node {
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		var at *toml.DecodeError
		line := 0
		if errors.As(err, &at) {
			line, _ = at.Position()
		}
		p.add(line, syntaxHint(text, line), "%s", strings.TrimPrefix(err.Error(), "toml: "))
		return nil
	}
	lines := map[string]int{}
	var order []string
	note := func(path []string, line int) {
		k := strings.Join(path, "\x00")
		if _, ok := lines[k]; !ok {
			lines[k] = line
			order = append(order, k)
		}
	}
	findLines(text, note)
	rank := make(map[string]int, len(order))
	for i, k := range order {
		rank[k] = i
	}
	return makeNode(nil, values, lines, rank)
}

func syntaxHint(text []byte, line int) string {
	all := strings.Split(string(text), "\n")
	if line < 1 || line > len(all) {
		return ""
	}
	if _, value, ok := strings.Cut(all[line-1], "="); ok && !strings.ContainsAny(value, "\"'[{") {
		return "text is written in quotes: key = \"text\""
	}
	return ""
}

// findLines calls note for each key of the document, parents first, each with the line where it stands.
func findLines(text []byte, note func([]string, int)) {
	var parser unstable.Parser
	parser.Reset(text)
	var table []string
	for parser.NextExpression() {
		e := parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = noteKey(&parser, e, nil, note)
		case unstable.KeyValue:
			noteValue(&parser, e, table, note)
		}
	}
}

func noteKey(parser *unstable.Parser, e *unstable.Node, base []string, note func([]string, int)) []string {
	path := slices.Clone(base)
	for it := e.Key(); it.Next(); {
		k := it.Node()
		path = append(path, string(k.Data))
		note(path, parser.Shape(k.Raw).Start.Line)
	}
	return path
}

func noteValue(parser *unstable.Parser, e *unstable.Node, base []string, note func([]string, int)) {
	path := noteKey(parser, e, base, note)
	if v := e.Value(); v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			if kv := it.Node(); kv.Kind == unstable.KeyValue {
				noteValue(parser, kv, path, note)
			}
		}
	}
}

func makeNode(path []string, value any, lines, rank map[string]int) *node {
	n := &node{value: value, line: lines[strings.Join(path, "\x00")]}
	table, ok := value.(map[string]any)
	if !ok {
		return n
	}
	n.kids = make(map[string]*node, len(table))
	at := map[string]int{}
	for name, v := range table {
		full := append(slices.Clone(path), name)
		n.kids[name] = makeNode(full, v, lines, rank)
		n.names = append(n.names, name)
		at[name] = rank[strings.Join(full, "\x00")]
	}
	slices.SortFunc(n.names, func(a, b string) int { return at[a] - at[b] })
	return n
}

// kind names what a value is, for errors.
func (n *node) kind() string {
	switch n.value.(type) {
	case string:
		return "text"
	case int64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprintf("%v", n.value)
}
