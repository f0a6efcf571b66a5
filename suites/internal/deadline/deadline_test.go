package deadline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTimeStandsStillWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := With(t.Context(), 3*time.Second)
		defer cancel()
		child, stop := context.WithCancel(ctx)
		defer stop()
		time.Sleep(2 * time.Second)
		resume := Pause(child)
		again := Pause(child) // pauses may overlap
		time.Sleep(time.Hour)
		resume()
		resume() // calling it twice does no harm
		time.Sleep(time.Hour)
		again()
		time.Sleep(900 * time.Millisecond)
		assert.NoError(t, ctx.Err())
		assert.NoError(t, child.Err())
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, context.DeadlineExceeded, ctx.Err())
		assert.Error(t, child.Err())
		Pause(child)()
		assert.Equal(t, context.DeadlineExceeded, ctx.Err())
	})
}

func TestTimeIsExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := With(t.Context(), time.Second)
		defer cancel()
		time.Sleep(500 * time.Millisecond)
		Extend(ctx, time.Second)
		resume := Pause(ctx)
		Extend(ctx, time.Second)
		time.Sleep(time.Hour)
		resume()
		time.Sleep(2400 * time.Millisecond)
		assert.NoError(t, ctx.Err())
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, context.DeadlineExceeded, ctx.Err())
		Extend(ctx, time.Hour)
		assert.Equal(t, context.DeadlineExceeded, ctx.Err(), "the context is no longer expired")
		Extend(t.Context(), time.Hour)
	})
}

func TestAnEndOfTheRunEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, end := context.WithCancel(t.Context())
		ctx, cancel := With(run, time.Second)
		defer cancel()
		resume := Pause(ctx)
		end()
		synctest.Wait()
		assert.Equal(t, context.Canceled, ctx.Err())
		resume()
		time.Sleep(time.Minute)
		assert.Equal(t, context.Canceled, ctx.Err())
	})
}

func TestPauseWithoutALimit(t *testing.T) { Pause(t.Context())() }
