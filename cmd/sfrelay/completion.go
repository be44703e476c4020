package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// completeVerb is what the scripts call, with the words typed so far: it prints what the
// last of them may become, one a line. So they know as much as the program does.
const completeVerb = "__complete"

// The scripts. Without a candidate the shell completes names of files.
var completions = map[string]string{
	"bash": `_sfrelay() {
	local IFS=$'\n'
	COMPREPLY=($("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sfrelay sfrelay
`,
	"zsh": `#compdef sfrelay
_sfrelay() {
	local -a found
	found=("${(@f)$("$words[1]" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "$found" ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _sfrelay sfrelay
`,
	"fish": `complete -c sfrelay -a '(set -l w (commandline -opc) (commandline -ct); $w[1] __complete $w[2..-1] 2>/dev/null)'
`,
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by completion --help.
func (completionCommand) Help() string {
	return "bash: eval \"$(sfrelay completion bash)\" in ~/.bashrc. zsh: eval \"$(sfrelay completion zsh)\" in ~/.zshrc, after compinit. " +
		"fish: sfrelay completion fish >~/.config/fish/completions/sfrelay.fish. sfrelay must be in your PATH."
}

// Run implements kong's interface of a command.
func (c *completionCommand) Run(s *screen) error {
	return s.Out.Raw([]byte(completions[c.Shell])) // a shell reads it, and it is ours alone
}

// complete prints what the last word may become.
func complete(p *terminal.Printer, app *kong.Application, words []string) {
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	at := app.Node
	var value *kong.Flag // that the next word is the value of
	for _, w := range words {
		if value != nil {
			value = nil
			continue
		}
		if strings.HasPrefix(w, "-") {
			value = flagOf(at, w)
			continue
		}
		for _, child := range at.Children {
			if child.Name == w {
				at = child
				break
			}
		}
	}
	for _, c := range candidates(at, value, last) {
		if strings.HasPrefix(c, last) {
			p.Printf("%s\n", c)
		}
	}
}

// flagOf is the flag that takes the next word as its value.
func flagOf(at *kong.Node, word string) *kong.Flag {
	for _, group := range at.AllFlags(true) {
		for _, f := range group {
			if "--"+f.Name == word && !f.IsBool() {
				return f
			}
		}
	}
	return nil
}

func candidates(at *kong.Node, value *kong.Flag, last string) (all []string) {
	switch {
	case value != nil:
		if value.Enum != "" {
			all = strings.Split(strings.Trim(value.Enum, ","), ",")
		}
	case strings.HasPrefix(last, "-"):
		for _, group := range at.AllFlags(true) {
			for _, f := range group {
				all = append(all, "--"+f.Name)
			}
		}
	default:
		for _, child := range at.Children {
			if !child.Hidden {
				all = append(all, child.Name)
			}
		}
		if len(at.Positional) > 0 && at.Positional[0].Enum != "" {
			all = append(all, strings.Split(at.Positional[0].Enum, ",")...)
		}
	}
	return all
}
