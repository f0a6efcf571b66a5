package login

import (
	"context"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/proto"

	"github.com/mcpauth/conformance/reports"
)

// Limits of the pictures of one run.
const (
	mostPictures   = 8
	largestPicture = 200 << 10 // bytes
)

// blank hides the content of fields. The content security policy of the page does not apply to a style sheet made by a script.
const blank = `() => {
	const s = new CSSStyleSheet();
	s.replaceSync('input, textarea, [contenteditable] { color: transparent !important; text-shadow: none !important }');
	document.adoptedStyleSheets = [...document.adoptedStyleSheets, s]; }`

const unblank = `() => { document.adoptedStyleSheets = document.adoptedStyleSheets.slice(0, -1); }`

// picture takes a picture of a page, unless a secret was typed before: the server can show it in any form. A picture only helps people, so
// a failure does not stop the login.
func (d *drive) picture(ctx context.Context, page *rod.Page, what string, s *sight) {
	name := what + " " + bare(s.URL)
	if d.secret || d.Picture == nil || d.pictured[name] || len(d.pictured) >= mostPictures || s.URL == "about:blank" ||
		d.agent.Secrets.In(s.Text) {
		return
	}
	if d.pictured == nil {
		d.pictured = map[string]bool{}
	}
	d.pictured[name] = true
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	page = page.Context(ctx)
	if _, err := page.Eval(blank); err != nil {
		return
	}
	defer func() { _, _ = page.Eval(unblank) }()
	shot := reports.Screenshot{Title: what, URL: bare(s.URL), Type: "image/png"}
	var err error
	if shot.Image, err = page.Screenshot(false, &proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatPng}); err != nil {
		return
	}
	if len(shot.Image) > largestPicture {
		quality := 40
		shot.Type = "image/jpeg"
		if shot.Image, err = page.Screenshot(false,
			&proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatJpeg, Quality: &quality}); err != nil ||
			len(shot.Image) > largestPicture {
			return
		}
	}
	d.Picture(shot)
}

// pictureFailure takes a picture of the page where a login failed.
func (d *drive) pictureFailure() {
	if d.out.Stage != Lost && d.out.Stage != Failed && d.out.Stage != Refused && d.out.Stage != ErrorPage {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	pages, err := d.context.Context(ctx).Pages()
	if err != nil {
		return // the browser itself failed
	}
	for _, page := range pages {
		if s, ok := d.see(ctx, page); ok {
			d.picture(ctx, page, "where the login ended", s)
		}
	}
}
