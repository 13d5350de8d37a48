// Package imapstore is an IMAP account as a synchroniser wants it: it implements store.Store on top of the client in
// internal/imap, with the extensions that the server offers and correctly without them. Start with [New].
package imapstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Expunge says what may be done to remove messages from a server without UIDPLUS (RFC 4315).
const (
	ExpungeUID   = "uid"   // UID EXPUNGE or nothing: messages are only marked
	ExpungePlain = "plain" // EXPUNGE too, when the messages marked as deleted are exactly those to be removed
)

const (
	defaultConnections = 4
	defaultWait        = 2 * time.Second
)

// Config says which account it is and how to treat it.
type Config struct {
	Client      imap.Config
	Credentials imap.Credentials
	Connections int              // at most; opened on demand, reused; default 4
	ReadOnly    bool             // nothing is changed: mailboxes are opened with EXAMINE, effects are refused
	Expunge     string           // ExpungeUID (default) or ExpungePlain
	DeleteTo    mail.Box         // where deleted messages are moved to: a mailbox, or the one with a role, such as `\Trash`; "": they are deleted for good
	Mask        []string         // capabilities to pretend absent
	Compress    Compress         // when connections are compressed; default CompressAuto
	Name        string           // the account's name for people; default: the host
	Now         func() time.Time // default time.Now
	Wait        time.Duration    // pause between the two looks of Settle; default 2 s

	// Reached, if not nil, is called when a server was reached and is about to greet: what the login needs can be got ready meanwhile. It
	// must return at once; its context ends with Close.
	Reached func(context.Context)
}

// Store is an IMAP account. Its methods may be called from several goroutines; functions given to Fetch, Identify and
// Put must not call the same store again, since they run while one of its connections is in use.
type Store struct {
	cfg   Config
	host  string
	slots chan struct{} // one for each connection that may be in use
	link  link

	mu       sync.Mutex
	idle     []*conn // the one used last comes last
	open     map[*conn]struct{}
	past     store.Counts // of connections that are closed
	less     int          // slots that are not given back, since the server let no more in
	lost     int          // uploads that a connection did not survive, in this session
	closed   bool
	opened   bool // Hello succeeded
	hint     hint
	space    space
	names    map[mail.Box]string        // as the server spells them, learned from its list
	special  map[string]mail.Box        // by role, learned from its list; nil: not listed yet
	epochs   map[mail.Box]uint32        // seen in this session, see check
	nexts    map[mail.Box]uint32        // a UIDNEXT that each mailbox had in this session, for tokens
	floors   map[mail.Box]uint32        // UIDNEXT in the last view of each mailbox: a lower one is another epoch
	holding  map[mail.Box]mail.Storable // learned from SELECT
	filled   map[mail.Box]bool          // those that had messages when they were listed
	told     map[mail.Box]state         // what the last list told of them
	foreseen map[mail.Box]uint32        // see Foresee: from which UID on messages are to be identified
	few      bool                       // few mailboxes are to be viewed, see turn
	viewing  chan struct{}              // has something while one of them is
	unlisted atomic.Bool                // a message had a keyword that FLAGS did not name, see hear
	silent   atomic.Bool                // STORE is not answered with MODSEQ, see missing
	views    int                        // how many were taken
	viewed   map[mail.Box]int           // the number of the last view of each mailbox
	ahead    *reach
	life     context.Context // see lifetime
	endLife  context.CancelFunc
	tell     func(mail.Box, []mail.Key) // see Tell
	listed   *listing                   // asked for by Hello, for the first Boxes
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Counted = (*Store)(nil)
	_ store.Hinter  = (*Store)(nil)
)

// New returns the store of an account. It connects in Hello.
func New(cfg Config) *Store {
	if cfg.Connections <= 0 {
		cfg.Connections = defaultConnections
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wait <= 0 {
		cfg.Wait = defaultWait
	}
	cfg.Credentials.Password = ours(cfg.Credentials.Password)
	cfg.Credentials.Token = ours(cfg.Credentials.Token)
	host := hostOf(cfg.Client)
	if cfg.Name == "" {
		cfg.Name = host
	}
	return &Store{
		cfg: cfg, host: host, slots: make(chan struct{}, cfg.Connections), open: map[*conn]struct{}{},
		names: map[mail.Box]string{}, epochs: map[mail.Box]uint32{}, nexts: map[mail.Box]uint32{}, floors: map[mail.Box]uint32{}, holding: map[mail.Box]mail.Storable{}, filled: map[mail.Box]bool{}, told: map[mail.Box]state{},
		viewed: map[mail.Box]int{}, viewing: make(chan struct{}, 1),
	}
}

// ours marks the errors of a function of the caller: that a password is not to be had says nothing of the server.
func ours(get func(context.Context) (string, error)) func(context.Context) (string, error) {
	if get == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		secret, err := get(ctx)
		if err != nil {
			err = own{err}
		}
		return secret, err
	}
}

// SetRoot implements store.Store: an IMAP account has no marker.
func (s *Store) SetRoot(context.Context, string, int64) error { return nil }

// Counts implements store.Counted: what all connections together sent and received.
func (s *Store) Counts() store.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.past
	for c := range s.open {
		add(&sum, c.client.Stats())
	}
	return sum
}

func add(sum *store.Counts, st imap.Stats) {
	sum.BytesIn += st.BytesIn
	sum.BytesOut += st.BytesOut
	sum.RoundTrips += st.RoundTrips
}
