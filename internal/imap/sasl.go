package imap

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/xdg-go/scram"
)

// mechanism is the client side of a SASL mechanism (RFC 4422).
type mechanism interface {
	// start returns the initial response; has is false when the server speaks first.
	start() (first []byte, has bool, err error)
	// next answers a challenge.
	next(challenge []byte) ([]byte, error)
	// finish is called when the server has said OK, and says whether that may be believed.
	finish() error
}

func newMechanism(name, user, secret, address string) (mechanism, error) {
	if strings.ContainsRune(user, 0) || strings.ContainsRune(secret, 0) {
		return nil, errors.New("the user name or the password holds a NUL")
	}
	switch name {
	case "PLAIN": // RFC 4616
		return once{[]byte("\x00" + user + "\x00" + secret)}, nil
	case "EXTERNAL": // RFC 4422 appendix A
		return once{[]byte(user)}, nil
	case "XOAUTH2":
		return oauth{first: []byte("user=" + user + "\x01auth=Bearer " + secret + "\x01\x01")}, nil
	case "OAUTHBEARER": // RFC 7628
		return oauth{first: oauthBearer(user, secret, address), empty: []byte{1}}, nil
	case "CRAM-MD5": // RFC 2195
		return cramMD5{user, secret}, nil
	case "SCRAM-SHA-256": // RFC 7677
		return newSCRAM(scram.SHA256, user, secret)
	case "SCRAM-SHA-1": // RFC 5802
		return newSCRAM(scram.SHA1, user, secret)
	}
	return nil, fmt.Errorf("mechanism %.40q: %w", name, errors.ErrUnsupported)
}

var errChallenge = errors.New("the server asks for more than the mechanism knows")

// once is a mechanism of one message.
type once struct{ first []byte }

func (o once) start() ([]byte, bool, error) { return o.first, true, nil }
func (o once) next([]byte) ([]byte, error)  { return nil, errChallenge }
func (o once) finish() error                { return nil }

// oauth sends a token. The server explains a refusal in a challenge, which is answered before it says NO.
type oauth struct{ first, empty []byte }

func (o oauth) start() ([]byte, bool, error) { return o.first, true, nil }
func (o oauth) next([]byte) ([]byte, error)  { return o.empty, nil }
func (o oauth) finish() error                { return nil }

func oauthBearer(user, token, address string) []byte {
	user = strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
	s := "n,a=" + user + ",\x01"
	if host, port, err := net.SplitHostPort(address); err == nil {
		s += "host=" + host + "\x01port=" + port + "\x01"
	}
	return []byte(s + "auth=Bearer " + token + "\x01\x01")
}

type cramMD5 struct{ user, password string }

func (m cramMD5) start() ([]byte, bool, error) { return nil, false, nil }

func (m cramMD5) next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 {
		return nil, errChallenge
	}
	mac := hmac.New(md5.New, []byte(m.password))
	_, _ = mac.Write(challenge) // a hash never fails
	return []byte(m.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

func (m cramMD5) finish() error { return nil }

// scramMechanism makes sure that the server knows the password too.
type scramMechanism struct{ conv *scram.ClientConversation }

func newSCRAM(hash scram.HashGeneratorFcn, user, password string) (mechanism, error) {
	client, err := hash.NewClient(user, password, "")
	if err != nil {
		return nil, errors.New("the user name or the password holds characters that SCRAM does not allow")
	}
	return &scramMechanism{client.NewConversation()}, nil
}

func (m *scramMechanism) start() ([]byte, bool, error) {
	s, err := m.conv.Step("")
	return []byte(s), true, err
}

func (m *scramMechanism) next(challenge []byte) ([]byte, error) {
	if m.conv.Done() {
		return nil, nil
	}
	s, err := m.conv.Step(string(challenge))
	return []byte(s), err
}

func (m *scramMechanism) finish() error {
	if !m.conv.Valid() {
		return errors.New("the server did not prove that it knows the password")
	}
	return nil
}
