package fakeprovider

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// file is what the double remembers of an upload: its content only while it is
// small.
type file struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Bytes    int64  `json:"bytes"`
	Created  int64  `json:"created_at"`
	Filename string `json:"filename"`
	Purpose  string `json:"purpose"`
	Status   string `json:"status"`
	SHA256   string `json:"sha256"`
	content  []byte
}

// keptFileBytes is what a download gives back; larger uploads are only counted
// and hashed.
const keptFileBytes = 8 << 20

// readFile takes a multipart body in as a stream.
func (c *call) readFile() (file, error) {
	f := file{ID: "file-" + c.id, Object: "file", Created: time.Now().Unix(), Status: "processed"}
	parts, err := c.r.MultipartReader()
	if err != nil {
		return f, err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, err
		}
		if part.FileName() == "" {
			value, _ := io.ReadAll(io.LimitReader(part, 1<<10))
			if part.FormName() == "purpose" {
				f.Purpose = string(value)
			}
			continue
		}
		var kept bytes.Buffer
		sum := sha256.New()
		f.Filename = part.FileName()
		f.Bytes, err = io.Copy(io.MultiWriter(sum, &capped{&kept}), part)
		if err != nil {
			return f, err
		}
		f.SHA256, f.content = hex.EncodeToString(sum.Sum(nil)), kept.Bytes()
	}
}

// capped drops what goes beyond keptFileBytes.
type capped struct{ b *bytes.Buffer }

func (w *capped) Write(p []byte) (int, error) {
	if room := keptFileBytes - w.b.Len(); room > 0 {
		w.b.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (c *call) upload() {
	f, err := c.readFile()
	if err != nil {
		c.fail(http.StatusBadRequest, "invalid_multipart", "The upload could not be read.")
		return
	}
	c.s.note(func() { c.s.files[f.ID] = f })
	c.json(http.StatusOK, f)
}

func (c *call) listFiles() {
	all := []file{}
	c.s.note(func() {
		for _, f := range c.s.files {
			all = append(all, f)
		}
	})
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(a.ID, b.ID) })
	c.json(http.StatusOK, object{"object": "list", "data": all, "has_more": false})
}

func (c *call) lookup() (f file, ok bool) {
	c.s.note(func() { f, ok = c.s.files[c.r.PathValue("id")] })
	if !ok {
		c.fail(http.StatusNotFound, "not_found", "No such File object.")
	}
	return f, ok
}

func (c *call) getFile() {
	if f, ok := c.lookup(); ok {
		c.json(http.StatusOK, f)
	}
}

func (c *call) fileContent() {
	if f, ok := c.lookup(); ok {
		c.w.Header().Set("Content-Type", "application/octet-stream")
		c.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.Filename))
		c.send(http.StatusOK, f.content)
	}
}

func (c *call) deleteFile() {
	if f, ok := c.lookup(); ok {
		c.s.note(func() { delete(c.s.files, f.ID) })
		c.json(http.StatusOK, object{"id": f.ID, "object": "file", "deleted": true})
	}
}

// speech answers with bytes of every value, so that anything that treats them
// as text is found out.
func (c *call) speech() {
	body := make([]byte, max(c.b.big, 100_000))
	for i := range body {
		body[i] = byte(i * 7)
	}
	c.w.Header().Set("Content-Type", "audio/mpeg")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(body)
}

func (c *call) transcription() {
	f, err := c.readFile()
	if err != nil {
		c.fail(http.StatusBadRequest, "invalid_multipart", "The upload could not be read.")
		return
	}
	c.json(http.StatusOK, object{"text": strings.TrimSpace(fmt.Sprintf("%d bytes of audio, sha256 %s", f.Bytes, f.SHA256))})
}
