package offlineimap

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// expressions are nametrans and filters as configurations have them, with names and what becomes of these; "!" is one that is
// reported. Python agrees, see TestPython.
var expressions = []struct{ expr, name, want string }{
	{`lambda f: f`, "Work", `"Work"`},
	{`lambda foldername: re.sub('^INBOX\\.', '', foldername)`, "INBOX.Work", `"Work"`},
	{`lambda foldername: re.sub('^INBOX\.', '', foldername)`, "INBOX.Work", `"Work"`},
	{`lambda folder: re.sub(r'^(\[Gmail\]|\[Google Mail\])/', r'', re.sub('Sent Mail', 'sent', folder))`, "[Gmail]/Sent Mail", `"sent"`},
	{`lambda folder: {'[Gmail]/Drafts': 'drafts',
  '[Gmail]/Sent Mail': 'sent',  # mine
 }.get(folder, folder)`, "[Gmail]/Sent Mail", `"sent"`},
	{`lambda f: {'a': 'b'}.get(f, f)`, "c", `"c"`},
	{`lambda f: f.replace('INBOX.', '').replace("/", '.').lower()`, "INBOX.A/B", `"a.b"`},
	{`lambda f: re.sub('(.*)/(.*)', '\\2.\\1', f)`, "a/b", `"b.a"`},
	{`lambda f: re.sub(r'^(?P<x>a+)', r'<\g<x>\g<1>>', f)`, "aab", `"<aaaa>b"`},
	{`lambda f: 'INBOX' if f == '' else f[1:]`, ".Work", `"Work"`},
	{`lambda f: 'INBOX' if f == '' else f[1:]`, "", `"INBOX"`},
	{`lambda f: f[0:3] + "-" f'x'`, "abcdef", `!`},
	{`lambda f: f[:-1] + f[-1].upper()`, "abc", `"abC"`},
	{`lambda f: '/'.join(f.split('.')[1:])`, "a.b.c", `"b/c"`},
	{`lambda f: re.sub('.*', 'x', f)`, "a", `!`},
	{`lambda f: re.sub('x*', '-', f)`, "axb", `!`},
	{`lambda f: re.sub('^', 'INBOX.', f)`, "a", `"INBOX.a"`},
	{`lambda f: re.sub('$', '.x', f)`, "a", `"a.x"`},
	{`lambda f: f in ['INBOX', 'Sent']`, "Sent", `true`},
	{`lambda f: f in ('INBOX', 'Sent',)`, "Junk", `false`},
	{`lambda f: f in ('Sent')`, "en", `true`},
	{`lambda f: f in ('Sent',)`, "en", `false`},
	{`lambda f: f not in {'Trash', 'Spam'}`, "Trash", `false`},
	{`lambda f: not f.startswith('Arch') and f != 'x'`, "Archive", `false`},
	{`lambda f: not f.startswith(('Arch', 'x'))`, "y", `true`},
	{`lambda f: not re.search('^\[Gmail\]', f)`, "[Gmail]/All", `false`},
	{`lambda f: not re.search('(^Trash$|^Del)', f) or f.endswith("d")`, "Deleted", `true`},
	{`lambda f: re.match('Work', f) and not f == "Work"`, "Work.x", `true`},
	{`lambda f: re.search('^work', f, re.IGNORECASE) is not None`, "WORK", `!`},
	{`lambda f: re.search('^work', f, re.IGNORECASE)`, "WORK", `true`},
	{`lambda f: re.search('^(?!Spam)', f)`, "Work", `!`},
	{`lambda f: True`, "x", `true`},
	{`lambda f: f.count('.') == 1 or f.find('a') == -1`, "b", `true`},
	{`lambda f: len(f) == 3`, "abc", `true`},
	{`lambda f: re.sub('\w', 'x', f)`, "ä", `!`},
	{`my_nametrans`, "x", `!`},
	{`lambda f: other(f)`, "x", `!`},
	{`lambda f: __import__('os').system('touch /tmp/oops')`, "x", `!`},
	{`lambda f: f.encode('utf-8')`, "x", `!`},
	{`lambda f: f % 3`, "x", `!`},
	{`lambda f: [x for x in f]`, "x", `!`},
	{`lambda f: {'a': 1}['b']`, "x", `!`},
	{`lambda f: 'a' < f`, "x", `!`},
	{`lambda f: '\1'`, "x", `!`},
	{`lambda f: (f`, "x", `!`},
	{`lambda f: 'a`, "x", `!`},
	{``, "x", `!`},
}

