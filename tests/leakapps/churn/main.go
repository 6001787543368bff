// Innocent: encrypts and encodes all day and keeps nothing.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"

	"bilgepump.dev/leakapps/harness"
)

type patient struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Notes   []string `json:"notes"`
}

var key = []byte("0123456789abcdef0123456789abcdef")

func EncryptData(plain []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, sealer.NonceSize())
	return sealer.Seal(nonce, nonce, plain, nil)
}

func answer(i int) int {
	record := patient{Name: "A", Address: "B", Notes: make([]string, 400)}
	body, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return len(EncryptData(body))
}

func main() {
	harness.Serve(func(i int) { answer(i) }, func() int64 { return 0 })
}
