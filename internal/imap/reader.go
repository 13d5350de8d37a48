package imap

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"mailtwin/internal/imap/wire"
)

// read is the reader: it takes responses until the connection ends, then ends everything in flight.
func (c *Client) read() {
	defer close(c.readerDone)
	var err error
	for err == nil {
		err = c.readResponse()
	}
	c.fetch.spool.close()
	c.fail(c.explain(err))
	c.mu.Lock()
	left := c.inflight
	c.inflight, c.stopped = nil, true
	err = c.err
	c.mu.Unlock()
	for _, cmd := range left {
		c.endBroken(cmd, err)
	}
}

// endBroken ends a command that the connection did not survive. A LOGOUT that was answered by BYE was successful.
func (c *Client) endBroken(cmd *command, err error) {
	if cmd.name == "LOGOUT" && c.byeSeen != nil && !errors.Is(err, ErrClosed) {
		cmd.complete(nil)
		return
	}
	if cmd.broken != nil {
		err = fmt.Errorf("%w; %w", cmd.broken, err)
	}
	cmd.complete(fmt.Errorf("%s: %w", cmd.name, err))
}

// explain says why the connection ended.
func (c *Client) explain(err error) error {
	if c.byeSeen != nil && errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the connection ended: %w: %w", c.byeSeen, err)
	}
	return connError(err)
}

// protocolError is a response that leaves no way to go on.
func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}

// readResponse takes one response. Its error ends the connection; what can be skipped is.
func (c *Client) readResponse() error {
	d := c.dec
	c.pace.begin(d.Buffered())
	b, err := d.Peek()
	if err != nil {
		return err
	}
	if err := c.tooMuch(); err != nil {
		return err
	}
	switch b {
	case '\r', '\n': // an empty line too many
		return d.EndLine()
	case '*':
		return c.readUntagged()
	case '+':
		return c.readContinuation()
	}
	return c.readTagged()
}

// tooMuch counts a response, and reports that a server goes on and on without ending a command.
func (c *Client) tooMuch() error {
	limits := c.dec.Limits()
	c.responses++
	switch {
	case c.responses > limits.Responses:
		return &wire.LimitError{What: "number of responses before the end of a command", Limit: int64(limits.Responses)}
	case c.pace.command > limits.Octets:
		return &wire.LimitError{What: "length of the responses before the end of a command", Limit: limits.Octets}
	}
	return nil
}

func (c *Client) readUntagged() error {
	d := c.dec
	err := d.Expect('*')
	if err == nil {
		err = d.Space()
	}
	if err == nil {
		err = c.dispatch()
	}
	return c.finishLine(err)
}

// finishLine goes to the next response, past what was not understood. The oldest command may have lost data by that.
func (c *Client) finishLine(err error) error {
	d := c.dec
	if err != nil {
		if !wire.IsSyntax(err) {
			return err
		}
		if cmd := c.oldest(); cmd != nil {
			cmd.fail(err)
		}
		return d.SkipLine()
	}
	if err = d.EndLine(); wire.IsSyntax(err) {
		return d.SkipLine() // something follows that nobody asked for
	}
	return err
}

// readContinuation takes a continuation request (RFC 9051 section 7.5); one that nobody waits for is dropped.
func (c *Client) readContinuation() error {
	d := c.dec
	if err := d.Expect('+'); err != nil {
		return err
	}
	text, err := d.Text()
	if err != nil {
		return err
	}
	text = []byte(strings.TrimPrefix(string(text), " "))
	if err := d.EndLine(); err != nil {
		return err
	}
	c.mu.Lock()
	cmd := c.asking
	c.mu.Unlock()
	if cmd != nil {
		select {
		case cmd.cont <- text:
		default:
		}
	}
	return nil
}

