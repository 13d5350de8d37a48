package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// gcPercent keeps the heap near what is in use: a sync works on small portions, and who runs it beside a mail reader wants it small. A
// large heap is kept nearer still, by this alone: a limit that is near to what is in use makes the collector give up on a busy machine.
const (
	gcPercent    = 40
	largeHeap    = 64 << 20
	largePercent = 20
)

// softLimit is how much memory the Go runtime tries to stay below (the database and the program itself come on top). A large mailbox
// needs more now and then; then the limit gives way, so that the collector does not take the time that the sync needs.
const softLimit = 40 << 20

// heapFloor is the size below which a heap is not collected: a sync with little to do ends before, and a cycle costs as much of the
// time of two processors as the work of some milliseconds.
const heapFloor = 6 << 20

// keepSmall sets the limits of the garbage collector, unless the user did.
func keepSmall() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	percent, limit := percentFor(0), limitFor(0)
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
	afterEachGC(func() {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return
		}
		live := int64(min(sample[0].Value.Uint64(), 1<<50)) //nolint:gosec // it fits
		// To set either stops the program for a moment.
		if p := percentFor(live); p != percent {
			percent = p
			debug.SetGCPercent(p)
		}
		if l := limitFor(live); l != limit {
			limit = l
			debug.SetMemoryLimit(l)
		}
	})
}

// percentFor makes the next collection wait until the heap has grown by gcPercent, and to heapFloor.
func percentFor(live int64) int {
	const smallest = 4 << 20 // of a heap that is collected at 100 percent, in Go's runtime
	if live >= largeHeap {
		return largePercent
	}
	grown := heapFloor * 100 / smallest
	if live > 0 {
		grown = min(grown, int(heapFloor*100/live-100))
	}
	return max(gcPercent, grown)
}

// limitFor leaves room for a quarter of what is in use, at least.
func limitFor(live int64) int64 {
	if live >= largeHeap {
		return live * 2
	}
	return max(softLimit, live/4*5+(2<<20))
}

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
