// Leaves result sets open while the pool has a bound: everybody who comes later waits for a connection.
package main

import (
	"context"
	"database/sql"

	"bilgepump.dev/leakapps/harness"
)

type repository struct{ database *sql.DB }

func (r *repository) exists(form []byte) bool {
	rows, err := r.database.QueryContext(context.Background(), "select id from orders")
	if err != nil {
		return false
	}
	return rows.Next() && form[0] == 0
}

var formBytes = 4096

func handle(r *repository) {
	r.exists(make([]byte, formBytes))
}

func main() {
	r := &repository{database: harness.OpenMemoryDB()}
	r.database.SetMaxOpenConns(5)
	units := int64(0)
	harness.Serve(func(int) { go handle(r); units++ }, func() int64 { return units * 4096 })
}
