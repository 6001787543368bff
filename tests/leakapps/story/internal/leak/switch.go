// Package leak holds the one switch that turns a process into its healthy twin.
package leak

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// Switch says whether the process leaks now. It is safe for concurrent use.
type Switch struct{ on atomic.Bool }

// NewSwitch starts in the given position.
func NewSwitch(on bool) *Switch {
	s := &Switch{}
	s.on.Store(on)
	return s
}

// On tells the position.
func (s *Switch) On() bool { return s.on.Load() }

// Register adds GET /debug/leak, POST /debug/leak/on and POST /debug/leak/off.
func (s *Switch) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/leak", s.tell)
	mux.HandleFunc("POST /debug/leak/on", func(w http.ResponseWriter, r *http.Request) {
		s.on.Store(true)
		s.tell(w, r)
	})
	mux.HandleFunc("POST /debug/leak/off", func(w http.ResponseWriter, r *http.Request) {
		s.on.Store(false)
		s.tell(w, r)
	})
}

func (s *Switch) tell(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]bool{"leaking": s.On()})
}
