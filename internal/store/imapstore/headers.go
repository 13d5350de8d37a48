package imapstore

import (
	"context"
	"fmt"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
)

// Headers reads fields of the headers of messages, in any order, without their bodies. header is as the server sent it, with an empty
// line at its end, and valid until fn returns. A message that is not there any more is passed over.
func (s *Store) Headers(ctx context.Context, box mail.Box, keys []mail.Key, fields []string, fn func(key mail.Key, header []byte) error) error {
	told := imap.NumSet{}
	err := s.read(ctx, box, func(c *conn) error {
		return s.fetching(ctx, c, box, keys, setOf(keys), imap.FetchItems{Header: fields}, func(m *imap.Message) error {
			if told.Contains(m.UID) || m.Header == nil {
				return nil
			}
			told.Add(m.UID)
			if err := fn(mail.UIDKey(m.UID), m.Header); err != nil {
				return own{err}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read headers of %q: %w", box, err)
	}
	return nil
}
