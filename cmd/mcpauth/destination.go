package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// destination is where the program writes a file. A complete temporary file replaces a regular file, or creates it. A pipe or a character
// device is written to. Everything else is rejected: a symbolic link may lead where its owner wants, not where the user does.
type destination struct {
	path string
	temp *os.File // nil: written directly
}

// ownOutput reports whether a path is another name of the program's standard output.
func ownOutput(path string) bool {
	n, own := descriptor(path)
	return path == "" || path == "-" || own && n == 1
}

// descriptor returns the number of the open file of this process that a path names.
func descriptor(path string) (n int, own bool) {
	switch path = filepath.Clean(path); path {
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	for _, folder := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if number, ok := strings.CutPrefix(path, folder); ok {
			n, err := strconv.Atoi(number)
			return n, err == nil
		}
	}
	return 0, false
}

// openDestination checks early that a file can be written.
func openDestination(path string) (*destination, error) {
	through, err := writtenThrough(path)
	if err != nil || through {
		return &destination{path: path}, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".mcpauth-*")
	if err != nil {
		return nil, err
	}
	return &destination{path, f}, nil
}

// writtenThrough reports whether the program writes to the existing file, or a new file replaces it. The error says why neither is allowed.
func writtenThrough(path string) (bool, error) {
	if _, own := descriptor(path); own {
		return true, nil
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch kind := info.Mode().Type(); {
	case kind == 0:
		return false, nil
	case kind == fs.ModeNamedPipe, kind == fs.ModeDevice|fs.ModeCharDevice:
		return true, nil
	case kind == fs.ModeSymlink:
		return false, fmt.Errorf("%s is a symbolic link: give the path of the file itself", path)
	case kind == fs.ModeDir:
		return false, fmt.Errorf("%s is a folder: give the path of a file in it", path)
	}
	return false, fmt.Errorf("%s is neither a regular file nor a pipe nor a character device, and is left alone", path)
}

// patience is how long a pipe may take to find its reader, and to be read.
var patience = 10 * time.Second

// finish writes the file completely or not at all.
func (d *destination) finish(b []byte) error {
	return d.finishBy(func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// finishBy is finish for content that a function writes in parts.
func (d *destination) finishBy(write func(io.Writer) error) error {
	through, err := writtenThrough(d.path) // it may have changed in the meantime
	switch {
	case err != nil:
		return err
	case through:
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		return writeThrough(d.path, b.Bytes())
	case d.temp == nil:
		return fmt.Errorf("%s has become another kind of file meanwhile, and is left alone", d.path)
	}
	for _, step := range []func() error{
		func() error { return write(d.temp) },
		func() error { return d.temp.Chmod(0o644) },
		d.temp.Close,
		func() error { return os.Rename(d.temp.Name(), d.path) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	d.temp = nil
	return nil
}

// writeThrough writes to a pipe or a device.
func writeThrough(path string, b []byte) error {
	var f *os.File
	var err error
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: no process reads this pipe", path)
		}
	}
	if err != nil {
		return err
	}
	_ = f.SetWriteDeadline(time.Now().Add(patience)) // devices have no deadline
	if _, err = f.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%s: the program that reads it has stopped reading", path)
	}
	return errors.Join(err, f.Close())
}

// abandon removes an unfinished file.
func (d *destination) abandon() {
	if d.temp != nil {
		_ = d.temp.Close()
		_ = os.Remove(d.temp.Name())
	}
}

// replace writes a file completely or not at all.
func replace(path string, b []byte) error {
	if ownOutput(path) {
		_, err := os.Stdout.Write(b)
		return err
	}
	d, err := openDestination(path)
	if err != nil {
		return err
	}
	defer d.abandon()
	return d.finish(b)
}
