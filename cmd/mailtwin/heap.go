package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// gcPercent keeps the heap near what is in use: a sync works on small portions, and who runs it beside a mail reader wants it small.
const gcPercent = 50

// softLimit is how much memory the Go runtime tries to stay below (the database and the program itself come on top). A large mailbox
// needs more now and then; then the limit gives way, so that the collector does not take the time that the sync needs.
const softLimit = 40 << 20

// keepSmall sets the limits of the garbage collector, unless the user did.
func keepSmall() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(softLimit)
	afterEachGC(func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			debug.SetMemoryLimit(limitFor(int64(min(live[0].Value.Uint64(), 1<<50)))) //nolint:gosec // it fits
		}
	})
}

// limitFor leaves room for a quarter of what is in use, at least.
func limitFor(live int64) int64 { return max(softLimit, live/4*5+(2<<20)) }

// afterEachGC calls fn at the end of each collection, on the goroutine of finalizers.
func afterEachGC(fn func()) {
	type sentinel struct{ _ [16]byte }
	var again func(*sentinel)
	again = func(s *sentinel) {
		fn()
		runtime.SetFinalizer(s, again)
	}
	runtime.SetFinalizer(&sentinel{}, again)
}