// evaluate says what an expression makes of a name, as JSON; "!" if it is not understood.
func evaluate(expr, name string) string {
	f, err := parseFunction(expr)
	if err != nil {
		return "!"
	}
	v, err := (&evaluation{f: f, arg: name}).eval(f.body)
	if err != nil {
		return "!"
	}
	if _, ok := v.(string); !ok {
		v = isTrue(v)
	}
	out, _ := json.Marshal(v)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(out))
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for _, c := range expressions {
		if got := evaluate(c.expr, c.name); got != c.want {
			t.Errorf("%s of %q: %s, want %s", c.expr, c.name, got, c.want)
		}
	}
	if got, err := evalList(`['a', "b" 'c']`); err != nil || strings.Join(got, " ") != "a bc" {
		t.Errorf("%q %v", got, err)
	}
}

// TestPython compares with Python itself.
func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	const script = "import sys, re, json, warnings\nwarnings.simplefilter('ignore')\nfor e, n in json.load(sys.stdin):\n  v = eval(e)(n)\n  print(json.dumps(v if isinstance(v, str) else bool(v)))\n"
	var in [][2]string
	var want []string
	for _, c := range expressions {
		if c.want != "!" {
			in = append(in, [2]string{c.expr, c.name})
			want = append(want, c.want)
		}
	}
	data, err := json.Marshal(in)
	must(t, err)
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = strings.NewReader(string(data))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for i, got := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if got != want[i] {
			t.Errorf("%q: Python says %s, want %s", in[i], got, want[i])
		}
	}
}

// TestExpressionBounds are expressions that would take for ever or all memory.
func TestExpressionBounds(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("(", 10000)
	for _, expr := range []string{
		"lambda f: " + deep, "lambda f: " + strings.Repeat("not ", 20000) + "f", "lambda f: f" + strings.Repeat(".lower()", 20000),
		"lambda f: f" + strings.Repeat(".replace('a', 'aaaaaaaaaa')", 100), "lambda f: f" + strings.Repeat("+f", 20000), "lambda f: " + strings.Repeat("lambda f: ", 5000) + "f",
		"lambda f: " + strings.Repeat("[", 5000), "lambda f: '" + strings.Repeat("x", 100000) + "'",
	} {
		if got := evaluate(expr, "aaaa"); got != "!" {
			t.Errorf("%.40s...: %.40s", expr, got)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, c := range expressions {
		f.Add(c.expr, c.name)
	}
	f.Fuzz(func(_ *testing.T, expr, name string) { evaluate(expr, name) })
}

func FuzzPlain(f *testing.F) {
	f.Add(plainHead1 + "\n3:DR\n1:FS\n2:\n")
	f.Add(plainHead2 + "\n3|DR|0|\n4|FS|1700000000|Work stuff, \\Inbox, a\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = readPlain(strings.NewReader(text), func(r row) bool {
			if r.uid == 0 {
				t.Error("UID 0")
			}
			return true
		})
	})
}

func FuzzINI(f *testing.F) {
	f.Add("[general]\naccounts = a, b\n  c\n\n[DEFAULT]\nx = %(y)s%%\ny: 1\n; z\n")
	f.Fuzz(func(_ *testing.T, text string) {
		c, err := parseINI(text, "rc")
		if err != nil {
			return
		}
		for _, s := range c.sections {
			for _, o := range s.options {
				_, _ = c.value(s, o)
			}
		}
	})
}
