package e2e

import (
	"strings"
	"sync"
	"testing"
)

// dawdlers say nothing, or next to nothing, or make the program look again after some seconds. On a busy machine nothing may come
// of an octet in time either.
var dawdlers = map[string]misdeed{
	"append, 12 times":       {local: text(99), turn: appended("%s OK [APPENDUID 7 1:12] done"), code: 3, says: "not to be found there"},
	"append, UID of another": {local: text(99), turn: appended("%s OK [APPENDUID 7 5] done"), code: 3, says: "not to be found there"},
	"append, UID 0":          {local: text(99), turn: appended("%s OK [APPENDUID 7 0] done"), code: 3, says: "not to be found there"},
	"append, another epoch":  {local: text(99), turn: appended("%s OK [APPENDUID 8 13] done"), code: 3, says: "not to be found there"},
	"greeting, none":         {turn: turn{greet: (*visit).hang}, code: 10, says: "in time"},
	"greeting, slow drip":    {turn: turn{greet: func(v *visit) bool { return v.drip("* OK xxxxxxx") }}, code: 10, says: "slow|in time"},
	"login, no answer":       {turn: on(login, func(v *visit, _ string) bool { return v.hang() }), code: 10, says: "in time"},
	"login, slow drip":       {turn: on(login, func(v *visit, _ string) bool { return v.drip("* OK xxxxxxx") }), code: 10, says: "slow|in time"},
	"STARTTLS, no answer":    {turn: on("STARTTLS", func(v *visit, _ string) bool { return v.hang() }), config: onTLS, code: 10, says: "in time"},
	"STARTTLS, no TLS": {turn: on("STARTTLS", func(v *visit, tag string) bool {
		v.say("%s OK go on", tag)
		return v.hang()
	}), config: onTLS, code: 10, says: "in time"},
	"fetch, slow drip": {turn: on(fetch, func(v *visit, _ string) bool { return v.drip("* 1 FETCH (UID 1 FLAGS ())\r\n") }), code: 10, says: "slow|in time"},
	"body, shorter than said": {turn: bodies(func(v *visit, tag string) bool {
		v.say("%s%s OK", body(text(13), len(text(13))+500), tag)
		return true
	}), code: 10, says: "in time"},
	"body, large and silent": {turn: bodies(func(v *visit, _ string) bool {
		v.say("%s", strings.TrimSuffix(body(text(13), 1900000000), ")\r\n"))
		return v.hang()
	}), code: 10, says: "in time"},
	"body, slow drip": {turn: bodies(func(v *visit, _ string) bool {
		v.say("%s", strings.TrimSuffix(body("", 1900000000), ")\r\n"))
		return v.drip("x\r\n")
	}), code: 10, says: "slow|in time"},
	"append, no invitation": {local: text(99), turn: uploads(func(v *visit, _ string) bool { return v.hang() }), code: 10, says: "in time"},
	"append, no answer":     {local: text(99), turn: on("APPEND", func(v *visit, _ string) bool { return v.hang() }), code: 10, says: "in time"},
}

// TestSlowServers: the same for servers that say nothing, or next to nothing. All of them are waited for at once, whatever the
// number of tests that may run in parallel.
func TestSlowServers(t *testing.T) {
	t.Parallel()
	needProgram(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, m := range dawdlers {
		wg.Go(func() {
			t.Run(name, func(t *testing.T) { //nolint:tparallel // it waits and does nothing
				m.brief = m.code == 10
				w, v, _ := suffer(t, m)
				recovers(t, w, v, m)
			})
		})
	}
}
