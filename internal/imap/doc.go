// Package imap is an IMAP client (RFC 9051, RFC 3501) for synchronising: every command is sent when its method is called and
// returns a [Call], whose Wait gives the result, so that several commands travel together. Bodies stream in both
// directions and are never kept in memory; everything else that a server can make the client keep is bounded.
//
// Commands collect in a buffer that leaves when it is full or when somebody waits. One goroutine a [Client] reads; callbacks
// run on it, in the order of the responses, and hold up everything else on the connection until they return. A callback
// must neither issue commands nor wait for one. After Wait has returned, no callback of that command runs any more.
//
// The connection ends, and every outstanding and later Call fails, when the context of a Wait ends, when nothing moves for
// Config.Timeout while an answer is due, or when the server breaks the protocol beyond what can be skipped.
package imap
