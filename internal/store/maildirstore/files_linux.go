package maildirstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// rawFile is an open file without what os.File does for pipes and sockets: that costs five system calls a file, nearly as many as
// the file itself needs. It is used by one goroutine.
type rawFile struct {
	fd   int
	path string
}

func rawOpen(path string, flags int) (*rawFile, error) {
	fd := -1
	err := uninterrupted(func() (err error) {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC|unix.O_LARGEFILE, 0o600)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &rawFile{fd, path}, nil
}

func (f *rawFile) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

// maxTransfer is how much one system call moves at most.
const maxTransfer = 1 << 30

func (f *rawFile) Read(p []byte) (n int, err error) {
	err = uninterrupted(func() (err error) {
		n, err = unix.Read(f.fd, p[:min(len(p), maxTransfer)])
		return err
	})
	if err != nil {
		return 0, f.fail("read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *rawFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k := 0
		err := uninterrupted(func() (err error) {
			k, err = unix.Write(f.fd, p[n:min(len(p), n+maxTransfer)])
			return err
		})
		if err == nil && k <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, f.fail("write", err)
		}
		n += k
	}
	return n, nil
}

// Close is not repeated when a signal interrupts it: the descriptor is gone all the same.
func (f *rawFile) Close() error {
	if f.fd < 0 {
		return f.fail("close", fs.ErrClosed)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	return f.fail("close", err)
}

func (f *rawFile) Sync() error {
	return f.fail("sync", uninterrupted(func() error { return unix.Fsync(f.fd) }))
}

func (f *rawFile) Rewind() error {
	_, err := unix.Seek(f.fd, 0, io.SeekStart)
	return f.fail("seek", err)
}

func (f *rawFile) stat() (st unix.Stat_t, err error) {
	err = uninterrupted(func() error { return unix.Fstat(f.fd, &st) })
	return st, f.fail("stat", err)
}

func (f *rawFile) Info() (int64, time.Time, error) {
	st, err := f.stat()
	return st.Size, time.Unix(st.Mtim.Unix()), err
}

func (osFS) Open(path string) (File, error) {
	f, err := rawOpen(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) { // a link
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	st, err := f.stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (osFS) Create(path string) (File, error) {
	f, err := rawOpen(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Offsets in an entry of getdents64(2).
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

func (osFS) Each(path string, fn func(string, fs.FileMode) error) (err error) {
	f, err := rawOpen(path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n := 0
		err := uninterrupted(func() (err error) {
			n, err = unix.Getdents(f.fd, *buf)
			return err
		})
		if err != nil || n <= 0 {
			return f.fail("read", err)
		}
		for rest := (*buf)[:n]; len(rest) > direntName; {
			size := int(binary.NativeEndian.Uint16(rest[direntLength:]))
			if size <= direntName || size > len(rest) {
				return f.fail("read", io.ErrUnexpectedEOF)
			}
			name, typ := rest[direntName:size], rest[direntType]
			rest = rest[size:]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			if string(name) == "." || string(name) == ".." {
				continue
			}
			mode, known := entryTypes[typ]
			if !known {
				st, err := (osFS{}).Stat(path+"/"+string(name), false)
				if errors.Is(err, fs.ErrNotExist) {
					continue // gone meanwhile
				}
				if err != nil {
					return err
				}
				mode = st.Mode
			}
			if err := fn(string(name), mode); err != nil {
				return err
			}
		}
	}
}

// entryTypes are the types that folders tell. A file system may tell none.
var entryTypes = map[byte]fs.FileMode{
	unix.DT_REG: 0, unix.DT_DIR: fs.ModeDir, unix.DT_LNK: fs.ModeSymlink,
	unix.DT_FIFO: fs.ModeIrregular, unix.DT_SOCK: fs.ModeIrregular, unix.DT_CHR: fs.ModeIrregular, unix.DT_BLK: fs.ModeIrregular,
}
