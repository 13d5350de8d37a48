//go:build !unix

package mbsync

import "errors"

var errNotDir = errors.New("not a directory")

// isLocked is not known here.
func isLocked(string) bool { return false }
