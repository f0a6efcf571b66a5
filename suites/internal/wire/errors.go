package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/net/http2"
)

// Canceled is the error of a request whose run or check has ended.
const Canceled = "canceled"

// TimedOut is the error of an answer that is not complete in time.
const TimedOut = "no whole answer within the time limit"

// Reset is the error of a connection that the server closed before it had read the whole request.
const Reset = "the server reset the connection without an answer"

// Closed is the error of a connection that the server closed instead of answering, over HTTP/1.1 and HTTP/2.
const Closed = "the server closed the connection without an answer"

// ClosedWithin is the error of a connection that the server closed within an answer.
const ClosedWithin = "the server closed the connection before the end of its answer"

// errBrokenOff is the error of an answer whose header came, but not its end.
var errBrokenOff = errors.New("broke off")

// Ours reports whether a request got no answer for a reason on this side, which says nothing about the target.
func Ours(failed string) bool {
	return slices.Contains([]string{ErrBudget.Error(), ErrRoom.Error(), ErrPassive.Error(), Canceled}, failed) ||
		Unsent(failed) || strings.Contains(failed, notDialled)
}

// Unsent reports whether this machine could not send a request at all.
func Unsent(failed string) bool { return strings.HasPrefix(failed, unsent) }

// Vacant reports whether there is no server at an address: nothing listens, or its name does not resolve.
func Vacant(failed string) bool {
	return strings.HasPrefix(failed, nobody) || strings.HasSuffix(failed, unresolved)
}

const (
	nobody     = "nothing listens at this address"
	unresolved = " does not resolve"
)

// notDialled is part of the error for an address that mcpauth does not connect to.
const notDialled = "not dialled"

// neverDialled returns the error of a URL with a scheme other than HTTP.
func neverDialled(scheme string) error {
	return fmt.Errorf("URLs with the scheme %q are not dialled", scheme)
}

// unsent begins the error of a request that this machine could not send.
const unsent = "mcpauth could not connect: "

// troubles are failures of this machine. Windows has its own numbers.
var troubles = []struct {
	errors []syscall.Errno
	says   string
}{
	{[]syscall.Errno{syscall.EMFILE, syscall.ENFILE, 10024}, "too many files and connections are open on this machine"},
	{[]syscall.Errno{syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, 10048, 10049}, "no port of this machine is free for it"},
	{[]syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM, 10055}, "this machine has no memory left for it"},
	{[]syscall.Errno{syscall.ENETUNREACH, syscall.ENETDOWN, 10050, 10051}, "this machine has no network that leads there"},
}

var (
	refusals = []syscall.Errno{syscall.ECONNREFUSED, 10061}
	resets   = []syscall.Errno{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, 10053, 10054}
)

func isAny(err error, numbers []syscall.Errno) bool {
	return slices.ContainsFunc(numbers, func(n syscall.Errno) bool { return errors.Is(err, n) })
}

// plain describes an error in plain words.
func plain(err error) string {
	for _, say := range []func(error) string{ownWords, ofThisMachine, ofTLS, ofTheNetwork, ofHTTP2, ofTheConnection} {
		if text := say(err); text != "" {
			return text
		}
	}
	return malformed.ReplaceAllString(strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: "), "$1…")
}

// ownWords describes errors that mcpauth makes.
func ownWords(err error) string {
	var refused *Refused
	if errors.Is(err, ErrBudget) || errors.Is(err, ErrRoom) || errors.Is(err, errSilent) || errors.As(err, &refused) {
		return err.Error()
	}
	return ""
}

func ofThisMachine(err error) string {
	for _, t := range troubles {
		if isAny(err, t.errors) {
			return unsent + t.says
		}
	}
	return ""
}

func ofTLS(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "TLS: the certificate is signed by an authority that this machine does not trust; if it is yours, give it with --ca-file"
	case errors.As(err, &host):
		return "TLS: " + host.Error()
	case errors.As(err, &invalid):
		return "TLS: " + invalid.Error()
	case errors.As(err, &record):
		return "the server does not speak TLS at this port: is it an http URL?"
	case alert.MatchString(err.Error()):
		return refusedCertificate(alert.FindStringSubmatch(err.Error())[1])
	}
	return ""
}

