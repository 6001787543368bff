package encryption

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"math"
	"testing"
)

func newAEAD(t *testing.T) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

func TestTheSealedDocumentOpensToItsJSON(t *testing.T) {
	aead := newAEAD(t)
	sealed, plaintext, err := EncryptDatas(aead, map[string]string{"user": "ann"})
	if err != nil {
		t.Fatal(err)
	}
	nonce, ciphertext := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	opened, err := aead.Open(nil, nonce, ciphertext, nil)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]string
	if err := json.Unmarshal(opened, &document); err != nil || document["user"] != "ann" || string(opened) != string(plaintext) {
		t.Fatalf("opened %q (%v)", opened, err)
	}
}

func TestTheSameDocumentIsNeverSealedAlike(t *testing.T) {
	aead := newAEAD(t)
	first, _, _ := EncryptDatas(aead, "order")
	second, _, _ := EncryptDatas(aead, "order")
	if string(first) == string(second) {
		t.Fatal("the nonce was used twice")
	}
}

func TestADocumentWithoutJSONIsAnError(t *testing.T) {
	if _, _, err := EncryptDatas(newAEAD(t), math.NaN()); err == nil {
		t.Fatal("NaN has no JSON")
	}
}
