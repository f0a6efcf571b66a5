package reports

import (
	"cmp"
	"slices"
	"strings"
)

// Unlock is something that the user could supply, and what it would let be tested.
type Unlock struct {
	Option  string   // an option, or a part of the target file; empty if the user cannot help
	Reasons []Reason // why each requirement was not tested
	IDs     []string // of all reasons, without duplicates
	Musts   int      // of them
}

// Unlocks returns what was not tested, by what the user could supply: the most useful first, what nothing unlocks last.
func (r *Run) Unlocks() []Unlock {
	var out []Unlock
	for i := range r.Results {
		res := &r.Results[i]
		if res.Verdict != NotTested {
			continue
		}
		at := slices.IndexFunc(out, func(u Unlock) bool { return u.Option == res.Missing })
		if at < 0 {
			at, out = len(out), append(out, Unlock{Option: res.Missing})
		}
		out[at].add(res)
	}
	slices.SortStableFunc(out, func(a, b Unlock) int {
		return cmp.Or(strings.Compare(b.Option, "")-strings.Compare(a.Option, ""), b.Musts-a.Musts, len(b.IDs)-len(a.IDs))
	})
	return out
}

func (u *Unlock) add(res *Result) {
	if !slices.Contains(u.IDs, res.ID) {
		u.IDs = append(u.IDs, res.ID)
		if res.Level == "MUST" {
			u.Musts++
		}
	}
	at := slices.IndexFunc(u.Reasons, func(r Reason) bool { return r.Text == res.Reason })
	if at < 0 {
		at, u.Reasons = len(u.Reasons), append(u.Reasons, Reason{Text: res.Reason})
	}
	if !slices.Contains(u.Reasons[at].IDs, res.ID) {
		u.Reasons[at].IDs = append(u.Reasons[at].IDs, res.ID)
	}
}

// Next is a command to run after this run.
type Next struct{ Says, Command string }

// given are options with their requirements.
var given = map[string]struct{ environment, flag string }{
	"--token-env":       {"TOKEN=…", "--token-env TOKEN"},
	"--username":        {"MCPAUTH_PASSWORD=…", "--username NAME"},
	"--second-username": {"MCPAUTH_SECOND_PASSWORD=…", "--second-username NAME"},
	"--cimd-listen":     {"", "--cimd-listen 127.0.0.1:9444"},
	"--max-wait":        {"", "--max-wait 10m"},
	"--register":        {"", "--register"},
	"--allow-intrusive": {"", "--allow-intrusive"},
}

// mostAgain bounds the requirements in a command.
const mostAgain = 5

// NextCommands returns the next commands: to test the fixes, and to test more.
func (r *Run) NextCommands() []Next {
	again := cmp.Or(r.Command, "mcpauth run "+ShellQuoted(r.Target.URL))
	if r.Unreachable != "" {
		return []Next{r.reachable(again)}
	}
	var out []Next
	var failed []string
	for _, g := range r.ToFix() {
		failed = append(failed, g.First().ID)
	}
	if len(failed) > 0 {
		out = append(out, Next{"Test a fix", again + " --only " + ShellQuoted(strings.Join(failed[:min(len(failed), mostAgain)], ","))})
	}
	if r.Open != "" { // the tests of tokens mean something when there is authorization
		return out
	}
	return append(out, r.testingMore(again)...)
}

// testingMore returns the command that supplies what lets the most MUSTs be tested.
func (r *Run) testingMore(again string) []Next {
	for _, u := range r.Unlocks() {
		option, ok := given[u.Option]
		switch {
		case u.Musts == 0:
		case ok && !strings.Contains(again, u.Option):
			return []Next{{"Test " + Count(len(u.IDs), "more requirement"), strings.TrimSpace(option.environment+" "+again) + " " + option.flag}}
		case strings.HasSuffix(u.Option, "in the target file") && r.Target.File == "":
			return []Next{{"Write a target file, to test " + Count(len(u.IDs), "more requirement"), "mcpauth init " + ShellQuoted(r.Target.URL)}}
		}
	}
	return nil
}

// reachable returns the next command if the target could not be tested.
func (r *Run) reachable(again string) Next {
	if r.Instead != "" {
		return Next{"Test the URL that was probably meant", r.elsewhere(again)}
	}
	return Next{"See what answers at this address", "mcpauth doctor " + ShellQuoted(r.Target.URL)}
}

// elsewhere returns a command with the URL that the user probably meant, instead of the one in it or in its target file.
func (r *Run) elsewhere(command string) string {
	given, meant := " "+ShellQuoted(r.Target.URL)+" ", " "+ShellQuoted(r.Instead)+" "
	if strings.Contains(command+" ", given) {
		return strings.TrimSpace(strings.Replace(command+" ", given, meant, 1))
	}
	return command + " " + ShellQuoted(r.Instead)
}

// ShellQuoted quotes a word for a shell.
func ShellQuoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	word = Printable(word)
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
