package demo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStory checks what the story tells of both sides, without the program: the changes that it announces can be made, and
// nothing is left behind.
func TestStory(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var folder string
	var commands []string
	err := Run(t.Context(), &out, func(_ context.Context, args []string, env map[string]string) int {
		folder = env["HOME"]
		commands = append(commands, strings.Join(args, " "))
		if len(commands) == 1 { // as the first sync would
			r := reader{filepath.Join(folder, "Mail")}
			for box, subjects := range map[string][]string{"INBOX": {"Lunch on Friday?", "Build 4711 is green"}, "Work": {"Minutes of the meeting"}} {
				for i, s := range subjects {
					d := &story{}
					if err := r.put(box, d.before(-i, "x", s, "y")); err != nil {
						t.Error(err)
					}
				}
			}
		}
		return 0
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Error("the folder is still there:", folder, err)
	}
	want := "sync demo|sync --dry-run demo|sync demo|sync demo|verify --full demo"
	if got := strings.Join(commands, "|"); got != want {
		t.Errorf("commands %s, want %s", got, want)
	}
	for _, c := range commands {
		if !strings.Contains(out.String(), "$ mailtwin "+c+"\n") {
			t.Error("it does not show the command", c)
		}
	}
}

func TestStoryStopsAtAFault(t *testing.T) {
	t.Parallel()
	calls := 0
	err := Run(t.Context(), &bytes.Buffer{}, func(context.Context, []string, map[string]string) int {
		calls++
		return 3
	})
	if err == nil || calls != 1 || !strings.Contains(err.Error(), "exit code 3") {
		t.Error(calls, err)
	}
}
