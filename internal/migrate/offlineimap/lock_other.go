//go:build !unix

package offlineimap

// isLocked is not known here.
func isLocked(string) bool { return false }
