// Prepares a statement for every request and closes none.
package main

import "bilgepump.dev/leakapps/harness"

var database = harness.OpenMemoryDB()

func lookUp(id int) {
	statement, err := database.Prepare("select id from orders")
	if err != nil {
		panic(err)
	}
	var found int64
	if err := statement.QueryRow().Scan(&found); err != nil {
		panic(err)
	}
}

func main() {
	database.SetMaxOpenConns(1)
	units := int64(0)
	harness.Serve(func(i int) { lookUp(i); units++ }, func() int64 { return units * 1600 })
}
