package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ConfirmFlags are those of verbs that destroy something.
type ConfirmFlags struct {
	Yes bool `short:"y" help:"Do not ask; for scripts."`
}

// confirm asks for a name to be typed before what it names is destroyed. Where
// nobody can be asked, --yes is needed.
func (f *ConfirmFlags) confirm(what, name string) error {
	if f.Yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usageError{fmt.Errorf("this deletes %s; repeat it with --yes", what)}
	}
	return confirmBy(os.Stdin, os.Stderr, what, name)
}

func confirmBy(in io.Reader, out io.Writer, what, name string) error {
	if _, err := fmt.Fprintf(out, "This deletes %s. Type %s to go on: ", what, name); err != nil {
		return err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(line) != name {
		return errors.New("that is another name; nothing was deleted")
	}
	return nil
}
