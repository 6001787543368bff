// Takes the first row and leaves the result set open: its connection never goes back to the pool.
package main

import (
	"context"

	"bilgepump.dev/leakapps/harness"
)

var database = harness.OpenMemoryDB()

func firstID(ctx context.Context) (id int64) {
	rows, err := database.QueryContext(ctx, "select id from orders")
	if err != nil {
		panic(err)
	}
	if rows.Next() {
		rows.Scan(&id)
	}
	return id
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	units := int64(0)
	harness.Serve(func(int) { firstID(ctx); units++ }, func() int64 { return units * 17 << 10 })
}
