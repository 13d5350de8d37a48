package state

import (
	"slices"
	"testing"

	"mailtwin/internal/mail"
)

func TestDigests(t *testing.T) {
	t.Parallel()
	db, err := Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	read := func() (all []string) {
		if err := db.Digests(t.Context(), "A", "content", func(p []byte) error {
			all = append(all, string(p))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, parts := range [][]string{{"one", "two", "three"}, {"four"}, nil} {
		err := db.SaveDigests(t.Context(), "A", "content", func(yield func([]byte) bool) {
			for _, p := range parts {
				if !yield([]byte(p)) {
					return
				}
			}
		})
		if got := read(); err != nil || !slices.Equal(got, parts) {
			t.Fatalf("%q, want %q: %v", got, parts, err)
		}
	}
}

func TestAllowDeletions(t *testing.T) {
	t.Parallel()
	db, err := Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	p := mail.Pair{Box: "A", Keys: [2]mail.Key{"l", "r"}, Verified: true}
	if err := db.Update(t.Context(), true, func(tx *Tx) error { return tx.PutPair(&p) }); err != nil {
		t.Fatal(err)
	}
	for _, allowed := range []bool{true, true, false} {
		if err := db.AllowDeletions(t.Context(), "A", mail.Local, []mail.Key{"l", "unknown"}, allowed); err != nil {
			t.Fatal(err)
		}
		got, err := db.PairsByKey(t.Context(), "A", mail.Local, []mail.Key{"l"})
		if err != nil || len(got) != 1 || got[0].Allowed != allowed || !got[0].Verified {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
