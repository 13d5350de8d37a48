package config

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestIsName compares with the form as an expression, which takes long to compile.
func TestIsName(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[\pL\pN_][\pL\pN._@+-]*$`)
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zé1_.@+\-/ ²ⅷ]{0,4}`), rapid.Custom(func(rt *rapid.T) string { return "a" + string(rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(rt, "bytes")) })).Draw(rt, "name")
		if got := isName(name); got != form.MatchString(name) {
			rt.Fatalf("%q: %v", name, got)
		}
	})
}
