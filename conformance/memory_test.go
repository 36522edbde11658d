package conformance

import (
	"os"
	"testing"
)

// TestMemoryContract runs a client that was written against the memory API's
// contract alone, and decodes strictly.
func TestMemoryContract(t *testing.T) {
	t.Cleanup(func() { neverCached(t) })
	dev := startFake(t, buildGateway(t))
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"MEMORY_BASE_URL=" + dev.origin + "/v1", "MEMORY_TOKEN=" + dev.token, "MEMORY_ADMIN_URL=" + dev.admin, "MEMORY_ADMIN_TOKEN=" + dev.adminToken,
	}
	suite{"python/memory", []string{"python3", "python/memory_suite.py"}}.run(t, env)
	dev.stop(t)
}
