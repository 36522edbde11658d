package wire

// name is a short string that a provider sent, kept if it is an identifier.
type name struct {
	b [maxNameBytes]byte
	n int
}

func (s *name) set(b []byte) {
	for _, c := range b {
		if !identifierByte(c) {
			return
		}
	}
	if len(b) > 0 {
		s.n = copy(s.b[:], b)
	}
}

func (s *name) bytes() []byte { return s.b[:s.n] }

// identity is the id of an answer. Gateways between us and a provider make long ones,
// in base64, of what they route by (LiteLLM's are some 250 bytes long).
type identity struct {
	b [maxIDBytes]byte
	n int
}

func (s *identity) set(b []byte) {
	for _, c := range b {
		if !identifierByte(c) && c != '=' {
			return
		}
	}
	if len(b) > 0 {
		s.n = copy(s.b[:], b)
	}
}

func (s *identity) bytes() []byte { return s.b[:s.n] }

func identifierByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == ':' || c == '/' || c == '@' || c == '+' || c == '-'
}
