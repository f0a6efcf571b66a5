// Package faults has single requests and sign-ins of a run fail as networks, servers, browsers and limits do. Only tests set faults.
package faults

import (
	"context"
	"time"
)

// Fault is how a request fails.
type Fault struct {
	// Dial is the address to connect to in place of the request's own.
	Dial string
	// Within, if set, is how long an answer is waited for.
	Within time.Duration
	// Err, if set, is why the request is not sent at all.
	Err error
}

// Plan says what fails in a run.
type Plan struct {
	// Request is asked about each request of a check; nil for one that does not fail.
	Request func(ctx context.Context, check string) *Fault
	// Browser is asked each time a user signs in: why the browser fails, or nothing.
	Browser func(ctx context.Context) (why string)
	// OneLook has findings reported as they were seen first, without a second look.
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

// OfRequest returns how the next request of a check fails; nil where it does not.
func OfRequest(ctx context.Context, check string) *Fault {
	if p := of(ctx); p.Request != nil {
		return p.Request(ctx, check)
	}
	return nil
}

// OfBrowser returns why the browser fails now; empty where it does not.
func OfBrowser(ctx context.Context) string {
	if p := of(ctx); p.Browser != nil {
		return p.Browser(ctx)
	}
	return ""
}

// OneLook reports whether findings are not looked at a second time.
func OneLook(ctx context.Context) bool { return of(ctx).OneLook }

type dialKey struct{}

// Dialling has connections of a request go to another address.
func Dialling(ctx context.Context, address string) context.Context {
	if address == "" {
		return ctx
	}
	return context.WithValue(ctx, dialKey{}, address)
}

// Address returns where a request connects to in place of its own address; ok is false for one that does not fail.
func Address(ctx context.Context) (address string, ok bool) {
	address, ok = ctx.Value(dialKey{}).(string)
	return address, ok
}
