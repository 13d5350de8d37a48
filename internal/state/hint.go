package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// HintAccount stands in hints for the name of the account, which is not known here; who prints them puts it in.
const HintAccount = "ACCOUNT"

const (
	damagedHint = "mailtwin state check " + HintAccount + " says what is wrong. " + rebuildHint
	rebuildHint = "mailtwin state rebuild " + HintAccount + " moves the database aside; the next sync then pairs what is on both sides by content, and copies only what is missing"
	newerHint   = "use that version. Or " + rebuildHint
	soundHint   = "mailtwin state check " + HintAccount + " says whether the state is sound"
	fullHint    = "make room on the disk and sync again; " + soundHint
	deniedHint  = "check the owner and the permissions of the file and its folder; " + soundHint + ", and only reads"
	diskHint    = "the disk reports errors: check it and the system's log; " + soundHint
)

// explain says what was being done, turns SQLite's result codes into our errors, and tells the cure.
func explain(what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var code *sqlite.Error
	switch {
	case mail.HintOf(err) != "":
	case errors.As(err, &code):
		switch code.Primary() {
		case sqlite.ErrCorrupt, sqlite.ErrNotADB, sqlite.ErrError: // the last one: tables and columns are not those that we made
			return mail.WithHint(fmt.Errorf("%s: %w: %w", what, ErrDamaged, err), damagedHint)
		case sqlite.ErrFull:
			return mail.WithHint(fmt.Errorf("%s: %w", what, err), fullHint)
		case sqlite.ErrCantOpen, sqlite.ErrReadOnly, sqlite.ErrPerm:
			return mail.WithHint(fmt.Errorf("%s: %w", what, err), deniedHint)
		case sqlite.ErrConstraint: // an index that lies, perhaps
			return mail.WithHint(fmt.Errorf("%s: %w", what, err), soundHint)
		case sqlite.ErrIO:
			return mail.WithHint(fmt.Errorf("%s: %w", what, err), diskHint)
		}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return mail.WithHint(fmt.Errorf("%s: %w", what, err), fullHint)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return mail.WithHint(fmt.Errorf("%s: %w", what, err), deniedHint)
	}
	return fmt.Errorf("%s: %w", what, err)
}
