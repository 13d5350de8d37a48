package main

import (
	"slices"
	"testing"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// TestPolicy: where a message stays. What is in a mailbox whose content is about to go, by its role or else by its name, comes last.
func TestPolicy(t *testing.T) {
	t.Parallel()
	boxes := []mail.Box{"INBOX", "Archive", "Old/Papierkorb", "Trash", "Weg", "Spam"}
	roles := map[mail.Box]string{"Weg": `\Trash`, "Spam": `\Archive`}
	for _, test := range []struct {
		keep []string
		want []int
		kind dedupe.Keep
	}{
		{nil, []int{0, 0, 1, 1, 1, 0}, dedupe.KeepDefault},
		{[]string{"newest"}, []int{1, 1, 2, 2, 2, 1}, dedupe.KeepNewest},
		{[]string{"Archive", "inbox", "largest"}, []int{1, 0, 4, 4, 4, 3}, dedupe.KeepLargest},
		{[]string{"Trash", "oldest"}, []int{2, 2, 3, 0, 3, 2}, dedupe.KeepOldest},
	} {
		p, err := policy(dedupeOptions{keep: test.keep, across: true}, dedupe.Exact, boxes, roles)
		if err != nil || !slices.Equal(p.Rank, test.want) || p.Keep != test.kind || !p.Across || p.By != dedupe.Exact {
			t.Errorf("%v: %+v, %v", test.keep, p, err)
		}
	}
	if _, err := policy(dedupeOptions{keep: []string{"Nowhere"}}, dedupe.Content, boxes, roles); err == nil {
		t.Error("a mailbox that is not there is taken")
	}
}
