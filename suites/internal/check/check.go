// Package check turns clauses into verdicts. A check is a function of a T, registered for one requirement of the catalogue. The same
// function runs under Ginkgo, under testing.T, and without either.
package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// Check is the code that tests one requirement.
type Check struct {
	Requirement *requirements.Requirement
	Level       requirements.Level
	Section     string
	Body        func(*T)
	File        string
	Line        int
}

// Registry is the set of all checks, by area.
type Registry struct {
	Areas  []string
	ByArea map[string][]*Check
	byID   map[string]*Check
}

// Lookup finds a check by its requirement's id.
func (r *Registry) Lookup(id string) (*Check, bool) {
	c, ok := r.byID[id]
	return c, ok
}

// All returns every check in the order of registration.
func (r *Registry) All() []*Check {
	var out []*Check
	for _, a := range r.Areas {
		out = append(out, r.ByArea[a]...)
	}
	return out
}

var collector struct {
	sync.Mutex
	registry *Registry
	area     string
	section  []string
	mistakes []error
}

// Area is a package of checks: its name in the catalogue, and the function that registers them.
type Area struct {
	Name     string
	Register func()
}

// Collect registers the areas' checks, and compares them with the catalogue. It reports all mistakes at once, with file and line.
func Collect(areas []Area) (*Registry, error) {
	collector.Lock()
	defer collector.Unlock()
	reg := &Registry{ByArea: map[string][]*Check{}, byID: map[string]*Check{}}
	collector.registry, collector.mistakes = reg, nil
	for _, a := range areas {
		collector.area, collector.section = a.Name, nil
		reg.Areas = append(reg.Areas, a.Name)
		a.Register()
	}
	collector.registry = nil
	for _, r := range requirements.All() {
		if _, ok := reg.byID[r.ID]; !ok && !r.Pending {
			mistake("%s: %s is not pending, but has no check", r.File(), r.ID)
		}
	}
	vetNeeds()
	return reg, errors.Join(collector.mistakes...)
}

func mistake(format string, args ...any) {
	collector.mistakes = append(collector.mistakes, fmt.Errorf(format, args...))
}

// Describe groups checks by the section of their specification.
func Describe(section string, register func()) {
	collector.section = append(collector.section, section)
	register()
	collector.section = collector.section[:len(collector.section)-1]
}

// Must registers the check of a MUST. The keyword is compared with the catalogue.
func Must(id string, body func(*T)) { add(requirements.Must, id, body) }

// Should registers the check of a SHOULD.
func Should(id string, body func(*T)) { add(requirements.Should, id, body) }

// May registers the check of a MAY: what must hold if a target uses the option.
func May(id string, body func(*T)) { add(requirements.May, id, body) }

// Practice registers the check of a best current practice.
func Practice(id string, body func(*T)) { add(requirements.Practice, id, body) }

func add(level requirements.Level, id string, body func(*T)) {
	_, file, line, _ := runtime.Caller(2)
	at := fmt.Sprintf("%s/%s:%d", filepath.Base(filepath.Dir(file)), filepath.Base(file), line)
	reg := collector.registry
	if reg == nil {
		panic(at + ": " + id + " is registered outside of Collect")
	}
	req, ok := requirements.Lookup(id)
	if !ok {
		mistake("%s: %s is not in the catalogue", at, id)
		return
	}
	if first := reg.byID[id]; first != nil {
		mistake("%s: %s has a check already at %s:%d", at, id, filepath.Base(first.File), first.Line)
		return
	}
	agree(at, req, level)
	section := ""
	if n := len(collector.section); n > 0 {
		section = collector.section[n-1]
	}
	c := &Check{Requirement: req, Level: level, Section: section, Body: body, File: file, Line: line}
	reg.byID[id] = c
	reg.ByArea[collector.area] = append(reg.ByArea[collector.area], c)
}

// agree compares a registration with its requirement in the catalogue.
func agree(at string, req *requirements.Requirement, level requirements.Level) {
	switch {
	case req.Level != level:
		mistake("%s: %s is registered as %s, but %s says %s", at, req.ID, level, req.File(), req.Level)
	case req.Pending:
		mistake("%s: %s has a check, but is marked pending in %s", at, req.ID, req.File())
	case req.Area != collector.area:
		mistake("%s: %s belongs to area %s, not %s", at, req.ID, req.Area, collector.area)
	}
}
