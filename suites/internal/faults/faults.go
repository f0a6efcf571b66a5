// Package faults makes single requests and logins of a run fail like networks, servers, browsers and limits. Only tests set faults.
package faults

import (
	"context"
	"time"
)

// Fault is a failure of a request.
type Fault struct {
	// Dial is the address to connect to instead of the request's own.
	Dial string
	// Within, if set, is how long to wait for an answer.
	Within time.Duration
	// Err, if set, is the reason why the request is not sent.
	Err error
}

// Plan says what fails in a run.
type Plan struct {
	// Request returns the fault of a request of a check; nil: none.
	Request func(ctx context.Context, check string) *Fault
	// Browser returns the reason why the browser fails at a login; empty: it does not.
	Browser func(ctx context.Context) (why string)
	// OneLook reports findings without a second look.
	OneLook bool
}

type planKey struct{}

// With sets the faults of a run.
func With(ctx context.Context, p *Plan) context.Context { return context.WithValue(ctx, planKey{}, p) }

func of(ctx context.Context) *Plan {
	if p, ok := ctx.Value(planKey{}).(*Plan); ok {
		return p
	}
	return &Plan{}
}

// OfRequest returns the fault of the next request of a check, or nil.
func OfRequest(ctx context.Context, check string) *Fault {
	if p := of(ctx); p.Request != nil {
		return p.Request(ctx, check)
	}
	return nil
}

// OfBrowser returns the reason why the browser fails now, or "".
func OfBrowser(ctx context.Context) string {
	if p := of(ctx); p.Browser != nil {
		return p.Browser(ctx)
	}
	return ""
}

// OneLook reports whether findings are reported without a second look.
func OneLook(ctx context.Context) bool { return of(ctx).OneLook }

type dialKey struct{}

// Dialling makes a request connect to another address.
func Dialling(ctx context.Context, address string) context.Context {
	if address == "" {
		return ctx
	}
	return context.WithValue(ctx, dialKey{}, address)
}

// Address returns the address to connect to instead of the request's own; ok is false without a fault.
func Address(ctx context.Context) (address string, ok bool) {
	address, ok = ctx.Value(dialKey{}).(string)
	return address, ok
}
