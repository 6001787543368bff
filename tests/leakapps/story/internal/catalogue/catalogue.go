// Package catalogue is the shop's range of products: loaded once at the start, flat ever after.
package catalogue

import (
	"fmt"
	"math/rand/v2"
)

// Product is one article.
type Product struct {
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Cents       int    `json:"cents"`
}

const descriptionBytes = 400

// Load makes products of about the given size in all, the same ones every time.
func Load(bytes int) []Product {
	random := rand.New(rand.NewPCG(1, 2))
	products := make([]Product, 0, max(1, bytes/(descriptionBytes+100)))
	for number := range cap(products) {
		products = append(products, Product{
			SKU:         fmt.Sprintf("SKU-%06d", number),
			Name:        fmt.Sprintf("Bilge pump, model %d", number),
			Description: description(random),
			Cents:       100 + random.IntN(100_000),
		})
	}
	return products
}

func description(random *rand.Rand) string {
	text := make([]byte, descriptionBytes)
	for i := range text {
		text[i] = 'a' + byte(random.IntN(26))
	}
	return string(text)
}