// readTagged takes the response that ends a command.
func (c *Client) readTagged() error {
	d := c.dec
	tag, err := d.Atom()
	if err != nil {
		if wire.IsSyntax(err) {
			return protocolError("%w", err)
		}
		return err
	}
	cmd := c.take(tag)
	if cmd == nil {
		return protocolError("a response with the unknown tag %.20q", tag)
	}
	err = c.endCommand(cmd)
	if err != nil && !cmd.ended() {
		// The command is out of flight: nobody else can end it.
		c.fail(c.explain(err))
		c.endBroken(cmd, c.Err())
	}
	return err
}

func (c *Client) endCommand(cmd *command) error {
	d := c.dec
	if err := d.Space(); err != nil {
		return tagError(err)
	}
	word, err := d.Atom()
	if err != nil {
		return tagError(err)
	}
	kind := strings.ToUpper(string(word))
	if kind != "OK" && kind != "NO" && kind != "BAD" {
		return protocolError("a tagged response %.20q", kind)
	}
	st, err := c.readStatus()
	if err != nil {
		return tagError(err)
	}
	if err := d.EndLine(); err != nil {
		return tagError(err)
	}
	c.responses, c.pace.command = 0, 0
	c.finishCommand(cmd, kind, st)
	return nil
}

func tagError(err error) error {
	if wire.IsSyntax(err) {
		return protocolError("%w", err)
	}
	return err
}

func (c *Client) finishCommand(cmd *command, kind string, st Status) {
	c.noteCaps(st)
	c.noteAlert(st)
	cmd.status = st
	var err error
	if kind != "OK" {
		text := c.scrub(st.Text)
		err = &Error{Command: cmd.name, Kind: kind, Code: st.Code, Text: text, Hint: hint(st.Code, text)}
	}
	if op, ok := cmd.op.(finisher); ok {
		err = op.finish(cmd, st, err)
	}
	if err == nil && cmd.broken != nil {
		err = fmt.Errorf("%s: %w", cmd.name, cmd.broken)
	}
	cmd.complete(err)
}

// noteCaps takes a CAPABILITY code.
func (c *Client) noteCaps(st Status) {
	if st.Code == "CAPABILITY" && c.tellsCaps() {
		c.setCaps(strings.Fields(st.Args))
	}
}

func (c *Client) noteAlert(st Status) {
	if st.Code == "ALERT" {
		c.unsolicited(Unsolicited{Kind: UnsolicitedAlert, Code: st.Code, Text: c.scrub(st.Text)})
	}
}

// readStatus takes what follows OK, NO, BAD, BYE or PREAUTH: all that is missing is let pass (RFC 9051 section 7.1,
// resp-text). The end of the line stays.
func (c *Client) readStatus() (Status, error) {
	text, err := c.dec.Text()
	if err != nil {
		return Status{}, err
	}
	return parseStatus(strings.TrimLeft(string(text), " ")), nil
}

// parseStatus takes a resp-text apart. Keywords in a code may hold a ], as in PERMANENTFLAGS, so parentheses and quotes
// count.
func parseStatus(s string) Status {
	if !strings.HasPrefix(s, "[") {
		return Status{Text: s}
	}
	end := codeEnd(s)
	if end < 0 {
		return Status{Text: s}
	}
	code, args, _ := strings.Cut(strings.TrimSpace(s[1:end]), " ")
	return Status{
		Code: strings.ToUpper(code),
		Args: strings.TrimSpace(args),
		Text: strings.TrimSpace(s[end+1:]),
	}
}

// codeEnd returns where the ] of a code is, -1 if it has none.
func codeEnd(s string) int {
	depth, quoted := 0, false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ']' && depth <= 0:
			return i
		}
	}
	return strings.IndexByte(s, ']')
}

// oldest returns the command that was sent first of those in flight: servers work on them in order.
func (c *Client) oldest() *command {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inflight) == 0 {
		return nil
	}
	return c.inflight[0]
}

// find returns the oldest op in flight that is a T and matches.
func find[T any](c *Client, match func(T) bool) (T, *command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range c.inflight {
		if op, ok := cmd.op.(T); ok && match(op) {
			return op, cmd
		}
	}
	var none T
	return none, nil
}

func always[T any](T) bool { return true }
