package state

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// readSizes are those of the queries for pairs by name. They are prepared once: to parse a long one costs as much as to carry it out.
var readSizes = [...]int{64, 8, 1}

// queries are those of the readers that are prepared.
type queries struct {
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

// prepared returns a query of a pool that is prepared once for each of its connections.
func (q *queries) prepared(ctx context.Context, pool *sql.DB, query string) (*sql.Stmt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := q.stmts[query]; s != nil {
		return s, nil
	}
	s, err := pool.PrepareContext(ctx, query)
	if err == nil {
		q.stmts[query] = s
	}
	return s, err
}

func (q *queries) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, s := range q.stmts {
		errs = append(errs, s.Close())
	}
	clear(q.stmts)
	return errors.Join(errs...)
}
