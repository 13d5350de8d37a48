// Package e2e tests the whole program against real servers. Its tests run with MAILTWIN_E2E=1 (make test) and are skipped
// otherwise; both sides are compared by code that belongs to no part of the program.
package e2e
