package main

import (
	"runtime"
	"testing"
	"time"
)

func TestLimitFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[int64]int64{0: softLimit, 20 << 20: softLimit, 40 << 20: 52 << 20, 400 << 20: 800 << 20} {
		if got := limitFor(live); got != want {
			t.Errorf("%d in use: %d, want %d", live, got, want)
		}
	}
}

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[int64]int{0: 150, 1 << 20: 150, 3 << 20: 100, 4 << 20: 50, 20 << 20: 40, 400 << 20: 20} {
		if got := percentFor(live); got != want {
			t.Errorf("%d in use: %d, want %d", live, got, want)
		}
	}
}

// TestAfterEachGC: it is called again and again.
func TestAfterEachGC(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 10)
	afterEachGC(func() {
		select {
		case called <- struct{}{}:
		default:
		}
	})
	for range 3 {
		runtime.GC()
		select {
		case <-called:
		case <-time.After(10 * time.Second):
			t.Fatal("not called")
		}
	}
}
