// Package encryption seals orders. It allocates a lot and keeps nothing: the innocent that alloc_space accuses.
package encryption

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
)

// EncryptDatas seals the JSON of a document with AES-GCM: nonce, then ciphertext and tag. It returns the JSON as well.
func EncryptDatas(aead cipher.AEAD, document any) (sealed, plaintext []byte, err error) {
	plaintext, err = json.Marshal(document)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the document: %w", err)
	}
	sealed = make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	if _, err := rand.Read(sealed); err != nil {
		return nil, nil, fmt.Errorf("draw a nonce: %w", err)
	}
	return aead.Seal(sealed, sealed, plaintext, nil), plaintext, nil
}
