package wire

import "bytes"

// How much is interned. Mailboxes have few distinct flags; a server that sends more just costs allocations.
const (
	maxWords   = 1024
	maxLists   = 4096
	maxListLen = 256
)

// Intern returns b as a string, the same one for the same octets as long as there are few different ones.
func (d *Decoder) Intern(b []byte) string {
	if s, ok := d.words[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(d.words) < maxWords && len(s) <= maxListLen {
		d.words[s] = s
	}
	return s
}

// Flags takes a list of flags (RFC 9051 section 9, flag-list and mbx-list-flags). The same list is returned for the same
// octets: callers must not change it, and may keep it. It is not nil, and has no spare capacity.
func (d *Decoder) Flags() ([]string, error) {
	key := d.wholeList()
	if key == nil {
		return d.parseFlags()
	}
	if l, ok := d.lists[string(key)]; ok {
		d.r += len(key)
		return l, nil
	}
	name := string(key)
	l, err := d.parseFlags()
	if err == nil && len(d.lists) < maxLists && len(name) <= maxListLen {
		d.lists[name] = l
	}
	return l, err
}

// wholeList returns the list that comes next when all of it was read and nothing in it is special.
func (d *Decoder) wholeList() []byte {
	if d.r == d.w || d.buf[d.r] != '(' {
		return nil
	}
	i := bytes.IndexByte(d.buf[d.r:d.w], ')')
	if i < 0 || i >= maxListLen {
		return nil
	}
	key := d.buf[d.r : d.r+i+1]
	for _, b := range key {
		if b < ' ' || b == '"' || b == '{' {
			return nil
		}
	}
	return key
}

func (d *Decoder) parseFlags() ([]string, error) {
	flags := []string{}
	err := d.List(func() error {
		f, err := d.flag()
		if err == nil {
			flags = append(flags, d.Intern(f))
		}
		return err
	})
	return flags[:len(flags):len(flags)], err
}

func (d *Decoder) flag() ([]byte, error) {
	if b, err := d.Peek(); err != nil {
		return nil, err
	} else if b == '"' || b == '{' {
		return d.String() // not legal, but harmless
	}
	return d.nonEmpty(endFlag, "flag")
}
