package config

import "time"

// Memory is what tenants have remembered, and what is put into their calls.
type Memory struct {
	// Memory of the process for buckets that are ready for recall, in bytes. The
	// ones used longest ago are let go of, and read again when they are needed. One
	// bucket may store a quarter of it, 512 bytes for each memory included.
	MaxResidentBytes int64 `yaml:"max_resident_bytes"`
	// Memories that one bucket may hold.
	MaxBucketMemories int64 `yaml:"max_bucket_memories"`
	// Buckets that one tenant may have.
	MaxTenantBuckets int64 `yaml:"max_tenant_buckets"`
	// Bytes that one tenant may have stored: contents, history, facts, metadata,
	// and 512 for each memory. Vectors are not counted.
	MaxTenantBytes int64 `yaml:"max_tenant_bytes"`
	// Deadline of recall in a call. Past it the call goes on without memory, and
	// says so. At most 1s.
	RecallTimeout time.Duration `yaml:"recall_timeout" reload:"yes"`
	// Size of the block that is put into a call, in tokens as estimated, where
	// the client does not say.
	MaxTokens int64 `yaml:"max_tokens" reload:"yes"`
	// Memories in a block, at most, where the client does not say.
	TopK int64 `yaml:"top_k" reload:"yes"`
	// How long captured turns are kept, where neither their bucket nor the token says;
	// 0s keeps them for ever. Those that were captured before a change keep their time.
	TTL time.Duration `yaml:"ttl" reload:"yes"`
	// How long a recall waits for the vector of the question, for tenants with an
	// embeddings model; 0s decides by words alone. A call in flight waits no
	// longer than recall_timeout.
	QueryEmbeddingTimeout time.Duration `yaml:"query_embedding_timeout"`
	// Calls of one tenant's own models that are in flight at once, for embeddings
	// and extraction.
	ModelConcurrency int64 `yaml:"model_concurrency"`
	// Model that answers POST /v1/query and writes profiles for tenants that have
	// chosen none.
	SynthesisModel string `yaml:"synthesis_model" reload:"yes"`
}

var defaultMemory = Memory{
	MaxResidentBytes: 512 << 20, MaxBucketMemories: 100_000, MaxTenantBuckets: 100_000, MaxTenantBytes: 1 << 30, RecallTimeout: 20 * time.Millisecond,
	MaxTokens: 800, TopK: 12, TTL: 90 * 24 * time.Hour, ModelConcurrency: 2, SynthesisModel: "gpt-4o-mini",
}

func (d *decoder) memory(m *Memory) {
	d.between("memory.max_resident_bytes", m.MaxResidentBytes, 1<<20, 1<<40)
	d.between("memory.max_bucket_memories", m.MaxBucketMemories, 1, 10_000_000)
	d.between("memory.max_tenant_buckets", m.MaxTenantBuckets, 1, 10_000_000)
	d.between("memory.max_tenant_bytes", m.MaxTenantBytes, 1<<20, 1<<50)
	if m.RecallTimeout < time.Millisecond || m.RecallTimeout > time.Second {
		d.add(nil, "memory.recall_timeout", "must be between 1ms and 1s")
	}
	d.between("memory.max_tokens", m.MaxTokens, 100, 8000)
	d.between("memory.top_k", m.TopK, 1, 50)
	if m.TTL != 0 && (m.TTL < time.Hour || m.TTL > 100*365*24*time.Hour) {
		d.add(nil, "memory.ttl", "must be 0s, or between 1h and 876000h")
	}
	if m.QueryEmbeddingTimeout < 0 || m.QueryEmbeddingTimeout > time.Second {
		d.add(nil, "memory.query_embedding_timeout", "must be between 0s and 1s")
	}
	d.between("memory.model_concurrency", m.ModelConcurrency, 1, 64)
	d.required("memory.synthesis_model", m.SynthesisModel)
}