func ofTheNetwork(err error) string {
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case isAny(err, refusals):
		return nobody + " (connection refused): is the server running, and is the port right?"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + unresolved
	case errors.As(err, &dns):
		return "the name server gave no answer about " + dns.Name
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return TimedOut
	case errors.Is(err, context.Canceled):
		return Canceled
	}
	return ""
}

// unprocessed are the codes with which a server refuses a stream that it has not processed, or whose request it does not read to the end
// (RFC 9113 sections 7 and 8.1).
var unprocessed = []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeRefusedStream, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeCancel}

//lint:ignore SA1019 the error that the transport returns has no other name
type goAway = http2.GoAwayError

// asksForLess reports whether a server refuses an HTTP/2 stream because there are too many.
func asksForLess(err error) bool {
	var stream http2.StreamError
	var leaves goAway
	return errors.As(err, &stream) && (stream.Code == http2.ErrCodeRefusedStream || stream.Code == http2.ErrCodeEnhanceYourCalm) ||
		errors.As(err, &leaves) && leaves.ErrCode == http2.ErrCodeEnhanceYourCalm
}

// ofHTTP2 describes how HTTP/2 ended a stream or a connection, without the debug data of GOAWAY.
func ofHTTP2(err error) string {
	var stream http2.StreamError
	var leaves goAway
	var broken http2.ConnectionError
	switch {
	case errors.As(err, &stream):
		return ended(err, stream.Code)
	case errors.As(err, &leaves):
		return ended(err, leaves.ErrCode)
	case errors.As(err, &broken):
		return fmt.Sprintf("the answer breaks the rules of HTTP/2 (%s)", http2.ErrCode(broken))
	case http2Ended.MatchString(err.Error()):
		return ended(err, http2.ErrCodeProtocol)
	}
	return ""
}

// http2Ended matches the untyped errors of golang.org/x/net for a connection that ends before an answer.
var http2Ended = regexp.MustCompile(`http2: (client conn|Transport received|server sent GOAWAY)`)

// ended says that a server ended an HTTP/2 stream or connection with a code.
func ended(err error, code http2.ErrCode) string {
	switch {
	case errors.Is(err, errBrokenOff):
		return ClosedWithin
	case slices.Contains(unprocessed, code):
		return Reset
	}
	return Closed
}

// brokenOff reports whether an error means that the server closed the connection in order. net/http exports no name for the last one.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "server closed idle connection")
}

func ofTheConnection(err error) string {
	reset := isAny(err, resets) || errors.Is(err, net.ErrClosed) // the reader has noticed the reset first, and closed the connection
	switch {
	case (reset || brokenOff(err)) && errors.Is(err, errBrokenOff):
		return ClosedWithin
	case reset:
		return Reset
	case brokenOff(err):
		return Closed
	}
	return ""
}

// alert matches the server's alerts about the client certificate (RFC 8446 section 6.2), which have no type.
var alert = regexp.MustCompile(`remote error: tls: (certificate required|bad certificate|unsupported certificate|revoked certificate|` +
	`expired certificate|unknown certificate|unknown certificate authority|handshake failure)$`)

// refusedCertificate explains an alert about the client certificate.
func refusedCertificate(alert string) string {
	switch alert {
	case "certificate required":
		return "TLS: the server, or a gate in front of it, demands a client certificate: give one with --client-cert and " +
			"--client-key, which show it at the target's origin only"
	case "handshake failure":
		return "TLS: the server ends the handshake. Either it has no cipher in common with mcpauth, or it, or a gate in front of it, demands " +
			"a client certificate: give one with --client-cert and --client-key, which show it at the target's origin only"
	}
	return "TLS: the server, or a gate in front of it, refuses the client certificate (" + alert + "): at the target's origin, " +
		"--client-cert and --client-key give another one"
}

// malformed matches errors of net/http about an unreadable answer, with the beginning of the quoted text: the rest may be secret.
var malformed = regexp.MustCompile(`(?s)(malformed [^"]*".{0,10}).+`)
