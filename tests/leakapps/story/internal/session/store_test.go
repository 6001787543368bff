package session

import (
	"bytes"
	"testing"
)

func TestEveryVisitOfEveryUserIsKept(t *testing.T) {
	store := NewStore()
	for range 3 {
		store.Remember("ann", []byte("order"), 8)
	}
	store.Remember("bob", []byte("a longer order"), 8)
	if users, size := store.Size(); users != 2 || size != 4*8 {
		t.Fatalf("%d users, %d bytes: want 2 and 32", users, size)
	}
	if got := store.sessions["ann"][2]; !bytes.Equal(got, []byte("orderord")) {
		t.Fatalf("a short document fills the entry as %q", got)
	}
}

func TestAnEntryDoesNotShareMemoryWithTheDocument(t *testing.T) {
	store := NewStore()
	document := []byte("order")
	store.Remember("ann", document, 5)
	document[0] = 'X'
	if got := store.sessions["ann"][0]; string(got) != "order" {
		t.Fatalf("the entry changed to %q", got)
	}
}

func TestAnEmptyDocumentEnds(t *testing.T) {
	store := NewStore()
	store.Remember("ann", nil, 4)
	if _, size := store.Size(); size != 4 {
		t.Fatalf("%d bytes", size)
	}
}
