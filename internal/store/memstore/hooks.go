package memstore

import (
	"context"

	"mailtwin/internal/mail"
)

// Method names a method of store.Store, or a part of one.
type Method string

// The methods. End is Head.End; Copy is Move with keep.
const (
	Hello     Method = "Hello"
	SetRoot   Method = "SetRoot"
	Boxes     Method = "Boxes"
	View      Method = "View"
	End       Method = "End"
	Echo      Method = "Echo"
	Identify  Method = "Identify"
	Traces    Method = "Traces"
	Fetch     Method = "Fetch"
	Prepare   Method = "Prepare"
	Put       Method = "Put"
	Move      Method = "Move"
	Copy      Method = "Copy"
	SetFlags  Method = "SetFlags"
	Delete    Method = "Delete"
	CreateBox Method = "CreateBox"
	DeleteBox Method = "DeleteBox"
	RenameBox Method = "RenameBox"
	Settle    Method = "Settle"
	Secure    Method = "Secure"
)

// Methods are those of store.Store that can fail, for loops over faults.
var Methods = []Method{
	Hello, SetRoot, Boxes, View, Identify, Fetch, Prepare, Put, Move, SetFlags, Delete, CreateBox, DeleteBox, RenameBox, Settle,
}

// Effect is one effect on one message, on a mailbox, or on the marker.
type Effect struct {
	Method Method
	Box    mail.Box // where the message or the mailbox is; for a Put, where it goes
	Key    mail.Key // of the message; for a Put "" before the effect and the new one after
	To     mail.Box // where a moved or copied message or a renamed mailbox goes
	After  bool     // it has taken effect
}

// Read is a call without effect, or one message that it is about to tell of.
type Read struct {
	Method Method
	Box    mail.Box
	Key    mail.Key // "": the call begins
}

// hook asks the context and the hook for reads whether to go on.
func (s *Store) hook(ctx context.Context, r Read) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Reads == nil {
		return nil
	}
	return s.Reads(r)
}

// effect carries one effect out under the lock, between two calls of the hook. do may refuse and may complete e.
func (s *Store) effect(ctx context.Context, e Effect, do func(e *Effect) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Effects != nil {
		if err := s.Effects(e); err != nil {
			return err
		}
	}
	s.mu.Lock()
	err := do(&e)
	s.mu.Unlock()
	if err != nil || s.Effects == nil {
		return err
	}
	e.After = true
	return s.Effects(e)
}
