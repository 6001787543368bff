// Package session remembers what each user last ordered.
package session

import "sync"

// Store keeps a history per user.
//
// Leak, on purpose: nothing is ever removed, neither a user nor an old entry.
type Store struct {
	mu       sync.Mutex
	sessions map[string][][]byte
	bytes    int
}

// NewStore is an empty store.
func NewStore() *Store { return &Store{sessions: map[string][][]byte{}} }

// Remember keeps a copy of the first size bytes of a document (repeated where it is shorter) for the user.
func (s *Store) Remember(user string, document []byte, size int) {
	entry := make([]byte, size)
	for filled := 0; filled < size && len(document) > 0; {
		filled += copy(entry[filled:], document)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[user] = append(s.sessions[user], entry)
	s.bytes += size
}

// Size is the number of users and of bytes held.
func (s *Store) Size() (users, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions), s.bytes
}
