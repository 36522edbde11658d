package main

// CompletionCmd prints what makes a shell complete commands and flags. The
// program itself answers: there is no list that could be out of date.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// completions are for the shells' startup files.
var completions = map[string]string{
	"bash": "complete -C ownkey ownkey\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C ownkey ownkey\n",
	"fish": `function __complete_ownkey
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct); and set COMP_LINE "$COMP_LINE "
    ownkey
end
complete -f -c ownkey -a "(__complete_ownkey)"
`,
}

// Run prints it.
func (c *CompletionCmd) Run() error { //nolint:unparam // kong calls it
	printf("%s", completions[c.Shell])
	return nil
}
