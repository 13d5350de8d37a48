package imap

import (
	"context"
	"fmt"
)

// Call is a command that was sent. Its Wait may be called from several goroutines and more than once.
type Call[T any] struct {
	cmd *command
	val *T
}

// Wait sends what is still buffered and waits for the end of the command. When ctx ends first the connection is closed, and
// this and every other outstanding Call fails. The value is as complete as it could be made when there is an error.
func (c *Call[T]) Wait(ctx context.Context) (T, error) {
	c.cmd.await(ctx)
	return *c.val, c.cmd.err
}

// Result is what Wait returns, without waiting; only after Done is closed. It may be asked in a callback of a later command.
func (c *Call[T]) Result() (T, error) {
	<-c.cmd.done
	return *c.val, c.cmd.err
}

// Done is closed when the command has ended. It does not send what is still buffered: somebody must Wait.
func (c *Call[T]) Done() <-chan struct{} { return c.cmd.done }

// command is one command in flight. Until done is closed its fields belong to the reader, except where noted.
type command struct {
	client *Client
	name   string
	tag    string // set when it is sent
	op     any    // what takes its data: see the interfaces in dispatch.go
	done   chan struct{}
	err    error  // valid after done
	broken error  // the callback failed, or data could not be understood
	sent   bool   // guarded by Client.mu: left the buffer
	status Status // of the tagged response

	cont chan []byte // continuation requests, while one is awaited
}

// finisher is what an op implements to complete its value from the tagged response. err is the refusal if there was one;
// what finish returns takes its place.
type finisher interface {
	finish(cmd *command, st Status, err error) error
}

// complete ends the command.
func (cmd *command) complete(err error) {
	cmd.err = cmd.client.hide(err)
	close(cmd.done)
}

// fail notes the first thing that went wrong with the data of the command.
func (cmd *command) fail(err error) {
	if cmd.broken == nil {
		cmd.broken = err
	}
}

func (cmd *command) ended() bool {
	select {
	case <-cmd.done:
		return true
	default:
		return false
	}
}

func (cmd *command) await(ctx context.Context) {
	if cmd.ended() {
		return
	}
	c := cmd.client
	c.flush(ctx)
	if c.unwaited.Swap(false) {
		c.roundTrips.Add(1)
	}
	select {
	case <-cmd.done:
	case <-ctx.Done():
		c.fail(fmt.Errorf("wait for %s: %w", cmd.name, context.Cause(ctx)))
		// The reader ends the command, after its callback has returned.
		<-cmd.done
	}
}

// newCall returns a command and the Call whose value it fills.
func newCall[T any](c *Client, name string, op any, val *T) *Call[T] {
	return &Call[T]{cmd: &command{client: c, name: name, op: op, done: make(chan struct{})}, val: val}
}

// statusOp is the op of commands that return nothing but a status.
type statusOp struct{ val Status }

func (o *statusOp) finish(_ *command, st Status, err error) error {
	o.val = st
	return err
}

// ended returns a Call that is over without anything having been sent.
func ended[T any](c *Client, name string, val T, err error) *Call[T] {
	call := newCall(c, name, nil, &val)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	call.cmd.complete(err)
	return call
}
